"""Serving the page."""

import gzip
import re

import httpx
import pytest

from tests.support.client import Api
from tests.support.expect import expect_error
from tests.support.server import Server


@pytest.fixture
def main_script(anybody: Api) -> str:
    """The path of the page's script."""
    found = re.search(r'src="(/page/\w+/main\.js)"', anybody.request("GET", "/").text)
    assert found
    return found[1]


def test_the_page_may_run_and_load_what_is_ours_alone(anybody: Api, main_script: str) -> None:
    for path in ("/", main_script):
        headers = anybody.request("GET", path).headers
        policy = headers["content-security-policy"].split("; ")
        assert policy[0] == "default-src 'self'"
        assert "frame-ancestors 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert not re.search("unsafe|http|data:", headers["content-security-policy"])
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_page_is_asked_for_anew_and_its_files_are_kept(anybody: Api, main_script: str) -> None:
    assert anybody.request("GET", "/").headers["cache-control"] == "no-cache"
    assert "immutable" in anybody.request("GET", main_script).headers["cache-control"]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_what_one_has_is_not_sent_again(anybody: Api, encoding: str) -> None:
    headers = {"Accept-Encoding": encoding}
    first = anybody.request("GET", "/", headers=headers)
    assert first.status_code == 200
    for known in (first.headers["etag"], f"W/{first.headers['etag']}", f'"other", {first.headers["etag"]}', "*"):
        again = anybody.request("GET", "/", headers={**headers, "If-None-Match": known})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == first.headers["etag"]
    assert anybody.request("GET", "/", headers={**headers, "If-None-Match": '"other"'}).status_code == 200


def test_files_are_compressed_for_those_who_can_read_it(server: Server, main_script: str) -> None:
    plain_headers, plain = raw(server, main_script, "identity")
    assert "content-encoding" not in plain_headers
    assert "content-encoding" not in raw(server, main_script, "gzip; q=0, br")[0]
    packed_headers, packed = raw(server, main_script, "br, gzip")
    assert packed_headers["content-encoding"] == "gzip"
    assert packed_headers["etag"] != plain_headers["etag"]
    assert gzip.decompress(packed) == plain
    for headers in (plain_headers, packed_headers):
        assert headers["content-type"] == "text/javascript; charset=utf-8"
        assert headers["vary"] == "accept-encoding"


def raw(server: Server, path: str, encoding: str) -> tuple[httpx.Headers, bytes]:
    """An answer's headers, and its body as it was on the wire."""
    with server.http.stream("GET", path, headers={"Accept-Encoding": encoding}) as answer:
        return answer.headers, b"".join(answer.iter_raw())


def test_head_has_the_headers_alone(anybody: Api, main_script: str) -> None:
    for path in ("/", main_script):
        answer = anybody.request("HEAD", path)
        assert answer.status_code == 200
        assert answer.content == b""
        assert answer.headers["etag"] == anybody.request("GET", path).headers["etag"]


@pytest.mark.parametrize("name", ["nothing.js", "../files.py", "..%2ffiles.py", "app.js", "styles", "index.html"])
def test_there_is_nothing_else(anybody: Api, main_script: str, name: str) -> None:
    expect_error(anybody.request("GET", main_script.replace("main.js", name)), 404)


def test_another_version_is_not_there(anybody: Api) -> None:
    expect_error(anybody.request("GET", "/page/0123456789abcdef/main.js"), 404)
