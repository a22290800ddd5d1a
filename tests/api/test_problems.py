"""Version 2's errors, whatever causes them: problems by RFC 9457 with a word to decide by."""

import pytest

from tests.support.client import Api
from tests.support.door import through_the_edge
from tests.support.expect import expect_error, expect_problem

UNKNOWN_PATHS = ["/v2", "/v2/", "/v2/nowhere", "/v2/chats/x/y/z", "/v2/users/register/", "/v2/%00", "/v2/%FF"]


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
