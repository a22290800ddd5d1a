"""Where requests come in: the edge with Granian behind it on a Unix socket, or Granian alone."""

import asyncio
import os
import resource
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from litestar import Litestar
from litestar.types import ASGIApp

from pychat._core import Edge
from pychat.monitor.rules import hiding_operators_routes
from pychat.monitor.sources import edge_metrics
from pychat.monitor.watching import watching_requests
from pychat.services import Services
from pychat.settings import Settings, parse_listen
from pychat.socket_folder import SOCKET, socket_folder
from pychat.unread_bodies import taking_unread_bodies

log = structlog.get_logger("pychat.listeners")

LISTENING_WITHIN_SEC = 10.0
DRAIN_SEC = 1.0
"""For answers under way, once the parked polls were told to end."""

STOP_SEC = 3.0
"""They have longer, as long as a stop has not taken this; with what may follow it stays under 5 s."""

LAST_ANSWERS_SEC = 0.5
"""The end of that: who has waited for the database until then is told that it was in vain."""

FILES_RESERVED = 464
"""Open files for what is not a public connection: operators, who is turned away, idle connections to Python, the
database, the server itself."""

PASSED_ON = 500
"""Public requests that the edge passes on at a time (`rust/edge/places.rs`); each takes both ends of a connection until
the edge has all of the answer, whether its client reads it or not."""

LOOK_EVERY_SEC = 0.01
BEAT_EVERY_SEC = 1.0


class ListenError(Exception):
    """An address cannot be listened on; the message is one line."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where to listen, as `host:port`; both are one where there is no edge."""

    public: str
    monitor: str


def free_addresses(settings: Settings) -> Addresses:
    """The addresses of the settings, known to be free; a free port is chosen for port 0.

    Raises:
        ListenError: one is in use, or not of this machine.
    """
    public = free_address("http.listen", settings.http.listen)
    return Addresses(
        public, free_address("monitor.listen", settings.monitor.listen) if settings.edge.enabled else public
    )


@asynccontextmanager
async def listening(app: Litestar, settings: Settings, addresses: Addresses) -> AsyncIterator["asyncio.Task[None]"]:
    """Serves `app`, from when connections are accepted until the answers under way are out. What it yields is
    Granian's task, which ends only when it fails.

    Raises:
        ListenError
    """
    if not settings.edge.enabled:
        host, port = parse_listen(addresses.public)
        async with application(_served(app, app), settings, address=host, port=port) as served:
            try:
                yield served
            finally:
                await _stop(app.state.services)
        return
    with socket_folder() as folder:
        upstream = folder / SOCKET
        async with (
            application(_served(app, hiding_operators_routes(app)), settings, uds=upstream) as served,
            _edge(app.state.services, addresses, upstream),
        ):
            yield served


@asynccontextmanager
async def _edge(services: Services, addresses: Addresses, upstream: Path) -> AsyncIterator[None]:
    core, settings = services.core, services.settings
    try:
        edge = Edge(
            core,
            services.requests,
            listen=addresses.public,
            monitor=addresses.monitor,
            upstream=str(upstream),
            threads=settings.edge.threads,
            max_connections=_max_connections(settings),
            max_connections_per_address=settings.http.max_connections_per_address,
            trusted_proxies=settings.http.trusted_proxies,
            watchdog_sec=settings.edge.watchdog_sec,
        )
    except OSError as error:
        raise ListenError(f"cannot listen on {addresses.public} and {addresses.monitor}: {error}") from None
    services.passwords.when_full = edge.refuse_sign_ins
    beating = asyncio.create_task(_beat(edge), name="heartbeat")
    services.metrics.add(partial(edge_metrics, edge))
    try:
        yield
    finally:
        try:
            began = time.monotonic()
            # Before the polls end, so that their answers say that their connections close.
            await _stop(services, edge.drain)
            deadline = max(began + STOP_SEC, time.monotonic() + DRAIN_SEC)
            if not await _is_drained(edge, deadline - LAST_ANSWERS_SEC):
                await services.database.close()
                await _is_drained(edge, deadline)
        finally:
            edge.close()
            beating.cancel()


async def _is_drained(edge: Edge, deadline: float) -> bool:
    """Whether no connection is open any more, which is waited for."""
    while not edge.is_drained and time.monotonic() < deadline:  # noqa: ASYNC110 # Rust threads count them
        await asyncio.sleep(LOOK_EVERY_SEC)
    return edge.is_drained


def _max_connections(settings: Settings) -> int:
    """As many as wanted, and as the open files that the process may have allow.

    Raises:
        ListenError: that is none.
    """
    wanted = settings.http.max_connections
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    possible = wanted if files == resource.RLIM_INFINITY else most_connections(files)
    if possible < 1:
        raise ListenError(f"the process may have only {files} open files (ulimit -Hn): none is left for connections")
    if possible < wanted:
        # No fault of anybody's who has left the setting as it is.
        log.debug("fewer connections than http.max_connections, by the open files", max=possible, open_files=files)
    return min(wanted, possible)


def most_connections(files: int) -> int:
    """Public connections for which so many open files are enough, whatever they ask."""
    left = files - FILES_RESERVED
    return max(left - 2 * PASSED_ON, left // 3)


async def _beat(edge: Edge) -> None:
    """Tells the edge that the loop turns."""
    while True:
        edge.beat()
        await asyncio.sleep(BEAT_EVERY_SEC)


def _served(app: Litestar, inner: ASGIApp) -> ASGIApp:
    """What requests go through before `inner`, which is `app` or wraps it."""
    return watching_requests(taking_unread_bodies(inner), app)


async def _stop(services: Services, drain: Callable[[], None] = lambda: None) -> None:
    """Refuses what is new, then waits for the messages that were accepted: whoever polls meanwhile is still to get
    them. Then drains and ends the polls."""
    services.core.refuse()
    if not await services.journal.flush():
        # Whoever else waits for the database need not do so any longer.
        await services.database.close()
    drain()
    services.core.stop()


@asynccontextmanager
async def application(app: ASGIApp, settings: Settings, **where: Any) -> AsyncIterator["asyncio.Task[None]"]:
    """Granian with `app` at the address or Unix socket of `where`; what it yields is as for `listening`."""
    server = Server(
        app,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        # Without the edge parked polls spend it.
        backpressure=settings.http.max_connections,
        log_enabled=False,
        **where,
    )
    served = asyncio.create_task(server.serve(), name="application")
    try:
        await _wait_until_accepting(where, served)
        yield served
    finally:
        server.stop()  # type: ignore[no-untyped-call] # Granian's, without types
        # Open connections keep Granian from ending.
        await asyncio.wait([served], timeout=DRAIN_SEC)
        if not served.done():
            asyncio.get_running_loop().set_exception_handler(_report_unless_late)
            served.cancel()


async def _wait_until_accepting(where: dict[str, Any], served: "asyncio.Task[None]") -> None:
    deadline = time.monotonic() + LISTENING_WITHIN_SEC
    while True:
        if served.done():
            raise ListenError(f"cannot listen: {served.exception()}")
        try:
            if "uds" in where:
                _, writer = await asyncio.open_unix_connection(where["uds"])
            else:
                _, writer = await asyncio.open_connection(where["address"], where["port"])
        except OSError as error:
            if time.monotonic() > deadline:
                raise ListenError(f"cannot listen: {error}") from error
            await asyncio.sleep(LOOK_EVERY_SEC)
        else:
            writer.close()
            return


def _report_unless_late(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Granian tells its task that the connections have ended; a cancelled one does not care any more."""
    if not isinstance(context.get("exception"), asyncio.InvalidStateError):
        loop.default_exception_handler(context)


def free_address(key: str, listen: str) -> str:
    """`listen`, the value of the setting `key`, as `host:port` that is known to be free; a free port for port 0.

    Both Granian and the edge share their port with whoever else wants to (SO_REUSEPORT), so that a second server
    would go unnoticed.

    Raises:
        ListenError
    """
    host, port = parse_listen(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ListenError(f"cannot listen on {listen} ({key}): {os.strerror(error.errno or 0)}") from None
        port = probe.getsockname()[1]
    return f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
