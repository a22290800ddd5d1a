"""Configs of any service in Postgres, and when each was changed or removed.

Changes are made one after the other, each with a stamp above the last: who asks for what is newer than the newest that
was there to be seen misses nothing, as a clock read before a slow commit would have him.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import asyncpg
from msgspec import Raw

from pychat.database.pool import Database
from pychat.dynconf.protocol import DEFAULT_SERVICE

if TYPE_CHECKING:
    from pychat.database.pool import Connection

    Reader: TypeAlias = Database | asyncpg.Connection[asyncpg.Record]

CHANNEL = "pychat_configs"
"""Notified of by the database at every change."""

_LOCK_KEY = 0x7079_6366_6773  # "pycfgs"; any constant that other users of the database do not take

REMOVED_FOR = timedelta(days=30)
"""How long it is told that a config was removed. Who follows changes reads everything now and then, userver's client
each minute."""

_STAMP = """
    SELECT greatest(clock_timestamp(), max(stamp) + interval '1 microsecond') FROM (
        SELECT max(updated_at) AS stamp FROM configs UNION ALL SELECT max(removed_at) FROM configs_removed
    ) AS stamps
"""
_PUT = """
    INSERT INTO configs (service, config_name, config_value, created_at, updated_at)
    SELECT $1, name, value::jsonb, $4, $4 FROM unnest($2::text[], $3::text[]) AS given (name, value)
    ON CONFLICT (service, config_name)
    DO UPDATE SET config_value = excluded.config_value, updated_at = excluded.updated_at
"""
_REMOVE = """
    WITH gone AS (DELETE FROM configs WHERE service = $1 AND config_name = ANY($2) RETURNING config_name)
    INSERT INTO configs_removed (service, config_name, removed_at) SELECT $1, config_name, $3 FROM gone
    ON CONFLICT (service, config_name) DO UPDATE SET removed_at = excluded.removed_at
"""
_READ = """
    SELECT service, config_name, config_value, updated_at AS stamp FROM configs
    WHERE service = ANY($1) AND ($2::text[] IS NULL OR config_name = ANY($2))
    UNION ALL
    SELECT service, config_name, NULL, removed_at FROM configs_removed
    WHERE service = ANY($1) AND ($2::text[] IS NULL OR config_name = ANY($2))
"""


class Unstorable(Exception):
    """The value of this config is no JSON that Postgres can hold."""


class Configs(NamedTuple):
    values: dict[str, Raw]
    removed: list[str]
    updated_at: datetime


async def put(database: Database, service: str, values: Mapping[str, Raw]) -> None:
    """Stores all of `values`, or none of them.

    Raises:
        Unstorable: naming the first that cannot be.
    """
    texts = {name: bytes(value).decode() for name, value in values.items()}
    try:
        async with database.transaction() as connection:
            stamp = await _begin_change(connection)
            await connection.execute(_PUT, service, list(texts), list(texts.values()), stamp)
            await connection.execute(
                "DELETE FROM configs_removed WHERE service = $1 AND config_name = ANY($2)", service, list(texts)
            )
    except asyncpg.DataError:
        await _refuse_unstorable(database, texts)
        raise


async def remove(database: Database, service: str, names: Sequence[str]) -> None:
    """Removes what is there of `names`, and forgets what was removed long ago."""
    async with database.transaction() as connection:
        stamp = await _begin_change(connection)
        await connection.execute(_REMOVE, service, names, stamp)
        await connection.execute("DELETE FROM configs_removed WHERE removed_at < $1", stamp - REMOVED_FOR)


async def read(
    reader: "Reader", service: str, names: Sequence[str] | None = None, since: datetime | None = None
) -> Configs:
    """The configs `names` as they hold for `service`: its own before the default service's. Without names, all of its
    own. With `since`, those that have changed after it."""
    services = [service] if names is None else [service, DEFAULT_SERVICE]
    rows = await reader.fetch(_READ, services, names)
    by_name: dict[str, dict[str, asyncpg.Record]] = {}
    for row in rows:
        by_name.setdefault(row["config_name"], {})[row["service"]] = row
    values, removed = {}, []
    for name, by_service in by_name.items():
        value, stamp = _in_force(by_service, service)
        if since is not None and stamp <= since:
            continue
        if value is None:
            removed.append(name)
        else:
            values[name] = Raw(value.encode())
    newest = max((row["stamp"] for row in rows), default=since or datetime.fromtimestamp(0, UTC))
    return Configs(values, removed, newest)


async def _refuse_unstorable(database: Database, texts: Mapping[str, str]) -> None:
    """Finds what the database did not take; with the change undone, and nobody waiting for it."""
    for name, text in texts.items():
        try:
            await database.execute("SELECT $1::text::jsonb", text)
        except asyncpg.DataError as error:
            raise Unstorable(name) from error


def _in_force(by_service: Mapping[str, asyncpg.Record], service: str) -> tuple[str | None, datetime]:
    """What holds of one config, and since when: `None` where it was removed."""
    own = by_service.get(service)
    if own is not None and own["config_value"] is not None:
        return own["config_value"], own["stamp"]
    # Where the own one was removed, the default service's holds since then at the earliest.
    stamp = max(row["stamp"] for row in by_service.values())
    default = by_service.get(DEFAULT_SERVICE)
    return (None if default is None else default["config_value"]), stamp


async def _begin_change(connection: "Connection") -> datetime:
    """Waits for the change that is under way, if one is, and gives the stamp of this one."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK_KEY)
    stamp: datetime = await connection.fetchval(_STAMP)
    return stamp
