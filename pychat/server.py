"""The life of the server process: start, serve, stop."""

import asyncio
import gc
import ipaddress
import resource
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from pychat._core import end_at_second_signal
from pychat.app import create_app
from pychat.database.embedded import EmbeddedPostgres
from pychat.database.migrate import MigrationError, migrate
from pychat.database.pool import Database, DatabaseUnavailable, without_secrets
from pychat.database.server_files import EmbeddedPostgresError
from pychat.dynconf.fallback import load_fallback
from pychat.dynconf.schemas import DynamicConfigError
from pychat.journal.session import TakenOver
from pychat.listeners import Addresses, ListenError, free_addresses, listening
from pychat.settings import Settings, SettingsError, parse_listen
from pychat.users.keys import load_signing_key

# What an operator can set right, or whoever starts the server again: told in one line, without a stack.
START_ERRORS = (
    SettingsError,
    DynamicConfigError,
    EmbeddedPostgresError,
    DatabaseUnavailable,
    MigrationError,
    ListenError,
    TakenOver,
)


Work = Callable[[Settings, EmbeddedPostgres | None], Awaitable[None]]


async def serve(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT; a second one ends the process at once. Returns the exit code."""
    return await until_stopped(settings, _serve)


async def until_stopped(settings: Settings, work: Work) -> int:
    """Does `work`, with the embedded server it may have to start, until a signal as for `serve`."""
    postgres = None if settings.database.url else EmbeddedPostgres(settings.database.data_dir)
    stopping = _stop_on_signals(postgres)
    try:
        await work(settings, postgres)
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
    signing_key = load_signing_key(settings)
    async with open_database(settings, postgres) as database:
        app = create_app(settings, database, signing_key, dynamic_config)
        journal = app.state.services.journal
        # First, so that whoever served this database until now has left it, and the addresses, which may be the same.
        await journal.lock()
        await migrate(database)
        # Before it is noted who serves this database: one that cannot listen must leave whoever can alone.
        addresses = free_addresses(settings)
        await journal.open()
        # Entered here, not by Granian, so that it is left also when Granian's own stop must be cut short.
        async with app.lifespan():
            try:
                async with listening(app, settings, addresses) as application:
                    # What there is by now stays. A full collection would go through it all, for some 30 ms in which no
                    # message is stored.
                    gc.collect()
                    gc.freeze()
                    _announce(settings, addresses)
                    taken_over = asyncio.create_task(journal.taken_over.wait())
                    await asyncio.wait([application, taken_over], return_when=asyncio.FIRST_COMPLETED)
                    taken_over.cancel()
            finally:
                # What goes on in the background is not to wait for a database that does not answer.
                await database.close()
        raise TakenOver if journal.taken_over.is_set() else ListenError("the listener stopped unexpectedly")


def _stop_on_signals(postgres: EmbeddedPostgres | None) -> asyncio.Event:
    """Cancels the running task at the first signal; the event tells that this was the cause. A second signal ends the
    process, also where the loop hangs and hears of neither."""
    stopping = asyncio.Event()
    main = asyncio.current_task()
    assert main is not None

    def on_signal() -> None:
        stopping.set()
        if postgres:
            postgres.stop_soon()
        main.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    end_at_second_signal()
    return stopping


def _raise_open_files_limit() -> None:
    """Every parked poll is an open file, and the usual limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _link(public: str) -> str:
    """Where a browser on this machine finds the page."""
    host, port = parse_listen(public)
    if ipaddress.ip_address(host).is_unspecified:
        return f"http://localhost:{port}/"
    return f"http://{public}/"


def _announce(settings: Settings, addresses: Addresses) -> None:
    database = settings.database
    where = without_secrets(database.url) if database.url else f"embedded Postgres in {database.data_dir}"
    key = "auth.signing_key" if settings.auth.signing_key else settings.auth.key_file
    print(
        f"pychat listens on http://{addresses.public}\n"
        f"  operators    http://{addresses.monitor}/service/ready\n"
        f"  database     {where}\n"
        f"  signing key  {key}\n"
        "  to stop      Ctrl+C\n"
        f"  to chat      {_link(addresses.public)}",
        flush=True,
    )
