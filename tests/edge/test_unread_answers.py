"""Answers of Python's that nobody reads: so much memory for each address, and no open file but the client's."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import Launch
from tests.support.client import Person
from tests.support.door import through_the_edge
from tests.support.history import Line, write_history
from tests.support.metrics import Scrape
from tests.support.server import Server
from tests.support.wait import wait_until
from tests.support.wire import Wire

pytestmark = through_the_edge

OF_ADDRESS = 16 * 1024 * 1024
MANY = 100
SLOW, OTHER = "127.0.4.1", "127.0.4.2"
STATUS_LINE = len(b"HTTP/1.1 200")


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch() as started:
        yield started


def status(wire: Wire) -> int:
    """Of the answer that comes, which stays unread."""
    line = wire.socket.recv(STATUS_LINE, socket.MSG_PEEK | socket.MSG_WAITALL)
    return int(line.split()[1])


def open_files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def test_unread_answers_are_bounded(server: Server, alice: Person) -> None:
    chat_id = alice.chat_with(alice)
    write_history(server, chat_id, [Line(number, alice, "\U0001f40c" * 4_000) for number in range(1, 16)])
    path, headers = f"/v2/chats/{chat_id}/messages", [f"Authorization: Bearer {alice.token}"]
    with ExitStack() as stack:

        def connect(address: str) -> Wire:
            return stack.enter_context(Wire(server.url, address, receive_buffer=4_096))

        length = len(connect(OTHER).ask("GET", path, headers).body)
        files = open_files(server)
        slow = [connect(SLOW) for _ in range(MANY)]
        # One after the other, so that places are no matter.
        statuses = []
        for wire in slow:
            wire.request("GET", path, headers)
            statuses.append(status(wire))
        served = OF_ADDRESS // length
        assert statuses == [200] * served + [503] * (MANY - served)
        assert Scrape.of(server).value("pychat_edge_refusals_total", reason="overloaded") == MANY - served
        refused = slow[-1].answer()
        assert (refused.json["code"], int(refused.headers["retry-after"])) == ("overloaded", 1)
        # The application has done with them.
        assert open_files(server) - files < MANY * 3 // 2

        # Whoever asks for little, or from elsewhere, is served.
        assert slow[-1].ask("GET", f"/v2/users/{alice.username}", headers).status == 200
        assert connect(OTHER).ask("GET", path, headers).status == 200
        # And so is everybody once somebody has read, or has left.
        assert len(slow[0].answer().body) == length
        assert slow[-1].ask("GET", path, headers).status == 200
        for wire in slow[1:served]:
            wire.close()
        wait_until(lambda: connect(SLOW).ask("GET", path, headers).status == 200, "the others' room is free again")
