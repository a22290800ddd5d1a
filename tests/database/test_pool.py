"""The pool in good times and bad."""

import asyncio
import time
from contextlib import AsyncExitStack
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from pychat.database import pool
from pychat.database.pool import Database, DatabaseUnavailable, OutcomeUnknown, without_secrets
from tests.support.postgres import Postgres


async def recovered(database: Database) -> None:
    while not await database.ready():
        await asyncio.sleep(0.02)


async def test_rows_values_and_tags(database: Database) -> None:
    assert await database.execute("CREATE TABLE t (n int)") == "CREATE TABLE"
    assert await database.execute("INSERT INTO t VALUES ($1), ($2)", 1, 2) == "INSERT 0 2"
    assert [row["n"] for row in await database.fetch("SELECT n FROM t ORDER BY n")] == [1, 2]
    assert await database.fetchrow("SELECT n FROM t WHERE n = 3") is None
    assert await database.fetchval("SELECT max(n) FROM t") == 2
    assert await database.ready()


async def test_a_transaction_is_undone_when_its_block_raises(database: Database) -> None:
    await database.execute("CREATE TABLE t (n int)")

    async def fail_midway() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO t VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_midway()
    assert await database.fetchval("SELECT count(*) FROM t") == 0


@pytest.mark.parametrize("statement", ["SELECT pg_sleep(60)", None])
async def test_one_that_is_cancelled_does_not_wait_for_a_server_that_is_silent(
    database: Database, own_postgres: Postgres, statement: str | None
) -> None:
    async def change(is_begun: asyncio.Event) -> None:
        async with database.transaction() as connection:
            is_begun.set()
            if statement:
                await connection.execute(statement)
            await asyncio.Event().wait()

    # A machine that is busy may take longer, once; a statement has ten seconds.
    for _ in range(3):
        is_begun = asyncio.Event()
        changing = asyncio.create_task(change(is_begun))
        await is_begun.wait()
        with own_postgres.frozen():
            began = time.monotonic()
            changing.cancel()
            await asyncio.wait([changing])
            took = time.monotonic() - began
            assert changing.cancelled()
        async with asyncio.timeout(30):
            await recovered(database)
        if took < 2 * pool.ROLLBACK_TIMEOUT_SEC:
            break
    else:
        pytest.fail(f"it is waited for, {took:.1f} s")
    assert database.pool_state().in_use == 0


async def test_one_that_is_cancelled_is_undone_at_once(database: Database) -> None:
    """By the server too, whatever it is at: what it has locked is free again."""
    await database.execute("CREATE TABLE t (n int)")

    async def change() -> None:
        async with database.transaction() as connection:
            await connection.execute("LOCK TABLE t")
            await connection.execute("SELECT pg_sleep(60)")

    changing = asyncio.create_task(change())
    asleep = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')"
    )
    async with asyncio.timeout(30):
        while not await database.fetchval(asleep):
            await asyncio.sleep(0.01)
    changing.cancel()
    await asyncio.wait([changing])
    async with asyncio.timeout(20):
        assert await database.fetchval("SELECT count(*) FROM t") == 0


async def test_errors_of_the_statement_pass_through(database: Database) -> None:
    await database.execute("CREATE TABLE t (n int PRIMARY KEY)")
    await database.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await database.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(asyncpg.InterfaceError, match="expects 1 argument"):
        await database.fetchval("SELECT $1::int")


@pytest.mark.parametrize("state", ["40P01", "40001", "55P03", "58030", "58000"])
async def test_errors_that_pass_are_unavailable(database: Database, state: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        await database.execute(f"DO $$ BEGIN RAISE EXCEPTION 'as it happens' USING ERRCODE = '{state}'; END $$")
    assert await database.fetchval("SELECT 1") == 1


async def test_the_server_stopped_and_started_under_use(own_postgres: Postgres, database: Database) -> None:
    stopping = asyncio.Event()
    outcomes: list[type[BaseException] | None] = []
    seen: set[type[BaseException] | None] = set()

    async def use() -> None:
        while not stopping.is_set():
            try:
                async with database.transaction() as connection:
                    await connection.fetchval("SELECT pg_sleep(0.01)")
                    await connection.fetchval("SELECT 1")
                outcomes.append(None)
            except Exception as error:
                outcomes.append(type(error))
                await asyncio.sleep(0.01)

    users = [asyncio.create_task(use()) for _ in range(20)]
    for _ in range(2):
        outcomes.clear()
        async with asyncio.timeout(30):
            while None not in outcomes:
                await asyncio.sleep(0.01)
        seen.update(outcomes)
        await asyncio.to_thread(own_postgres.stop)
        assert not await database.ready()
        with pytest.raises(DatabaseUnavailable):
            await database.fetchval("SELECT 1")
        await asyncio.to_thread(own_postgres.start)
        async with asyncio.timeout(30):
            await recovered(database)
    stopping.set()
    await asyncio.gather(*users)
    assert seen.union(outcomes) == {None, DatabaseUnavailable, OutcomeUnknown}


async def test_a_connection_ended_by_the_server_is_unavailable_once(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await database.fetchval("SELECT 1") == 1


async def test_requests_that_wait_for_each_other_are_no_outage_and_keep_nobody_else_waiting(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may take longer.
    monkeypatch.setattr(pool, "READY_TIMEOUT_SEC", 20.0)
    with capture_logs() as logs:
        async with AsyncExitStack() as busy:
            for _ in range(pool.FOR_REQUESTS):
                await busy.enter_async_context(database.transaction())
            waiting = [asyncio.create_task(database.fetchval("SELECT 1")) for _ in range(20)]
            await asyncio.sleep(0)
            state = database.pool_state()
            assert (state.in_use, state.waiting) == (pool.FOR_REQUESTS, len(waiting))
            assert await database.own.fetchval("SELECT 1") == 1
            assert await database.ready()
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert await database.fetchval("SELECT 1") == 1
    assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailable}
    state = database.pool_state()
    assert (state.failures, state.is_away, state.in_use, state.waiting) == (0, False, 0, 0)
    assert logs == []


async def test_one_who_asks_much_leaves_connections_to_others(database: Database) -> None:
    async def ask(user: int) -> int:
        pool.asker.set(user)
        value = await database.fetchval("SELECT $1::int", user)
        assert isinstance(value, int)
        return value

    async def hold(user: int, held: asyncio.Semaphore, is_over: asyncio.Event) -> None:
        pool.asker.set(user)
        async with database.transaction():
            held.release()
            await is_over.wait()

    held, is_over = asyncio.Semaphore(0), asyncio.Event()
    holding = [asyncio.create_task(hold(1, held, is_over)) for _ in range(pool.OF_ASKER)]
    for _ in holding:
        await held.acquire()
    refused = [asyncio.create_task(ask(1)) for _ in range(20)]
    for user in range(2, 20):
        assert await asyncio.create_task(ask(user)) == user
    outcomes = await asyncio.gather(*refused, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailable}
    is_over.set()
    await asyncio.gather(*holding)
    assert await asyncio.create_task(ask(1)) == 1
    assert (database.pool_state().failures, database.pool_state().in_use) == (0, 0)


async def test_what_the_server_asks_for_itself_keeps_no_request_waiting(database: Database) -> None:
    async with AsyncExitStack() as busy:
        for _ in range(pool.FOR_ITSELF):
            await busy.enter_async_context(database.own.transaction())
        for _ in range(pool.FOR_REQUESTS):
            await busy.enter_async_context(database.transaction())
    assert database.pool_state().size == pool.POOL_SIZE


async def test_a_statement_that_takes_too_long_is_unavailable(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "COMMAND_TIMEOUT_SEC", 3.0)
    database = Database(dsn)
    await database.connect()
    with pytest.raises(DatabaseUnavailable, match="TimeoutError"):
        await database.fetchval("SELECT pg_sleep(60)")
    assert await database.fetchval("SELECT 1") == 1
    await database.close()


async def test_a_closed_pool_is_unavailable(database: Database) -> None:
    await database.close()
    assert not await database.ready()
    with pytest.raises(DatabaseUnavailable):
        await database.fetch("SELECT 1")


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:geheim@127.0.0.1:1/x",
        "postgresql://u:geheim@/x?host=/nowhere",
        "mysql://u:geheim@127.0.0.1/x",
        "postgresql://u:geh/eim@127.0.0.1/x",
    ],
)
async def test_no_connection_at_start_is_one_line_without_the_password(dsn: str) -> None:
    with pytest.raises(DatabaseUnavailable) as refused:
        await Database(dsn).connect()
    message = str(refused.value)
    assert "\n" not in message
    assert "geh" not in message


async def test_an_unknown_database_at_start_is_one_line(dsn: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=r'database "absent_[0-9a-f]+" does not exist'):
        await Database(dsn.replace("/test_", "/absent_", 1)).connect()


async def test_a_database_that_cannot_hold_every_text_is_refused_at_start(dsn: str, database: Database) -> None:
    name = f"latin_{uuid4().hex}"
    await database.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(DatabaseUnavailable, match="LATIN1, which cannot hold every text; make one in UTF8"):
        await Database(urlsplit(dsn)._replace(path=f"/{name}").geturl()).connect()


def test_a_shown_url_has_no_secrets() -> None:
    assert without_secrets("postgresql://u:p@h:1/d?password=p") == "postgresql://u@h:1/d"
    assert without_secrets("postgresql:///d?host=/run") == "postgresql:///d"
    assert without_secrets("postgresql://[broken") == "********"
