"""The database falls silent, as when its host is lost, and the server is stopped."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from tests.support.client import Person
from tests.support.door import EDGE, Door, through_the_edge
from tests.support.metrics import Scrape
from tests.support.postgres import Postgres, freeze, is_alive
from tests.support.server import STOP_WITHIN_SEC, Options, Server, running
from tests.support.wait import wait_until

REQUESTS = 5
"""More than ask the database by themselves."""


def test_a_stop_tells_the_senders_and_ends(server_options: Callable[..., Options], own_postgres: Postgres) -> None:
    server = Server(server_options(PYCHAT_DATABASE__URL=own_postgres.new_database()))
    try:
        alice = server.person()
        chat_id = alice.chat_with(alice)

        def send(client_id: str) -> str:
            body = {"text": "Hello", "client_id": client_id}
            answer = alice.request("POST", f"/v2/chats/{chat_id}/messages", json=body)
            assert answer.status_code == 503, answer.text
            assert "Retry-After" in answer.headers
            return str(answer.json()["code"])

        with own_postgres.frozen(), ThreadPoolExecutor(4) as threads:
            before = pending(server)
            sent = [threads.submit(send, client_id) for client_id in ("a", "b", "c", "a")]
            wait_until(lambda: pending(server) == before + len(sent), "the messages are under way")
            with stopped_in_time(server):
                told = {answer.result() for answer in sent}
                assert told <= {"outcome_unknown", "database_unavailable"}
                assert "outcome_unknown" in told
    except BaseException:
        server.kill()
        raise


def test_a_stop_does_not_wait_for_who_waits(
    server_options: Callable[..., Options], own_postgres: Postgres, door: Door
) -> None:
    server = Server(server_options(PYCHAT_DATABASE__URL=own_postgres.new_database()))
    try:
        # One alone has too few connections.
        people = [server.person() for _ in range(REQUESTS)]
        is_stopping = threading.Event()

        def ask(person: Person) -> int | None:
            # Again, where it has waited for too long before the stop.
            while True:
                try:
                    status = person.profile(person.username).status_code
                except httpx.TransportError:
                    return None
                if is_stopping.is_set():
                    return status

        with own_postgres.frozen(), ThreadPoolExecutor(REQUESTS) as threads:
            asked = threads.map(ask, people)
            try:
                wait_until(lambda: waiting(server) >= REQUESTS, "they wait for the database")
            finally:
                is_stopping.set()
            with stopped_in_time(server):
                statuses = set(asked)
            # Where there is no edge, Granian cuts them short.
            if door is EDGE:
                assert 503 in statuses
                assert statuses <= {503, None}
    except BaseException:
        server.kill()
        raise


@through_the_edge
@pytest.mark.parametrize("stands_still", ["all of it", "its disk"])
def test_a_stop_with_an_embedded_database_that_stands_still(
    server_options: Callable[..., Options], stands_still: str
) -> None:
    server = Server(server_options().embedded())
    try:
        alice = server.person()
        chat_id = alice.chat_with(alice)
        processes = freeze(server.options.data_dir)
        if stands_still == "its disk":
            processes[0].resume()  # it listens, but the others are not done with what they are at
        before = pending(server)
        with ThreadPoolExecutor(1) as thread:
            sent = thread.submit(alice.request, "POST", f"/v2/chats/{chat_id}/messages", json={"text": "Hello"})
            wait_until(lambda: pending(server) == before + 1, "the message is under way")
            with stopped_in_time(server):
                assert sent.result().status_code == 503
        assert not any(is_alive(process) for process in processes)
    except BaseException:
        server.kill()
        raise
    with running(server.options) as again:
        assert again.anonymous().login(alice.username).status_code == 200


@contextmanager
def stopped_in_time(server: Server) -> Iterator[None]:
    """Has the server stop at the beginning of a `with` block, whose end it is to come to in time."""
    began = time.monotonic()
    server.terminate()
    yield
    assert server.exit_code() == 0
    assert time.monotonic() - began < STOP_WITHIN_SEC


def pending(server: Server) -> float:
    return Scrape.of(server).value("chat_journal_pending_current")


def waiting(server: Server) -> float:
    """For an answer of the database, or for a connection to it."""
    seen = Scrape.of(server)
    return sum(seen.value(f"pychat_database_pool_{name}") for name in ("in_use_connections", "waiting"))
