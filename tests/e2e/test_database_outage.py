"""The database goes away under traffic and comes back.

What needs it answers 503 meanwhile, what does not goes on, and nobody has to restart anything.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.client import Person, Session, new_name
from tests.support.expect import expect_error, expect_problem
from tests.support.postgres import Postgres
from tests.support.server import Options, Server, running
from tests.support.wait import wait_until


@pytest.fixture(scope="module")
def server(server_options: Callable[..., Options], own_postgres: Postgres) -> Iterator[Server]:
    # Messages that are stored are another test's (`tests/journal`): here all goes on that needs no database.
    config = {
        "POLLING_CONFIG": {"polling_time_sec": 1},
        "SEND_LIMITER_CONFIG": {"is_enabled": False},
        "HISTORY_CONFIG": {"is_enabled": False},
    }
    with running(server_options(config, PYCHAT_DATABASE__URL=own_postgres.new_database())) as started:
        yield started


UNKNOWN_CHAT = "pc:00000000-0000-0000-0000-000000000000"


class Traffic:
    """One person who talks to another all the time; both insist that every request succeeds."""

    def __init__(self, sender: Person, reader: Session) -> None:
        self._sender = sender
        self._reader = reader
        self._chat_id = sender.chat_with(reader.owner)
        self._over = threading.Event()
        self._sent_all = threading.Event()
        self._failures: list[Exception] = []
        self.sent = 0
        self.read: list[str] = []

    def goes_on(self) -> None:
        """Waits until 20 more messages than now have arrived."""
        goal = len(self.read) + 20
        wait_until(lambda: len(self.read) >= goal or bool(self._failures), "messages arrive")
        assert not self._failures, self._failures

    def _send(self) -> None:
        try:
            while not self._over.wait(0.005):
                self._sender.says(self._chat_id, str(self.sent))
                self.sent += 1
        finally:
            self._sent_all.set()

    def _poll(self) -> None:
        while not (self._sent_all.is_set() and len(self.read) >= self.sent):
            batch = self._reader.read()
            assert not batch.resync_required
            self.read += batch.texts

    def _insist(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as failure:
            self._failures.append(failure)
            self._over.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Talks during a `with` block, and counts at its end."""
        threads = [threading.Thread(target=self._insist, args=[work]) for work in (self._send, self._poll)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
        assert not self._failures, self._failures
        assert self.read == [str(number) for number in range(self.sent)]


def test_an_outage_under_traffic(server: Server, own_postgres: Postgres, alice: Person, bob: Person) -> None:
    # Made behind the server's back, so it has to be looked up.
    unloaded_chat = server.new_group({alice: "owner"})
    traffic = Traffic(alice, bob.session())
    with traffic.running():
        traffic.goes_on()
        own_postgres.stop()
        try:
            during_the_outage(server, alice, bob, unloaded_chat)
            traffic.goes_on()
        finally:
            own_postgres.start()
        after_the_outage(server, alice, bob, unloaded_chat)
        traffic.goes_on()


def during_the_outage(server: Server, alice: Person, bob: Person, unloaded_chat: str) -> None:
    wait_until(lambda: not server.is_ready(), "the server says that it is not ready")
    answer = server.monitor("GET", "/service/ready")
    expect_error(answer, 503)
    assert "database" in answer.text.lower()
    assert server.monitor("GET", "/service/live").status_code == 200

    expect_error(alice.register(new_name()), 503)
    expect_error(alice.login(alice.username), 503)
    expect_error(alice.profile(bob.username), 503)
    expect_error(alice.patch(alice.username, biography="Hello"), 503)
    expect_error(alice.delete(alice.username), 503)
    expect_error(alice.private_chat(bob.username), 503)
    expect_error(alice.send_to("nobody-known-so-far", "Hello"), 503)
    expect_error(alice.send("pc:unknown-so-far", "Hello"), 503)
    expect_error(alice.send(unloaded_chat, "Hello"), 503)

    for method, path, body in [
        ("POST", "/v2/chats", {"type": "private", "username": bob.username}),
        ("GET", "/v2/chats", None),
        ("GET", f"/v2/chats/{UNKNOWN_CHAT}/messages", None),
        ("PUT", f"/v2/chats/{UNKNOWN_CHAT}/read", {"message_id": "1"}),
        ("GET", "/v2/users?query=a", None),
        ("GET", f"/v2/users/{bob.username}", None),
    ]:
        expect_problem(alice.request(method, path, json=body), "database_unavailable")

    # What the server knows already needs no database.
    session = alice.session()
    bob.tells(alice, "Hello")
    heard: list[str] = []
    while "Hello" not in heard:
        heard += session.read().texts


def after_the_outage(server: Server, alice: Person, bob: Person, unloaded_chat: str) -> None:
    wait_until(server.is_ready, "the server is ready again")
    server.person()
    assert alice.login(alice.username).status_code == 200
    assert alice.patch(alice.username, biography="We are back").json() == {"username": alice.username}
    assert bob.profile(alice.username).json()["user"]["biography"] == "We are back"
    alice.says(unloaded_chat, "Hello")
    expect_error(alice.send_to("nobody-known-so-far", "Hello"), 404)
    expect_error(alice.send("pc:unknown-so-far", "Hello"), 404)
