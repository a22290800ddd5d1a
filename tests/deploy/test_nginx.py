"""configs/nginx.conf, run by Debian's nginx in front of a real server: what clients, and strangers, get through it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.conftest import Launch
from tests.support.client import Api, Person
from tests.support.door import through_the_edge
from tests.support.expect import expect_error
from tests.support.nginx import READ_TIMEOUT_SEC, Nginx, nginx_before
from tests.support.server import Server
from tests.support.wait import wait_until
from tests.support.wire import Wire

pytestmark = through_the_edge

SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    # Longer than what nginx would wait for another answer.
    polls = {"POLLING_CONFIG": {"polling_time_sec": READ_TIMEOUT_SEC + 1}}
    with launch(polls, PYCHAT_HTTP__TRUSTED_PROXIES="127.0.0.1") as started:
        yield started


@pytest.fixture(scope="module")
def nginx(server: Server, workspace: Path) -> Iterator[Nginx]:
    with nginx_before(server.url, workspace / uuid4().hex[:8]) as started:
        yield started


@pytest.fixture
def connect(nginx: Nginx) -> Iterator[Callable[[str], httpx.Client]]:
    """A client's connections to nginx, from an address that no other test uses up the limits of."""
    clients: list[httpx.Client] = []

    def connect(path: str = "") -> httpx.Client:
        from_own = httpx.HTTPTransport(local_address=new_address())
        clients.append(httpx.Client(base_url=nginx.url + path, transport=from_own, timeout=60))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


_addresses = iter(range(2, 250))


def new_address() -> str:
    return f"127.0.0.{next(_addresses)}"


@pytest.fixture
def anybody(connect: Callable[[str], httpx.Client]) -> Api:
    return Api(connect(""))


def test_a_conversation_under_the_prefix(connect: Callable[[str], httpx.Client]) -> None:
    ann, ben = (Person.registered(connect("/api")) for _ in range(2))
    chat_id = ann.chat_with(ben)
    session = ben.session()
    waiting = session.park()
    ann.says(chat_id, "Hello Ben")
    assert waiting.answer()[1]["messages"] == [{"sender": ann.username, "text": "Hello Ben"}]
    ann.tells(ben, "in the older dialect")
    assert session.read().texts == ["in the older dialect"]
    expect_error(ben.poll(""), 410)


def test_a_poll_may_wait_for_long(anybody: Api) -> None:
    assert Person.registered(anybody.http).session().read().messages == []


@pytest.mark.parametrize("prefix", ["", "/api", "/", "/api/", "/x/.."])
@pytest.mark.parametrize(
    "path", ["/service", "/service/live", "/configs/values", "/admin/v1/configs", "/%73ervice/live"]
)
def test_the_operators_routes_are_not_here(nginx: Nginx, server: Server, prefix: str, path: str) -> None:
    with Wire(nginx.url) as wire:
        answers = [wire.ask(method, prefix + path) for method in ("GET", "POST")]
    assert [(answer.status, answer.json["code"]) for answer in answers] == [(404, "404")] * 2
    assert server.monitor("GET", "/service/live").status_code == 200


def test_names_that_only_begin_like_the_operators_are_passed_on(anybody: Api) -> None:
    assert anybody.request("GET", "/servicex").headers["content-type"] == "application/json"
    assert anybody.request("GET", "/docs").status_code == 200


def test_security_headers_are_on_everything_once(anybody: Api) -> None:
    person = Person.registered(anybody.http)
    answers = [
        anybody.request("GET", "/ping"),
        anybody.request("GET", "/docs"),
        anybody.request("GET", "/v1/users/nobody"),  # pychat's error
        anybody.request("GET", "/service/live"),  # nginx's own
        person.profile(person.username),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 401, 404, 200]
    for answer in answers:
        for name, value in SECURITY.items():
            assert answer.headers.get_list(name) == [value], (answer.url, name)
        assert len(answer.headers.get_list("x-request-id")) == 1
        assert answer.headers["server"] == "nginx"


def test_large_answers_are_compressed_and_tokens_are_not(connect: Callable[[str], httpx.Client]) -> None:
    client = connect("")
    description = client.get("/docs/openapi.json")
    assert description.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in description.headers["vary"].lower()
    assert description.json()["openapi"]
    assert "content-encoding" not in client.get("/docs/openapi.json", headers={"Accept-Encoding": "identity"}).headers
    assert "content-encoding" not in client.post("/v1/users/login", content=b"{}").headers


def test_an_id_joins_the_answer_and_the_log_and_a_ticket_is_in_neither(nginx: Nginx, anybody: Api) -> None:
    answer = anybody.request("GET", "/v1/users/x?ticket=geheim", headers={"X-Request-Id": "mine"})
    given = answer.headers["x-request-id"]
    # Written once the answer is out.
    wait_until(lambda: given in nginx.access_log, "the request is logged")
    (line,) = [line for line in nginx.access_log.splitlines() if given in line]
    assert '"GET /v1/users/x" 401' in line
    assert "geheim" not in nginx.access_log
    assert "mine" not in nginx.access_log


def test_a_body_that_is_too_large_is_refused_in_our_shape(anybody: Api) -> None:
    expect_error(anybody.request("POST", "/v1/users/register", content=b"x" * 200_000), 413)


def test_passwords_are_not_tried_without_end(connect: Callable[[str], httpx.Client]) -> None:
    one, other = connect(""), connect("/api")
    # Together, for one after the other they may come as slowly as they are welcome.
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: one.post("/v1/users/login", content=b"{}"), range(80)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {answer.status_code for answer in answers} == {400, 429}
    expect_error(refused[0], 429)
    # Neither another address nor another route is concerned.
    assert other.post("/v1/users/login", content=b"{}").status_code == 400
    assert one.get("/ping").status_code == 200


def test_a_flood_from_one_address_is_cut(nginx: Nginx) -> None:
    address, count = new_address(), 900  # nginx closes a connection after its 1000th request
    wires = [Wire(nginx.url, address) for _ in range(3)]
    for wire in wires:
        wire.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n" * count)
    statuses = [wire.answer().status for wire in wires for _ in range(count)]
    for wire in wires:
        wire.close()
    assert set(statuses) == {200, 429}
    with Wire(nginx.url, new_address()) as wire:
        assert wire.ask("GET", "/ping").status == 200


def test_one_address_does_not_take_all_connections(server: Server, folder: Path) -> None:
    few = {"limit_conn connections 2000;": "limit_conn connections 3;"}
    address = new_address()
    with nginx_before(server.url, folder / "nginx", few) as nginx:
        waiting = [Wire(nginx.url, address) for _ in range(3)]
        for wire in waiting:
            wire.request("POST", "/v1/users/register", ["Content-Length: 10", "Expect: 100-continue"])
            assert wire.answer().status == 100  # it is in
        with Wire(nginx.url, address) as wire:
            refused = wire.ask("GET", "/ping")
        assert (refused.status, refused.headers["retry-after"], refused.json["code"]) == (429, "1", "429")
        with Wire(nginx.url, new_address()) as wire:
            assert wire.ask("GET", "/ping").status == 200
        for wire in waiting:
            wire.close()
