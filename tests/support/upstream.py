"""An edge without a server: in this process, before an application that writes down what reaches it."""

from __future__ import annotations

import socketserver
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from pychat._core import Core, Edge, Requests
from tests.support.server import SIGNING_KEY
from tests.support.wire import read_body


@dataclass(frozen=True)
class Received:
    """A request as it reached the application."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for given, value in self.headers if given.lower() == name]


@dataclass
class Application:
    """Answers every request with 200 and `headers`, once `answering` is set, or hangs up instead."""

    headers: Sequence[tuple[str, str]] = ()
    # The paths of those of which there may be no more than the head.
    begun: list[str] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    answering: threading.Event = field(default_factory=threading.Event)
    hangs_up: bool = False


@dataclass(frozen=True)
class EdgeAlone:
    url: str
    monitor_url: str
    application: Application
    edge: Edge
    requests: Requests


@contextmanager
def edge_alone(public: str, monitor: str, trusted_proxies: Sequence[str] = ()) -> Iterator[EdgeAlone]:
    """Listens on these addresses (`host:port`) for the `with` block."""
    application, requests = Application(), Requests(logged=False)
    application.answering.set()
    with tempfile.TemporaryDirectory() as folder:
        upstream = str(Path(folder) / "application.sock")
        with _Server(upstream, _handler(application)) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            edge = Edge(
                Core(signing_key=SIGNING_KEY.encode()),
                requests,
                listen=public,
                monitor=monitor,
                upstream=upstream,
                threads=1,
                max_connections=2_000,
                max_connections_per_address=2_000,
                trusted_proxies=list(trusted_proxies),
                watchdog_sec=3600,  # no loop turns here
            )
            try:
                yield EdgeAlone(f"http://{public}", f"http://{monitor}", application, edge, requests)
            finally:
                application.answering.set()
                edge.close()
                server.shutdown()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 1_000


def _handler(application: Application) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            application.begun.append(self.path)
            framed = "content-length" in self.headers or "transfer-encoding" in self.headers
            body = read_body(self.rfile, self.headers) if framed else b""
            application.received.append(Received(self.command, self.path, self.headers.items(), body))
            application.answering.wait()
            if application.hangs_up:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Content-Length", "2")
            for name, value in application.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok")

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the name is the base's
            """Says nothing."""

    return Handler
