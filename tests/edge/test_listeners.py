"""The public listener and the operators': who may reach what."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.conftest import QUICK_POLLS, Launch
from tests.support.door import through_the_edge
from tests.support.server import Server
from tests.support.wire import Answer, Wire

pytestmark = through_the_edge

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
SPELLINGS = [
    "/service/{}",
    "/%73ervice/{}",
    "/%73%65%72%76%69%63%65/{}",
    "/service%2F{}",
    "/%2573ervice/{}",
    "//service/{}",
    "/service//{}",
    "/service/{}/",
    "/./service/{}",
    "/v1/../service/{}",
    "/service/{}?x",
    "/service/{}#x",
    "http://{monitor}/service/{}",
]
LIES = [
    [],
    ["X-Pychat-Listener: monitor {monitor}"],
    ["X-Pychat-Listener: monitor {monitor}", "Connection: X-Pychat-Listener"],
    ["X_Pychat_Listener: monitor {monitor}"],
]
JSON = "Content-Type: application/json"


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch(QUICK_POLLS, PYCHAT_TESTING__ENABLED="true") as started:
        yield started


@pytest.mark.parametrize("name", ["live", "ready", "clock", "nothing"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_operators_routes_are_not_public(server: Server, spelling: str, name: str) -> None:
    monitor = urlsplit(server.monitor_url).netloc
    path = spelling.format(name, monitor=monitor)
    with Wire(server.url) as wire:
        for method in METHODS:
            for lies in LIES:
                wire.request(method, path, [line.format(monitor=monitor) for line in lies] + [JSON], b"{}")
                assert wire.answer(method).status == 404, (method, lies)


@pytest.mark.parametrize(
    "path", ["configs/values", "admin/v1/configs", "admin/v1/configs/delete", "%61dmin/v1/configs"]
)
def test_the_dynamic_config_service_is_not_public(server: Server, path: str) -> None:
    with Wire(server.url) as wire:
        for method in METHODS:
            wire.request(method, f"/{path}", [JSON], b'{"configs": {"A": 1}, "ids": ["A"], "service": "x"}')
            assert wire.answer(method).status == 404, method


def test_they_are_on_the_operators_listener(server: Server) -> None:
    with Wire(server.monitor_url) as wire:
        assert wire.ask("GET", "/service/live").json == {"status": "live"}
        assert wire.ask("GET", "/service/ready").json == {"status": "ready"}
        assert wire.ask("GET", "/%73ervice/live").status == 200
        assert wire.ask("POST", "/service/live").status == 405
        assert wire.ask("GET", "/service/nothing").status == 404


def set_clock(server: Server, host: str | None, *headers: str, body: bytes = b'{"offset_sec": 0}') -> Answer:
    with Wire(server.monitor_url) as wire:
        if host is not None:
            wire.host = host
        return wire.ask("PUT", "/service/clock", headers, body)


def test_the_clock_is_set_by_its_listeners_own_name(server: Server) -> None:
    port = urlsplit(server.monitor_url).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}"):
        assert set_clock(server, host, JSON).status == 200
    public = urlsplit(server.url).netloc
    for host in (
        "elsewhere",
        f"elsewhere:{port}",
        "127.0.0.1",
        public,
        f"127.0.0.1:{port}.elsewhere",
        "application",
        "",
    ):
        assert set_clock(server, host, JSON).status == 403, host
    # A forwarded host is a client's claim.
    assert set_clock(server, "elsewhere", JSON, f"X-Forwarded-Host: 127.0.0.1:{port}").status == 403


def test_a_request_line_with_another_host_is_refused(server: Server) -> None:
    with Wire(server.monitor_url) as wire:
        assert wire.ask("PUT", "http://elsewhere/service/clock", [JSON], b'{"offset_sec": 0}').status == 403


def test_two_hosts_are_refused(server: Server) -> None:
    assert set_clock(server, None, JSON, "Host: elsewhere").status == 400


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "text/plain; application/json"]
)
def test_the_clock_is_set_by_json_alone(server: Server, kind: str | None) -> None:
    assert set_clock(server, None, *([f"Content-Type: {kind}"] if kind else [])).status == 415
    assert set_clock(server, None, "Content-Type: application/json; charset=utf-8").status == 200


def test_the_operators_listener_holds_no_client_back(server: Server) -> None:
    wires = [Wire(server.monitor_url) for _ in range(20)]
    for wire in wires:
        assert wire.ask("GET", "/service/live").status == 200
        wire.close()
