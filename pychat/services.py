"""What the handlers of one application share."""

from collections.abc import Mapping
from dataclasses import dataclass

from litestar.types import Scope

from pychat._core import Core, Identity, Requests
from pychat.database.pool import Database, asker
from pychat.dynconf.current import CurrentConfig
from pychat.dynconf.sources import ConfigSource
from pychat.journal.writer import JournalWriter
from pychat.monitor.metrics import Metrics
from pychat.requests import authorization
from pychat.settings import Settings
from pychat.tasks import Task
from pychat.users.passwords import Passwords


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigServices:
    """What the dynamic-config service needs, beside a chat server or alone."""

    settings: Settings
    database: Database
    config_source: ConfigSource | None
    """Where the chat server here has its own config from, if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(ConfigServices):
    """The parts that `create_app` puts together; handlers take them from `app.state.services`."""

    config_source: ConfigSource
    signing_key: bytes
    core: Core
    dynamic_config: CurrentConfig
    passwords: Passwords
    tasks: Mapping[str, Task]
    requests: Requests
    metrics: Metrics
    journal: JournalWriter


def config_services_of(scope: Scope) -> ConfigServices:
    """The services of the application that this request belongs to, which may be the dynamic-config service alone."""
    services: ConfigServices = scope["litestar_app"].state.services
    return services


def services_of(scope: Scope) -> Services:
    """The services of the application that this request belongs to."""
    services: Services = scope["litestar_app"].state.services
    return services


async def authenticate(scope: Scope) -> Identity:
    """Who sent this request; from here on it has its user's share of the database's connections.

    Raises:
        ApiError: 401 for a token that is not valid now, 503 where the user cannot be looked up.
    """
    identity = await services_of(scope).core.authenticate(authorization(scope))
    asker.set(identity.user_id)
    return identity
