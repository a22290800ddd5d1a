"""One way from an exception to the error body of the contract, in the form of the version that was asked."""

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

PROBLEM = "application/problem+json"

BRIEF = ("configs", "admin")
"""The first segments of the routes of the dynamic-config service, whose errors have `code` and `message` alone."""

CODES = {
    "not_json": 400,
    "validation_failed": 400,
    "malformed_request": 400,
    "token_missing": 401,
    "token_invalid": 401,
    "token_expired": 401,
    "token_revoked": 401,
    "user_gone": 401,
    "forbidden": 403,
    "may_not_post": 403,
    "no_such_route": 404,
    "chat_not_found": 404,
    "user_not_found": 404,
    "method_not_allowed": 405,
    "name_taken": 409,
    "too_many_chats": 409,
    "body_too_large": 413,
    "rate_limited": 429,
    "unexpected_failure": 500,
    "application_unavailable": 503,
    "database_unavailable": 503,
    "journal_full": 503,
    "outcome_unknown": 503,
    "overloaded": 503,
    "stopping": 503,
    "too_many_connections": 503,
}
"""The words by which clients of version 2 decide, and the status of each; `rust/api/refusal.rs` uses the same ones."""

# Of refusals that were not given a word.
_USUAL_CODES = {
    401: "token_invalid",
    403: "forbidden",
    404: "no_such_route",
    405: "method_not_allowed",
    413: "body_too_large",
    500: "unexpected_failure",
    503: "overloaded",
}


class ErrorDetails(msgspec.Struct):
    """`errors` maps each field at fault to the reasons; a sentence where no field is to blame."""

    errors: dict[str, list[str]] | str


class ErrorBody(msgspec.Struct):
    """The body of every error of version 1; `code` is the HTTP status."""

    code: str
    message: str
    details: ErrorDetails


class BriefErrorBody(msgspec.Struct):
    """The body of every error of the dynamic-config service."""

    code: str
    message: str


class Problem(msgspec.Struct):
    """The body of every error of version 2, as in RFC 9457. Decide by `code`; `errors` maps each field or parameter at
    fault to the reasons."""

    status: int
    title: str
    detail: str
    code: str
    errors: dict[str, list[str]] | msgspec.UnsetType = msgspec.UNSET


class Refused(Exception):
    """A request that is turned down with `status`.

    Args:
        status: the HTTP status, 400 to 599.
        message: one sentence for people.
        errors: the fields at fault and why; `message` again where no field is.
        code: one of `CODES`, where the status does not say enough.
    """

    def __init__(
        self, status: int, message: str, errors: dict[str, list[str]] | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors
        self.code = code or _USUAL_CODES.get(status, "malformed_request")


def problem(code: str, detail: str, errors: dict[str, list[str]] | None = None) -> Refused:
    """A refusal by its word."""
    return Refused(CODES[code], detail, errors, code)


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
            reply = exc.problem if _is_version_2(request) else exc.reply
            return _response(reply.status, reply.body, reply.media_type, retry_after=reply.retry_after)
        case Refused():
            return _refusal(request, exc)
        case DatabaseUnavailable():
            return _refusal(request, problem("database_unavailable", "The database is unavailable"))
        case HTTPException() if exc.status_code < 500:
            message = _LITESTAR_MESSAGES.get(exc.status_code, HTTPStatus(exc.status_code).phrase)
            return _refusal(request, Refused(exc.status_code, message), exc.headers)
    failure = request_id(request.scope)
    log.error("unexpected failure", request_id=failure, method=request.method, path=request.url.path, exc_info=exc)
    return _refusal(request, Refused(500, f"Unexpected failure, logged as {failure}"))


def _refusal(
    request: Request[Any, Any, Any], refused: Refused, headers: dict[str, str] | None = None
) -> Response[bytes]:
    status, message, errors = refused.status, refused.message, refused.errors
    retry_after = RETRY_SEC if status == 503 else None
    body: ErrorBody | BriefErrorBody | Problem
    if _is_version_2(request):
        body = Problem(status, HTTPStatus(status).phrase, message, refused.code, errors or msgspec.UNSET)
        return _response(status, msgspec.json.encode(body), PROBLEM, headers, retry_after)
    if request.scope["path"].lstrip("/").partition("/")[0] in BRIEF:
        body = BriefErrorBody(str(status), message)
    else:
        body = ErrorBody(str(status), message, ErrorDetails(errors or message))
    return _response(status, msgspec.json.encode(body), "application/json", headers, retry_after)


def _response(
    status: int, body: bytes, media_type: str, headers: dict[str, str] | None = None, retry_after: int | None = None
) -> Response[bytes]:
    headers = dict(headers or {})
    if status == 401:
        headers |= CHALLENGE
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    return Response(body, status_code=status, headers=headers, media_type=media_type)


def _is_version_2(request: Request[Any, Any, Any]) -> bool:
    path = request.scope["path"]
    return path == "/v2" or path.startswith("/v2/")


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
