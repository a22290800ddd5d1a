"""`/configs` and `/admin/v1/configs`: the dynamic-config service, in the protocol that userver services speak."""

from typing import TypeVar

import msgspec
from litestar import post

from pychat.docs.doc import Doc
from pychat.dynconf import rules, store
from pychat.dynconf.protocol import DEFAULT_SERVICE, ConfigsBody, DeletionBody, ValuesAnswer, ValuesBody
from pychat.dynconf.schemas import told
from pychat.errors import Refused
from pychat.monitor.rules import REFUSALS, require_operator
from pychat.requests import AnyRequest, read_body
from pychat.services import ConfigServices, config_services_of

T = TypeVar("T")

_ERRORS = {413: f"The body is over {rules.MAX_BODY_BYTES:,} bytes", 503: "The database is away"}
_ADMIN_ERRORS = {**_ERRORS, **REFUSALS}


@post(
    "/configs/values",
    status_code=200,
    opt={
        "doc": Doc(
            bodies=(ValuesBody,),
            answers={200: ValuesAnswer},
            errors=_ERRORS,
            token=False,
        )
    },
)
async def show_values(request: AnyRequest) -> ValuesAnswer:
    """The configs of a service: those named, its own going before the default service's; without names, all of its
    own. With `updated_since`, those changed and removed since."""
    body = await _parsed(request, ValuesBody)
    since = rules.parse_time(body.updated_since) if body.updated_since else None
    service, names = body.service or DEFAULT_SERVICE, body.ids or None
    rules.check_names([service, *(names or ())])
    found = await store.read(config_services_of(request.scope).database, service, names, since)
    return ValuesAnswer(found.values, found.updated_at, msgspec.UNSET if since is None else found.removed)


@post(
    "/admin/v1/configs",
    status_code=204,
    opt={"doc": Doc(bodies=(ConfigsBody,), answers={204: None}, errors=_ADMIN_ERRORS, token=False)},
)
async def put_configs(request: AnyRequest) -> None:
    """Sets configs of a service; those of the chat server itself are in force with its next request."""
    services = _services_for_admin(request)
    body = await _parsed(request, ConfigsBody)
    if not body.configs or not body.service:
        raise Refused(400, "Fields 'configs' and 'service' are required")
    rules.check_names([body.service, *body.configs])
    rules.check_values(body.configs, body.service, services.settings.dynamic_config.service)
    try:
        await store.put(services.database, body.service, body.configs)
    except store.Unstorable as error:
        raise Refused(400, f"{error}: the database has no room for a NUL or such a number in this value") from None
    await _follow(services)


@post(
    "/admin/v1/configs/delete",
    status_code=204,
    opt={"doc": Doc(bodies=(DeletionBody,), answers={204: None}, errors=_ADMIN_ERRORS, token=False)},
)
async def delete_configs(request: AnyRequest) -> None:
    """Deletes configs of a service; what holds without them does so from the next request on."""
    services = _services_for_admin(request)
    body = await _parsed(request, DeletionBody)
    if not body.ids or not body.service:
        raise Refused(400, "Fields 'ids' and 'service' are required")
    rules.check_names([body.service, *body.ids])
    await store.remove(services.database, body.service, body.ids)
    await _follow(services)


def _services_for_admin(request: AnyRequest) -> ConfigServices:
    """What serves a request that changes something, which only an operator may send."""
    services = config_services_of(request.scope)
    require_operator(request, services.settings.monitor.admin_token)
    return services


async def _follow(services: ConfigServices) -> None:
    """Puts in force here what was just committed, before it is answered."""
    if services.config_source is not None:
        await services.config_source.refresh()


async def _parsed(request: AnyRequest, shape: type[T]) -> T:
    body = await read_body(request.receive, rules.MAX_BODY_BYTES)
    if len(body) > rules.MAX_BODY_BYTES:
        raise Refused(413, f"The request body is over {rules.MAX_BODY_BYTES:,} bytes")
    try:
        # As text: what is kept raw is not looked at otherwise.
        return msgspec.json.decode(body.decode(), type=shape)
    except msgspec.ValidationError as error:
        raise Refused(400, told(error)) from None
    except ValueError:
        raise Refused(400, "The request body is not valid JSON") from None
    except RecursionError:
        raise Refused(400, "The request body is nested too deep") from None


handlers = [show_values, put_configs, delete_configs]
