"""What an error must look like, whatever caused it."""

import re
from typing import Any

import httpx

from pychat.errors import CODES

# What would give away the inside of the server: stacks, queries, paths of the host, names of its parts.
SECRETS = re.compile(r"Traceback|\bSELECT\b|\bINSERT\b|/home/|/root/|/usr/|/var/|/tmp/|site-packages|asyncpg|panicked")


def expect_error(response: httpx.Response, status: int, *fields: str) -> dict[str, Any]:
    """Asserts the contract's error body with this status, blaming at least the named fields.

    Returns `details.errors` when it is an object, else an empty one.
    """
    assert response.status_code == status, f"{response.status_code} instead of {status}: {response.text}"
    return expect_error_body(response, *fields)


def expect_error_body(response: httpx.Response, *fields: str) -> dict[str, Any]:
    """As `expect_error`, whatever the status."""
    status = response.status_code
    assert status >= 400, response.text
    assert response.headers["content-type"].split(";")[0] == "application/json"
    body = response.json()
    assert set(body) == {"code", "message", "details"}, body
    assert body["code"] == str(status)
    assert isinstance(body["message"], str)
    assert body["message"]
    assert set(body["details"]) == {"errors"}, body
    errors = body["details"]["errors"]
    assert not SECRETS.search(response.text), response.text
    if status in (429, 503):
        assert int(response.headers["retry-after"]) >= 1
    if isinstance(errors, str):
        assert not fields, f"expected errors for {fields}, got {errors!r}"
        return {}
    for reasons in errors.values():
        assert isinstance(reasons, list)
        assert reasons
        assert all(isinstance(reason, str) and reason for reason in reasons)
    assert set(fields) <= set(errors), f"expected errors for {fields}, got {errors}"
    return dict(errors)


def expect_problem(response: httpx.Response, code: str, *fields: str) -> dict[str, Any]:
    """Asserts version 2's error body with this code and its status, blaming exactly the named fields.

    Returns its `errors`, or an empty object.
    """
    assert response.status_code == CODES[code], f"{response.status_code} instead of {code}: {response.text}"
    errors = expect_problem_body(response)
    assert response.json()["code"] == code
    assert set(errors) == set(fields), f"expected errors for {fields}, got {errors}"
    return errors


def expect_problem_body(response: httpx.Response) -> dict[str, Any]:
    """As `expect_problem`, whatever the code."""
    status = response.status_code
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = response.json()
    # The fields' names are the client's own.
    assert not SECRETS.search(f"{body | {'errors': list(body.get('errors', {}).values())}}"), response.text
    assert set(body) - {"errors"} == {"status", "title", "detail", "code"}, body
    assert CODES[body["code"]] == body["status"] == status >= 400, body
    assert body["title"]
    assert body["detail"]
    if status in (429, 503):
        assert int(response.headers["retry-after"]) >= 1
    if status == 401:
        assert response.headers["www-authenticate"] == "Bearer"
    errors = body.get("errors", {})
    assert ("errors" in body) == (body["code"] == "validation_failed"), body
    for reasons in errors.values():
        assert reasons
        assert all(isinstance(reason, str) and reason for reason in reasons)
    return dict(errors)
