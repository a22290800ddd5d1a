"""Clients of polls that are gone before their answer is written: not one message goes with them.

`tests/e2e/test_pollers.py` has this for both doors, with exceptions for Litestar's; the edge allows itself none.
"""

import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Launch
from tests.support.client import Batch, Person, Session
from tests.support.door import through_the_edge
from tests.support.server import Server
from tests.support.wait import wait_until
from tests.support.wire import Wire

pytestmark = through_the_edge

ROUNDS = 20


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    """Polls are long, so that nothing but the client's going ends one."""
    with launch({"POLLING_CONFIG": {"polling_time_sec": 50}, "SEND_LIMITER_CONFIG": {"is_enabled": False}}) as started:
        yield started


def closes(wire: Wire) -> None:
    wire.close()


def resets(wire: Wire) -> None:
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()


def ends_its_side(wire: Wire) -> None:
    wire.socket.shutdown(socket.SHUT_WR)


def asks_for_more_and_closes(wire: Wire) -> None:
    wire.request("GET", "/ping")
    wire.close()


def asks_for_more_and_resets(wire: Wire) -> None:
    wire.request("GET", "/ping")
    resets(wire)


@pytest.fixture(
    params=[closes, resets, ends_its_side, asks_for_more_and_closes, asks_for_more_and_resets],
    ids=lambda go: go.__name__,
)
def go(request: pytest.FixtureRequest) -> Callable[[Wire], None]:
    """How the client leaves."""
    way: Callable[[Wire], None] = request.param
    return way


def poll(wire: Wire, session: Session) -> None:
    headers = [f"Authorization: Bearer {session.owner.token}"]
    wire.request("GET", f"/v1/messages/poll/{session.session_id}", headers)


def read(session: Session) -> list[str]:
    """What waits in the session, as soon as it is free."""
    found: list[Batch] = []

    def is_read() -> bool:
        answer = session.owner.poll(session.session_id)
        assert answer.status_code in (200, 409), answer.text
        if answer.status_code == 200:
            found.append(Batch.decoded(answer.json()))
        return bool(found)

    wait_until(is_read, "the session is free", within_sec=5)
    return found[0].texts


def test_of_one_who_is_gone_before_the_poll_is_looked_at(
    server: Server, alice: Person, go: Callable[[Wire], None]
) -> None:
    session, chat_id = alice.session(), alice.chat_with(alice)
    for number in range(ROUNDS):
        alice.says(chat_id, str(number))
        with Wire(server.url) as wire:
            with server.frozen():
                poll(wire, session)
                go(wire)
            assert read(session) == [str(number)]


def test_of_one_who_goes_while_the_poll_is_parked(server: Server, alice: Person, go: Callable[[Wire], None]) -> None:
    session, chat_id = alice.session(), alice.chat_with(alice)
    for number in range(ROUNDS):
        with Wire(server.url) as wire:
            poll(wire, session)
            # Refused, since the other is held.
            wait_until(lambda: is_held(session), "the poll is held")
            with server.frozen():
                go(wire)
                sender = Wire(server.url)
                body = b'{"message": {"chat_id": "%s", "payload": "%d"}}' % (chat_id.encode(), number)
                sender.request("POST", "/v1/messages/send", [f"Authorization: Bearer {alice.token}"], body)
            with sender:
                assert sender.answer().status == 202
            assert read(session) == [str(number)]
