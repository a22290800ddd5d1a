"""Two doors, one meaning: whatever is asked, the edge and Litestar alone give the same answer.

Two servers with the same people and the same signing key, each with a database of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import DynamicConfig, new_options
from tests.support.client import PASSWORD, Person, Session
from tests.support.door import EDGE, LITESTAR
from tests.support.postgres import Postgres
from tests.support.server import running
from tests.support.tokens import expired, forged
from tests.support.wire import Answer, Closed, Wire, chunked

DYNAMIC_CONFIG: DynamicConfig = {
    "POLLING_CONFIG": {"polling_time_sec": 0},
    "SESSIONS_CONFIG": {"idle_timeout_sec": 3600, "max_sessions_amount": 10_000},
    "SEND_LIMITER_CONFIG": {"is_enabled": False},
}

# Each server makes these as it likes.
OWN_HEADERS = {"date", "server", "x-request-id"}
OWN_FIELDS = {"token", "session_id", "chat_id"}


@dataclass(frozen=True)
class Draft:
    """A request with places for what differs from server to server."""

    method: str
    path: str
    headers: list[str]
    body: bytes
    padding: int
    is_chunked: bool
    version: str


@dataclass(frozen=True)
class Side:
    """One of the servers. Carol sends the requests; the others are talked about."""

    url: str
    carol: Person
    session: Session
    chat_id: str

    def ask(self, draft: Draft, token: str) -> tuple[Any, ...]:
        """What came back, without what each server makes as it likes."""
        self.carol.says(self.chat_id, "waiting")
        headers = [line.replace("TOKEN", token) for line in draft.headers]
        body = draft.body.replace(b"CHAT", self.chat_id.encode()) + b" " * draft.padding
        if draft.is_chunked:
            headers.append("Transfer-Encoding: chunked")
            body = chunked(body[:7], body[7:]) if len(body) > 7 else chunked(end=b"0\r\n\r\n")
        with Wire(self.url) as wire:
            path = draft.path.replace("SESSION", self.session.session_id)
            wire.request(draft.method, path, headers, body if body or draft.is_chunked else None, draft.version)
            answer = wire.answer(draft.method)
            if answer.status == 100:
                answer = wire.answer(draft.method)
            return described(answer), is_usable(wire)


def described(answer: Answer) -> tuple[Any, ...]:
    values = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in OWN_HEADERS}
    if "allow" in values:
        # A set, whose order means nothing.
        values["allow"] = ", ".join(sorted(values["allow"].split(", ")))
    headers = sorted(values.items())
    if "application/json" not in answer.headers.get("content-type", "") or not answer.body:
        return answer.status, headers, answer.body
    body = json.loads(answer.body, object_hook=without_own)
    return answer.status, [header for header in headers if header[0] != "content-length"], body


def without_own(item: dict[str, Any]) -> dict[str, Any]:
    return {name: "..." if name in OWN_FIELDS and isinstance(value, str) else value for name, value in item.items()}


def is_usable(wire: Wire) -> bool:
    try:
        return wire.ask("GET", "/ping").status == 200
    except (Closed, ConnectionError):
        return False


@pytest.fixture(scope="module")
def sides(postgres: Postgres, workspace: Path) -> Iterator[list[Side]]:
    with ExitStack() as stack:
        made = []
        for door in (EDGE, LITESTAR):
            options = new_options(door, postgres, workspace, DYNAMIC_CONFIG)
            server = stack.enter_context(running(options))
            carol, _, _ = (server.person(name) for name in ("carol", "alice", "bob"))
            made.append(Side(server.url, carol, carol.session(), carol.chat_with(carol)))
        # One token is then good on both.
        assert len({side.carol.user_id for side in made}) == 1
        yield made


USER = {"username": "alice", "password": PASSWORD, "display_name": "Somebody"}
JSON_BODIES: list[object] = [
    {"user": USER},
    {"user": USER | {"username": "new-one", "biography": "Hello"}},
    {"user": USER | {"password": "wrong"}},
    {"user": {"biography": "\0"}},
    {"target_username": "alice"},
    {"target_username": "nobody"},
    {"message": {"chat_id": "CHAT", "payload": "text"}},
    {"message": {"chat_id": "CHAT", "payload": "   "}},
    {"message": {"chat_id": "pc:none", "payload": "text"}},
    {"message": {"chat_id": None, "recipient": "carol", "payload": "text"}},
    {"message": {"recipient": "CAROL", "payload": "text"}},
    {"message": {"recipient": "alice", "payload": "text"}},
    {"message": {"recipient": "nobody", "payload": "text"}},
    {"message": {"payload": 1}},
    {"message": []},
    [],
    None,
]
BODIES = st.one_of(
    st.sampled_from(JSON_BODIES).map(lambda body: json.dumps(body).encode()),
    st.just(b""),
    st.binary(max_size=30),
)
PADDINGS = [*[0] * 8, 15_000, 16_001, 100_000]

USUAL = [
    ("GET", "/ping"),
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/nowhere"),
    ("GET", "/v2/nowhere"),
    ("POST", "/v2/chats/pc:nowhere/messages"),
    ("GET", "/v1/users/alice"),
    ("GET", "/v1/users/username/alice"),
    ("GET", "/v1/users/"),
    ("PATCH", "/v1/users/alice"),
    ("DELETE", "/v1/users/nobody"),
    ("POST", "/v1/users/register"),
    ("POST", "/v1/users/login"),
    ("POST", "/v1/chats/private"),
    ("POST", "/v1/messages/send"),
    ("POST", "/v1/messages/poll/start"),
    ("GET", "/v1/messages/poll/SESSION"),
    ("GET", "/v1/messages/poll/start"),
    ("GET", "/v1/messages/poll"),
    ("GET", "/v1/messages/poll/"),
    ("GET", "/v1/messages/poll/0b0b6b5e-8f5c-4f0e-9d0c-6d2a8c1f4e3a"),
]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"]
QUERIES = ["?", "?a=b", "?a=%zz&b=%FF", "?/v1/messages/send", "?a=b?c"]
# What a path may have between, after or instead of its segments.
ODD_SEGMENTS = [
    "",
    "",
    "/",
    "//",
    "/.",
    "/..",
    "/%2F",
    "/%00",
    "%20",
    "%",
    "%zz",
    "%FF",
    ";a=b",
    "/x",
    "start",
    "~",
    "*",
]

AUTHORIZATIONS = [
    "Authorization: Bearer TOKEN",
    "authorization:bearer   TOKEN  ",
    "Authorization: Bearer TOKEN.x",
    "Authorization: Bearer TOKEN TOKEN",
    "Authorization: Basic TOKEN",
    "Authorization: Bearer",
    "Authorization: Bearer \xe9",
    "Authorization: \xe9",
    "Authorization:",
]
OTHER_HEADERS = [
    "Content-Type: text/plain",
    "Content-Type: application/json; charset=utf-16",
    "Accept: text/html",
    "Accept-Encoding: gzip",
    "Connection: close",
    "Connection: keep-alive",
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "TE: trailers",
    "Expect: 100-continue",
    "Range: bytes=0-1",
    "If-None-Match: *",
    "X-Forwarded-For: 1.2.3.4",
    "X-Forwarded-Host: elsewhere",
    "X-HTTP-Method-Override: DELETE",
    "X-Request-Id: mine",
    "X-Pychat-Listener: monitor 127.0.0.1:8081",
    "Cookie: a=b",
    "Origin: http://elsewhere",
]


@st.composite
def spelled(draw: st.DrawFn, path: str) -> str:
    """The path, perhaps spelled in an odd way, perhaps not the same any more."""
    way = draw(st.sampled_from(["as it is"] * 3 + ["escaped", "odd", "doubled", "query"]))
    at = draw(st.integers(0, len(path)))
    if way == "escaped":
        return f"{path[:at]}%{ord(path[at]):02x}{path[at + 1 :]}" if 0 < at < len(path) else path
    if way == "odd":
        return path[: max(at, 1)] + draw(st.sampled_from(ODD_SEGMENTS)) + path[max(at, 1) :]
    if way == "doubled":
        return path.replace("/", "//", draw(st.integers(1, 3)))
    if way == "query":
        return path + draw(st.sampled_from(QUERIES))
    return path + draw(st.sampled_from(["", "/", "/x"]))


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    method, path = draw(st.sampled_from(USUAL))
    if draw(st.integers(0, 7)) == 0:
        path = "/v1/messages/poll/" + quote(draw(st.text(max_size=5)))
    return Draft(
        draw(st.sampled_from([method] * 8 + METHODS)),
        draw(spelled(path)),
        # Mostly good, for what comes behind the token.
        [
            draw(st.sampled_from(AUTHORIZATIONS[:1] * 12 + AUTHORIZATIONS)),
            *draw(st.lists(st.sampled_from(OTHER_HEADERS), max_size=3, unique=True)),
        ],
        draw(BODIES),
        draw(st.sampled_from(PADDINGS)),
        draw(st.sampled_from([False] * 3 + [True])),
        draw(st.sampled_from(["HTTP/1.1"] * 5 + ["HTTP/1.0"])),
    )


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(draft=drafts(), way=st.sampled_from(["good"] * 8 + ["forged", "expired"]))
def test_both_doors_give_the_same_answer(sides: list[Side], draft: Draft, way: str) -> None:
    token = sides[0].carol.token or ""
    if way != "good":
        token = expired(token) if way == "expired" else forged(token, id=10**12)
    edge, litestar = (side.ask(draft, token) for side in sides)
    assert edge == litestar
