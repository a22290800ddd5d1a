"""One batch into the tables, in one transaction."""

from collections.abc import Callable

import asyncpg

from pychat._core import Batch, Repeats
from pychat.database.pool import ROLLBACK_TIMEOUT_SEC, one_line

TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a statement of a session may fail with; a timeout is an `OSError`."""

# Columns as texts, so that a batch costs three values and not three a message.
_CLAIM = r"""
    INSERT INTO message_claims (sender, client_id, message_id)
    SELECT sender::bigint, client_id, message_id::bigint FROM unnest(
        string_to_array($1, E'\n'), string_to_array($2, E'\n'), string_to_array($3, E'\n')
    ) AS given (sender, client_id, message_id)
    ON CONFLICT DO NOTHING
"""
CLAIMED = "SELECT message_id FROM message_claims WHERE message_id = ANY($1::bigint[])"
_COLUMNS = ["id", "chat", "sender", "text"]


class NotStored(Exception):
    """The batch is not in the database, and will not be."""


class NoPartition(NotStored):
    """There is none for the ids, or a constraint of somebody's own was violated."""


class MaybeStored(Exception):
    """The answer to the commit was lost."""


async def store(session: asyncpg.Connection, batch: Batch, on_repeats: Callable[[Repeats], None]) -> None:
    """Commits the batch, but for the messages whose client ids were used before: `on_repeats` has them as soon as they
    are known, whatever becomes of the rest. When it fails, the session is as it was or closed.

    Raises:
        NotStored, MaybeStored
    """
    count, claims = batch.claims()
    is_committing = False
    try:
        if count:
            await session.execute("BEGIN")
            tag = await session.execute(_CLAIM, *claims)
            if int(tag.rpartition(" ")[2]) < count:
                claimed = await session.fetch(CLAIMED, batch.message_ids)
                on_repeats(batch.take_repeats([row["message_id"] for row in claimed]))
        is_committing = not count
        await _copy(session, batch)
        if count:
            is_committing = True
            await session.execute("COMMIT")
        return
    except TROUBLE as failure:
        is_undone = _is_undone(failure)
        not_stored = NoPartition if isinstance(failure, asyncpg.CheckViolationError) else NotStored
        reason = one_line(failure)
    except BaseException:
        session.terminate()
        raise
    # Not in the handler: its traceback would keep alive all that is here.
    if not is_undone:
        # What is under way may end in any way, but not behind the back of the next session.
        session.terminate()
    elif count:
        await _roll_back(session)
    raise MaybeStored(reason) if is_committing and not is_undone else not_stored(reason)


def _is_undone(failure: BaseException) -> bool:
    """Whether the server itself has said that it has undone the statement, and goes on. A client's own errors look
    much the same, and a FATAL one, by a server that stops, may come after the commit."""
    return isinstance(failure, asyncpg.PostgresError) and failure.severity_en == "ERROR"


async def _copy(session: asyncpg.Connection, batch: Batch) -> None:
    # As `bytes` it would be taken for the name of a file.
    rows = memoryview(batch.rows())
    await session.copy_to_table(
        "messages",
        source=rows,  # type: ignore[arg-type] # any buffer will do, which the stub does not know
        columns=_COLUMNS,
        format="binary",
    )


async def _roll_back(session: asyncpg.Connection) -> None:
    try:
        await session.execute("ROLLBACK", timeout=ROLLBACK_TIMEOUT_SEC)
    except TROUBLE:
        session.terminate()
