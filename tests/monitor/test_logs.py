"""What the log says at debug: a line a request, each with its id, and nothing that is anybody's secret."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest
import structlog

from pychat.logs import configure_logs
from pychat.settings import Log
from tests.conftest import QUICK_POLLS, Launch
from tests.support.client import Person
from tests.support.door import Door
from tests.support.postgres import execute
from tests.support.server import SIGNING_KEY, Options, Server
from tests.support.wait import wait_until

DEBUG = {"PYCHAT_LOG__LEVEL": "debug", "PYCHAT_LOG__FORMAT": "json"}

PASSWORD = "Zebra-Crossing-77"
NEW_PASSWORD = "Yak-Shaving-88"
TEXT = "the moon is a distinctive cheese"
BIOGRAPHY = "an unmistakable biography"


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch(QUICK_POLLS, **DEBUG) as started:
        yield started


def lines(server: Server) -> list[dict[str, Any]]:
    # The last may not be there to its end.
    whole, _, _ = server.log.rpartition("\n")
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]


def lines_of(server: Server, request_id: str) -> list[dict[str, Any]]:
    return [line for line in lines(server) if line.get("request_id") == request_id]


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("POST", "/v1/messages/poll/start", "/v1/messages/poll/start", 200),
        ("POST", "/v1/messages/send", "/v1/messages/send", 400),
        ("GET", "/v1/messages/poll/none", "/v1/messages/poll/{session_id}", 410),
        ("GET", "/v1/users/nobody", "/v1/users/{username}", 404),
        ("GET", "/v1/nothing", "other", 404),
    ],
)
def test_a_request_is_one_line_with_its_id(
    server: Server, alice: Person, method: str, path: str, route: str, status: int
) -> None:
    answer = alice.request(method, path, content=b"{}")
    assert answer.status_code == status
    request_id = answer.headers["x-request-id"]
    wait_until(lambda: bool(lines_of(server, request_id)), "the request is logged")
    [line] = lines_of(server, request_id)
    assert line["level"] == "debug"
    assert (line["method"], line["route"], line["status"]) == (method, route, status)
    assert line["ms"] >= 0


def test_no_secret_and_no_text_is_logged(server: Server, door: Door) -> None:
    http = server.http
    tokens: list[str] = []

    def post(path: str, body: object, token: str = "none", method: str = "POST") -> Any:
        answer = http.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
        return answer, answer.json()

    name = f"nora{door.name}"
    user = {"username": name, "password": PASSWORD, "display_name": "Nora", "biography": BIOGRAPHY}
    tokens.append(post("/v1/users/register", {"user": user})[1]["user"]["token"])
    tokens.append(post("/v1/users/login", {"user": {"username": name, "password": PASSWORD}})[1]["token"])
    nora = Person(http, name, tokens[-1])
    chat_id = nora.chat_with(nora)
    session = nora.session()
    nora.says(chat_id, TEXT)
    nora.tells(nora, TEXT)
    assert session.read_texts(2) == [TEXT, TEXT]
    # What goes wrong as well.
    post("/v1/messages/send", {"message": {"chat_id": TEXT, "payload": TEXT}}, tokens[-1])
    post("/v1/messages/send", {"message": TEXT}, tokens[-1])
    post("/v1/users/login", {"user": {"username": name, "password": PASSWORD + "?"}})
    post("/v1/users/register", {"user": user})
    post(f"/v1/users/{name}?password={PASSWORD}", {"user": {"password": NEW_PASSWORD}}, tokens[-1], "PATCH")
    last, _ = post("/v1/messages/poll/start", None, tokens[-1])
    assert last.status_code == 401

    wait_until(lambda: bool(lines_of(server, last.headers["x-request-id"])), "the last request is logged")
    log = server.log
    assert len(lines(server)) > 10
    for secret in (PASSWORD, NEW_PASSWORD, TEXT, BIOGRAPHY, SIGNING_KEY, "Bearer", session.session_id, *tokens):
        assert secret not in log
    # Nor any part of a token that would serve as one.
    assert not re.search(r"eyJ[\w-]+\.[\w-]+\.", log)


def test_an_unexpected_failure_is_logged_without_secrets(server_options: Callable[..., Options]) -> None:
    server = Server(server_options(QUICK_POLLS, **DEBUG))
    try:
        execute(server.options.environment["PYCHAT_DATABASE__URL"], "DROP TABLE users CASCADE")
        answer = server.anonymous().register("somebody", PASSWORD, "Nora", biography=BIOGRAPHY)
        assert answer.status_code == 500
        request_id = answer.headers["x-request-id"]
        wait_until(lambda: len(lines_of(server, request_id)) == 2, "the failure and the request are logged")
        assert "Traceback" in lines_of(server, request_id)[0]["exception"]
        assert PASSWORD not in server.log
        assert BIOGRAPHY not in server.log
    finally:
        server.kill()


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_row_that_breaks_a_constraint_is_not_logged(server_options: Callable[..., Options], style: str) -> None:
    server = Server(server_options(QUICK_POLLS, PYCHAT_LOG__FORMAT=style))
    try:
        execute(server.database_url, "ALTER TABLE users ADD CONSTRAINT no_nora CHECK (display_name <> 'Nora')")
        answer = server.anonymous().register("somebody", PASSWORD, "Nora", biography=BIOGRAPHY)
        assert answer.status_code == 500
        wait_until(lambda: "no_nora" in server.log, "the failure is logged")
        assert "CheckViolationError" in server.log
        for secret in ("Failing row", "argon2", BIOGRAPHY, PASSWORD):
            assert secret not in server.log
    finally:
        server.kill()


def test_no_error_of_the_database_quotes_what_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    error = asyncpg.InvalidTextRepresentationError(f"invalid input: {TEXT}")
    vars(error).update(detail=TEXT, hint=TEXT, context=TEXT, query=TEXT)
    failures = (error, ExceptionGroup("several", [error]), _raised_from(error))
    try:
        configure_logs(Log(format="json"))
        for failure in failures:
            structlog.get_logger("test").error("as it happens", exc_info=failure)
            logging.getLogger("test").error("as it happens", exc_info=failure)
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True)
    logged = capsys.readouterr().err
    assert logged.count("InvalidTextRepresentationError: SQLSTATE 22P02") == 2 * len(failures)
    assert TEXT not in logged
    assert error.detail == TEXT
    assert TEXT in error.args[0]


def _raised_from(cause: Exception) -> Exception:
    try:
        raise RuntimeError("the outcome") from cause
    except RuntimeError as error:
        return error
