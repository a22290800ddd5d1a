"""Nonsense in every body and every path: always 4xx with the error body, never 500.

A server of its own without a limiter, so that each send is judged to the end.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Launch
from tests.support.client import PASSWORD, Person
from tests.support.expect import expect_error_body
from tests.support.server import Server

quickly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Whatever JSON can say, beyond what most programs expect: half surrogate pairs, NUL, numbers that fit no machine type.
ODD_TEXT = st.text(st.characters(), max_size=40) | st.sampled_from(
    ["\0", "\ud800", "\udfff\ud800", "a\0b", "\u202e", "{}"]
)
HUGE_NUMBERS = st.sampled_from([2**63, -(2**63) - 1, 2**64, 10**400, -(10**1000), 1e308, 5e-324, 0.1])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | HUGE_NUMBERS | ODD_TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ODD_TEXT, inner, max_size=4), max_leaves=12
)

USER_FIELDS = ["username", "password", "display_name", "biography"]
MESSAGE_FIELDS = ["chat_id", "recipient", "payload"]
ROUTES: dict[str, tuple[str, str, list[str]]] = {
    "register": ("POST", "/v1/users/register", USER_FIELDS),
    "login": ("POST", "/v1/users/login", USER_FIELDS),
    "patch": ("PATCH", "/v1/users/{}", USER_FIELDS),
    "chat": ("POST", "/v1/chats/private", []),
    "send": ("POST", "/v1/messages/send", MESSAGE_FIELDS),
}

DEEP = [b"[" * 15_000, b"[" * 7_000 + b"]" * 7_000, b'{"a":' * 2_500 + b"1" + b"}" * 2_500]
HUGE = [b"1" * 15_000, b"-1e" + b"9" * 1_000, b"0." + b"3" * 15_000, b'"' + b"\\u0000" * 2_000 + b'"']
ODD_LITERALS = [*DEEP, *HUGE, rb'"\ud800"', rb'"\udc00\ud800"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\0"', b"NaN", b"-"]


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch({"POLLING_CONFIG": {"polling_time_sec": 1}, "SEND_LIMITER_CONFIG": {"is_enabled": False}}) as started:
        yield started


@pytest.fixture(scope="module")
def mallory(server: Server) -> Person:
    return server.person()


def body_of(fields: list[str]) -> st.SearchStrategy[Any]:
    """Bodies that have the right shape, down to where they have not."""
    inner = st.dictionaries(st.sampled_from(fields) | ODD_TEXT, VALUES, max_size=5) if fields else VALUES
    keys = st.sampled_from(["user", "message", "target_username"])
    return VALUES | st.dictionaries(keys | ODD_TEXT, inner | VALUES, max_size=3)


def encoded(body: object) -> bytes:
    return json.dumps(body).encode()


def is_a_fair_patch(content: bytes) -> bool:
    """Whether a PATCH with this body may succeed: its `user` names no known field, or only strings that may be good."""
    try:
        user = json.loads(content)["user"]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return False
    if not isinstance(user, dict):
        return False
    return all(user[field] is None or isinstance(user[field], str) for field in USER_FIELDS if field in user)


def ask(mallory: Person, route: str, content: bytes) -> httpx.Response:
    method, path, _ = ROUTES[route]
    return mallory.request(method, path.format(mallory.username), content=content)


def expect_refusal(mallory: Person, route: str, content: bytes) -> None:
    answer = ask(mallory, route, content)
    if answer.status_code == 200 and route == "patch" and is_a_fair_patch(content):
        mallory.username = answer.json()["username"]
        return
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)
    expect_error_body(answer)


@pytest.mark.parametrize("route", ROUTES)
@quickly
@given(content=st.binary(max_size=200))
def test_random_bytes(mallory: Person, route: str, content: bytes) -> None:
    expect_refusal(mallory, route, content)


@pytest.mark.parametrize("route", ROUTES)
def test_random_json(mallory: Person, route: str) -> None:
    @quickly
    @given(body=body_of(ROUTES[route][2]))
    def check(body: object) -> None:
        expect_refusal(mallory, route, encoded(body))

    check()


@pytest.mark.parametrize("route", ROUTES)
@quickly
@given(data=st.data())
def test_a_good_body_with_a_byte_changed(mallory: Person, route: str, data: st.DataObject) -> None:
    good: dict[str, Any] = {
        "register": {"user": {"username": mallory.username, "password": PASSWORD, "display_name": "Mallory"}},
        "login": {"user": {"username": "nobody-at-all", "password": PASSWORD}},
        "patch": {"user": {"display_name": 1, "biography": "Hello"}},
        "chat": {"target_username": "nobody-at-all"},
        "send": {"message": {"chat_id": "pc:none", "payload": "text"}},
    }
    content = bytearray(encoded(good[route]))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    answer = ask(mallory, route, bytes(content))
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        expect_error_body(answer)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("literal", ODD_LITERALS, ids=lambda literal: ascii(literal[:12]))
def test_deep_huge_and_malformed_values(mallory: Person, route: str, literal: bytes) -> None:
    expect_refusal(mallory, route, literal)
    envelope = {"send": b"message", "chat": b"target_username"}.get(route, b"user")
    expect_refusal(mallory, route, b'{"%s": %s}' % (envelope, literal))
    for field in ROUTES[route][2]:
        expect_refusal(mallory, route, b'{"%s": {"%s": %s}}' % (envelope, field.encode(), literal))


@quickly
@given(name=st.text(st.characters(codec="utf-8"), max_size=40) | st.text(st.characters(codec="latin-1"), max_size=8))
def test_odd_names_in_paths(mallory: Person, name: str) -> None:
    path = "".join(f"%{byte:02X}" for byte in name.encode())
    for method, before, content in [
        ("GET", "/v1/users/", b""),
        ("DELETE", "/v1/users/", b""),
        ("PATCH", "/v1/users/", b'{"user": {}}'),
        ("GET", "/v1/users/username/", b""),
        ("GET", "/v1/messages/poll/", b""),
    ]:
        answer = mallory.request(method, before + path, content=content)
        assert 400 <= answer.status_code < 500, (method, answer.text)
        expect_error_body(answer)


@quickly
@given(value=st.binary(max_size=60).filter(lambda value: not set(value) & set(b"\0\n\v\f\r")))
def test_odd_authorizations(mallory: Person, value: bytes) -> None:
    for method, path in [("GET", f"/v1/users/{mallory.username}"), ("POST", "/v1/messages/poll/start")]:
        for header in (value, b"Bearer " + value):
            # The client refuses to send blanks around a value.
            answer = mallory.http.request(method, path, headers=[(b"Authorization", header.strip())])
            # What is no header at all is the HTTP parser's to refuse, before any route is asked.
            assert answer.status_code in (400, 401), answer.text
            if answer.status_code == 401:
                expect_error_body(answer)
