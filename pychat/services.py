"""What the handlers of one application share."""

from collections.abc import Mapping
from dataclasses import dataclass

from litestar.types import Scope

from pychat._core import Core, Identity, Requests
from pychat.database.pool import Database
from pychat.dynconf.current import CurrentConfig
from pychat.monitor.metrics import Metrics
from pychat.requests import authorization
from pychat.settings import Settings
from pychat.tasks import Task
from pychat.users.passwords import Passwords


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that `create_app` puts together; handlers take them from `app.state.services`."""

    settings: Settings
    signing_key: bytes
    database: Database
    core: Core
    dynamic_config: CurrentConfig
    passwords: Passwords
    tasks: Mapping[str, Task]
    requests: Requests
    metrics: Metrics


def services_of(scope: Scope) -> Services:
    """The services of the application that this request belongs to."""
    services: Services = scope["litestar_app"].state.services
    return services


async def authenticate(scope: Scope) -> Identity:
    """Who sent this request.

    Raises:
        ApiError: 401 for a token that is not valid now, 503 where the user cannot be looked up.
    """
    return await services_of(scope).core.authenticate(authorization(scope))
