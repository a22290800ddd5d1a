"""The client ids that messages were sent under: which message one was used for, and forgetting them in time."""

from pychat._core import Repeats
from pychat.database.pool import Share

KEPT_DAYS = 7
"""As the HTTP contract says."""

FORGOTTEN_AT_ONCE = 5_000
"""Rows a statement: some tens of milliseconds, so that nobody waits long for a lock, or for the disk."""

# One by one (LIMIT 1 keeps it so), for a join of many would let the planner read the whole table.
FIND = """
    SELECT wanted.sender, wanted.client_id, message_id
    FROM unnest($1::bigint[], $2::text[]) AS wanted (sender, client_id), LATERAL (
        SELECT message_id FROM message_claims AS claim
        WHERE claim.sender = wanted.sender AND claim.client_id = wanted.client_id LIMIT 1
    ) AS first
"""
FORGET = """
    WITH forgotten AS (
        DELETE FROM message_claims WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM message_claims WHERE message_id >= $1 AND message_id < $2 ORDER BY message_id LIMIT $3
        )) RETURNING message_id
    )
    SELECT count(*), max(message_id) FROM forgotten
"""


async def answer_repeats(database: Share, repeats: Repeats) -> None:
    """Tells who repeated a client id the message that it was first used for.

    Raises:
        DatabaseUnavailable: they are to try again.
    """
    claims = repeats.claims()
    rows = await database.fetch(FIND, [sender for sender, _ in claims], [client_id for _, client_id in claims])
    repeats.answer_with([tuple(row) for row in rows])


async def forget_claims(database: Share, before_id: int) -> None:
    """Deletes the client ids of messages below `before_id`.

    Raises:
        DatabaseUnavailable
    """
    deleted, from_id = FORGOTTEN_AT_ONCE, 0
    while deleted >= FORGOTTEN_AT_ONCE:
        row = await database.fetchrow(FORGET, from_id, before_id, FORGOTTEN_AT_ONCE)
        assert row is not None
        # Not from the lowest anew: while somebody else may still see them, the index leads to all that are deleted.
        deleted, from_id = row
