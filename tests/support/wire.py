"""HTTP/1.1 by the byte: what a well-behaved client library would not send, and all that comes back."""

from __future__ import annotations

import http
import http.client
import json
import select
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import urlsplit

ANSWER_WITHIN_SEC = 60
HEX_DIGITS = 16
PACKET = 1_400
"""Bytes, as on the internet."""
BODILESS = {http.HTTPStatus.NO_CONTENT, http.HTTPStatus.NOT_MODIFIED}


class Closed(Exception):
    """The server closed the connection instead of answering."""


class Source(Protocol):
    def readline(self) -> bytes: ...
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection; `url` names the listener."""

    def __init__(self, url: str, address: str = "127.0.0.1", receive_buffer: int | None = None) -> None:
        """`address` is the client's own: the whole of 127.0.0.0/8 is ours to use. `receive_buffer`: bytes that the
        system takes for it before it reads; the server's takes little more then."""
        listener = urlsplit(url)
        assert listener.hostname
        assert listener.port
        self.host = listener.netloc
        self.address = address
        self.socket = socket.socket()
        self.socket.settimeout(ANSWER_WITHIN_SEC)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            # The server's takes twenty packets at first, and as long as nobody reads; on this machine they have 64 KB.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, PACKET)
        try:
            self.socket.bind((address, 0))
            self.socket.connect((listener.hostname, listener.port))
        except BaseException:
            self.socket.close()
            raise
        self._input = self.socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._input.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(
        self, method: str, path: str, headers: Iterable[str] = (), body: bytes | None = None, version: str = "HTTP/1.1"
    ) -> None:
        """Sends one request; `body` of a given length, unless `headers` frame it."""
        self.send(head(method, path, [f"Host: {self.host}", *framing(body, headers)], version) + (body or b""))

    def answer(self, method: str = "GET") -> Answer:
        """Reads the next answer, `method` being that of the request; an interim one (1xx) is one as well.

        Raises:
            Closed
        """
        try:
            status_line = self._input.readline()
        except ConnectionError:
            status_line = b""
        if not status_line:
            raise Closed
        assert status_line.startswith(b"HTTP/1."), status_line
        status = int(status_line.split()[1])
        headers = http.client.parse_headers(self._input)
        has_body = method != "HEAD" and status >= 200 and status not in BODILESS
        return Answer(status, headers, read_body(self._input, headers) if has_body else b"")

    def ask(self, method: str, path: str, headers: Iterable[str] = (), body: bytes | None = None) -> Answer:
        self.request(method, path, headers, body)
        return self.answer(method)

    def answers(self) -> list[Answer]:
        """All that come until the server closes the connection."""
        found = []
        with suppress(Closed):
            while True:
                found.append(self.answer())
        return found

    def is_readable(self, within_sec: float = 0) -> bool:
        """Whether something has come, or the end."""
        return bool(select.select([self.socket], [], [], within_sec)[0])

    def is_closed(self, within_sec: float = 0) -> bool:
        """Whether the server has closed the connection; nothing else may have come."""
        if not self.is_readable(within_sec):
            return False
        with suppress(ConnectionError):
            came = self.socket.recv(1000)
            assert not came, came
        return True


def read_body(source: Source, headers: Message) -> bytes:
    """A body framed as `headers` say; to the end of the connection where they say nothing."""
    if headers.get("transfer-encoding") == "chunked":
        parts = []
        while size := int(source.readline(), HEX_DIGITS):
            parts.append(source.read(size))
            source.readline()
        source.readline()
        return b"".join(parts)
    length = headers.get("content-length")
    return source.read() if length is None else source.read(int(length))


def head(method: str, path: str, headers: Iterable[str] = (), version: str = "HTTP/1.1") -> bytes:
    return "\r\n".join([f"{method} {path} {version}", *headers, "", ""]).encode("latin-1")


def framing(body: bytes | None, headers: Iterable[str]) -> list[str]:
    """`headers`, and the body's length if they do not say how it is framed."""
    given = list(headers)
    is_framed = any(line.lower().startswith(("content-length", "transfer-encoding")) for line in given)
    return given if body is None or is_framed else [*given, f"Content-Length: {len(body)}"]


def chunked(*parts: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """A chunked body."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + end
