"""Known tricks of request smuggling, through the edge to Granian behind it.

Each hides a second request in what one of two parties might take for the body of the first. Whatever becomes of the
first, the hidden one is not carried out, and nobody gets an answer to it.
"""

import pytest

from tests.support.client import PASSWORD, Person, new_name
from tests.support.door import through_the_edge
from tests.support.server import Server
from tests.support.wire import Wire, head

pytestmark = through_the_edge

# Answered by the edge or passed on; with somebody who reads the body and with nobody.
CARRIERS = ["/v1/messages/send", "/v1/chats/private", "/nowhere", "/v1/messages/poll/start"]

LENGTHS = {
    "lengths, the second one too short": ["Content-Length: {all}", "Content-Length: {some}"],
    "lengths, the first one too short": ["Content-Length: {some}", "Content-Length: {all}"],
    "a list of lengths": ["Content-Length: {all}, {some}"],
    "a signed length": ["Content-Length: +{some}"],
    "a negative length": ["Content-Length: -{some}"],
    "a length in hex": ["Content-Length: 0x{some}"],
    "a length with an underscore": ["Content-Length: 1_0"],
    "a length with a blank in it": ["Content-Length: 1 0"],
    "a length of other digits": ["Content-Length: \xb2"],
    "a length with a fraction": ["Content-Length: {some}.0"],
    "a length with a tail": ["Content-Length: {some}x"],
    "a blank before the colon of a length": ["Content-Length : {some}"],
    "a folded length": ["Content-Length:\r\n {some}"],
    "an empty length": ["Content-Length:"],
    "a length after a bare return": ["A: b\rContent-Length: {some}"],
    "a length after a NUL": ["A: b\0Content-Length: {some}"],
}

# The body is a good chunked one that ends where the hidden request begins, for who believes in chunks.
CODINGS = {
    "a coding nobody knows": ["Transfer-Encoding: xchunked"],
    "a coding after chunked": ["Transfer-Encoding: chunked, identity"],
    "two headers, the last unknown": ["Transfer-Encoding: chunked", "Transfer-Encoding: x"],
    "a blank before the colon": ["Transfer-Encoding : chunked"],
    "a folded one": ["Transfer-Encoding:\r\n chunked"],
    "a quoted one": ['Transfer-Encoding: "chunked"'],
    "a vertical tab before it": ["Transfer-Encoding: \x0bchunked"],
    "a line feed in the middle of the name": ["Transfer\n-Encoding: chunked"],
    "an underscore for the hyphen": ["Transfer_Encoding: chunked"],
    "one hidden in another header": ["X: X\nTransfer-Encoding: chunked"],
    "a NUL after it": ["Transfer-Encoding: chunked\0"],
    "another spelling of the value": ["Transfer-Encoding: CHUNKED"],
    "named as of this connection alone": ["Transfer-Encoding: chunked", "Connection: Transfer-Encoding"],
    "the length named as of this connection alone": ["Connection: Content-Length"],
}

CHUNKS = {
    "a size over 64 bits": b"10000000000000000\r\n",
    "a signed size": b"+0\r\n\r\n",
    "a size in hex notation": b"0x0\r\n\r\n",
    "an empty size": b"\r\n\r\n",
    "a size line that ends in a bare line feed": b"0\n\n",
    "a size line that ends in a bare return": b"0\r\r",
    "an extension with a bare line feed": b"0;a\nb\r\n\r\n",
    "an extension with a bare return": b"0;a\rb\r\n\r\n",
    "a chunk longer than it says": b"1\r\nAB\r\n0\r\n\r\n",
    "a chunk without its end": b"1\r\nA0\r\n\r\n",
    "a blank before the size": b" 0\r\n\r\n",
}


def hidden(username: str) -> bytes:
    """A request that leaves a trace: it registers this user."""
    body = b'{"user": {"username": "%s", "password": "%s", "display_name": "Smuggled"}}'
    body %= username.encode(), PASSWORD.encode()
    return head("POST", "/v1/users/register", ["Host: x", f"Content-Length: {len(body)}"]) + body


# What is sent after the hidden request; no other request here is answered so.
NEXT, NEXT_STATUS = head("PATCH", "/ping", ["Host: x", "Connection: close"]), 405


def statuses(server: Server, data: bytes) -> list[int]:
    """Of all the answers to these bytes and to `NEXT`."""
    with Wire(server.url) as wire:
        wire.send(data + NEXT)
        return [answer.status for answer in wire.answers()]


@pytest.mark.parametrize("path", CARRIERS)
@pytest.mark.parametrize("headers", LENGTHS.values(), ids=LENGTHS)
def test_an_ambiguous_length(server: Server, alice: Person, path: str, headers: list[str]) -> None:
    username = new_name()
    request = hidden(username)
    before = b"{}"
    lines = [line.format(all=len(before + request), some=len(before)) for line in headers]
    assert statuses(server, head("POST", path, ["Host: x", *lines]) + before + request) == [400]
    assert alice.profile(username).status_code == 404


@pytest.mark.parametrize("path", CARRIERS)
@pytest.mark.parametrize("headers", CODINGS.values(), ids=CODINGS)
def test_a_length_beside_an_obscured_coding(server: Server, alice: Person, path: str, headers: list[str]) -> None:
    """The length takes the hidden request in; the chunks, where they are believed, leave it out."""
    username = new_name()
    body = b"0\r\n\r\n" + hidden(username)
    length = f"Content-Length: {len(body)}"
    for lines in ([length, *headers], [*headers, length]):
        first, *others = statuses(server, head("POST", path, ["Host: x", *lines]) + body)
        assert 400 <= first < 500
        assert others in ([], [NEXT_STATUS])
    assert alice.profile(username).status_code == 404


@pytest.mark.parametrize("path", CARRIERS)
@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS)
def test_malformed_chunks(server: Server, alice: Person, path: str, body: bytes) -> None:
    username = new_name()
    (status,) = statuses(
        server, head("POST", path, ["Host: x", "Transfer-Encoding: chunked"]) + body + hidden(username)
    )
    assert 400 <= status < 500
    assert alice.profile(username).status_code == 404
