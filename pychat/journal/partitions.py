"""The partitions of `messages`: one a week of ids, which are microseconds since the Unix epoch."""

import time
from datetime import UTC, datetime, timedelta

import structlog

from pychat.database.pool import Database

log = structlog.get_logger("pychat.journal")

WEEK = 7 * 86_400 * 1_000_000
"""Microseconds. Some hundred partitions after two years, which a query plans quickly; each holds what one vacuum and
one index manage well."""

WEEKS_AHEAD = 4
"""Nobody has to notice for weeks that none can be made."""

# How long the messages may wait for the lock that a change of the partitions needs.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"

_ATTACHED = """
    SELECT relname, inhdetachpending FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'messages'::regclass AND relname ~ '^messages_[0-9]{8}$'
"""
_DETACHED = """
    SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^messages_[0-9]{8}$'
    AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'messages'::regclass) AND NOT relispartition
"""


def now_id() -> int:
    """The id that a message would have now."""
    return time.time_ns() // 1_000


async def make_partitions(database: Database, first_id: int, last_id: int) -> int:
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
            # Made and then attached: that takes no lock which readers and writers of the table would wait for.
            await connection.execute(f"CREATE TABLE {name} (LIKE messages)")
            await connection.execute(
                f"ALTER TABLE messages ATTACH PARTITION {name} FOR VALUES FROM ({week * WEEK}) TO ({(week + 1) * WEEK})"
            )
        log.debug("a partition for messages is made", partition=name)
    return weeks.stop * WEEK


async def drop_partitions(database: Database, before_id: int) -> None:
    """Drops those all of whose messages are below `before_id`; one that is begun is finished the next time.

    Raises:
        DatabaseUnavailable
    """
    for row in await database.fetch(_ATTACHED):
        name = row["relname"]
        if row["inhdetachpending"]:
            await database.execute(f"ALTER TABLE messages DETACH PARTITION {name} FINALIZE")
        elif partition_end(name) <= before_id:
            # Concurrently: neither readers nor the writer wait for it.
            await database.execute(f"ALTER TABLE messages DETACH PARTITION {name} CONCURRENTLY")
    for row in await database.fetch(_DETACHED):
        await database.execute(f"DROP TABLE {row['relname']}")
        log.info("messages that are older than they are kept are dropped", partition=row["relname"])


def partition_name(week: int) -> str:
    return f"messages_{datetime.fromtimestamp(week * WEEK // 1_000_000, UTC):%Y%m%d}"


def partition_end(name: str) -> int:
    begin = datetime.strptime(name, "messages_%Y%m%d").replace(tzinfo=UTC)
    return int((begin + timedelta(weeks=1)).timestamp()) * 1_000_000
