"""The OpenAPI document: valid, and complete enough to generate a client from."""

import re
from typing import Any

import pytest
from openapi_spec_validator import validate

from pychat.errors import CODES
from tests.support.client import Api
from tests.support.server import Server

# Every route of the contract with every status it answers with, beside those that any route may.
CONTRACT: dict[tuple[str, str], set[int]] = {
    ("post", "/v1/users/register"): {200, 400, 409, 413, 503},
    ("post", "/v1/users/login"): {200, 400, 401, 413, 503},
    ("get", "/v1/users/{username}"): {200, 401, 404, 503},
    ("patch", "/v1/users/{username}"): {200, 400, 401, 403, 409, 413, 503},
    ("delete", "/v1/users/{username}"): {200, 401, 403, 404, 503},
    ("get", "/v1/users/username/{username}"): {200, 401, 404, 503},
    ("post", "/v1/chats/private"): {200, 201, 400, 401, 404, 409, 413, 503},
    ("post", "/v1/messages/poll/start"): {200, 401, 429, 503},
    ("get", "/v1/messages/poll/{session_id}"): {200, 401, 409, 410, 503},
    ("post", "/v1/messages/send"): {202, 400, 401, 403, 404, 409, 413, 429, 503},
    ("get", "/ping"): {200},
}
# Of version 2 the words as well.
TOKEN = {"token_missing", "token_invalid", "token_expired", "token_revoked", "user_gone", "database_unavailable"}
BODY = {"not_json", "validation_failed", "malformed_request", "body_too_large"}
QUERY = {"validation_failed", "malformed_request"}
CONTRACT_2: dict[tuple[str, str], tuple[set[int], set[str]]] = {
    ("post", "/v2/chats"): ({200, 201}, TOKEN | BODY | {"user_not_found", "too_many_chats"}),
    ("get", "/v2/chats"): ({200}, TOKEN | QUERY),
    ("get", "/v2/chats/{chat_id}/messages"): ({200}, TOKEN | QUERY | {"chat_not_found"}),
    ("put", "/v2/chats/{chat_id}/read"): ({200}, TOKEN | BODY | {"chat_not_found"}),
    ("get", "/v2/users"): ({200}, TOKEN | QUERY),
    ("get", "/v2/users/{username}"): ({200}, TOKEN | {"user_not_found"}),
}
OPEN = {"/v1/users/register", "/v1/users/login", "/ping"}
OPERATORS = ("/service/", "/configs/", "/admin/")
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def document(server: Server) -> dict[str, Any]:
    answer = server.anonymous().request("GET", "/docs/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json())


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def operation_of(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    return dict(document["paths"][path][method])


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        place: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        schema = place
    return schema


def json_schema(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    return resolve(document, resolve(document, part)["content"]["application/json"]["schema"])


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


@pytest.mark.parametrize(("method", "path"), CONTRACT)
def test_a_route_is_documented_with_every_status(document: dict[str, Any], method: str, path: str) -> None:
    documented = {int(status) for status in operation_of(document, method, path)["responses"]}
    assert CONTRACT[method, path] <= documented


@pytest.mark.parametrize(("method", "path"), CONTRACT_2)
def test_a_route_of_version_2_is_documented_with_every_code(document: dict[str, Any], method: str, path: str) -> None:
    answers, codes = CONTRACT_2[method, path]
    responses = operation_of(document, method, path)["responses"]
    assert {int(status) for status in responses if int(status) < 400} == answers
    documented = {
        (int(status), code)
        for status, response in responses.items()
        for code in re.findall("`(.+?)`", response["description"])
    }
    assert documented == {(CODES[code], code) for code in codes | {"unexpected_failure"}}


def test_every_error_of_version_2_is_a_problem(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if path.startswith("/v2/") and int(status) >= 400:
                (media_type, content) = next(iter(resolve(document, response)["content"].items()))
                assert media_type == "application/problem+json", (method, path, status)
                schema = resolve(document, content["schema"])
                assert set(schema["required"]) == {"status", "title", "detail", "code"}


def test_the_parameters_of_a_query_are_described(document: dict[str, Any]) -> None:
    described = {
        parameter["name"]: parameter
        for parameter in operation_of(document, "get", "/v2/users")["parameters"]
        if parameter["in"] == "query"
    }
    assert set(described) == {"query", "after", "limit"}
    assert [name for name, parameter in described.items() if parameter["required"]] == ["query"]
    assert described["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 50, "default": 20}


def test_every_documented_route_is_served(server: Server, document: dict[str, Any]) -> None:
    anybody = server.anonymous()
    nowhere = {anybody.request("GET", path).text for path in ("/nowhere", "/v2/nowhere")}
    for method, path, _ in operations(document):
        if path == "/service/clock":
            continue  # only in testing mode
        base = server.monitor_url if path.startswith(OPERATORS) else server.url
        answer = anybody.request(method.upper(), base + re.sub(r"\{.*?\}", "x", path))
        assert answer.status_code != 405, (method, path)
        if answer.status_code == 404:
            assert answer.text not in nowhere, (method, path)


def test_every_error_has_the_error_body(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if path.startswith("/v1/") and int(status) >= 400:
                schema = json_schema(document, response)
                assert set(schema["properties"]) == {"code", "message", "details"}, (method, path, status)
                assert set(schema["required"]) == {"code", "message", "details"}, (method, path, status)


def test_who_must_wait_is_told_how_long(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if path.startswith(("/v1/", "/v2/")) and status in ("429", "503"):
                names = {name.lower() for name in resolve(document, response).get("headers", {})}
                assert "retry-after" in names, (method, path, status)


def test_every_success_has_a_body_that_is_described(document: dict[str, Any]) -> None:
    for method, path in [*CONTRACT, *CONTRACT_2]:
        if path == "/ping":
            continue
        for status, response in operation_of(document, method, path)["responses"].items():
            if int(status) < 300:
                schema = json_schema(document, response)
                assert schema.get("properties") or schema.get("type") == "null", (method, path, status)


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("post", "/v1/users/register", {"user"}),
        ("post", "/v1/users/login", {"user"}),
        ("patch", "/v1/users/{username}", {"user"}),
        ("post", "/v1/chats/private", {"target_username"}),
        ("post", "/v1/messages/send", {"message"}),
        ("post", "/v2/chats", {"type", "username"}),
        ("put", "/v2/chats/{chat_id}/read", {"message_id"}),
    ],
)
def test_a_request_body_is_described(document: dict[str, Any], method: str, path: str, fields: set[str]) -> None:
    schema = json_schema(document, operation_of(document, method, path)["requestBody"])
    for alternative in schema.get("oneOf") or schema.get("anyOf") or [schema]:
        assert set(resolve(document, alternative)["properties"]) == fields


def test_the_token_is_described(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    bearers = {name for name, scheme in schemes.items() if scheme["type"] == "http" and scheme["scheme"] == "bearer"}
    for method, path in [*CONTRACT, *CONTRACT_2]:
        security = operation_of(document, method, path).get("security", document.get("security", []))
        named = {name for requirement in security for name in requirement}
        assert bool(named & bearers) == (path not in OPEN), (method, path)


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def test_the_page_loads_nothing_from_elsewhere(anybody: Api) -> None:
    page = anybody.request("GET", "/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    loaded = re.findall(r"<(?:script|link|img)[^>]*?(?:src|href)=[\"']([^\"']+)", page.text)
    assert loaded
    for address in loaded:
        if address.startswith("data:"):
            continue
        assert re.match("/[^/]", address), address
        assert anybody.request("GET", address).status_code == 200, address
