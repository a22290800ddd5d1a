"""Clients that hold a connection by being slow: 5 s for a head and 10 s for a body are what they get, and 30 s to take
some more of an answer (which `rust/edge/stream.rs` tests)."""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import ClassVar

import pytest

from tests.conftest import Launch
from tests.support.client import Person
from tests.support.door import through_the_edge
from tests.support.server import Server
from tests.support.wait import wait_until
from tests.support.wire import Wire, head

pytestmark = through_the_edge

HEAD_SEC = 5
BODY_SEC = 10
STALLED_SEC = 30


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch({"POLLING_CONFIG": {"polling_time_sec": 60}, "SEND_LIMITER_CONFIG": {"is_enabled": False}}) as started:
        yield started


class SlowClient:
    """Sends `opening`, then `drop` again and again, which is never the end of it."""

    def __init__(self, wire: Wire, opening: bytes, drop: bytes) -> None:
        self.wire = wire
        self.drop = drop
        # Before, for the server counts from what it gets.
        self.began = time.monotonic()
        self.wire.send(opening)
        self.closed_after_sec: float | None = None

    def is_closed(self) -> bool:
        """Sends one drop more, unless it is."""
        if self.closed_after_sec is None:
            try:
                self.wire.send(self.drop)
                closed = self.wire.is_closed()
            except ConnectionError:
                closed = True
            if closed:
                self.closed_after_sec = time.monotonic() - self.began
        return self.closed_after_sec is not None


class SlowReader:
    """Has asked for messages, takes nothing of what comes, and asks for more."""

    TEXTS: ClassVar = [f"{number}" + "\U0001f40c" * 3_500 for number in range(60)]

    def __init__(self, server: Server, owner: Person) -> None:
        session = owner.session()
        chat_id = owner.chat_with(owner)
        for text in self.TEXTS:
            owner.says(chat_id, text)
        self.wire = Wire(server.url, receive_buffer=4_096)
        self.wire.request("GET", f"/v1/messages/poll/{session.session_id}", [f"Authorization: Bearer {owner.token}"])
        assert select.select([self.wire.socket], [], [], 30)[0]
        self.wire.request("GET", "/ping")

    def expect_all(self) -> None:
        with self.wire:
            assert [message["text"] for message in self.wire.answer().json["messages"]] == self.TEXTS
            assert self.wire.answer().status == 200


@pytest.fixture
def connect(server: Server) -> Iterator[Callable[[], Wire]]:
    """Makes connections that end with the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(Wire(server.url))


def test_who_is_slow_loses_the_connection_and_who_waits_does_not(
    server: Server, alice: Person, connect: Callable[[], Wire]
) -> None:
    reader = SlowReader(server, alice)
    idle, silent, parked = connect(), connect(), alice.session().park()
    assert idle.ask("GET", "/ping").status == 200

    heads = [SlowClient(connect(), b"GET /ping HTTP/1.1\r\n", drop) for drop in (b"", b"A: b\r\n")]
    # The time counts from a request's first byte, also on a connection that has served one.
    used = connect()
    assert used.ask("GET", "/ping").status == 200
    heads.append(SlowClient(used, b"G", b""))

    paths = ["/v1/messages/send", "/v1/messages/poll/start", "/v1/chats/private", "/nowhere"]
    headers = ["Host: x", f"Authorization: Bearer {alice.token}", "Content-Length: 15000"]
    openings = [head("POST", path, headers) for path in paths]
    bodies = [SlowClient(connect(), opening, drop) for opening in openings for drop in (b"", b" ")]

    expect_closed(heads, HEAD_SEC, before_sec=BODY_SEC)
    expect_closed(bodies, BODY_SEC, before_sec=STALLED_SEC)
    for waiting in (idle, silent):
        assert waiting.ask("GET", "/ping").status == 200
    reader.expect_all()
    alice.says(alice.chat_with(alice), "still there")
    assert parked.answer()[1]["messages"][0]["text"] == "still there"


def expect_closed(clients: list[SlowClient], after_sec: float, before_sec: float) -> None:
    """After its own time, and before the next longer one: on a busy machine nothing happens to the second."""

    def are_closed() -> bool:
        return sum(client.is_closed() for client in clients) == len(clients)

    wait_until(are_closed, f"the connections are closed after {after_sec} s", within_sec=before_sec)
    for client in clients:
        assert client.closed_after_sec
        assert client.closed_after_sec >= after_sec - 0.1
