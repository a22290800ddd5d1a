"""Chats and their members in Postgres."""

from collections.abc import Iterable
from typing import NamedTuple

from asyncpg import Record

from pychat.database.pool import Database, Share

Pair = tuple[int, int]
"""Two users, who may be one, the lower id first."""

# Each pair's, where there is one.
_FIND = """
    SELECT id, number, pair_low, pair_high FROM chats
    JOIN unnest($1::bigint[], $2::bigint[]) AS wanted (low, high) ON pair_low = low AND pair_high = high
    WHERE kind = 'private'
"""
# In order: two who make several at once must not wait for each other. Nobody's chats are counted by two at once.
_LOCK = "SELECT FROM users WHERE id = ANY($1::bigint[] || $2::bigint[]) ORDER BY id FOR NO KEY UPDATE"
# But for those that one of the two has no room for.
_MAKE = """
    WITH wanted AS (
        SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS wanted (low, high)
    ), member AS (
        SELECT low, high, id, row_number() OVER (PARTITION BY id ORDER BY low, high) AS nth
        FROM wanted, LATERAL (SELECT low AS id UNION SELECT high) AS both_or_one
    ), refused AS (
        SELECT low, high FROM member
        WHERE nth + (SELECT count(*) FROM (SELECT FROM chat_members WHERE user_id = id LIMIT $3) AS there) > $3
    ), made AS (
        INSERT INTO chats (id, kind, pair_low, pair_high)
        SELECT 'pc:' || gen_random_uuid(), 'private', low, high
        FROM (SELECT * FROM wanted EXCEPT SELECT * FROM refused) AS allowed ORDER BY low, high
        ON CONFLICT (pair_low, pair_high) WHERE kind = 'private' DO NOTHING
        RETURNING id, number, pair_low, pair_high
    ), joined AS (
        INSERT INTO chat_members (chat_id, user_id, role)
        SELECT id, pair_low, 'writer' FROM made UNION SELECT id, pair_high, 'writer' FROM made
    )
    SELECT * FROM made
"""


class PrivateChat(NamedTuple):
    id: str
    number: int
    """The key that its messages carry."""
    is_new: bool


async def user_id_of(database: Database, username: str) -> int | None:
    """The id of a user that is not deleted."""
    user_id: int | None = await database.fetchval(
        "SELECT id FROM users WHERE username = $1 AND deleted_at IS NULL", username
    )
    return user_id


async def open_private(database: Database, one: int, other: int, max_chats: int) -> PrivateChat | None:
    """The one private chat of two users, who may be the same; opened just now where there was none. `None` where one of
    them is in `max_chats` already."""
    pair = (min(one, other), max(one, other))
    return (await open_private_chats(database, [pair], max_chats)).get(pair)


async def open_private_chats(database: Share, pairs: Iterable[Pair], max_chats: int) -> dict[Pair, PrivateChat]:
    """The private chat of each pair, opened just now where there was none; without those whose users are in `max_chats`
    already."""
    wanted = set(pairs)
    chats = await _find(database, wanted)
    if missing := wanted - chats.keys():
        low, high = [low for low, _ in missing], [high for _, high in missing]
        async with database.transaction() as connection:
            await connection.execute(_LOCK, low, high)
            rows = await connection.fetch(_MAKE, low, high, max_chats)
        chats |= _chats(rows, is_new=True)
        # Of two who open one at once, the second waits for the first to commit, makes none, and then finds that one.
        if missing := wanted - chats.keys():
            chats |= await _find(database, missing)
    return chats


async def _find(database: Share, pairs: set[Pair]) -> dict[Pair, PrivateChat]:
    rows = await database.fetch(_FIND, [low for low, _ in pairs], [high for _, high in pairs])
    return _chats(rows, is_new=False)


def _chats(rows: list[Record], is_new: bool) -> dict[Pair, PrivateChat]:
    return {(row["pair_low"], row["pair_high"]): PrivateChat(row["id"], row["number"], is_new) for row in rows}
