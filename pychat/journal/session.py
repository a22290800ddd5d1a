"""The one database session that messages are written through.

It holds the lock of the process that serves the database: until there is delivery between processes, a second one
would deliver to nobody. And since the lock goes when the session's backend goes, whoever has it knows that nothing of
a session before it can be committed any more.
"""

import asyncio
from collections.abc import Callable

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


async def open_session(database: Database, on_wait: Callable[[], None], patience_sec: float = 0) -> asyncpg.Connection:
    """Connects and takes the lock; waits for it as long as somebody else has it, and calls `on_wait` after
    `patience_sec` of that.

    Raises:
        DatabaseUnavailable
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
                await _wait_for_lock(session)
            finally:
                waiting.cancel()
    except TROUBLE as error:
        session.terminate()
        raise DatabaseUnavailable(one_line(error)) from error
    except BaseException:
        session.terminate()
        raise
    return session


async def _wait_for_lock(session: asyncpg.Connection) -> None:
    while True:
        try:
            await session.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        except asyncpg.LockNotAvailableError:
            continue  # somebody else has it still, and the server is there
        return
