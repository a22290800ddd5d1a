"""What dynamic config is in force, from where and how old, as far as one can tell from outside of a server."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from msgspec import Raw

from pychat.database.pool import without_secrets
from pychat.dynconf.client import ConfigClient, ConfigServiceError
from pychat.dynconf.fallback import load_fallback
from pychat.dynconf.schemas import KEYS, MISSPELLED, merge
from pychat.dynconf.service_source import CACHE, read_cache
from pychat.settings import Settings


class Heard(NamedTuple):
    values: Mapping[str, Raw]
    source: str
    heading: str


def service_url(settings: Settings) -> str:
    """Where the configs of a server with these settings are read and changed."""
    if settings.dynamic_config.url:
        return settings.dynamic_config.url
    return f"http://{settings.monitor.listen if settings.edge.enabled else settings.http.listen}"


async def report(settings: Settings) -> tuple[str, list[tuple[str, object, str]]]:
    """A line that says from where and how old it is, and each field, its value and where that is from.

    Raises:
        DynamicConfigError: the fallback file is of no use.
    """
    file = settings.dynamic_config.fallback
    fallback = load_fallback(file)
    heard = await _hear(settings)
    config, refused = merge(heard.values, absent=fallback, invalid=fallback)
    rows: list[tuple[str, object, str]] = []
    for key, fields in msgspec.to_builtins(config).items():
        given = {key, MISSPELLED.get(key)} & heard.values.keys() - refused.keys()
        source = heard.source if given else "default" if file is None else str(file)
        rows += [(f"{key}.{field}", value, source) for field, value in fields.items()]
    notes = [f"; ignored: {reason}" for reason in refused.values()]
    return "".join([heard.heading, *notes]), rows


async def _hear(settings: Settings) -> Heard:
    service, url = settings.dynamic_config.service, service_url(settings)
    shown = without_secrets(url)
    client = ConfigClient(url)
    try:
        found = await client.values(service, list(KEYS))
    except ConfigServiceError as error:
        return _hear_cache(settings, str(error))
    finally:
        await client.close()
    age = f"as of its last change {_ago(found.updated_at)}" if found.configs else "which has set nothing"
    return Heard(found.configs, shown, f"dynamic config of {service} by {shown}, {age}")


def _hear_cache(settings: Settings, away: str) -> Heard:
    if settings.dynamic_config.url:
        file = settings.database.data_dir / CACHE
        try:
            values, age_sec = read_cache(file)
        except (OSError, ValueError, RecursionError):
            pass
        else:
            return Heard(values, str(file), f"dynamic config as it was heard {_shown(age_sec)} ago; {away}")
    return Heard({}, "", f"dynamic config that a server starts with; {away}")


def _ago(moment: str) -> str:
    """`moment` is as a config service writes it, which need not be ours."""
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    return f"{_shown(time.time() - (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp())} ago"


def _shown(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
