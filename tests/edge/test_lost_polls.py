"""Clients of polls that are gone before their answer is written: not one message goes with them.

`tests/e2e/test_pollers.py` has this for both doors, with exceptions for Litestar's; the edge allows itself none.
"""

import socket
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Launch
from tests.support.client import Batch, Person, Session
from tests.support.door import through_the_edge
from tests.support.parked import OpenPoll
from tests.support.server import Server
from tests.support.wait import wait_until
from tests.support.wire import Wire, head

pytestmark = through_the_edge

ROUNDS = 20
POLLING_TIME_SEC = 50
FREE_WITHIN_SEC = 5
"""Far less than a poll takes, also on a busy machine."""


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    """Polls are long, so that nothing but the client's going ends one."""
    polls = {"polling_time_sec": POLLING_TIME_SEC}
    with launch({"POLLING_CONFIG": polls, "SEND_LIMITER_CONFIG": {"is_enabled": False}}) as started:
        yield started


def ends_its_side(poll: OpenPoll) -> None:
    poll.socket.shutdown(socket.SHUT_WR)


def asks_for_more_and_leaves(poll: OpenPoll) -> None:
    poll.socket.sendall(head("GET", "/ping", ["Host: x"]))
    poll.leave()


def asks_for_more_and_vanishes(poll: OpenPoll) -> None:
    poll.socket.sendall(head("GET", "/ping", ["Host: x"]))
    poll.vanish()


@pytest.fixture(
    params=[OpenPoll.leave, OpenPoll.vanish, ends_its_side, asks_for_more_and_leaves, asks_for_more_and_vanishes],
    ids=lambda go: go.__name__,
)
def go(request: pytest.FixtureRequest) -> Callable[[OpenPoll], None]:
    """How the client leaves."""
    way: Callable[[OpenPoll], None] = request.param
    return way


def read(session: Session) -> list[str]:
    """What waits in the session, as soon as it is free."""
    found: list[Batch] = []

    def is_read() -> bool:
        answer = session.owner.poll(session.session_id)
        assert answer.status_code in (200, 409), answer.text
        if answer.status_code == 200:
            found.append(Batch.decoded(answer.json()))
        return bool(found)

    wait_until(is_read, "the session is free", within_sec=FREE_WITHIN_SEC)
    return found[0].texts


def test_of_one_who_is_gone_before_the_poll_is_looked_at(
    server: Server, alice: Person, go: Callable[[OpenPoll], None]
) -> None:
    session, chat_id = alice.session(), alice.chat_with(alice)
    for number in range(ROUNDS):
        alice.says(chat_id, str(number))
        with server.frozen():
            poll = session.open_poll()
            go(poll)
        assert read(session) == [str(number)]
        poll.leave()


def test_of_one_who_goes_while_the_poll_is_parked(
    server: Server, alice: Person, go: Callable[[OpenPoll], None]
) -> None:
    session, chat_id = alice.session(), alice.chat_with(alice)
    body = b'{"message": {"chat_id": "%s", "payload": "text"}}' % chat_id.encode()
    for _ in range(ROUNDS):
        poll = session.park()
        with Wire(server.url) as sender:
            # The server may see first whichever it likes.
            with server.frozen():
                sender.request("POST", "/v1/messages/send", [f"Authorization: Bearer {alice.token}"], body)
                go(poll)
            assert sender.answer().status == 202
        assert read(session) == ["text"]
        poll.leave()
