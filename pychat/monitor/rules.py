"""Who may ask what operators ask, and what protects the requests that change something."""

import hmac

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from pychat.edge_headers import LISTENER, edge_header, header
from pychat.errors import Refused
from pychat.requests import AnyRequest, authorization
from pychat.settings import parse_listen

REFUSALS = {
    401: "The operators' token is missing or wrong",
    403: "Without such a token: the Host header is not this listener's",
    415: "The body's type is not JSON",
}
"""What every request that changes something can be refused for."""

OPERATORS = {"service", "configs", "admin"}
"""The first segments of the operators' routes."""

MAX_CLOCK_OFFSET_SEC = 10 * 365 * 86_400
"""Ten years: far beyond any lifetime here, and far from the ends of the clock."""


def hiding_operators_routes(app: ASGIApp) -> ASGIApp:
    """`app` behind the edge, but that what came through the public listener finds no route of the operators', whatever
    its method: Litestar's guards are not asked where it is wrong, nor for OPTIONS."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        first_segment = scope["path"].lstrip("/").partition("/")[0]
        if first_segment in OPERATORS and header(scope, LISTENER) == "public":
            scope["path"] = "/nowhere"
        await app(scope, receive, send)

    return answer


def require_operator(request: AnyRequest, admin_token: str) -> None:
    """Refuses who does not present `admin_token`. Where there is none, what a web page could make an operator's browser
    send: such a request has the page's host or, sent across origins without asking first, no JSON type.

    Raises:
        Refused: 401, 403, 415.
    """
    if admin_token:
        # No web page has it, so that the listener may go by any name.
        _require_token(request, admin_token)
    else:
        _require_own_host(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refused(415, "The body's type is not application/json")


def _require_token(request: AnyRequest, admin_token: str) -> None:
    scheme, _, token = (authorization(request.scope) or "").partition(" ")
    is_given = hmac.compare_digest(token.strip().encode("latin-1"), admin_token.encode())
    if not (scheme.lower() == "bearer" and is_given):
        raise Refused(401, "The operators' token (monitor.admin_token) is missing or wrong")


def _require_own_host(request: AnyRequest) -> None:
    host, port = _own_address(request)
    names = {host, f"[{host}]", "localhost"}
    if request.headers.get("host", "").lower() not in {f"{name}:{port}" for name in names}:
        raise Refused(403, "The Host header is not this listener's")


def check_clock_offset(offset_sec: float) -> None:
    """Raises:
    Refused: 400, the clock would be more than ten years off.
    """
    if abs(offset_sec) > MAX_CLOCK_OFFSET_SEC:
        raise Refused(400, "The request body has invalid fields", {"offset_sec": ["The offset is at most ten years"]})


def parse_labels(text: str) -> dict[str, str]:
    """Raises:
    Refused: 400, it is not a JSON object of strings.
    """
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except (ValueError, RecursionError):
        raise Refused(400, "The query is invalid", {"labels": ["Expected a JSON object of strings"]}) from None


def _own_address(request: AnyRequest) -> tuple[str, int | None]:
    """Of the listener that the request came through."""
    listener = edge_header(request.scope, LISTENER)
    if listener is None:
        return request.scope["server"] or ("", None)
    return parse_listen(listener.removeprefix("monitor "))
