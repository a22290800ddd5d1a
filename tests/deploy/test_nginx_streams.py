"""configs/nginx.conf in front of a server that the test plays itself: what is passed on, how soon, and for how long."""

import queue
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from ruamel.yaml import YAML

from tests.support.expect import expect_error
from tests.support.nginx import CONFIGS, Nginx, nginx_before
from tests.support.ports import free_port
from tests.support.wire import Wire

EVENTS = "/v2/sessions/1/events"
SOON_SEC = 10  # for what comes at once unless it never does


class Upstream(ThreadingHTTPServer):
    """Answers as the path says; tells what it got, and when its client has gone."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: queue.Queue[dict[str, str]] = queue.Queue()
        self.pieces: queue.Queue[bytes] = queue.Queue()  # of a streamed answer; an empty one ends it
        self.gone = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        self.server.got.put({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
        if self.headers.get("Upgrade"):
            self._socket()
        elif "poll" in self.path or self.path == "/slow":
            self._hold()
        elif self.path.endswith("/events"):
            self._stream()
        else:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _hold(self) -> None:
        assert self.rfile.read(1) == b""  # until it is closed
        self.server.gone.set()

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while piece := self.server.pieces.get():
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _socket(self) -> None:
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", self.headers["Upgrade"])
        self.end_headers()
        while data := self.connection.recv(1000):
            self.wfile.write(data.upper())
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the name is the base's
        """Says nothing."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def nginx(upstream: Upstream, workspace: Path) -> Iterator[Nginx]:
    with nginx_before(f"http://127.0.0.1:{upstream.server_port}", workspace / uuid4().hex[:8]) as started:
        yield started


@pytest.fixture
def wire(nginx: Nginx) -> Iterator[Wire]:
    with Wire(nginx.url, "127.0.0.9") as wire:
        yield wire


def got(upstream: Upstream) -> dict[str, str]:
    return upstream.got.get(timeout=SOON_SEC)


def test_whose_request_it_is_nginx_alone_says(wire: Wire, upstream: Upstream) -> None:
    lies = ["X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 5.6.7.8", "X-Request-Id: mine", "X-Forwarded-Proto: https"]
    ids = set()
    for _ in range(2):
        wire.ask("GET", "/api/v1/x?y=%20z", lies)
        received = got(upstream)
        assert received["path"] == "/v1/x?y=%20z"
        assert received["host"] == wire.host
        assert received["x-forwarded-for"] == "127.0.0.9"
        assert received["x-forwarded-proto"] == "http"
        ids.add(received["x-request-id"])
    assert len(ids) == 2
    assert all(len(given) == 32 and given.isalnum() for given in ids)


@pytest.mark.parametrize("path", ["/v1/messages/poll/1", "/api/v1/messages/poll/1", "/slow"])
def test_who_leaves_is_not_waited_for(nginx: Nginx, upstream: Upstream, path: str) -> None:
    upstream.gone.clear()
    with Wire(nginx.url) as wire:
        wire.request("GET", path)
        got(upstream)
        assert not upstream.gone.is_set()
    assert upstream.gone.wait(SOON_SEC)


def test_anything_else_may_not_take_for_ever(wire: Wire, upstream: Upstream) -> None:
    answer = wire.ask("GET", "/slow")
    assert (answer.status, answer.json["code"]) == (503, "503")
    assert got(upstream)["path"] == "/slow"


def test_the_search_for_people_is_no_try_of_a_password(nginx: Nginx) -> None:
    with Wire(nginx.url, "127.0.0.10") as wire:
        assert {wire.ask("GET", "/v2/users?query=a").status for _ in range(60)} == {200}


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_events_come_as_they_are_sent(wire: Wire, upstream: Upstream, encoding: str) -> None:
    wire.request("GET", EVENTS, [f"Accept-Encoding: {encoding}"])
    received = wire.socket.makefile("rb")
    seen = b""
    for number in range(3):
        event = b"data: %d\n\n" % number
        upstream.pieces.put(event)
        # The next is sent only when this one is here.
        while event not in seen:
            seen += received.read1()
    upstream.pieces.put(b"")
    assert b"text/event-stream" in seen
    assert b"gzip" not in seen.lower()


def test_a_websocket_goes_through(wire: Wire, upstream: Upstream) -> None:
    wire.request("GET", "/v2/sessions/1/socket", ["Connection: Upgrade", "Upgrade: websocket"])
    assert wire.answer().status == 101
    for word in (b"a", b"b"):
        wire.send(word)
        assert wire.socket.recv(10) == word.upper()


def test_a_server_that_is_down_is_a_503(folder: Path) -> None:
    with nginx_before(f"http://127.0.0.1:{free_port()}", folder / "nginx") as nginx:
        expect_error(httpx.get(f"{nginx.url}/api/v1/users/x", trust_env=False), 503)
        answer = httpx.get(f"{nginx.url}/v2/me", trust_env=False)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["status"] == 503


def test_the_containers_health_check_tells_a_healthy_nginx(nginx: Nginx) -> None:
    compose = YAML(typ="safe").load(CONFIGS.parent / "docker-compose.yml")
    kind, *command = compose["services"]["nginx"]["healthcheck"]["test"]
    assert kind == "CMD"

    def check(url: str) -> int:
        here = [word.replace("127.0.0.1/80", url.removeprefix("http://").replace(":", "/")) for word in command]
        assert here != command
        return subprocess.run(here, capture_output=True, check=False).returncode

    assert check(nginx.url) == 0
    assert check(f"http://127.0.0.1:{free_port()}") != 0
