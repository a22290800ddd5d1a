"""A stop on SIGTERM: what waits is answered, what is new is refused, and operators are told."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import Launch
from tests.support.client import Person, Session
from tests.support.door import through_the_edge
from tests.support.metrics import Scrape
from tests.support.parked import OpenPoll, raise_open_files_limit
from tests.support.postgres import Postgres
from tests.support.server import STOP_WITHIN_SEC, Server
from tests.support.wait import wait_until
from tests.support.wire import Closed, Wire, head

pytestmark = through_the_edge

POLLS = 5_000


@pytest.fixture
def server(launch: Launch) -> Iterator[Server]:
    """Ends by the test's own doing; what is checked at the end of every server is checked of it as well."""
    with launch(
        {
            "POLLING_CONFIG": {"polling_time_sec": 300},
            "SESSIONS_CONFIG": {"max_sessions_amount": POLLS, "idle_timeout_sec": 300},
        },
        PYCHAT_HTTP__MAX_CONNECTIONS_PER_ADDRESS=str(POLLS + 100),
    ) as started:
        yield started


def test_parked_polls_are_answered_at_once(server: Server, alice: Person) -> None:
    raise_open_files_limit(POLLS + 1_000)
    with Wire(server.url) as wire:
        sessions = [new_session(wire, alice) for _ in range(POLLS)]
    polls = [session.open_poll() for session in sessions]
    wait_until(lambda: polls_held(server) == POLLS, "all polls are held")
    began = time.monotonic()
    server.terminate()
    assert server.exit_code() == 0
    assert time.monotonic() - began < STOP_WITHIN_SEC
    retry_after = {empty_answer(poll) for poll in polls}
    # Not all come back at once.
    assert len(retry_after) > 1


def new_session(wire: Wire, owner: Person) -> Session:
    answer = wire.ask("POST", "/v1/messages/poll/start", [f"Authorization: Bearer {owner.token}"])
    return Session(owner, answer.json["session_id"])


def polls_held(server: Server) -> float:
    return Scrape.of(server).value("chat_messages_polling_active_current")


def empty_answer(poll: OpenPoll) -> int:
    """The answer's Retry-After."""
    status, headers, body = poll.whole_answer()
    assert (status, body) == (200, {"resync_required": False, "messages": []})
    assert headers["connection"] == "close"
    return int(headers["retry-after"])


def test_a_message_accepted_at_the_last_moment_is_handed_over(launch: Launch) -> None:
    for _ in range(5):
        with launch({"POLLING_CONFIG": {"polling_time_sec": 60}}) as server:
            alice = server.person()
            chat_id = alice.chat_with(alice)
            polls = [alice.session().park() for _ in range(3)]
            with Wire(server.url) as wire:
                # Both are there when the process goes on, and either may be seen first.
                with server.frozen():
                    server.terminate()
                    send(wire, alice, chat_id)
                status = wire.answer().status
            texts = [[message["text"] for message in poll.answer()[1]["messages"]] for poll in polls]
            assert (status, texts) in ((202, [["last words"]] * 3), (503, [[]] * 3))
            assert server.exit_code() == 0


def is_refused(server: Server) -> bool:
    """Whether a connection is."""
    try:
        Wire(server.url).close()
    except ConnectionRefusedError:
        return True
    return False


def send(wire: Wire, sender: Person, chat_id: str, *, part: slice = slice(None)) -> None:
    """Sends a message, or a part of the request."""
    body = b'{"message": {"chat_id": "%s", "payload": "last words"}}' % chat_id.encode()
    headers = ["Host: x", f"Authorization: Bearer {sender.token}", f"Content-Length: {len(body)}"]
    wire.send((head("POST", "/v1/messages/send", headers) + body)[part])


@pytest.fixture
def monitor(server: Server) -> Iterator[Wire]:
    with Wire(server.monitor_url) as wire:
        yield wire


def test_requests_that_have_arrived_are_answered(launch: Launch) -> None:
    for _ in range(3):
        with launch({"SEND_LIMITER_CONFIG": {"is_enabled": False}}) as server, ExitStack() as stack:
            alice = server.person()
            chat_id = alice.chat_with(alice)
            used = [stack.enter_context(Wire(server.url)) for _ in range(50)]
            for wire in used:
                assert wire.ask("GET", "/ping").status == 200
            with server.frozen():
                server.terminate()
                # The system takes connections for the server.
                wires = used + [stack.enter_context(Wire(server.url)) for _ in range(50)]
                for wire in wires:
                    send(wire, alice, chat_id)
            statuses = {wire.answer().status for wire in wires}
            assert statuses <= {202, 503}
            assert server.exit_code() == 0


def test_a_poll_that_begins_while_messages_are_stored_gets_them(
    server: Server, alice: Person, postgres: Postgres, monitor: Wire
) -> None:
    chat_id, session = alice.chat_with(alice), alice.session()
    with Wire(server.url) as wire:
        with postgres.frozen():
            send(wire, alice, chat_id)
            wait_until(lambda: Scrape.of(server).value("chat_journal_pending_current") == 1, "the message waits")
            server.terminate()
            wait_until(lambda: b"stopping" in monitor.ask("GET", "/service/ready").body, "the stop has begun")
            poll = session.open_poll()
        status, body = poll.answer()
        assert (status, [message["text"] for message in body["messages"]]) == (200, ["last words"])
        assert wire.answer().status == 202
    assert server.exit_code() == 0


def test_what_is_new_is_refused_and_operators_are_told(server: Server, alice: Person, monitor: Wire) -> None:
    chat_id = alice.chat_with(alice)
    idle, sending, registering = Wire(server.url), Wire(server.url), Wire(server.url)
    with idle, sending, registering:
        assert idle.ask("GET", "/ping").status == 200
        registering.request("POST", "/v1/users/register", ["Content-Length: 2"], b"{")
        send(sending, alice, chat_id, part=slice(-1))
        assert monitor.ask("GET", "/service/ready").status == 200

        server.terminate()
        # Connections with a request under way keep the server for a moment.
        wait_until(lambda: monitor.ask("GET", "/service/ready").status == 503, "operators are told")
        assert "stopping" in monitor.ask("GET", "/service/ready").json["message"]
        assert monitor.ask("GET", "/service/live").status == 200
        wait_until(lambda: is_refused(server), "no connections are taken")

        send(sending, alice, chat_id, part=slice(-1, None))
        answer = sending.answer()
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert int(answer.headers["retry-after"]) >= 1
        # What is no message is finished as ever.
        registering.send(b"}")
        assert registering.answer().status == 400
        with pytest.raises(Closed):
            idle.answer()
    assert server.exit_code() == 0
