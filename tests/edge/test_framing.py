"""How requests are framed: RFC 9112, on the routes of the edge's own and on forwarded ones."""

import socket
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.support.client import Person
from tests.support.door import through_the_edge
from tests.support.server import Server
from tests.support.wire import Answer, Closed, Wire, chunked, head

pytestmark = through_the_edge

# One that the edge answers itself, and one that it passes on; both read bodies.
HOT = "/v1/messages/send"
FORWARDED = "/v1/chats/private"
BODIES = {HOT: b'{"message": {"chat_id": "pc:none", "payload": "x"}}', FORWARDED: b'{"target_username": "nobody"}'}
# Neither chat nor user is there: the body was understood.
UNDERSTOOD = 404

both = pytest.mark.parametrize("path", [HOT, FORWARDED], ids=["hot", "forwarded"])


def identity(alice: Person) -> list[str]:
    return ["Host: x", f"Authorization: Bearer {alice.token}"]


def raw(alice: Person, path: str, *headers: str, version: str = "HTTP/1.1") -> bytes:
    return head("POST", path, [*identity(alice), *headers], version)


def answer_to(server: Server, data: bytes) -> Answer:
    with Wire(server.url) as wire:
        wire.send(data)
        return wire.answer()


def expect_refused(server: Server, data: bytes, status: int = 400, *, told: bool = False) -> None:
    """The bytes are refused, and whatever follows them is not looked at. `told`: once there is a request there is an
    answer too."""
    with Wire(server.url) as wire:
        wire.send(data + b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        statuses = [answer.status for answer in wire.answers()]
        assert statuses == [status] or (not statuses and not told)


def extended(body: bytes) -> bytes:
    """A chunk in two, with an extension, leading zeros and a trailer."""
    last = b'0;a="\\"GET / HTTP/1.1"\r\nX-Forwarded-For: 1.2.3.4\r\nContent-Length: 5\r\n\r\n'
    return b"005;name=value\r\n" + body[:5] + b"\r\n" + chunked(body[5:], end=last)


@both
def test_requests_sent_at_once_are_answered_in_order(server: Server, alice: Person, path: str) -> None:
    length = f"Content-Length: {len(BODIES[path])}"
    ping = head("GET", "/ping", ["Host: x"])
    with Wire(server.url) as wire:
        wire.send((raw(alice, path, length) + BODIES[path] + ping) * 5)
        assert [wire.answer().status for _ in range(10)] == [UNDERSTOOD, 200] * 5


@both
def test_a_client_is_told_to_go_on(server: Server, alice: Person, path: str) -> None:
    with Wire(server.url) as wire:
        wire.send(raw(alice, path, "Expect: 100-continue", f"Content-Length: {len(BODIES[path])}"))
        assert wire.answer().status == 100
        wire.send(BODIES[path])
        assert wire.answer().status == UNDERSTOOD
        assert wire.ask("GET", "/ping").status == 200


@both
@pytest.mark.parametrize(
    "body",
    [chunked, lambda body: chunked(*(body[at : at + 1] for at in range(len(body)))), extended],
    ids=["one", "one a byte", "extended"],
)
def test_chunks(server: Server, alice: Person, path: str, body: Callable[[bytes], bytes]) -> None:
    with Wire(server.url) as wire:
        wire.send(raw(alice, path, "Transfer-Encoding: chunked") + body(BODIES[path]))
        assert wire.answer().status == UNDERSTOOD
        assert wire.ask("GET", "/ping").status == 200


@both
@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}0\r\n\r\n",
        b"2\r\n{}xx0\r\n\r\n",
        b"10000000000000002\r\n{}\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_chunk(server: Server, alice: Person, path: str, body: bytes) -> None:
    expect_refused(server, raw(alice, path, "Transfer-Encoding: chunked") + body, told=True)


@both
def test_http_1_0(server: Server, alice: Person, path: str) -> None:
    length = f"Content-Length: {len(BODIES[path])}"
    with Wire(server.url) as wire:
        wire.send(raw(alice, path, length, version="HTTP/1.0") + BODIES[path])
        assert [answer.status for answer in wire.answers()] == [UNDERSTOOD]
    with Wire(server.url) as wire:
        for _ in range(2):
            wire.send(raw(alice, path, length, "Connection: keep-alive", version="HTTP/1.0") + BODIES[path])
            answer = wire.answer()
            assert (answer.status, answer.headers["connection"]) == (UNDERSTOOD, "keep-alive")


def test_http_1_0_needs_no_host(server: Server) -> None:
    assert answer_to(server, b"GET /ping HTTP/1.0\r\n\r\n").status == 200


@both
def test_http_1_0_knows_no_chunks(server: Server, alice: Person, path: str) -> None:
    expect_refused(server, raw(alice, path, "Transfer-Encoding: chunked", version="HTTP/1.0") + chunked(b"{}"))


@both
def test_of_two_framings_the_chunks_count(server: Server, alice: Person, path: str) -> None:
    for headers in (
        ["Content-Length: 3", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 3"],
    ):
        with Wire(server.url) as wire:
            wire.send(raw(alice, path, *headers) + chunked(BODIES[path]))
            # Whoever sent it through did not see the same two requests: RFC 9112, 6.1, has the connection end.
            assert [answer.status for answer in wire.answers()] == [UNDERSTOOD]


@both
@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: 2", "Content-Length: 3"],
        ["Content-Length: 2, 3"],
        ["Content-Length: -1"],
        ["Content-Length: 99999999999999999999999"],
        ["Content-Length: x"],
        ["Transfer-Encoding: gzip"],
        ["Transfer-Encoding: chunked, gzip"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        ["Content-Length : 2"],
        ["Bad Name: x"],
        ["No colon"],
        [": no name"],
        ["Folded: a\r\n b"],
        ["Nul: a\0b"],
        ["Return: a\rb"],
    ],
    ids=lambda headers: ascii(", ".join(headers)),
)
def test_a_malformed_head_is_refused(server: Server, alice: Person, path: str, headers: list[str]) -> None:
    expect_refused(server, raw(alice, path, *headers) + b"{}")


@pytest.mark.parametrize(
    "line",
    [b"GET", b"GET /ping", b"GET /ping HTTP/1.1 x", b"GET /ping HTTP/9", b"GET /pi ng HTTP/1.1", b"G\0T / HTTP/1.1"],
)
def test_a_malformed_request_line_is_refused(server: Server, line: bytes) -> None:
    expect_refused(server, line + b"\r\nHost: x\r\n\r\n")


def test_other_protocols_are_refused(server: Server) -> None:
    for data in (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-x\r\n",
    ):
        with Wire(server.url) as wire:
            wire.send(data)
            assert [answer.status for answer in wire.answers()] in ([], [400], [505])


@pytest.mark.parametrize("hosts", [[], ["Host: a", "Host: b"], ["Host: a", "Host: a"]])
@pytest.mark.parametrize("path", ["/ping", HOT])
def test_a_request_names_its_host_once(server: Server, path: str, hosts: list[str]) -> None:
    with Wire(server.url) as wire:
        wire.send(head("POST", path, hosts))
        answer = wire.answer()
        assert (answer.status, answer.json["code"], answer.headers["connection"]) == (400, "400", "close")


def test_lines_may_end_in_a_bare_line_feed(server: Server) -> None:
    # RFC 9112, 2.2: a recipient may take it for the end of a line. Then all must, and forwarding writes the line anew.
    assert answer_to(server, b"GET /ping HTTP/1.1\nHost: x\n\n").status == 200


@pytest.mark.parametrize("before", [b"\r\n", b"\r\n\r\n"])
def test_empty_lines_before_a_request_are_ignored(server: Server, before: bytes) -> None:
    assert answer_to(server, before + b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").status == 200


@both
def test_a_whole_address_as_target(server: Server, alice: Person, path: str) -> None:
    with Wire(server.url) as wire:
        target = f"http://elsewhere{path}"
        wire.send(raw(alice, target, f"Content-Length: {len(BODIES[path])}") + BODIES[path])
        assert wire.answer().status == UNDERSTOOD


@pytest.mark.parametrize(
    ("method", "target"), [("OPTIONS", "*"), ("CONNECT", "elsewhere:443"), ("GET", "elsewhere:443")]
)
def test_other_targets_are_answered_and_nothing_is_tunnelled(server: Server, method: str, target: str) -> None:
    with Wire(server.url) as wire:
        wire.request(method, target)
        assert 400 <= wire.answer().status < 500


def test_a_head_over_its_bound(server: Server) -> None:
    with Wire(server.url) as wire:
        wire.send(b"GET /ping HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 16_000)
        with suppress(Closed):
            assert wire.answer().status == 431
    with Wire(server.url) as wire:
        assert wire.ask("GET", "/ping", ["A: " + "a" * 7_000]).status == 200


@pytest.mark.parametrize("data", [b"", b"GET /pi", b"GET /ping HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"])
def test_a_client_that_ends_amid_its_request_is_let_go(server: Server, data: bytes) -> None:
    with Wire(server.url) as wire:
        wire.send(data)
        wire.socket.shutdown(socket.SHUT_WR)
        assert [answer.status for answer in wire.answers()] in ([], [400])
