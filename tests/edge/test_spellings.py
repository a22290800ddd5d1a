"""However a route is spelled, it is that route: no spelling brings a request where it would be in others' way."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.door import Door, through_the_edge
from tests.support.ports import free_address
from tests.support.upstream import EdgeAlone, edge_alone
from tests.support.wait import wait_until
from tests.support.wire import Wire

pytestmark = through_the_edge

# More than the application is given at a time.
MANY = 80
BODY = b"{}"


@pytest.fixture
def alone(door: Door) -> Iterator[EdgeAlone]:
    with edge_alone(free_address(), free_address()) as started:
        yield started


def spellings(path: str) -> list[str]:
    """The first is the usual one."""
    escaped = f"/{path[1:].replace('/', '%2F')}".replace("s", "%73")
    return [path, f"{path}/", f"{path}//", path.replace("/", "//"), escaped]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/messages/send"),
        ("POST", "/v1/messages/poll/start"),
        ("GET", "/v1/messages/poll/0b0b6b5e-8f5c-4f0e-9d0c-6d2a8c1f4e3a"),
        ("POST", "/v2/chats/pc:nowhere/messages"),
    ],
)
def test_the_edge_answers_its_routes_in_every_spelling(alone: EdgeAlone, method: str, path: str) -> None:
    with Wire(alone.url) as wire:
        for spelling in spellings(path):
            answer = wire.ask(method, spelling, body=BODY if method == "POST" else None)
            assert answer.status == 401, spelling
    assert alone.application.begun == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/users/login"), ("POST", "/v1/users/register/"), ("PATCH", "/v1/users/somebody")],
)
def test_who_waits_for_a_hash_takes_no_turn_of_others(alone: EdgeAlone, method: str, path: str) -> None:
    begun = alone.application.begun
    alone.application.answering.clear()
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(alone.url)) for _ in range(MANY)]
        for wire in wires:
            wire.request(method, path, body=BODY)
        wait_until(lambda: begun.count(path) == MANY, "they wait in the application")
        other = stack.enter_context(Wire(alone.url))
        other.request("GET", "/ping")
        wait_until(lambda: "/ping" in begun, "the application has another's request")
        alone.application.answering.set()
        assert {wire.answer().status for wire in [*wires, other]} == {200}
