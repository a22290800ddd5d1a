"""What the clock decides: idle sessions close, tokens expire. The tests move the clock instead of waiting."""

from collections.abc import Iterator

import pytest

from tests.conftest import Launch
from tests.support.client import Api, Person
from tests.support.expect import expect_error, expect_error_body
from tests.support.server import Server
from tests.support.wait import wait_until

IDLE_TIMEOUT_SEC = 600
TOKEN_LIFETIME_SEC = 3600


@pytest.fixture(scope="module")
def clockwork(launch: Launch) -> Iterator[Server]:
    with launch(
        {
            "POLLING_CONFIG": {"polling_time_sec": 50},
            "SESSIONS_CONFIG": {"idle_timeout_sec": IDLE_TIMEOUT_SEC, "max_sessions_amount": 2},
        },
        PYCHAT_TESTING__ENABLED="true",
        PYCHAT_AUTH__TOKEN_LIFETIME_SEC=str(TOKEN_LIFETIME_SEC),
    ) as started:
        yield started


@pytest.fixture
def server(clockwork: Server) -> Iterator[Server]:
    """The server, its clock put right again after each test."""
    yield clockwork
    clockwork.set_clock(0)


def test_idle_sessions_close(server: Server, alice: Person) -> None:
    idle = [alice.session(), alice.session()]
    expect_error(alice.start(), 429)
    server.set_clock(IDLE_TIMEOUT_SEC + 1)
    # A poll would wake the session; that there is room for another one shows that it is closed.
    wait_until(lambda: alice.start().status_code == 200, "the idle sessions are closed")
    for session in idle:
        expect_error(alice.poll(session.session_id), 410)


def test_who_has_no_session_left_is_offline(server: Server, alice: Person, bob: Person) -> None:
    alice.session()
    server.set_clock(IDLE_TIMEOUT_SEC + 1)
    wait_until(lambda: bob.send_to(alice.username, "Hello").status_code == 409, "the idle session is closed")


def test_a_poll_keeps_its_session(server: Server, alice: Person) -> None:
    polled, idle = alice.session(), alice.session()
    chat_id = alice.chat_with(alice)
    server.set_clock(IDLE_TIMEOUT_SEC - 60)
    alice.says(chat_id, "first")
    assert polled.read().texts == ["first"]
    server.set_clock(IDLE_TIMEOUT_SEC + 60)
    wait_until(lambda: alice.start().status_code == 200, "the idle session is closed")
    alice.says(chat_id, "second")
    assert polled.read().texts == ["second"]
    expect_error(alice.poll(idle.session_id), 410)


def test_a_parked_poll_keeps_its_session(server: Server, alice: Person) -> None:
    polled, _idle = alice.session(), alice.session()
    chat_id = alice.chat_with(alice)
    parked = polled.park()
    server.set_clock(IDLE_TIMEOUT_SEC + 1)
    wait_until(lambda: alice.start().status_code == 200, "the idle session is closed")
    alice.says(chat_id, "still there?")
    assert parked.answer()[1]["messages"][0]["text"] == "still there?"


def test_tokens_expire(server: Server, alice: Person) -> None:
    server.set_clock(TOKEN_LIFETIME_SEC - 60)
    assert alice.profile(alice.username).status_code == 200
    server.set_clock(TOKEN_LIFETIME_SEC + 1)
    expect_error(alice.profile(alice.username), 401)
    expect_error(alice.start(), 401)
    # One that was issued by the same clock is good.
    later = Api(alice.http, alice.login(alice.username).json()["token"])
    assert later.profile(alice.username).status_code == 200
    assert later.start().status_code == 200


# The route


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"offset_sec": "1"}', b'{"offset_sec": null}', b'{"offset_sec": 1e999}']
)
def test_an_offset_is_needed(server: Server, alice: Person, content: bytes) -> None:
    answer = server.monitor("PUT", "/service/clock", content=content, headers={"Content-Type": "application/json"})
    expect_error(answer, 400)
    assert alice.profile(alice.username).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": ""},
        {"Content-Type": "application/json", "Host": "example.com"},
        {"Content-Type": "application/json", "Host": "example.com:8081"},
    ],
    ids=str,
)
def test_a_web_page_cannot_set_the_clock(server: Server, alice: Person, headers: dict[str, str]) -> None:
    content = b'{"offset_sec": %d}' % (TOKEN_LIFETIME_SEC + 1)
    answer = server.monitor("PUT", "/service/clock", content=content, headers=headers)
    assert 400 <= answer.status_code < 500
    expect_error_body(answer)
    assert alice.profile(alice.username).status_code == 200
