"""Every request counted and, at debug, logged: one line, without the path, which may name people."""

import time
from typing import Any

import structlog
from litestar import Litestar
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from pychat._core import Requests
from pychat.errors import request_id

log = structlog.get_logger("pychat.requests")

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
OTHER = "other"
"""Stands for methods and paths that are none of ours, of which there may be any number."""


def watching_requests(served: ASGIApp, app: Litestar) -> ASGIApp:
    """`served`, which is `app` or wraps it, but that each of its requests is watched, and that what is logged on its
    behalf carries its id."""
    requests: Requests = app.state.services.requests

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        # As Litestar itself does first thing.
        scope["litestar_app"] = app
        scope.setdefault("state", {})

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                seconds = time.perf_counter() - began
                method: str = scope["method"]  # type: ignore[typeddict-item] # no websockets here
                method = method if method in METHODS else OTHER
                # Litestar has written it into the scope by now, unless it found no route.
                route = scope.get("path_template") or OTHER
                requests.count(method, route, message["status"], seconds)
                log_answer(method, route, message["status"], seconds)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id(scope)):
            await served(scope, receive, send_counted)

    return answer


async def log_edge_requests(requests: Requests) -> None:
    """Logs the requests that the edge answers itself, until cancelled."""
    while True:
        lines, lost = await requests.next_lines()
        for method, route, status, seconds, id_ in lines:
            log_answer(method, route, status, seconds, request_id=id_)
        if lost:
            log.warning("there were more requests than can be logged one by one; log.level info logs none", lost=lost)


def log_answer(method: str, route: str, status: int, seconds: float, **more: Any) -> None:
    """The one line of a request."""
    log.debug("answered", method=method, route=route, status=status, ms=round(seconds * 1000, 3), **more)
