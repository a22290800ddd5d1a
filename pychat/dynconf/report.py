"""What dynamic config is in force, from where and how old: as the running server tells, else as far as one can tell
from outside."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

import msgspec
from msgspec import Raw

from pychat.dynconf.client import ConfigClient, ConfigServiceError
from pychat.dynconf.fallback import load_fallback
from pychat.dynconf.schemas import KEYS, DynamicConfig, keys_of, merge
from pychat.dynconf.service_source import CACHE, read_cache
from pychat.settings import Settings

Row: TypeAlias = tuple[str, object, str]
Report: TypeAlias = tuple[str, list[Row]]


class Heard(NamedTuple):
    values: Mapping[str, Raw]
    source: str
    heading: str


def service_url(settings: Settings) -> str:
    """Where the configs of a server with these settings are read and changed."""
    if settings.dynamic_config.url:
        return settings.dynamic_config.url
    return _server_url(settings)


async def report(settings: Settings) -> Report:
    """A line that says from where and how old it is, and each field, its value and where that is from.

    Raises:
        DynamicConfigError: no server runs, and the fallback file is of no use.
    """
    url = _server_url(settings)
    client = ConfigClient(url)
    try:
        told = await client.in_force()
    except ConfigServiceError as error:
        heading, rows = await _report_from_outside(settings)
        return f"no server tells what it goes by: {error}\n{heading}", rows
    finally:
        await client.close()
    heading = f"dynamic config in force at {url}, from the {told.source}, heard {_shown(told.age_sec)} ago"
    source = dict.fromkeys(told.given, told.source)
    return _with_notes(heading, told.refused), _rows(told.config, lambda key: source.get(key, "fallback"))


def _server_url(settings: Settings) -> str:
    return f"http://{settings.monitor.listen if settings.edge.enabled else settings.http.listen}"


async def _report_from_outside(settings: Settings) -> Report:
    file = settings.dynamic_config.fallback
    fallback = load_fallback(file)
    heard = await _hear(settings)
    config, refused = merge(heard.values, absent=fallback, invalid=fallback)
    given = keys_of(heard.values.keys() - refused.keys())
    start = "default" if file is None else str(file)
    return _with_notes(heard.heading, refused), _rows(config, lambda key: heard.source if key in given else start)


def _with_notes(heading: str, refused: Mapping[str, str]) -> str:
    return "".join([heading, *(f"; ignored: {reason}" for reason in refused.values())])


def _rows(config: DynamicConfig, source_of: Callable[[str], str]) -> list[Row]:
    values = msgspec.to_builtins(config)
    return [
        (f"{key}.{name}", value, source_of(key)) for key, fields in values.items() for name, value in fields.items()
    ]


async def _hear(settings: Settings) -> Heard:
    service = settings.dynamic_config.service
    client = ConfigClient(service_url(settings))
    try:
        found = await client.values(service, list(KEYS))
    except ConfigServiceError as error:
        return _hear_cache(settings, client.shown, str(error))
    finally:
        await client.close()
    age = f"as of its last change {_ago(found.updated_at)}" if found.configs else "which has set nothing"
    return Heard(found.configs, client.shown, f"dynamic config of {service} by {client.shown}, {age}")


def _hear_cache(settings: Settings, url: str, away: str) -> Heard:
    if settings.dynamic_config.url:
        file = settings.database.data_dir / CACHE
        try:
            values, age_sec = read_cache(file, url, settings.dynamic_config.service)
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
