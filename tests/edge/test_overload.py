"""More requests for Python than it may have under way: refused at once, and only as long as it lasts."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import Launch
from tests.support.client import Person
from tests.support.door import through_the_edge
from tests.support.metrics import Scrape
from tests.support.server import Server
from tests.support.wire import Wire

pytestmark = through_the_edge

# What the edge lets Python have under way, and some more.
UNDER_WAY = 500
AT_ONCE = UNDER_WAY + 100


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch() as started:
        yield started


def refused_by_the_edge(server: Server) -> float:
    return Scrape.of(server).value("pychat_edge_refusals_total", reason="overloaded")


def test_what_is_too_much_is_refused_at_once(server: Server, alice: Person) -> None:
    chat_id = alice.chat_with(alice)
    with ExitStack() as stack:
        # None of the addresses has more than it may.
        wires = [stack.enter_context(Wire(server.url, f"127.0.2.{number % 3 + 1}")) for number in range(AT_ONCE)]
        # All are there when the process goes on, and the edge reads faster than Python answers.
        with server.frozen():
            for wire in wires:
                wire.request("GET", f"/v1/users/{alice.username}", [f"Authorization: Bearer {alice.token}"])
        answers = [wire.answer() for wire in wires]
        refused = [answer for answer in answers if answer.status == 503]
        assert {answer.status for answer in answers} == {200, 503}
        # On a busy machine some of the others wait for the database for too long.
        assert 0 < refused_by_the_edge(server) <= AT_ONCE - UNDER_WAY
        for answer in refused:
            message = answer.json["message"]
            assert answer.json == {"code": "503", "message": message, "details": {"errors": message}}
            assert int(answer.headers["retry-after"]) >= 1
            assert "connection" not in answer.headers
        # Nobody is held up for longer than the others take, and messages are not held up at all.
        assert [wire.ask("GET", "/ping").status for wire in wires[:10]] == [200] * 10
    alice.says(chat_id, "text")


def test_a_slow_body_keeps_nobody_waiting(server: Server, alice: Person) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.url)) for _ in range(AT_ONCE)]
        for wire in wires:
            wire.request("POST", "/v1/users/login", ["Content-Length: 1000"], b"{")
        assert alice.profile(alice.username).status_code == 200
