"""The Postgres that servers under test are pointed at: one server, one database for each of them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import psutil

from pychat.database.embedded import EmbeddedPostgres
from pychat.database.pool import Database

T = TypeVar("T")


class Postgres:
    """A Postgres server that can be stopped and started, for tests that have no event loop of their own."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._server = EmbeddedPostgres(data_dir)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._url = ""

    def start(self) -> None:
        url = self._run(self._server.start())
        assert self._url in ("", url), "the address changed over a restart"
        self._url = url
        # Nothing here has to outlive a power cut, and a database has a thousand files to flush.
        execute(url, "ALTER SYSTEM SET fsync = off")
        execute(url, "SELECT pg_reload_conf()")

    def stop(self) -> None:
        self._run(self._server.stop())

    def kill(self) -> None:
        """Ends the server and its sessions, as a crash of the host does (SIGKILL); it is started again by itself."""
        for process in freeze(self._data_dir):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Has the server neither answer nor hang up for the duration of a `with` block, as when its host is lost."""
        frozen = freeze(self._data_dir)
        try:
            yield
        finally:
            for process in frozen:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def close(self) -> None:
        """Stops the server for good."""
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def new_database(self) -> str:
        """Creates an empty database and returns its URL."""
        name = f"test_{uuid4().hex}"
        execute(self._url, f"CREATE DATABASE {name}")
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def freeze(data_dir: Path) -> list[psutil.Process]:
    """Stops the processes of the server in `data_dir`, the first one's children after it; returns them."""
    postmaster = running_in(data_dir)[0]
    postmaster.suspend()  # first, so that it has no more children
    processes = [postmaster, *postmaster.children()]
    for process in processes[1:]:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    return processes


def running_in(data_dir: Path) -> list[psutil.Process]:
    """The processes of the server in `data_dir`, the first one's children after it."""
    postmaster = psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0]))
    return [postmaster, *postmaster.children()]


def is_alive(process: psutil.Process) -> bool:
    """Whether it is more than an entry in the system's table."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Database]:
    """A pool on the database at `url`."""
    pool = Database(url)
    await pool.connect()
    try:
        yield pool
    finally:
        await pool.close()


def execute(url: str, sql: str, *args: object) -> None:
    """Runs one statement in the database at `url`."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(sql, *args)
        finally:
            await connection.close()

    complete(run())


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` on a thread of its own, for this one may have a loop already, as Playwright's does."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
