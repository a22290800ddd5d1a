"""Puts the application together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from litestar import Litestar
from litestar.datastructures import State

from pychat._core import Core
from pychat.chats import routes as chats
from pychat.database.pool import Database
from pychat.docs.routes import docs_handlers
from pychat.dynconf.current import CurrentConfig
from pychat.dynconf.schemas import DynamicConfig
from pychat.errors import add_common_headers, answer_exception
from pychat.loader import run_loader
from pychat.messages import routes as messages
from pychat.monitor import routes as monitor
from pychat.services import Services
from pychat.settings import Settings
from pychat.sweeper import run_sweeper
from pychat.users import routes as users
from pychat.users.passwords import Passwords

log = structlog.get_logger("pychat.app")


def create_app(settings: Settings, database: Database, signing_key: bytes, dynamic_config: DynamicConfig) -> Litestar:
    """The ASGI application. Its parts are a `Services` in `app.state.services`.

    Args:
        settings: what the process was started with.
        database: the pool; whoever made it closes it, after the application's lifespan.
        signing_key: for the tokens, at least 32 bytes.
        dynamic_config: the snapshot in force from the start.
    """
    core = Core(signing_key=signing_key)
    current = CurrentConfig(core, dynamic_config)
    services = Services(settings, signing_key, database, core, current, Passwords())
    handlers = [*users.handlers, *chats.handlers, *messages.handlers, *monitor.handlers]
    return Litestar(
        [*handlers, *docs_handlers(handlers)],
        state=State({"services": services}),
        lifespan=[_background_tasks],
        exception_handlers={Exception: answer_exception},
        before_send=[add_common_headers],
        openapi_config=None,
        logging_config=None,
    )


@asynccontextmanager
async def _background_tasks(app: Litestar) -> AsyncIterator[None]:
    services: Services = app.state.services
    tasks = [
        asyncio.create_task(run_loader(services.core, services.database), name="loader"),
        asyncio.create_task(run_sweeper(services.core, services.dynamic_config), name="sweeper"),
    ]
    for task in tasks:
        task.add_done_callback(_report_failure)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        services.passwords.close()


def _report_failure(task: asyncio.Task[None]) -> None:
    """A task that nobody awaits would end in silence."""
    if not task.cancelled():
        log.critical("a background task ended", task=task.get_name(), exc_info=task.exception())
