"""Follows the configs in the server's own database: told of a change at once, and looking again every minute in case it
was not told."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from pychat.database.pool import Database, DatabaseUnavailable
from pychat.dynconf import store
from pychat.dynconf.current import CurrentConfig
from pychat.dynconf.schemas import KEYS

if TYPE_CHECKING:
    from pychat.dynconf.store import Reader

log = structlog.get_logger("pychat.dynconf")

LOOK_EVERY_SEC = 60.0
RETRY_SEC = 0.5
REFRESHED_WITHIN_SEC = 2.0


class DatabaseSource:
    """Puts in force what the database holds for `service`."""

    def __init__(self, database: Database, service: str, current: CurrentConfig) -> None:
        self._database = database
        self._service = service
        self._current = current
        # A read that began earlier must not end later, and undo what a newer one brought.
        self._reading = asyncio.Lock()

    async def refresh(self) -> None:
        """Puts in force all that is committed by now. While the database is away, what is in force stays."""
        # Who has just changed something reached the database; only old connections of the pool may still be broken. If
        # it is away after all, the pool has logged it, and `run` reads again when it is back.
        with suppress(TimeoutError):
            async with asyncio.timeout(REFRESHED_WITHIN_SEC):
                while not await self._is_read():  # noqa: ASYNC110 # nothing tells when a connection is good
                    await asyncio.sleep(RETRY_SEC / 10)

    async def run(self) -> None:
        """Follows until cancelled."""
        while True:
            try:
                await self._listen()
            except DatabaseUnavailable as away:
                log.debug("the dynamic config cannot be followed now", reason=str(away))
            except Exception as failure:
                log.error("following the dynamic config failed", exc_info=failure)
            await asyncio.sleep(RETRY_SEC)

    async def _listen(self) -> None:
        """Follows as long as the connection lasts."""
        woken = asyncio.Event()
        async with self._database.listening(store.CHANNEL, woken.set) as connection:
            while not connection.is_closed():
                woken.clear()
                # After the listening has begun, so that no change falls between.
                await self._read(connection)
                with suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), LOOK_EVERY_SEC)

    async def _is_read(self) -> bool:
        try:
            await self._read(self._database)
        except DatabaseUnavailable:
            return False
        return True

    async def _read(self, reader: "Reader") -> None:
        async with self._reading:
            found = await store.read(reader, self._service, list(KEYS))
            self._current.take(found.values, "database")
