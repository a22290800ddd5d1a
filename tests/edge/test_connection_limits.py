"""How many connections there may be, in total and by client address."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import Launch
from tests.support.client import Person
from tests.support.door import through_the_edge
from tests.support.metrics import Scrape
from tests.support.server import Server
from tests.support.wait import wait_until
from tests.support.wire import Answer, Wire

pytestmark = through_the_edge

TOTAL = 20
OF_ADDRESS = 5
PROXY = "127.0.0.10"
ADDRESSES = [f"127.0.1.{number}" for number in range(1, 13)]

Connect = Callable[[str], Wire]


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch(
        {"POLLING_CONFIG": {"polling_time_sec": 60}},
        PYCHAT_HTTP__MAX_CONNECTIONS=str(TOTAL),
        PYCHAT_HTTP__MAX_CONNECTIONS_PER_ADDRESS=str(OF_ADDRESS),
        PYCHAT_HTTP__TRUSTED_PROXIES=PROXY,
        PYCHAT_EDGE__THREADS="2",
    ) as started:
        yield started


@pytest.fixture(autouse=True)
def alone(server: Server) -> None:
    """Nobody from the test before is left but for the tests' own client."""
    wait_until(lambda: Scrape.of(server).value("pychat_edge_open_connections") <= 1, "the others have left")


@pytest.fixture
def connect(server: Server) -> Iterator[Connect]:
    """Opens connections from an address, which last as long as the test."""
    with ExitStack() as stack:
        yield lambda address: stack.enter_context(Wire(server.url, address))


def is_served(wire: Wire) -> bool:
    """Whether the connection is let in; if not, it is told so."""
    answer = wire.ask("GET", "/ping")
    if answer.status != 200:
        expect_turned_away(answer)
    return answer.status == 200


def expect_turned_away(answer: Answer) -> None:
    assert answer.status == 503
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["connection"] == "close"
    message = answer.json["message"]
    assert answer.json == {"code": "503", "message": message, "details": {"errors": message}}


def test_an_address_has_so_many(server: Server, connect: Connect) -> None:
    mine = [connect(ADDRESSES[0]) for _ in range(OF_ADDRESS)]
    assert all(is_served(wire) for wire in mine)
    # Told without being asked: it need not have sent a request.
    expect_turned_away(connect(ADDRESSES[0]).answer())
    assert is_served(connect(ADDRESSES[1]))
    mine.pop().close()
    wait_until(lambda: is_served(connect(ADDRESSES[0])), "the place is free again")


def test_who_is_turned_away_may_finish_its_request(server: Server, connect: Connect) -> None:
    for wire in [connect(ADDRESSES[3]) for _ in range(OF_ADDRESS)]:
        assert is_served(wire)
    part = b"x" * 20_000
    with server.frozen():
        wire = connect(ADDRESSES[3])
        wire.request("POST", "/v1/messages/send", [f"Content-Length: {3 * len(part)}"], part)
    wait_until(wire.is_readable, "it is told")
    for _ in range(2):
        # Would fail on a connection that was reset, and the answer with it.
        wire.send(part)
    expect_turned_away(wire.answer())
    assert wire.is_closed()


def test_who_goes_on_all_the_same_is_hung_up_on(server: Server, connect: Connect) -> None:
    for wire in [connect(ADDRESSES[4]) for _ in range(OF_ADDRESS)]:
        assert is_served(wire)
    flooding, silent = connect(ADDRESSES[4]), connect(ADDRESSES[4])
    with pytest.raises(ConnectionError):
        flooding.send(b"x" * 50_000_000)
    wait_until(lambda: is_reset(silent), "the other is not waited for any longer")


def is_reset(wire: Wire) -> bool:
    """Whether the server has closed its side wholly."""
    try:
        wire.send(b"x")
    except ConnectionError:
        return True
    return False


def test_what_a_client_says_of_itself_does_not_count(connect: Connect) -> None:
    for _ in range(OF_ADDRESS):
        wire = connect(ADDRESSES[2])
        assert wire.ask("GET", "/ping", ["X-Forwarded-For: 1.2.3.4"]).status == 200
    assert not is_served(connect(ADDRESSES[2]))


def test_so_many_in_total_however_fast_they_come(server: Server, connect: Connect) -> None:
    # The tests' own client is counted as well.
    server.http.get(f"{server.url}/ping")
    with server.frozen():
        wires = [connect(address) for address in ADDRESSES for _ in range(OF_ADDRESS)]
        for wire in wires:
            wire.request("GET", "/ping")
    answers = [wire.answer() for wire in wires]
    for answer in answers:
        if answer.status != 200:
            expect_turned_away(answer)
    assert sum(answer.status == 200 for answer in answers) == TOTAL - 1
    # Operators get in nevertheless.
    assert server.is_ready()


def test_behind_a_proxy_requests_count_by_the_forwarded_address(
    server: Server, connect: Connect, alice: Person
) -> None:
    def ask(*forwarded_for: str) -> int:
        answer = connect(PROXY).ask("GET", "/ping", [f"X-Forwarded-For: {address}" for address in forwarded_for])
        if answer.status != 200:
            expect_turned_away(answer)
        return answer.status

    polls = []
    for number in range(OF_ADDRESS):
        session = alice.session()
        poll = connect(PROXY)
        # One household by its IPv6 network.
        headers = [f"Authorization: Bearer {alice.token}", f"X-Forwarded-For: 9.9.9.9, 2001:db8::{number}"]
        poll.request("GET", f"/v1/messages/poll/{session.session_id}", headers)
        polls.append(poll)
    wait_until(lambda: ask("2001:db8::ffff") == 503, "the polls are held")
    assert ask("2001:db8::ffff", PROXY) == 503
    assert ask("2001:db8:0:1::1") == ask("9.9.9.9") == ask() == 200

    alice.says(alice.chat_with(alice), "text")
    assert [poll.answer().status for poll in polls] == [200] * OF_ADDRESS
    # The connections are the proxy's: requests under way are what counts.
    assert ask("2001:db8::ffff") == 200
