"""Partitions made ahead and dropped in time; client ids forgotten."""

import asyncio
from typing import cast

import asyncpg
import pytest
from structlog.testing import capture_logs

from pychat._core import Core
from pychat.database.pool import Database, DatabaseUnavailable, Share
from pychat.dynconf.schemas import History
from pychat.journal import claims, partitions, upkeep
from pychat.journal.partitions import WEEK, WEEKS_AHEAD, make_partitions, now_id, partition_name
from pychat.journal.upkeep import DAY, keep_history_in_shape
from tests.support.journal import post, writing


async def attached(database: Database) -> list[str]:
    rows = await database.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'messages'::regclass ORDER BY 1"
    )
    return [row["name"] for row in rows]


async def test_partitions_are_made_ahead_once(database: Database) -> None:
    for _ in range(2):
        await keep_history_in_shape(database, History)
    this_week = now_id() // WEEK
    expected = {partition_name(week) for week in range(this_week, this_week + WEEKS_AHEAD + 1)}
    assert expected <= set(await attached(database))


async def written(database: Database, *weeks_ago: int) -> None:
    """A message in each of these weeks, whose partition is made where it is missing."""
    now = now_id()
    for weeks in weeks_ago:
        await make_partitions(database, now - weeks * WEEK, now - weeks * WEEK)
        await database.execute("INSERT INTO messages VALUES ($1, 1, 1, 'x')", now - weeks * WEEK)


async def tables(database: Database, *weeks_ago: int) -> list[bool]:
    """Whether each of these weeks has a table, attached or not."""
    names = [partition_name((now_id() - weeks * WEEK) // WEEK) for weeks in weeks_ago]
    return [await database.fetchval("SELECT to_regclass($1) IS NOT NULL", name) for name in names]


async def one_detaches(database: Database) -> None:
    """Waits until a partition is half detached, and for who still reads it."""
    waiting = """
        SELECT count(*) FROM pg_stat_activity
        WHERE query LIKE '%CONCURRENTLY' AND wait_event_type = 'Lock' AND datname = current_database()
    """
    async with asyncio.timeout(30):
        while not await database.fetchval(waiting):
            await asyncio.sleep(0.01)


def two_weeks() -> History:
    return History(retention_days=14)


async def test_old_messages_go_with_their_partition(database: Database) -> None:
    await written(database, 4, 1, 0)
    await keep_history_in_shape(database, History)
    assert await database.fetchval("SELECT count(*) FROM messages") == 3, "0 days: for ever"
    await keep_history_in_shape(database, two_weeks)
    assert await database.fetchval("SELECT count(*) FROM messages") == 2
    assert await tables(database, 4, 1, 0) == [False, True, True]


async def test_messages_go_by_their_age_and_not_by_the_name_of_their_table(database: Database) -> None:
    now = now_id()
    begin, end = now - 20 * WEEK, now - WEEK
    await database.execute(f"CREATE TABLE messages_20000101 PARTITION OF messages FOR VALUES FROM ({begin}) TO ({end})")
    await database.execute("CREATE TABLE others PARTITION OF messages DEFAULT")
    for old in (begin, end - 1):
        await database.execute("INSERT INTO messages VALUES ($1, 1, 1, 'x')", old)
    await keep_history_in_shape(database, two_weeks)
    assert await database.fetchval("SELECT count(*) FROM messages") == 2


async def test_a_table_that_an_operator_has_detached_is_his(database: Database) -> None:
    await written(database, 5, 4)
    kept = partition_name((now_id() - 5 * WEEK) // WEEK)
    await database.execute(f"ALTER TABLE messages DETACH PARTITION {kept}")
    await keep_history_in_shape(database, two_weeks)
    assert await tables(database, 5, 4) == [True, False]
    assert await database.fetchval(f"SELECT count(*) FROM {kept}") == 1


@pytest.mark.parametrize("weeks", [4, 1])
async def test_a_table_that_an_operator_has_half_detached_is_his(database: Database, weeks: int) -> None:
    await written(database, 5, weeks)
    kept = partition_name((now_id() - weeks * WEEK) // WEEK)
    operator = await database.connect_alone({})
    async with database.transaction() as reader:
        assert await reader.fetchval("SELECT count(*) FROM messages") == 2
        detaching = asyncio.create_task(operator.execute(f"ALTER TABLE messages DETACH PARTITION {kept} CONCURRENTLY"))
        await one_detaches(database)
        await database.execute("SELECT pg_cancel_backend($1)", operator.get_server_pid())
        with pytest.raises(asyncpg.QueryCanceledError):
            await detaching
    with capture_logs() as logs:
        await keep_history_in_shape(database, two_weeks)
    assert [entry["partition"] for entry in logs if entry["log_level"] == "warning"] == [kept]
    await operator.execute(f"ALTER TABLE messages DETACH PARTITION {kept} FINALIZE")
    operator.terminate()
    await keep_history_in_shape(database, two_weeks)
    assert await tables(database, 5, weeks) == [False, True]
    assert await database.fetchval(f"SELECT count(*) FROM {kept}") == 1


async def test_what_is_kept_for_longer_by_now_is_not_dropped_when_an_operator_detaches_it(database: Database) -> None:
    await written(database, 4)
    kept = partition_name((now_id() - 4 * WEEK) // WEEK)
    # As after a run that could not detach it.
    await database.execute(f"COMMENT ON TABLE {kept} IS '{partitions._TO_BE_DROPPED}'")
    await keep_history_in_shape(database, lambda: History(retention_days=60))
    await database.execute(f"ALTER TABLE messages DETACH PARTITION {kept}")
    await keep_history_in_shape(database, two_weeks)
    assert await tables(database, 4) == [True]


async def test_a_long_transaction_only_delays_what_goes(
    core: Core, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "DROP_TIMEOUT_SEC", 3.0)
    await written(database, 4)
    await database.execute("INSERT INTO message_claims VALUES (1, 'old', $1)", now_id() - 8 * DAY)
    async with writing(core, database), database.transaction() as reader:
        assert await reader.fetchval("SELECT count(*) FROM messages") == 1
        keeping = asyncio.create_task(keep_history_in_shape(database, two_weeks))
        while not keeping.done():
            assert (await post(core, "meanwhile")).status == 201
        with pytest.raises(DatabaseUnavailable, match="reading"):
            await keeping
        assert await database.fetchval("SELECT min(id) FROM messages") > now_id() - WEEK, "nobody else sees them"
        assert await database.fetchval("SELECT count(*) FROM message_claims") == 0, "the rest is done all the same"
        # An older one beside it: Postgres detaches none while another is half detached.
        await written(database, 5)
    await keep_history_in_shape(database, two_weeks)
    assert await tables(database, 5, 4) == [False, False]


async def test_a_partition_is_made_while_another_one_goes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer must not wait for whoever reads old messages."""
    await written(database, 4)
    async with database.transaction() as reader:
        await reader.fetchval("SELECT count(*) FROM messages")
        dropping = asyncio.create_task(partitions.drop_partitions(database, now_id() - WEEK))
        await one_detaches(database)
        await make_partitions(database, now_id() + WEEK, now_id() + WEEK)
        assert not dropping.done()
    await dropping
    assert await tables(database, 4, -1) == [False, True]


async def test_client_ids_are_kept_for_a_week(database: Database) -> None:
    now = now_id()
    await database.execute(
        "INSERT INTO message_claims SELECT 1, n::text, $1::bigint + n FROM generate_series(1, 12000) AS n",
        now - 8 * DAY,
    )
    await database.execute("INSERT INTO message_claims VALUES (1, 'recent', $1)", now - 6 * DAY)
    await keep_history_in_shape(database, History)
    rows = await database.fetch("SELECT client_id FROM message_claims")
    assert [row["client_id"] for row in rows] == ["recent"]


async def test_client_ids_are_forgotten_by_reading_each_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while they cannot be removed for good, since a transaction still sees them, as that of a backup would."""
    monkeypatch.setattr(claims, "FORGOTTEN_AT_ONCE", 500)
    count = 20 * claims.FORGOTTEN_AT_ONCE
    async with database.transaction() as seeing:
        await seeing.execute(
            "INSERT INTO message_claims SELECT 1, n::text, n FROM generate_series(1, $1::bigint) AS n", count
        )
        # As a table is read that is larger.
        await seeing.execute(
            "ANALYZE message_claims; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"
        )
        looked_at = "SELECT pg_stat_get_xact_tuples_returned('message_claims_message'::regclass)"
        before = await seeing.fetchval(looked_at)
        await claims.forget_claims(cast(Share, seeing), count + 1)
        assert count <= await seeing.fetchval(looked_at) - before < 2 * count
        assert await seeing.fetchval("SELECT count(*) FROM message_claims") == 0


async def test_a_stop_ends_it_whatever_step_it_is_in(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    done, is_reached = [], asyncio.Event()

    async def hang(*_: object) -> None:
        is_reached.set()
        await asyncio.Event().wait()

    async def fail(*_: object) -> None:
        done.append("a later step")
        raise DatabaseUnavailable("it would be raised in place of the cancellation")

    monkeypatch.setattr(upkeep, "make_partitions", hang)
    monkeypatch.setattr(upkeep, "forget_claims", fail)
    monkeypatch.setattr(upkeep, "drop_partitions", fail)
    keeping = asyncio.create_task(keep_history_in_shape(database, two_weeks))
    await is_reached.wait()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert done == []


async def test_what_fails_keeps_no_other_step_from_being_done(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise DatabaseUnavailable("as it happens")

    monkeypatch.setattr(upkeep, "make_partitions", fail)
    await written(database, 4)
    await database.execute("INSERT INTO message_claims VALUES (1, 'old', $1)", now_id() - 8 * DAY)
    with pytest.raises(DatabaseUnavailable, match="as it happens"):
        await keep_history_in_shape(database, two_weeks)
    assert await tables(database, 4) == [False]
    assert await database.fetchval("SELECT count(*) FROM message_claims") == 0
