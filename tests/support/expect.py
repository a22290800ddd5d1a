"""What an error must look like, whatever caused it."""

import re
from typing import Any

import httpx

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
