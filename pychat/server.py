"""The life of the server process: start, serve, stop."""

import asyncio
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from litestar import Litestar

from pychat.app import create_app
from pychat.database.embedded import EmbeddedPostgres
from pychat.database.migrate import MigrationError, migrate
from pychat.database.pool import Database, DatabaseUnavailable, without_secrets
from pychat.database.server_files import EmbeddedPostgresError
from pychat.dynconf.fallback import load_fallback
from pychat.dynconf.schemas import DynamicConfigError
from pychat.settings import Settings, SettingsError, parse_listen
from pychat.users.keys import load_signing_key

MOST_CONNECTIONS = 65_536  # parked polls hold theirs
LISTENING_WITHIN_SEC = 10.0
DRAIN_SEC = 1.0  # for answers under way, once the parked polls were told to end


class ServerError(Exception):
    """The server cannot run; the message is one line."""


# What an operator can set right: told in one line, without a stack.
START_ERRORS = (
    SettingsError,
    DynamicConfigError,
    EmbeddedPostgresError,
    DatabaseUnavailable,
    MigrationError,
    ServerError,
)


async def serve(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT; a second one ends the process at once. Returns the exit code."""
    postgres = None if settings.database.url else EmbeddedPostgres(settings.database.data_dir)
    stopping = _stop_on_signals(postgres)
    try:
        await _serve(settings, postgres)
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise
    except START_ERRORS as error:
        print(f"pychat: {error}", file=sys.stderr)
        return 1
    return 0


@asynccontextmanager
async def open_database(settings: Settings, postgres: EmbeddedPostgres | None) -> AsyncIterator[Database]:
    """A pool over the database of the settings, `postgres` being the embedded server to start where there is no URL.

    Raises:
        EmbeddedPostgresError, DatabaseUnavailable
    """
    try:
        database = Database(await postgres.start() if postgres else settings.database.url)
        try:
            await database.connect()
            yield database
        finally:
            await database.close()
    finally:
        if postgres:
            await postgres.stop()


async def _serve(settings: Settings, postgres: EmbeddedPostgres | None) -> None:
    _raise_open_files_limit()
    dynamic_config = load_fallback(settings.dynamic_config.fallback)
    host, port = _free_address(settings.http.listen)
    signing_key = load_signing_key(settings)
    async with open_database(settings, postgres) as database:
        await migrate(database)
        app = create_app(settings, database, signing_key, dynamic_config)
        # Entered here, not by Granian, so that it is left also when Granian's own stop must be cut short.
        async with app.lifespan(), _listening(app, host, port) as listener:
            _announce(settings, host, port)
            await asyncio.wait([listener])
        raise ServerError("the listener stopped unexpectedly")


@asynccontextmanager
async def _listening(app: Litestar, host: str, port: int) -> AsyncIterator["asyncio.Task[None]"]:
    """Granian, from when it accepts connections until the answers under way are out."""
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        backpressure=MOST_CONNECTIONS,
        log_enabled=False,
    )
    listener = asyncio.create_task(server.serve(), name="listener")
    try:
        await _wait_until_listening(host, port, listener)
        yield listener
    finally:
        app.state.services.core.stop()
        server.stop()  # type: ignore[no-untyped-call] # Granian's, without types
        # Open connections keep Granian from ending.
        await asyncio.wait([listener], timeout=DRAIN_SEC)
        if not listener.done():
            asyncio.get_running_loop().set_exception_handler(_report_unless_late)
            listener.cancel()


async def _wait_until_listening(host: str, port: int, listener: "asyncio.Task[None]") -> None:
    deadline = time.monotonic() + LISTENING_WITHIN_SEC
    while True:
        if listener.done():
            raise ServerError(f"cannot listen on {host}:{port}: {listener.exception()}")
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError as error:
            if time.monotonic() > deadline:
                raise ServerError(f"cannot listen on {host}:{port}: {error}") from error
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


def _report_unless_late(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Granian tells its task that the connections have ended; a cancelled one does not care any more."""
    if not isinstance(context.get("exception"), asyncio.InvalidStateError):
        loop.default_exception_handler(context)


def _free_address(listen: str) -> tuple[str, int]:
    """The address to listen on, a free port chosen for port 0.

    Granian shares its port with whoever else wants to (SO_REUSEPORT), so that a second server would go unnoticed.
    """
    host, port = parse_listen(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServerError(f"cannot listen on {listen} (http.listen): {os.strerror(error.errno or 0)}") from None
        return host, probe.getsockname()[1]


def _stop_on_signals(postgres: EmbeddedPostgres | None) -> asyncio.Event:
    """Cancels the running task at the first signal; the event tells that this was the cause."""
    stopping = asyncio.Event()
    main = asyncio.current_task()
    assert main is not None

    def on_signal() -> None:
        if stopping.is_set():
            if postgres:
                postgres.kill()
            os._exit(1)
        stopping.set()
        main.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return stopping


def _raise_open_files_limit() -> None:
    """Every parked poll is an open file, and the usual limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _announce(settings: Settings, host: str, port: int) -> None:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    database = settings.database
    where = without_secrets(database.url) if database.url else f"embedded Postgres in {database.data_dir}"
    key = "auth.signing_key" if settings.auth.signing_key else settings.auth.key_file
    print(
        f"pychat listens on http://{address}\n  database     {where}\n  signing key  {key}\n  to stop      Ctrl+C",
        flush=True,
    )
