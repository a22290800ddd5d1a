"""Partitions made ahead and dropped in time; client ids forgotten."""

from pychat.database.pool import Database
from pychat.dynconf.schemas import History
from pychat.journal.partitions import WEEK, WEEKS_AHEAD, make_partitions, now_id, partition_end, partition_name
from pychat.journal.upkeep import DAY, keep_history_in_shape


async def partitions(database: Database) -> list[str]:
    rows = await database.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'messages'::regclass ORDER BY 1"
    )
    return [row["name"] for row in rows]


async def test_partitions_are_made_ahead_once(database: Database) -> None:
    for _ in range(2):
        await keep_history_in_shape(database, History)
    this_week = now_id() // WEEK
    expected = {partition_name(week) for week in range(this_week, this_week + WEEKS_AHEAD + 1)}
    assert expected <= set(await partitions(database))


def test_a_partitions_name_tells_its_end() -> None:
    for week in (0, 2_950, 3_100):
        assert partition_end(partition_name(week)) == (week + 1) * WEEK


async def test_old_messages_go_with_their_partition(database: Database) -> None:
    now = now_id()
    await make_partitions(database, now - 4 * WEEK, now)
    for weeks in (4, 1, 0):
        await database.execute("INSERT INTO messages VALUES ($1, 1, 1, 'x')", now - weeks * WEEK)
    await keep_history_in_shape(database, History)
    assert await database.fetchval("SELECT count(*) FROM messages") == 3, "0 days: for ever"
    await keep_history_in_shape(database, lambda: History(retention_days=14))
    assert await database.fetchval("SELECT count(*) FROM messages") == 2
    assert partition_name((now - 4 * WEEK) // WEEK) not in await partitions(database)
    leftover = (
        "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^messages_[0-9]{8}$' AND NOT relispartition"
    )
    assert await database.fetchval(leftover) == 0


async def test_client_ids_are_kept_for_a_week(database: Database) -> None:
    now = now_id()
    await database.execute(
        "INSERT INTO message_claims SELECT 1, n::text, $1::bigint + n, 1 FROM generate_series(1, 12000) AS n",
        now - 8 * DAY,
    )
    await database.execute("INSERT INTO message_claims VALUES (1, 'recent', $1, 1)", now - 6 * DAY)
    await keep_history_in_shape(database, History)
    rows = await database.fetch("SELECT client_id FROM message_claims")
    assert [row["client_id"] for row in rows] == ["recent"]
