"""The partitions of `messages`: one a week of ids, which are microseconds since the Unix epoch."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg
import structlog

from pychat.database.pool import Database, DatabaseUnavailable, Share, one_line

log = structlog.get_logger("pychat.journal")

WEEK = 7 * 86_400 * 1_000_000
"""Microseconds. Some hundred partitions after two years, which a query plans quickly; each holds what one vacuum and
one index manage well."""

LOCK_KEY = 0x7079_6368_6176
"""Of who makes partitions; beside those of the migrations and of the writer."""

WEEKS_AHEAD = 4
"""Nobody has to notice for weeks that none can be made."""

# How long the messages may wait for the lock that a change of the partitions needs.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"

DROP_TIMEOUT_SEC = 600.0
"""What detaches a partition waits for every transaction that may still read it: a backup, say, takes minutes."""

_TO_BE_DROPPED = "pychat drops this table: its messages are older than they are kept"
"""The comment of a partition on its way out. Tables without it, which an operator has detached or is detaching, are
his."""

_ATTACHED = """
    SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'messages'::regclass
"""
# The one that is half detached, if any, first: Postgres detaches no other one before.
_PARTITIONS = r"""
    SELECT inhrelid::regclass::text AS name, inhdetachpending AS is_half_detached,
        coalesce(end_id <= $1, false) AS is_old,
        obj_description(inhrelid, 'pg_class') IS NOT DISTINCT FROM $2 AS is_marked
    FROM (
        SELECT *, substring(pg_get_expr(relpartbound, pg_class.oid) FROM 'TO \(''(\d+)''\)')::bigint AS end_id
        FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'messages'::regclass
    ) AS partition
    ORDER BY inhdetachpending DESC, end_id
"""
_DETACHED = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relkind = 'r' AND NOT relispartition AND obj_description(oid, 'pg_class') = $1
    AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'messages'::regclass) ORDER BY 1
"""


def now_id() -> int:
    """The id that a message would have now."""
    return time.time_ns() // 1_000


async def make_partitions(database: Share, first_id: int, last_id: int) -> int:
    """Makes those that are missing for ids from `first_id` to `last_id`; returns the first id beyond them.

    Raises:
        DatabaseUnavailable
    """
    there = {row["relname"] for row in await database.fetch(_ATTACHED)}
    weeks = range(first_id // WEEK, last_id // WEEK + 1)
    for week in weeks:
        name = partition_name(week)
        if name in there:
            continue
        async with database.transaction() as connection:
            await connection.execute(_LOCK_TIMEOUT)
            # The writer and the upkeep may miss it at the same time.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK_KEY)
            if name in {row["relname"] for row in await connection.fetch(_ATTACHED)}:
                continue
            # Made and then attached: that takes no lock which readers and writers of the table would wait for.
            await connection.execute(f"CREATE TABLE {name} (LIKE messages)")
            await connection.execute(
                f"ALTER TABLE messages ATTACH PARTITION {name} FOR VALUES FROM ({week * WEEK}) TO ({(week + 1) * WEEK})"
            )
        log.debug("a partition for messages is made", partition=name)
    return weeks.stop * WEEK


async def drop_partitions(database: Database, before_id: int) -> None:
    """Drops those all of whose messages are below `before_id`. Their messages are gone at once; the tables follow when
    no transaction reads them any more, the next time where that takes too long.

    Raises:
        DatabaseUnavailable
    """
    async with _patient_session(database) as session:
        for name, is_half_detached, is_old, is_marked in await session.fetch(_PARTITIONS, before_id, _TO_BE_DROPPED):
            if is_marked and not is_old:
                # Messages are kept for longer by now.
                await session.execute(f"COMMENT ON TABLE {name} IS NULL")
            if is_half_detached and not (is_marked and is_old):
                log.warning(
                    "an operator has half detached a partition; no messages go until that is finalized", partition=name
                )
                break
            if not is_old:
                continue
            if not is_half_detached:
                await session.execute(f"COMMENT ON TABLE {name} IS '{_TO_BE_DROPPED}'")
            # Concurrently: neither readers nor the writer wait for it.
            how = "FINALIZE" if is_half_detached else "CONCURRENTLY"
            await session.execute(f"ALTER TABLE messages DETACH PARTITION {name} {how}")
        for (name,) in await session.fetch(_DETACHED, _TO_BE_DROPPED):
            await session.execute(f"DROP TABLE {name}")
            log.info("messages that are older than they are kept are dropped", partition=name)


@asynccontextmanager
async def _patient_session(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """Beside the pool, whose statements may not take that long. The server itself ends those that take longer."""
    timeout = f"{DROP_TIMEOUT_SEC:.0f}s"
    settings = {"application_name": "pychat upkeep", "statement_timeout": timeout}
    session = await database.connect_alone(settings, 2 * DROP_TIMEOUT_SEC)
    try:
        yield session
    except asyncpg.QueryCanceledError as error:
        raise DatabaseUnavailable(f"a transaction has been reading messages that go for {timeout}") from error
    except (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError) as error:
        raise DatabaseUnavailable(one_line(error)) from error
    finally:
        session.terminate()


def partition_name(week: int) -> str:
    return f"messages_{datetime.fromtimestamp(week * WEEK // 1_000_000, UTC):%Y%m%d}"
