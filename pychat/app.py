"""Puts the application together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
from litestar import Litestar
from litestar.datastructures import State

from pychat._core import Core, Requests
from pychat.chats import routes as chats
from pychat.chats import routes_v2 as chats_v2
from pychat.database.pool import Database
from pychat.docs.routes import docs_handlers
from pychat.dynconf import routes as dynconf
from pychat.dynconf.current import CurrentConfig
from pychat.dynconf.schemas import DynamicConfig, GcTask
from pychat.dynconf.sources import source_of
from pychat.errors import add_common_headers, answer_exception
from pychat.journal.upkeep import EVERY_SEC as HISTORY_EVERY_SEC
from pychat.journal.upkeep import TASK as HISTORY_TASK
from pychat.journal.upkeep import keep_history_in_shape
from pychat.journal.writer import JournalWriter
from pychat.loader import run_loader
from pychat.messages import routes as messages
from pychat.messages import routes_v2 as messages_v2
from pychat.monitor import routes as monitor
from pychat.monitor import sources
from pychat.monitor.loop_lag import LoopLag
from pychat.monitor.metrics import Metrics
from pychat.monitor.process import process_metrics
from pychat.monitor.watching import log_edge_requests
from pychat.services import Services
from pychat.settings import Settings
from pychat.sweeper import TASK as GC_TASK
from pychat.sweeper import Sweeper
from pychat.tasks import Task, run_by_time
from pychat.users import routes as users
from pychat.users import routes_v2 as users_v2
from pychat.users.passwords import Passwords
from pychat.web import routes as web

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
    sweeper = Sweeper(core)
    tasks = _tasks(settings, core, database, current, sweeper)
    requests = Requests(logged=settings.log.level == "debug")
    loop_lag = LoopLag()
    metrics = Metrics(
        partial(sources.hub_metrics, core),
        partial(sources.request_metrics, requests),
        partial(sources.database_metrics, database),
        partial(sources.config_metrics, current),
        partial(sources.task_metrics, tasks),
        loop_lag.metrics,
        sources.build_info,
        process_metrics,
    )
    services = Services(
        settings=settings,
        database=database,
        config_source=source_of(settings, database, current),
        signing_key=signing_key,
        core=core,
        dynamic_config=current,
        passwords=Passwords(),
        tasks=tasks,
        requests=requests,
        metrics=metrics,
        journal=JournalWriter(core, database),
    )
    parts = [users, users_v2, chats, chats_v2, messages, messages_v2, monitor, dynconf]
    handlers = [handler for part in parts for handler in part.handlers]
    return Litestar(
        [*handlers, *docs_handlers(handlers), *web.handlers],
        state=State({"services": services}),
        lifespan=[partial(_background_tasks, loop_lag=loop_lag, sweeper=sweeper)],
        exception_handlers={Exception: answer_exception},
        before_send=[add_common_headers],
        openapi_config=None,
        logging_config=None,
    )


def _tasks(
    settings: Settings, core: Core, database: Database, current: CurrentConfig, sweeper: Sweeper
) -> dict[str, Task]:
    """What operators can run, by name."""
    keep_history = partial(keep_history_in_shape, database, lambda: current.value.history)
    tasks = [Task(GC_TASK, sweeper.sweep), Task(HISTORY_TASK, keep_history, every_sec=HISTORY_EVERY_SEC)]
    if settings.testing.enabled:
        tasks.append(Task("reset-task", partial(asyncio.to_thread, core.reset)))
    return {task.name: task for task in tasks}


@asynccontextmanager
async def _background_tasks(app: Litestar, loop_lag: LoopLag, sweeper: Sweeper) -> AsyncIterator[None]:
    services: Services = app.state.services
    core, database = services.core, services.database
    # Before the first request.
    await services.config_source.refresh()

    def gc_config() -> GcTask:
        return services.dynamic_config.value.gc_task

    # Nothing is served before: messages would be refused, and another process may still serve this database.
    await services.journal.open()
    tasks = [
        asyncio.create_task(services.config_source.run(), name="dynamic-config"),
        asyncio.create_task(services.journal.run(), name="journal"),
        asyncio.create_task(run_loader(core, database.own, services.settings.chats.max_per_user), name="loader"),
        asyncio.create_task(sweeper.run(gc_config, services.tasks[GC_TASK]), name="sweeper"),
        asyncio.create_task(database.keep_asking(), name="database state"),
        asyncio.create_task(loop_lag.measure(), name="loop lag"),
    ]
    if services.settings.log.level == "debug":
        tasks.append(asyncio.create_task(log_edge_requests(services.requests), name="request log"))
    by_time = [task for task in services.tasks.values() if task.every_sec is not None]
    tasks += [asyncio.create_task(run_by_time(task), name=task.name) for task in by_time]
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
        log.critical("a background task ended; restart the server", task=task.get_name(), exc_info=task.exception())
