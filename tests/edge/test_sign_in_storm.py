"""More sign-ins than can be hashed: what is too much is refused at once, by the edge, and the others come through."""

import json
import os
import select
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from benches.process import pinned
from pychat.users.passwords import MAX_PENDING
from tests.conftest import Launch
from tests.support.client import PASSWORD, Person
from tests.support.door import Door, through_the_edge
from tests.support.metrics import Scrape
from tests.support.ports import free_address
from tests.support.server import Server
from tests.support.upstream import edge_alone
from tests.support.wait import wait_until
from tests.support.wire import Answer, Wire

pytestmark = through_the_edge

AT_ONCE = MAX_PENDING + 50


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with ExitStack() as stack:
        # On one core one password is hashed at a time.
        with pinned({min(os.sched_getaffinity(0))}):
            started = stack.enter_context(launch())
        yield started


def login(wire: Wire, person: Person) -> None:
    user = {"username": person.username, "password": PASSWORD}
    wire.request("POST", "/v1/users/login", body=json.dumps({"user": user}).encode())


def expect_refused(answer: Answer) -> None:
    message = answer.json["message"]
    assert answer.json == {"code": "503", "message": message, "details": {"errors": message}}
    assert int(answer.headers["retry-after"]) >= 1
    assert "connection" not in answer.headers


def refused_by_the_edge(server: Server) -> float:
    return Scrape.of(server).value("pychat_edge_refusals_total", reason="overloaded")


def statuses_so_far(wires: list[Wire]) -> set[int]:
    """Of those that were answered meanwhile, which are taken off the list."""
    readable, _, _ = select.select([wire.socket for wire in wires], [], [], 0)
    answered = [wire for wire in wires if wire.socket in readable]
    wires[:] = [wire for wire in wires if wire not in answered]
    return {wire.answer().status for wire in answered}


def test_what_is_too_much_is_refused_and_the_rest_goes_on(server: Server, alice: Person) -> None:
    chat_id = alice.chat_with(alice)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.url)) for _ in range(AT_ONCE)]
        late = stack.enter_context(Wire(server.url))
        with server.frozen():
            for wire in wires:
                login(wire, alice)
        login(late, alice)
        expect_refused(late.answer())

        def is_refused_by_the_edge() -> bool:
            login(late, alice)
            expect_refused(late.answer())
            return refused_by_the_edge(server) > 0

        wait_until(is_refused_by_the_edge, "Python is not asked any more")
        alice.says(chat_id, "text")
        wait_until(lambda: 200 in statuses_so_far(wires), "those that were let in come through")


@pytest.mark.parametrize("path", ["/v1/users/login", "/v1/users/register", "/v1//users/%6cogin/"])
def test_the_edge_refuses_for_as_long_as_it_is_told(path: str, door: Door) -> None:
    with edge_alone(free_address(), free_address()) as alone, Wire(alone.url) as wire:
        assert wire.ask("POST", path, body=b"{}").status == 200
        alone.edge.refuse_sign_ins(True)
        expect_refused(wire.ask("POST", path, body=b"{}"))
        assert wire.ask("GET", path).status == wire.ask("POST", "/v1/chats/private", body=b"{}").status == 200
        alone.edge.refuse_sign_ins(False)
        assert wire.ask("POST", path, body=b"{}").status == 200
        assert [request.method for request in alone.application.received if request.path == path] == [
            "POST",
            "GET",
            "POST",
        ]
