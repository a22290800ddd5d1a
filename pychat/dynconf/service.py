"""The dynamic-config service alone, for whoever speaks its protocol: no chat server beside it."""

import asyncio

import msgspec
from litestar import Litestar
from litestar.datastructures import State

from pychat.database.embedded import EmbeddedPostgres
from pychat.database.migrate import migrate
from pychat.database.pool import Database
from pychat.dynconf.routes import handlers
from pychat.errors import add_common_headers, answer_exception
from pychat.listeners import ListenError, application, free_address
from pychat.monitor.routes import ping
from pychat.server import open_database, until_stopped
from pychat.services import ConfigServices
from pychat.settings import Settings, parse_listen
from pychat.unread_bodies import taking_unread_bodies


async def serve(settings: Settings) -> int:
    """Serves at `dynamic_config.listen` until a signal, as a chat server does. Returns the exit code."""
    return await until_stopped(settings, _serve)


def create_service(settings: Settings, database: Database) -> Litestar:
    """The ASGI application."""
    # No edge is in front, which the headers of requests could be believed of.
    alone = msgspec.structs.replace(settings, edge=msgspec.structs.replace(settings.edge, enabled=False))
    services = ConfigServices(settings=alone, database=database, config_source=None)
    return Litestar(
        [*handlers, ping],
        state=State({"services": services}),
        exception_handlers={Exception: answer_exception},
        before_send=[add_common_headers],
        openapi_config=None,
        logging_config=None,
    )


async def _serve(settings: Settings, postgres: EmbeddedPostgres | None) -> None:
    address = free_address("dynamic_config.listen", settings.dynamic_config.listen)
    host, port = parse_listen(address)
    async with open_database(settings, postgres) as database:
        await migrate(database)
        app = taking_unread_bodies(create_service(settings, database))
        async with application(app, settings, address=host, port=port) as served:
            print(f"pychat serves dynamic configs on http://{address}\n  to stop      Ctrl+C", flush=True)
            await asyncio.wait([served])
        raise ListenError("the listener stopped unexpectedly")
