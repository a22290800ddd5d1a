"""One way from an exception to the error body of the contract."""

import secrets
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import Message, Scope

from pychat._core import ApiError
from pychat.database.pool import DatabaseUnavailable
from pychat.edge_headers import REQUEST_ID, edge_header

log = structlog.get_logger("pychat.errors")

RETRY_SEC = 1
"""What a 503 asks to wait: a restarting database or a burst of logins is over in about that time."""

CHALLENGE = {"www-authenticate": "Bearer"}
"""Every 401 says by what one may identify oneself, as RFC 9110 has it."""


class ErrorDetails(msgspec.Struct):
    """`errors` maps each field at fault to the reasons; a sentence where no field is to blame."""

    errors: dict[str, list[str]] | str


class ErrorBody(msgspec.Struct):
    """The body of every error; `code` is the HTTP status."""

    code: str
    message: str
    details: ErrorDetails


class Refused(Exception):
    """A request that is turned down with `status`.

    Args:
        status: the HTTP status, 400 to 599.
        message: one sentence for people.
        errors: the fields at fault and why; `message` again where no field is.
    """

    def __init__(self, status: int, message: str, errors: dict[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors


# Litestar's own refusals; their texts speak of its inner workings, so ours replace them.
_LITESTAR_MESSAGES = {
    400: "The request is malformed",
    404: "There is no such route",
    405: "This route does not know that method",
    413: "The request body is too large",
}


def answer_exception(request: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
    """The table: what each exception that leaves a handler tells the client."""
    match exc:
        case ApiError():
            return _response(exc.reply.status, exc.reply.body, retry_after=exc.reply.retry_after)
        case Refused():
            return _refusal(exc.status, exc.message, exc.errors)
        case DatabaseUnavailable():
            return _refusal(503, "The database is unavailable")
        case HTTPException() if exc.status_code < 500:
            message = _LITESTAR_MESSAGES.get(exc.status_code, HTTPStatus(exc.status_code).phrase)
            return _refusal(exc.status_code, message, headers=exc.headers)
    failure = request_id(request.scope)
    log.error("unexpected failure", request_id=failure, method=request.method, path=request.url.path, exc_info=exc)
    return _refusal(500, f"Unexpected failure, logged as {failure}")


def _refusal(
    status: int,
    message: str,
    errors: dict[str, list[str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response[bytes]:
    body = ErrorBody(str(status), message, ErrorDetails(errors or message))
    return _response(status, msgspec.json.encode(body), headers, RETRY_SEC if status == 503 else None)


def _response(
    status: int, body: bytes, headers: dict[str, str] | None = None, retry_after: int | None = None
) -> Response[bytes]:
    headers = dict(headers or {})
    if status == 401:
        headers |= CHALLENGE
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def request_id(scope: Scope) -> str:
    """The id that the answer to this request carries in `X-Request-Id`."""
    state = scope["state"]
    if "request_id" not in state:
        state["request_id"] = edge_header(scope, REQUEST_ID) or secrets.token_hex(8)
    return str(state["request_id"])


async def add_common_headers(message: Message, scope: Scope) -> None:
    """Litestar's `before_send` hook: every answer carries its id."""
    if message["type"] == "http.response.start":
        message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id(scope).encode())]
