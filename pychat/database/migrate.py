"""Brings the schema up to date: the numbered files of `migrations/`, in order, each in a transaction of its own.

Several processes may start at once: each step takes the advisory lock and looks again at what is applied.
"""

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from pychat.database.pool import Database

if TYPE_CHECKING:
    from pychat.database.pool import Connection

LOCK_KEY = 0x7079_6368_6174  # "pychat"; any constant that other users of the database do not take
STEP_TIMEOUT_SEC = 600.0  # rewriting a large table, or waiting for another process that does, takes its time

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationError(Exception):
    """The database's schema does not fit this version of pychat."""


class Migration(NamedTuple):
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def packaged_migrations() -> list[Migration]:
    """The files that this version of pychat brings, in order."""
    found = []
    for file in files("pychat.database").joinpath("migrations").iterdir():
        name, dot, suffix = file.name.rpartition(".")
        if dot and suffix == "sql":
            found.append(Migration(int(name.partition("_")[0]), name, file.read_text(encoding="utf-8")))
    return sorted(found)


async def migrate(database: Database, migrations: list[Migration] | None = None) -> list[str]:
    """Applies what is missing (of the packaged files, unless others are given) and returns the names.

    Raises:
        MigrationError: an applied file has changed since, the database is ahead of this version, or a file failed.
        DatabaseUnavailable: the server went away; what was applied before stays.
    """
    wanted = packaged_migrations() if migrations is None else migrations
    applied = []
    try:
        while (name := await _apply_next(database, wanted)) is not None:
            applied.append(name)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"cannot bring the schema up to date: {error}") from error
    return applied


async def _apply_next(database: Database, wanted: list[Migration]) -> str | None:
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK_KEY, timeout=STEP_TIMEOUT_SEC)
        await connection.execute(_TABLE)
        known = await _applied(connection)
        _check(known, wanted)
        for migration in wanted:
            if migration.version not in known:
                await connection.execute(migration.sql, timeout=STEP_TIMEOUT_SEC)
                await connection.execute(
                    "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                    migration.version,
                    migration.name,
                    migration.checksum,
                )
                return migration.name
    return None


async def _applied(connection: "Connection") -> dict[int, tuple[str, str]]:
    rows = await connection.fetch("SELECT version, name, checksum FROM schema_migrations")
    return {row["version"]: (row["name"], row["checksum"]) for row in rows}


def _check(known: dict[int, tuple[str, str]], wanted: list[Migration]) -> None:
    by_version = {migration.version: migration for migration in wanted}
    for version, (name, checksum) in sorted(known.items()):
        migration = by_version.get(version)
        if migration is None:
            raise MigrationError(f"the database has migration {name}, which this version of pychat does not know")
        if migration.checksum != checksum:
            raise MigrationError(f"migration {migration.name} has changed since it was applied to this database")
