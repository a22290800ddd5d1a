"""What the application behind the edge gets to see of a request, and the client of its answer."""

from collections.abc import Iterator

import pytest

from tests.support.ports import free_address
from tests.support.upstream import EdgeAlone, Received, edge_alone
from tests.support.wire import Answer, Wire, chunked

CLIENT = "127.0.0.9"
PROXY = "127.0.0.10"
OUTER_PROXY = "127.0.0.11"


@pytest.fixture(scope="module")
def edge() -> Iterator[EdgeAlone]:
    with edge_alone(free_address(), free_address(), [PROXY, OUTER_PROXY]) as started:
        yield started


def forwarded(
    edge: EdgeAlone, *headers: str, method: str = "GET", path: str = "/x", body: bytes | None = None, via: str = CLIENT
) -> tuple[Received, Answer]:
    """Sends a request, from the address `via`; what the application got, and what came back."""
    with Wire(edge.url, via) as wire:
        answer = wire.ask(method, path, headers, body)
    return edge.application.received[-1], answer


def test_the_request_itself_comes_through(edge: EdgeAlone) -> None:
    received, answer = forwarded(edge, "A: b", "A: c", method="PROPFIND", path="/%73//x/?y=%zz", body=b"body")
    assert (received.method, received.path, received.body) == ("PROPFIND", "/%73//x/?y=%zz", b"body")
    assert received.values("a") == ["b", "c"]
    assert received.values("content-length") == ["4"]
    assert (answer.status, answer.body) == (200, b"ok")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_chunked_body_comes_through(edge: EdgeAlone, method: str) -> None:
    received, _ = forwarded(edge, "Transfer-Encoding: chunked", method=method, body=chunked(b"bo", b"dy"))
    assert received.body == b"body"
    assert received.values("transfer-encoding") == ["chunked"]
    assert received.values("content-length") == []


@pytest.mark.parametrize(
    ("via", "given", "expected"),
    [
        (CLIENT, [], CLIENT),
        (CLIENT, ["1.2.3.4"], CLIENT),
        (PROXY, [], PROXY),
        (PROXY, ["1.2.3.4"], f"1.2.3.4, {PROXY}"),
        (PROXY, ["a\xe9, 1.2.3.4:5555"], f"a\xe9, 1.2.3.4:5555, {PROXY}"),
        (PROXY, ["1.2.3.4, 5.6.7.8", OUTER_PROXY], f"1.2.3.4, 5.6.7.8, {OUTER_PROXY}, {PROXY}"),
    ],
)
def test_whose_request_it_is(edge: EdgeAlone, via: str, given: list[str], expected: str) -> None:
    received, _ = forwarded(edge, *(f"X-Forwarded-For: {value}" for value in given), via=via)
    assert received.values("x-forwarded-for") == [expected]


def test_it_says_that_it_was_between(edge: EdgeAlone) -> None:
    received, _ = forwarded(edge, "Via: 1.0 elsewhere")
    assert received.values("via") == ["1.0 elsewhere", "1.1 pychat"]


def test_a_clients_own_id_is_replaced(edge: EdgeAlone) -> None:
    ids = {forwarded(edge, "X-Request-Id: mine")[0].values("x-request-id")[0] for _ in range(3)}
    assert len(ids) == 3
    assert "mine" not in ids


def test_a_trusted_proxys_id_is_kept(edge: EdgeAlone) -> None:
    assert forwarded(edge, "X-Request-Id: its-own", via=PROXY)[0].values("x-request-id") == ["its-own"]
    with Wire(edge.url, PROXY) as wire:
        answer = wire.ask("POST", "/v1/messages/poll/start", ["X-Request-Id: its-own"])
    assert answer.headers["x-request-id"] == "its-own"


@pytest.mark.parametrize("value", ["", "a b", "x" * 65, "a\xe9", "<script>"])
def test_what_is_no_id_is_replaced_also_from_a_proxy(edge: EdgeAlone, value: str) -> None:
    (found,) = forwarded(edge, f"X-Request-Id: {value}", via=PROXY)[0].values("x-request-id")
    assert found.isalnum()
    assert found != value


@pytest.mark.parametrize("via", [CLIENT, PROXY])
def test_the_listener_is_the_edges_to_say(edge: EdgeAlone, via: str) -> None:
    lies = ["X-Pychat-Listener: monitor 127.0.0.1:1", "x-pychat-listener: monitor"]
    assert forwarded(edge, *lies, via=via)[0].values("x-pychat-listener") == ["public"]
    # A client cannot have it removed either.
    named = "Connection: X-Pychat-Listener, X-Forwarded-For, X-Request-Id"
    received, _ = forwarded(edge, named, *lies, via=via)
    assert received.values("x-pychat-listener") == ["public"]
    assert len(received.values("x-forwarded-for")) == len(received.values("x-request-id")) == 1
    with Wire(edge.monitor_url, via) as wire:
        wire.ask("GET", "/x", lies)
    address = edge.monitor_url.removeprefix("http://")
    assert edge.application.received[-1].values("x-pychat-listener") == [f"monitor {address}"]


def test_what_concerns_one_connection_stays_on_it(edge: EdgeAlone) -> None:
    hop_by_hop = {
        "Keep-Alive": "timeout=5",
        "Proxy-Authorization": "Basic eA==",
        "Proxy-Connection": "keep-alive",
        "TE": "trailers",
        "Trailer": "Expires",
        "Upgrade": "h2c",
        "X-Named": "a",
        "X-Named-Too": "b",
    }
    connection = "Connection: keep-alive, x-named , X-NAMED-TOO"
    received, _ = forwarded(edge, connection, *(f"{name}: {value}" for name, value in hop_by_hop.items()))
    for name in ["Connection", *hop_by_hop]:
        assert received.values(name.lower()) == [], name


def test_what_concerns_the_applications_connection_stays_there(edge: EdgeAlone) -> None:
    edge.application.headers = [
        ("Connection", "keep-alive, X-Inner"),
        ("X-Inner", "a"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authenticate", "Basic"),
        ("Upgrade", "h2c"),
        ("X-Outer", "b"),
    ]
    _, answer = forwarded(edge)
    assert answer.headers["x-outer"] == "b"
    for name in ["connection", "x-inner", "keep-alive", "proxy-authenticate", "upgrade", "transfer-encoding"]:
        assert name not in answer.headers


def test_expect_is_met_here(edge: EdgeAlone) -> None:
    with Wire(edge.url) as wire:
        wire.request("POST", "/x", ["Expect: 100-continue", "Content-Length: 4"])
        assert wire.answer().status == 100
        wire.send(b"body")
        assert wire.answer().status == 200
    received = edge.application.received[-1]
    assert (received.values("expect"), received.body) == ([], b"body")


def test_a_body_that_is_too_large_need_not_be_sent(edge: EdgeAlone) -> None:
    with Wire(edge.url) as wire:
        answer = wire.ask("POST", "/x", ["Expect: 100-continue", "Content-Length: 1000001"])
        assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_a_whole_address_in_the_request_line_overrules_host(edge: EdgeAlone) -> None:
    received, _ = forwarded(edge, path="http://somebody:secret@elsewhere:81/x?y")
    assert (received.path, received.values("host")) == ("/x?y", ["elsewhere:81"])


def test_ten_requests_on_one_connection_reach_the_application_as_ten(edge: EdgeAlone) -> None:
    before = len(edge.application.received)
    with Wire(edge.url) as wire:
        for number in range(10):
            wire.request("POST", f"/{number}", body=b"x" * number)
        assert [wire.answer().status for _ in range(10)] == [200] * 10
    received = edge.application.received[before:]
    assert [(request.path, len(request.body)) for request in received] == [(f"/{n}", n) for n in range(10)]
