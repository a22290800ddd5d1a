"""Private chats in Postgres."""

import asyncio

from pychat.chats import store
from pychat.database.pool import Database
from pychat.users import store as users

MANY = 1_000


async def new_user(database: Database, username: str) -> int:
    row = await users.insert(database, username, "a hash", "Somebody", "")
    return int(row["id"])


async def members(database: Database, chat_id: str) -> list[int]:
    rows = await database.fetch("SELECT user_id FROM chat_members WHERE chat_id = $1 ORDER BY user_id", chat_id)
    return [row["user_id"] for row in rows]


async def test_two_share_one_chat(database: Database) -> None:
    alice, bob = await new_user(database, "alice"), await new_user(database, "bob")
    chat = await store.open_private(database, alice, bob, MANY)
    assert chat
    assert chat.is_new
    assert chat.id.startswith("pc:")
    assert await store.open_private(database, bob, alice, MANY) == chat._replace(is_new=False)
    assert await members(database, chat.id) == [alice, bob]


async def test_a_chat_with_oneself_has_one_member(database: Database) -> None:
    alice = await new_user(database, "alice")
    chat = await store.open_private(database, alice, alice, MANY)
    assert chat
    assert await members(database, chat.id) == [alice]


async def test_opened_from_both_sides_at_once_it_is_one(database: Database) -> None:
    alice, bob = await new_user(database, "alice"), await new_user(database, "bob")
    sides = [(alice, bob), (bob, alice)] * 4
    opened = await asyncio.gather(*(store.open_private(database, *side, MANY) for side in sides))
    chats = [chat for chat in opened if chat]
    assert len(chats) == len(sides)
    assert len({(chat.id, chat.number) for chat in chats}) == 1
    assert sum(chat.is_new for chat in chats) == 1


async def test_many_pairs_are_opened_together(database: Database) -> None:
    people = [await new_user(database, name) for name in ("alice", "bob", "eve")]
    pairs = [(one, other) for one in people for other in people if one <= other]
    known = await store.open_private(database, people[0], people[1], MANY)
    assert known
    opened = await store.open_private_chats(database, pairs, MANY)
    assert set(opened) == set(pairs)
    assert len({chat.number for chat in opened.values()}) == len(pairs)
    assert opened[people[0], people[1]] == known._replace(is_new=False)
    again = await asyncio.gather(*(store.open_private_chats(database, pairs, MANY) for _ in range(4)))
    assert all(chats == {pair: chat._replace(is_new=False) for pair, chat in opened.items()} for chats in again)


async def test_nobody_is_in_more_chats_than_one_may_be(database: Database) -> None:
    alice, bob, eve = [await new_user(database, name) for name in ("alice", "bob", "eve")]
    known = await store.open_private(database, alice, bob, 2)
    assert known
    assert await store.open_private(database, alice, alice, 2)
    assert await store.open_private(database, alice, eve, 2) is None
    assert await store.open_private(database, eve, alice, 2) is None, "whoever opens it"
    assert await store.open_private(database, bob, alice, 2) == known._replace(is_new=False), "what is there stays"
    assert await store.open_private(database, bob, eve, 2)


async def test_the_bound_holds_for_chats_that_are_opened_at_once(database: Database) -> None:
    people = [await new_user(database, f"user{number}") for number in range(12)]
    alice = people[0]
    together = await store.open_private_chats(database, [(alice, other) for other in people[1:6]], 3)
    assert len(together) == 3
    eve = people[1]
    singly = await asyncio.gather(*(store.open_private(database, eve, other, 3) for other in people[2:]))
    assert len(await database.fetch("SELECT FROM chat_members WHERE user_id = $1", eve)) == 3
    assert sum(chat is not None for chat in singly) in (2, 3), "with the one that she may be in with alice"


async def test_deleted_users_are_not_found(database: Database) -> None:
    alice = await new_user(database, "alice")
    assert await store.user_id_of(database, "alice") == alice
    await users.delete(database, alice, 0)
    assert await store.user_id_of(database, "alice") is None
    assert await store.user_id_of(database, "nobody") is None
