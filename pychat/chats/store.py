"""Chats and their members in Postgres."""

from collections.abc import Iterable
from typing import NamedTuple

from pychat.database.pool import Database

Pair = tuple[int, int]
"""Two users, who may be one, the lower id first."""

# Each pair's, where there is one.
_FIND = """
    SELECT id, number, pair_low, pair_high FROM chats
    JOIN unnest($1::bigint[], $2::bigint[]) AS wanted (low, high) ON pair_low = low AND pair_high = high
    WHERE kind = 'private'
"""
# In order: two who make several at once must not wait for each other.
_MAKE = """
    WITH made AS (
        INSERT INTO chats (id, kind, pair_low, pair_high)
        SELECT 'pc:' || gen_random_uuid(), 'private', low, high
        FROM unnest($1::bigint[], $2::bigint[]) AS wanted (low, high) ORDER BY low, high
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


async def open_private(database: Database, one: int, other: int) -> PrivateChat:
    """The one private chat of two users, who may be the same; opened just now where there was none."""
    pair = (min(one, other), max(one, other))
    return (await open_private_chats(database, [pair]))[pair]


async def open_private_chats(database: Database, pairs: Iterable[Pair]) -> dict[Pair, PrivateChat]:
    """The private chat of each pair, opened just now where there was none."""
    wanted = set(pairs)
    chats: dict[Pair, PrivateChat] = {}
    # Of two who open one at once, the second waits for the first to commit, makes none, and then finds that one.
    for sql, is_new in ((_FIND, False), (_MAKE, True), (_FIND, False)):
        missing = wanted - chats.keys()
        if not missing:
            break
        rows = await database.fetch(sql, [low for low, _ in missing], [high for _, high in missing])
        for row in rows:
            chats[row["pair_low"], row["pair_high"]] = PrivateChat(row["id"], row["number"], is_new)
    return chats
