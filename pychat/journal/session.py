"""The one database session that messages are written through.

It holds the lock of the process that serves the database: until there is delivery between processes, a second one
would deliver to nobody. And since the lock goes when the session's backend goes, whoever has it knows that nothing of
a session before it can be committed any more.
"""

import asyncio
from collections.abc import Callable
from uuid import UUID

import asyncpg

from pychat.database.pool import Database, DatabaseUnavailable, one_line
from pychat.journal.storing import TROUBLE

LOCK_KEY = 0x7079_6368_6175
"""Beside that of the migrations; any constant that other users of the database do not take."""

STATEMENT_TIMEOUT_SEC = 10.0
"""Then the session is given up: a server that is gone without a word would be waited for until the kernel despairs."""

LOCK_TIMEOUT_SEC = 4
"""Below the other, so that who waits for a lock hears from the server, and does not take it for gone."""

SETTINGS = {
    "application_name": "pychat journal",
    "lock_timeout": f"{LOCK_TIMEOUT_SEC}s",
    # Its statements find single rows in tables that grow faster than their statistics.
    "enable_seqscan": "off",
    # So that the lock of a host that died is free within half a minute.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
}


class TakenOver(Exception):
    """Another process has served the database since this one did."""

    def __init__(self) -> None:
        super().__init__(
            "another pychat has taken over the database; what this one knows of users and chats may be out of date"
        )


async def open_session(
    database: Database, on_wait: Callable[[], None], patience_sec: float = 0, served_by: UUID | None = None
) -> asyncpg.Connection:
    """Connects and takes the lock; waits for it as long as somebody else has it, and calls `on_wait` after
    `patience_sec` of that. `served_by` is the process, if it has served the database.

    Raises:
        DatabaseUnavailable
        TakenOver: another one serves it by now
    """
    session = await database.connect_alone(SETTINGS, STATEMENT_TIMEOUT_SEC)
    try:
        # What is answered must be on the disk; what goes beyond that (remote_apply, say) is the operator's to choose.
        await session.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        if not await session.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
            waiting = asyncio.get_running_loop().call_later(patience_sec, on_wait)
            try:
                await _wait_for_lock(session, served_by)
            finally:
                waiting.cancel()
    except TROUBLE as error:
        session.terminate()
        raise DatabaseUnavailable(one_line(error)) from error
    except BaseException:
        session.terminate()
        raise
    return session


async def _wait_for_lock(session: asyncpg.Connection, served_by: UUID | None) -> None:
    while True:
        try:
            await session.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        except asyncpg.LockNotAvailableError:
            # Somebody else has it still, and the server is there.
            if served_by is not None:
                await expect_served_by(session, served_by)
            continue
        return


async def expect_served_by(session: asyncpg.Connection, process: UUID) -> None:
    """Looks whether the process that has served the database until now is the last that did.

    Raises:
        TakenOver
    """
    if await session.fetchval("SELECT process FROM served_by") != process:
        raise TakenOver


async def note_served_by(session: asyncpg.Connection, process: UUID) -> None:
    await session.execute(
        "INSERT INTO served_by (process) VALUES ($1) ON CONFLICT (only_row) DO UPDATE SET process = excluded.process",
        process,
    )
