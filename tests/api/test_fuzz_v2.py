"""Nonsense in the bodies, queries and paths of version 2: always 4xx with a problem, never 500."""

import json
from urllib.parse import quote, quote_from_bytes, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.client import Person
from tests.support.expect import expect_problem_body
from tests.support.server import Server

quickly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Whatever JSON can say, beyond what most programs expect.
ODD_TEXT = st.text(st.characters(), max_size=40) | st.sampled_from(["\0", "\ud800", "a\0b", "\u202e", "{}", "1" * 30])
NUMBERS = st.integers() | st.sampled_from([2**63, -(2**63) - 1, 2**64, 10**400, 1e308, 5e-324])
SCALARS = st.none() | st.booleans() | NUMBERS | st.floats(allow_nan=False) | ODD_TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ODD_TEXT, inner, max_size=4), max_leaves=12
)
KEYS = st.sampled_from(["type", "username", "message_id", "title"]) | ODD_TEXT
BODIES = VALUES | st.dictionaries(KEYS, VALUES | st.sampled_from(["private", "group", "1", "9" * 19]), max_size=4)
UNKNOWN_CHAT = "pc:00000000-0000-0000-0000-000000000000"
WITH_BODY = [("POST", "/v2/chats"), ("PUT", f"/v2/chats/{UNKNOWN_CHAT}/read")]

PARAMETERS = ["before", "after", "limit", "query", "cursor"]
ODD_BYTES = st.binary(max_size=12).map(quote_from_bytes)
ODD_PARAMETERS = st.lists(
    st.tuples(
        st.sampled_from(PARAMETERS),
        st.sampled_from(["", "1", "0", "-1", "9" * 19, "9" * 400, "null", "1e3", "%00", "W10", "[1,2]"]) | ODD_BYTES,
    ),
    max_size=4,
)
WITH_QUERY = ["/v2/chats", f"/v2/chats/{UNKNOWN_CHAT}/messages", "/v2/users"]


@pytest.fixture(scope="module")
def mallory(server: Server) -> Person:
    return server.person()


def expect_refusal(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)
    expect_problem_body(answer)


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
@quickly
@given(content=st.binary(max_size=200) | BODIES.map(lambda body: json.dumps(body).encode()))
def test_bodies(mallory: Person, method: str, path: str, content: bytes) -> None:
    expect_refusal(mallory.request(method, path, content=content))


@pytest.mark.parametrize("path", WITH_QUERY)
@quickly
@given(query=ODD_PARAMETERS.map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)))
def test_queries(mallory: Person, path: str, query: str) -> None:
    answer = mallory.request("GET", f"{path}?{query}")
    # Some are in order after all.
    if answer.status_code == 200:
        assert set(answer.json()) == {"items", "next"}
    else:
        expect_refusal(answer)


@pytest.mark.parametrize("path", WITH_QUERY)
@quickly
@given(query=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=60))
def test_whatever_stands_behind_the_question_mark(mallory: Person, path: str, query: str) -> None:
    answer = mallory.request("GET", f"{path}?{query}")
    assert answer.status_code in (200, 400, 404), answer.text
    if answer.status_code != 200:
        expect_problem_body(answer)


@quickly
@given(text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=50))
def test_any_text_can_be_searched_for(mallory: Person, text: str) -> None:
    answer = mallory.request("GET", f"/v2/users?{urlencode({'query': text})}")
    assert answer.status_code == (400 if "\0" in text else 200), answer.text


@quickly
@given(name=st.text(st.characters(codec="utf-8"), max_size=40) | st.text(st.characters(codec="latin-1"), max_size=8))
def test_odd_paths(mallory: Person, name: str) -> None:
    name = quote(name, safe="")
    expect_problem_body(mallory.request("GET", f"/v2/chats/{name}/messages"))
    expect_problem_body(mallory.request("PUT", f"/v2/chats/{name}/read", json={"message_id": "1"}))
    expect_problem_body(mallory.request("GET", f"/v2/users/{name}"))
