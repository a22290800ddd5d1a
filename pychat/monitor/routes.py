"""`/service` for operators and probes, and `/ping`."""

import asyncio
from types import NoneType

from litestar import Response, get, post, put
from litestar.params import FromPath

from pychat.docs.doc import Doc
from pychat.dynconf.protocol import InForce
from pychat.errors import Refused
from pychat.monitor import rules
from pychat.monitor.formats import PROMETHEUS_TYPE, as_json, as_prometheus
from pychat.monitor.schemas import ClockBody, MonitorQuery, StateAnswer, TaskAnswer, TasksAnswer
from pychat.requests import AnyRequest, parse_fields, parse_query, read_body
from pychat.services import services_of
from pychat.tasks import Task


@get("/ping", media_type="text/plain", opt={"doc": Doc(answers={200: None}, token=False)})
async def ping() -> bytes:
    """Says that the server is reached."""
    return b""


@get("/service/live", opt={"doc": Doc(answers={200: StateAnswer}, token=False)})
async def show_live() -> StateAnswer:
    """Whether the process runs."""
    return StateAnswer("live")


@get(
    "/service/ready",
    opt={"doc": Doc(answers={200: StateAnswer}, errors={503: "Something is missing; it is named"}, token=False)},
)
async def show_ready(request: AnyRequest) -> StateAnswer:
    """Whether the server may get traffic."""
    services = services_of(request.scope)
    if services.core.is_stopping:
        raise Refused(503, "Not ready: the server is stopping")
    if not await services.database.ready():
        raise Refused(503, "Not ready: the database does not answer")
    if not services.journal.is_writing:
        raise Refused(503, "Not ready: messages cannot be stored, the database does not answer")
    return StateAnswer("ready")


@put(
    "/service/clock",
    opt={
        "doc": Doc(
            bodies=(ClockBody,),
            answers={200: NoneType},
            errors={404: "The server is not in testing mode", **rules.REFUSALS},
            token=False,
        )
    },
)
async def set_clock(request: AnyRequest) -> Response[bytes]:
    """Puts the clock that sessions, limiters and tokens are judged by ahead of the machine's."""
    services = services_of(request.scope)
    if not services.settings.testing.enabled:
        raise Refused(404, "There is no such route")
    rules.require_operator(request, services.settings.monitor.admin_token)
    offset_sec = parse_fields(await read_body(request.receive), ClockBody).offset_sec
    rules.check_clock_offset(offset_sec)
    services.core.set_clock_offset(offset_sec)
    return Response(b"null", media_type="application/json")


@get(
    "/service/monitor",
    opt={
        "doc": Doc(
            answers={200: None},
            errors={400: "A parameter is wrong; it is named"},
            query=MonitorQuery,
            token=False,
        )
    },
)
async def show_metrics(request: AnyRequest) -> Response[bytes]:
    """All metrics, in Prometheus's text format or in the JSON of the original server."""
    query = parse_query(request.scope, MonitorQuery)
    labels = rules.parse_labels(query.labels)
    write, media_type = (as_json, "application/json") if query.format == "json" else (as_prometheus, PROMETHEUS_TYPE)
    # Beside the loop, which has requests to answer.
    body = await asyncio.to_thread(write, services_of(request.scope).metrics.collect(), query.prefix, labels)
    return Response(body, media_type=media_type)


@get("/service/config", opt={"doc": Doc(answers={200: InForce}, token=False)})
async def show_config(request: AnyRequest) -> InForce:
    """The dynamic config in force, from where and how old it is."""
    current = services_of(request.scope).dynamic_config
    return InForce(current.value, current.source, current.age_sec, sorted(current.given), dict(current.refused))


@get("/service/tasks", opt={"doc": Doc(answers={200: TasksAnswer}, token=False)})
async def list_tasks(request: AnyRequest) -> TasksAnswer:
    """The background tasks, and how the last run of each went."""
    return TasksAnswer([_shown(task) for task in services_of(request.scope).tasks.values()])


@post(
    "/service/tasks/{name:str}",
    status_code=200,
    opt={
        "doc": Doc(
            answers={200: TaskAnswer},
            errors={404: "There is no such task", 503: "The task needs the database, which is away", **rules.REFUSALS},
            token=False,
        )
    },
)
async def run_task(request: AnyRequest, name: FromPath[str]) -> TaskAnswer:
    """Runs a background task now, without pauses, and answers when it is done."""
    services = services_of(request.scope)
    rules.require_operator(request, services.settings.monitor.admin_token)
    task = services.tasks.get(name)
    if task is None:
        raise Refused(404, "There is no such task")
    await task.run()
    return _shown(task)


def _shown(task: Task) -> TaskAnswer:
    run = task.last_run
    if run is None:
        return TaskAnswer(task.name, None, None, None)
    return TaskAnswer(task.name, run.began_at, run.took_sec, run.outcome)


handlers = [ping, show_live, show_ready, set_clock, show_metrics, show_config, list_tasks, run_task]
