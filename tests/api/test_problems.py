"""Version 2's errors, whatever causes them: problems by RFC 9457 with a word to decide by."""

import pytest

from tests.support.client import Api, Person
from tests.support.door import through_the_edge
from tests.support.expect import expect_error, expect_problem

UNKNOWN_PATHS = ["/v2", "/v2/", "/v2/nowhere", "/v2/chats/x/y/z", "/v2/%00", "/v2/%FF"]


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PROPFIND"])
def test_an_unknown_path_is_not_found(anybody: Api, method: str, path: str) -> None:
    expect_problem(anybody.request(method, path), "no_such_route")


@pytest.mark.parametrize("path", ["/v20", "/v2chats", "/V2/chats"])
def test_other_paths_keep_the_older_form(anybody: Api, path: str) -> None:
    expect_error(anybody.request("GET", path), 404)


@through_the_edge
def test_what_the_edge_refuses_is_a_problem_too(anybody: Api) -> None:
    expect_problem(anybody.request("POST", "/v2/nowhere", content=b" " * 1_100_000), "body_too_large")


ROUTES = [
    ("POST", "/v2/chats"),
    ("GET", "/v2/chats"),
    ("GET", "/v2/chats/x/messages"),
    ("PUT", "/v2/chats/x/read"),
    ("GET", "/v2/users?query=a"),
    ("GET", "/v2/users/x"),
]
WITH_BODY = [("POST", "/v2/chats"), ("PUT", "/v2/chats/x/read")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_who_one_is_comes_first(anybody: Api, method: str, path: str) -> None:
    expect_problem(anybody.request(method, path, content=b"{"), "token_missing")
    for header in ("Basic x", "Bearer", "Bearer x.y.z"):
        answer = anybody.request(method, path, headers={"Authorization": header})
        expect_problem(answer, "token_invalid")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_revoked_token(alice: Person, method: str, path: str) -> None:
    assert alice.patch(alice.username, password="An0ther!").status_code == 200
    expect_problem(alice.request(method, path), "token_revoked")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_wrong_method_is_told_the_right_ones(alice: Person, method: str, path: str) -> None:
    answer = alice.request("PATCH", path)
    expect_problem(answer, "method_not_allowed")
    assert method in {name.strip() for name in answer.headers["allow"].split(",")}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"a": NaN}', b"{}{}", b"[]", b"null", b'"x"', b"[" * 60_000])
@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_a_body_that_is_no_json_object(alice: Person, method: str, path: str, content: bytes) -> None:
    expect_problem(alice.request(method, path, content=content), "not_json")


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_the_bound_on_a_body(alice: Person, method: str, path: str) -> None:
    expect_problem(alice.request(method, path, content=b"[]".ljust(65_536)), "not_json")
    expect_problem(alice.request(method, path, content=b"[]".ljust(65_537)), "body_too_large")
    expect_problem(alice.request(method, path, content=b"[]".ljust(1_500_000)), "body_too_large")


def test_every_unknown_key_is_named(alice: Person) -> None:
    body = {"type": "private", "username": alice.username, "a": 1, "b": {"c": 2}}
    errors = expect_problem(alice.request("POST", "/v2/chats", json=body), "validation_failed", "a", "b")
    assert errors == {"a": ["Unknown field"], "b": ["Unknown field"]}
