"""All connections that requests may have are in use, and the database is well: only requests that need one wait."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import asyncpg
import pytest

from pychat.database.pool import OF_ASKER, POOL_SIZE
from tests.support.client import Person
from tests.support.metrics import Scrape
from tests.support.server import Options, Server, running
from tests.support.wait import wait_until


@pytest.fixture(scope="module")
def server(server_options: Callable[..., Options]) -> Iterator[Server]:
    # Messages are not stored, so that who waits for their table is a reader.
    with running(server_options({"HISTORY_CONFIG": {"is_enabled": False}})) as started:
        yield started


def test_messages_and_operators_do_not_wait_behind_requests(server: Server, alice: Person) -> None:
    # Made behind the server's back, so they have to be looked up.
    chats = [server.new_group({alice: "owner"}) for _ in range(3)]
    readers = [server.person() for _ in range(POOL_SIZE + 4)]
    is_over = threading.Event()

    def read(reader: Person) -> None:
        # Again, where it has waited for too long.
        while not is_over.is_set():
            reader.request("GET", "/v2/chats")

    with ThreadPoolExecutor(len(readers)) as threads, locked(server.database_url, "messages"):
        reading = [threads.submit(read, reader) for reader in readers]
        try:
            wait_until(lambda: Scrape.of(server).value("pychat_database_pool_waiting") >= 4, "readers wait")
            for chat in chats:
                alice.says(chat, "Hello")
            wait_until(server.is_ready, "the server is ready")
        finally:
            is_over.set()
    for finished in reading:
        finished.result()


def test_one_who_asks_much_holds_up_nobody_else(server: Server, alice: Person, bob: Person) -> None:
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            alice.request("GET", "/v2/chats")

    with ThreadPoolExecutor(2 * POOL_SIZE) as threads, locked(server.database_url, "messages"):
        reading = [threads.submit(read) for _ in range(2 * POOL_SIZE)]
        try:
            in_use = "pychat_database_pool_in_use_connections"
            wait_until(lambda: Scrape.of(server).value(in_use) >= OF_ASKER, "the reader has all he may have")
            assert bob.profile(alice.username).status_code == 200
            assert bob.login(bob.username).status_code == 200
        finally:
            is_over.set()
    for finished in reading:
        finished.result()


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Nobody else can read or write it meanwhile."""

    async def lock() -> asyncpg.Connection:
        connection = await asyncpg.connect(url)
        await connection.execute(f"BEGIN; LOCK TABLE {table}")
        return connection

    with asyncio.Runner() as runner:
        connection = runner.run(lock())
        try:
            yield
        finally:
            runner.run(connection.close())
