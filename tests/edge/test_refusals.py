"""What the edge answers itself is counted: as a request, and by its reason where it is a refusal."""

import resource
import selectors
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.parked import raise_open_files_limit
from tests.support.ports import free_address
from tests.support.upstream import EdgeAlone, edge_alone
from tests.support.wait import wait_until
from tests.support.wire import Wire

LENGTH = "Content-Length: 0"
OTHER = "other"
BROKEN = b"zz\r\n"
# Requests that the edge lets one address have under way, half of all; how many of them at least the application has
# begun; operators' connections; bodies of more than 8 KB that are held at a time.
OF_ADDRESS = 250
BEGUN = 64
OPERATORS = 100
LONG_BODIES = 1_000


@pytest.fixture
def edge() -> Iterator[EdgeAlone]:
    with edge_alone(free_address(), free_address()) as started:
        yield started


@pytest.fixture
def connect(edge: EdgeAlone) -> Iterator[Callable[[int], list[Wire]]]:
    """Opens connections that end with the test, each time from another address."""
    with ExitStack() as stack:
        addresses = (f"127.0.3.{number}" for number in range(1, 100))

        def open_some(count: int) -> list[Wire]:
            address = next(addresses)
            return [stack.enter_context(Wire(edge.url, address)) for _ in range(count)]

        yield open_some


def counted(edge: EdgeAlone) -> dict[tuple[str, str], dict[int, int]]:
    """How often each route was answered, by status."""
    return {(method, route): dict(statuses) for method, route, statuses, *_ in edge.requests.counts()}


def refused(edge: EdgeAlone) -> dict[str, int]:
    """The reasons for which something was, and how often."""
    return {reason: count for reason, count in edge.edge.refusals().items() if count}


def test_every_route_of_its_own(edge: EdgeAlone) -> None:
    asked = {
        ("POST", "/v1/messages/send"): "/v1/messages/send",
        ("POST", "/v1/messages/poll/start"): "/v1/messages/poll/start",
        ("GET", "/v1/messages/poll/{session_id}"): "/v1/messages/poll/1",
        ("POST", "/v2/chats/{chat_id}/messages"): "/v2/chats/pc:1/messages",
    }
    with Wire(edge.url) as wire:
        for (method, _), path in asked.items():
            assert wire.ask(method, path, [LENGTH]).status == 401
    assert not edge.application.received
    counts = counted(edge)
    assert {route: counts.pop(route) for route in asked} == {route: {401: 1} for route in asked}
    with Wire(edge.monitor_url) as monitor:
        assert monitor.ask("GET", "/service/live").status == 200
        # In its own place, once the loop, which does not turn here, has been silent for a while.
        wait_until(lambda: monitor.ask("GET", "/service/ready").status == 503, "the loop is silent")
    # The others are answered only while the application has too many of them.
    assert counts.keys() == {
        ("GET", "/service/live"),
        ("GET", "/service/ready"),
        ("POST", "/v1/users/login"),
        ("POST", "/v1/users/register"),
    }
    assert counted(edge)["GET", "/service/live"] == {200: 1}
    assert counted(edge)["GET", "/service/ready"] == {503: 1}


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "route", "reasons"),
    [
        ("GET", "/ping", ["Host: elsewhere"], b"", 400, OTHER, {"malformed": 1}),
        ("POST", "/ping", ["Transfer-Encoding: chunked"], BROKEN, 400, OTHER, {"malformed": 1}),
        (
            "POST",
            "/v1/messages/send",
            ["Transfer-Encoding: chunked"],
            BROKEN,
            400,
            "/v1/messages/send",
            {"malformed": 1},
        ),
        ("PUT", "/ping", ["Content-Length: 1000001"], b"x" * 1_000_001, 413, OTHER, {}),
        ("BREW", "/ping", ["Content-Length: 1000001"], b"x" * 1_000_001, 413, OTHER, {}),
    ],
    ids=["two hosts", "a broken body", "a hot route's broken body", "a body that is too large", "an unknown method"],
)
def test_what_python_never_sees(
    edge: EdgeAlone,
    method: str,
    path: str,
    headers: list[str],
    body: bytes,
    status: int,
    route: str,
    reasons: dict[str, int],
) -> None:
    with Wire(edge.url) as wire:
        wire.request(method, path, headers, body)
        assert wire.answer().status == status
    assert not edge.application.received
    label = "other" if method == "BREW" else method
    assert counted(edge)[label, route] == {status: 1}
    # What is no request is counted when its answer is out.
    wait_until(lambda: refused(edge) == reasons, f"it is counted as {reasons}")


def test_an_application_that_hangs_up(edge: EdgeAlone) -> None:
    edge.application.hangs_up = True
    with Wire(edge.url) as wire:
        answer = wire.ask("GET", "/ping")
    assert (answer.status, int(answer.headers["retry-after"])) == (503, 1)
    message = answer.json["message"]
    assert answer.json == {"code": "503", "message": message, "details": {"errors": message}}
    assert counted(edge)["GET", OTHER] == {503: 1}
    assert refused(edge) == {"upstream_unavailable": 1}
    edge.application.hangs_up = False
    with Wire(edge.url) as wire:
        assert wire.ask("GET", "/ping").status == 200
    # The application counts its own.
    assert counted(edge)["GET", OTHER] == {503: 1}


def first_answered(wires: list[Wire]) -> Wire:
    """Waits until one of them is."""
    with selectors.DefaultSelector() as selector:
        for wire in wires:
            selector.register(wire.socket, selectors.EVENT_READ, wire)
        ready = selector.select(30)
    assert ready, "none of them is answered"
    found = ready[0][0].data
    assert isinstance(found, Wire)
    return found


def test_requests_under_way_are_bounded_by_address_and_in_total(
    edge: EdgeAlone, connect: Callable[[int], list[Wire]]
) -> None:
    edge.application.answering.clear()

    def expect_one_refused(wires: list[Wire]) -> None:
        for wire in wires:
            wire.request("GET", "/ping")
        answer = first_answered(wires).answer()
        assert (answer.status, int(answer.headers["retry-after"])) == (503, 1)

    one, other = connect(OF_ADDRESS + 1), connect(OF_ADDRESS + 1)
    expect_one_refused(one)
    expect_one_refused(other)
    assert refused(edge) == {"overloaded": 2}
    (third,) = connect(1)
    expect_one_refused([third])
    with Wire(edge.monitor_url) as monitor:
        monitor.request("GET", "/operators")
        wait_until(lambda: "/operators" in edge.application.begun, "operators get in")
    # Who leaves while the application is at its request leaves no room.
    for wire in one:
        wire.close()
    wait_until(lambda: edge.edge.open_connections == len(other) + 1, "they have left")
    address = one[0].address
    with ExitStack() as stack:
        back = [stack.enter_context(Wire(edge.url, address)) for _ in range(OF_ADDRESS - BEGUN + 1)]
        expect_one_refused(back)
    assert counted(edge)["GET", OTHER][503] == refused(edge)["overloaded"]
    edge.application.answering.set()
    wait_until(lambda: third.ask("GET", "/ping").status == 200, "there is room")


def test_who_waits_for_a_turn_for_too_long_is_refused(edge: EdgeAlone, connect: Callable[[int], list[Wire]]) -> None:
    edge.application.answering.clear()
    wires = connect(BEGUN + 1)
    for wire in wires:
        wire.request("GET", "/ping")
    late = first_answered(wires)
    answer = late.answer()
    assert (answer.status, int(answer.headers["retry-after"])) == (503, 1)
    assert refused(edge) == {"overloaded": 1}
    edge.application.answering.set()
    assert [wire.answer().status for wire in wires if wire is not late] == [200] * BEGUN
    assert late.ask("GET", "/ping").status == 200, "its connection is as good as before"


def test_bodies_that_are_slow_to_come_take_no_turns(edge: EdgeAlone, connect: Callable[[int], list[Wire]]) -> None:
    wires = connect(BEGUN + 10)
    for wire in wires:
        wire.request("POST", "/ping", ["Content-Length: 100000"], b"x" * 80_000)
    wait_until(lambda: len(edge.application.begun) >= BEGUN, "the application has them")
    (other,) = connect(1)
    assert other.ask("GET", "/ping").status == 200
    for wire in wires:
        wire.send(b"x" * 20_000)
        assert wire.answer().status == 200


def test_long_bodies_are_bounded(edge: EdgeAlone, connect: Callable[[int], list[Wire]]) -> None:
    raise_open_files_limit(4 * LONG_BODIES)
    began = ["Content-Length: 12000"]
    # One more than may be held, and nobody says which is the last.
    wires = connect(LONG_BODIES + 1)
    for wire in wires:
        wire.request("POST", "/ping", began, b"x" * 11_999)
    last = first_answered(wires)
    wires.remove(last)
    assert last.answer().status == 503
    (other,) = connect(1)
    assert other.ask("POST", "/ping", body=b"x" * 4_000).status == 200
    for path in ("/ping", "/v1/messages/send", "/v2/chats/pc:1/messages"):
        (late,) = connect(1)
        late.request("POST", path, began, b"x" * 11_999)
        answer = late.answer()
        assert (answer.status, answer.headers["connection"]) == (503, "close")
    # Some at a time, for none of them may be longer under way than a body may take to come.
    for start in range(0, len(wires), BEGUN):
        some = wires[start : start + BEGUN]
        for wire in some:
            wire.send(b"x")
        assert {wire.answer().status for wire in some} == {200}
    assert other.ask("POST", "/ping", body=b"x" * 12_000).status == 200


def test_operators_have_so_many_connections(edge: EdgeAlone) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(edge.monitor_url)) for _ in range(OPERATORS)]
        assert [wire.ask("GET", "/x").status for wire in wires] == [200] * OPERATORS
        with Wire(edge.monitor_url) as late:
            assert late.answer().status == 503
        assert refused(edge) == {"too_many_connections": 1}
        with Wire(edge.url) as public:
            assert public.ask("GET", "/x").status == 200


def test_no_file_is_free(edge: EdgeAlone) -> None:
    with Wire(edge.url) as wire:
        assert wire.ask("GET", "/ping").status == 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as client:
        # Whatever is open stays open.
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        try:
            host, port = edge.url.removeprefix("http://").split(":")
            client.connect((host, int(port)))
            wait_until(lambda: "accept_failed" in refused(edge), "the edge cannot take it")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        client.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        client.settimeout(10)
        assert client.recv(100).startswith(b"HTTP/1.1 200")
