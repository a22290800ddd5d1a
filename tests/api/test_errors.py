"""Errors that no route of its own makes, and the routes beside the API."""

import http.client
import socket
import threading
from contextlib import closing

import httpx
import pytest

from tests.support.client import Api, Person, new_name
from tests.support.expect import expect_error, expect_error_body
from tests.support.server import Server

WITH_BODY = [
    ("POST", "/v1/users/register"),
    ("POST", "/v1/users/login"),
    ("PATCH", "/v1/users/{}"),
    ("POST", "/v1/chats/private"),
    ("POST", "/v1/messages/send"),
]

UNKNOWN_PATHS = [
    "/nowhere",
    "/v1",
    "/v1/",
    "/v1/messages",
    "/v1/users/a/b/c",
    "/v1/messages/send/x",
    "/v3/users/register",
    "/service/nowhere",
    "/%00",
    "/%FF%FE",
    "/" + "a" * 4000,
]

WRONG_METHODS = [
    ("DELETE", "/v1/messages/send"),
    ("GET", "/v1/messages/send"),
    ("POST", "/v1/messages/poll/0b0b6b5e-8f5c-4f0e-9d0c-6d2a8c1f4e3a"),
    ("GET", "/v1/chats/private"),
    ("PUT", "/v1/users/somebody"),
    ("POST", "/ping"),
]


def test_ping(anybody: Api) -> None:
    answer = anybody.request("GET", "/ping")
    assert answer.status_code == 200
    assert answer.content == b""


def test_live_and_ready(server: Server) -> None:
    assert server.monitor("GET", "/service/live").status_code == 200
    assert server.monitor("GET", "/service/ready").status_code == 200


@pytest.mark.parametrize("path", UNKNOWN_PATHS, ids=lambda path: path[:20])
@pytest.mark.parametrize("method", ["GET", "POST", "PROPFIND"])
def test_an_unknown_path_is_not_found(anybody: Api, method: str, path: str) -> None:
    expect_error(anybody.request(method, path), 404)


@pytest.mark.parametrize(("method", "path"), WRONG_METHODS)
def test_a_wrong_method_is_told_the_right_ones(alice: Person, method: str, path: str) -> None:
    answer = alice.request(method, path)
    expect_error(answer, 405)
    allowed = {name.strip() for name in answer.headers["allow"].split(",")}
    assert allowed
    assert method not in allowed


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b'{"a": NaN}', b"{}{}", b'{"a":1,}', b"'a'", b"\xef\xbb\xbf{}"]
)
@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_a_body_that_is_not_json(alice: Person, method: str, path: str, content: bytes) -> None:
    expect_error(alice.request(method, path.format(alice.username), content=content), 400)


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_an_oversized_body(alice: Person, method: str, path: str) -> None:
    content = b'{"user": {}, "message": {}, "target_username": "%s"}' % alice.username.encode()
    expect_error(alice.request(method, path.format(alice.username), content=content.ljust(16_001)), 413)
    expect_error(alice.request(method, path.format(alice.username), content=content.ljust(100_000)), 413)


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_an_oversized_body_of_unknown_length(alice: Person, method: str, path: str) -> None:
    chunks = (b" " * 1000 for _ in range(20))
    headers = {"Authorization": f"Bearer {alice.token}"}
    expect_error(alice.http.request(method, path.format(alice.username), content=chunks, headers=headers), 413)


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
@pytest.mark.parametrize("length", [16_001, 100_000])
def test_a_connection_outlives_an_oversized_body(alice: Person, method: str, path: str, length: int) -> None:
    connection = http.client.HTTPConnection(alice.http.base_url.host, alice.http.base_url.port, timeout=30)
    headers = {"Authorization": f"Bearer {alice.token}"}
    with closing(connection):
        for _ in range(2):
            connection.request(method, path.format(alice.username), b" " * length, headers)
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, answer.getheader("connection")) == (413, None)


@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_a_body_that_is_not_read_to_its_end_closes_the_connection(alice: Person, method: str, path: str) -> None:
    # Said, so that the client does not send its next request into a connection that is about to close.
    connection = http.client.HTTPConnection(alice.http.base_url.host, alice.http.base_url.port, timeout=30)
    headers = {"Authorization": f"Bearer {alice.token}", "Content-Length": "10000000"}
    with closing(connection):
        connection.request(method, path.format(alice.username), b" " * 1_100_000, headers)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("connection")) == (413, "close")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/msgpack",
        "application/json; charset=utf-16",
        "nonsense",
        "",
    ],
)
def test_any_content_type_is_taken_as_json(alice: Person, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    register = b'{"user": {"username": "%s", "password": "Passw0rd!", "display_name": "Somebody"}}'
    requests = [
        ("POST", "/v1/users/register", register % new_name().encode(), 200),
        ("POST", "/v1/users/login", register % alice.username.encode(), 200),
        ("PATCH", f"/v1/users/{alice.username}", b'{"user": {"biography": "Hello"}}', 200),
        ("POST", "/v1/chats/private", b'{"target_username": "%s"}' % alice.username.encode(), 201),
        ("POST", "/v1/messages/send", b'{"message": {"chat_id": "pc:none", "payload": "x"}}', 404),
    ]
    for method, path, content, status in requests:
        answer = alice.request(method, path, content=content, headers=headers)
        assert answer.status_code == status, (path, answer.text)


def test_a_body_sent_in_pieces_is_taken_whole(alice: Person) -> None:
    content = b'{"message": {"chat_id": "%s", "payload": "x"}}' % alice.chat_with(alice).encode()
    pieces = (content[index : index + 1] for index in range(len(content)))
    headers = {"Authorization": f"Bearer {alice.token}"}
    assert alice.http.post("/v1/messages/send", content=pieces, headers=headers).status_code == 202


def test_a_client_that_leaves_before_its_body_is_complete_does_no_harm(server: Server, alice: Person) -> None:
    with socket.create_connection((alice.http.base_url.host, alice.http.base_url.port or 80)) as connection:
        connection.sendall(
            b"POST /v1/messages/send HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
            b"Authorization: Bearer %s\r\n\r\n{" % (alice.token or "").encode()
        )
    assert alice.start().status_code == 200


def test_every_route_survives_many_clients_at_once(server: Server, alice: Person) -> None:
    failures: list[httpx.Response] = []

    def ask() -> None:
        for path in ["/ping", f"/v1/users/{alice.username}", "/v1/messages/poll/x", "/nowhere", "/docs/openapi.json"]:
            answer = alice.request("GET", path)
            if answer.status_code >= 500:
                failures.append(answer)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_head_request_has_no_body(alice: Person) -> None:
    answer = alice.request("HEAD", "/nowhere")
    assert answer.content == b""
    assert answer.status_code in (404, 405)


def test_every_answer_carries_an_id_of_its_own(alice: Person) -> None:
    answers = [
        alice.request("GET", "/ping"),
        alice.request("GET", "/nowhere"),
        alice.profile(alice.username),
        alice.start(),
        alice.poll("x"),
        alice.send("pc:none", "text"),
    ]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == len(answers)


# Testing mode


def test_the_clock_cannot_be_set_outside_of_testing(server: Server) -> None:
    expect_error(server.monitor("PUT", "/service/clock", json={"offset_sec": 1}), 404)


def test_a_query_string_does_no_harm(alice: Person) -> None:
    assert alice.request("GET", f"/v1/users/{alice.username}?a=%00&b=%FF&&&").status_code == 200
    expect_error_body(alice.request("GET", "/v1/messages/poll/x?y=%zz"))
