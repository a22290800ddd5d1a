"""`/service` for operators and probes, and `/ping`."""

from types import NoneType

from litestar import Response, get, put

from pychat.docs.doc import Doc
from pychat.errors import Refused
from pychat.monitor import rules
from pychat.monitor.schemas import ClockBody, StateAnswer
from pychat.requests import AnyRequest, parse_fields, read_body
from pychat.services import services_of


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
    return StateAnswer("ready")


@put(
    "/service/clock",
    opt={
        "doc": Doc(
            bodies=(ClockBody,),
            answers={200: NoneType},
            errors={
                403: "The Host header is not this listener's",
                404: "The server is not in testing mode",
                415: "The body's type is not JSON",
            },
            token=False,
        )
    },
)
async def set_clock(request: AnyRequest) -> Response[bytes]:
    """Puts the clock that sessions, limiters and tokens are judged by ahead of the machine's."""
    services = services_of(request.scope)
    if not services.settings.testing.enabled:
        raise Refused(404, "There is no such route")
    rules.require_operator(request)
    offset_sec = parse_fields(await read_body(request.receive), ClockBody).offset_sec
    rules.check_clock_offset(offset_sec)
    services.core.set_clock_offset(offset_sec)
    return Response(b"null", media_type="application/json")


handlers = [ping, show_live, show_ready, set_clock]
