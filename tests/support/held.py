"""A session of the database that stays open, for tests that have no event loop of their own."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import asyncpg


class HeldSession:
    """What one statement takes, a lock say, is kept until the session ends."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._connection = self._submit(asyncpg.connect(url)).result()

    def value(self, sql: str) -> Any:
        """What one statement gives."""
        return self._submit(self._connection.fetchval(sql)).result()

    def run(self, sql: str) -> None:
        """Runs statements without parameters, as many as there are."""
        self._submit(self._connection.execute(sql)).result()

    def close(self) -> None:
        self._submit(self._terminate()).result()

    async def _terminate(self) -> None:
        # Not `close`, which the server may not live to answer.
        self._connection.terminate()
        await asyncio.sleep(0)  # in the loop's next turn the socket is closed

    def _submit(self, work: Coroutine[Any, Any, Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)


@contextmanager
def held_session(url: str) -> Iterator[HeldSession]:
    """A session for a `with` block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    session = HeldSession(url, loop)
    try:
        yield session
    finally:
        session.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
