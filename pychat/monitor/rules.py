"""What protects the requests that change something."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler

from pychat.edge_headers import LISTENER, edge_header
from pychat.errors import Refused
from pychat.requests import AnyRequest
from pychat.settings import parse_listen

AnyConnection = ASGIConnection[Any, Any, Any, Any]

MAX_CLOCK_OFFSET_SEC = 10 * 365 * 86_400
"""Ten years: far beyond any lifetime here, and far from the ends of the clock."""


def operators_only(connection: AnyConnection, _: BaseRouteHandler) -> None:
    """A guard: what came through the public listener finds no such route.

    Raises:
        NotFoundException
    """
    if edge_header(connection.scope, LISTENER) == "public":
        raise NotFoundException


def require_operator(request: AnyRequest) -> None:
    """Refuses what a web page could make an operator's browser send: such a request has the page's host or, sent
    across origins without asking first, no JSON type.

    Raises:
        Refused: 403, 415.
    """
    host, port = _own_address(request)
    names = {host, f"[{host}]", "localhost"}
    if request.headers.get("host", "").lower() not in {f"{name}:{port}" for name in names}:
        raise Refused(403, "The Host header is not this listener's")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refused(415, "The body's type is not application/json")


def check_clock_offset(offset_sec: float) -> None:
    """Raises:
    Refused: 400, the clock would be more than ten years off.
    """
    if abs(offset_sec) > MAX_CLOCK_OFFSET_SEC:
        raise Refused(400, "The request body has invalid fields", {"offset_sec": ["The offset is at most ten years"]})


def _own_address(request: AnyRequest) -> tuple[str, int | None]:
    """Of the listener that the request came through."""
    listener = edge_header(request.scope, LISTENER)
    if listener is None:
        return request.scope["server"] or ("", None)
    return parse_listen(listener.removeprefix("monitor "))
