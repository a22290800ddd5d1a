"""The writer, where the database is gone, or there and silent: senders are told in time, a stop comes to its end, and a
repeat afterwards is one message."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from pychat._core import Core, Reply
from pychat.database import pool
from pychat.database.pool import FOR_ITSELF, Database, DatabaseUnavailable
from pychat.journal import session, writer
from pychat.journal.writer import JournalWriter
from tests.support.journal import counted, new_core, post, start_writing, writing
from tests.support.postgres import Postgres

SOON_SEC = 0.5
LOCK_TIMEOUT_SEC = 18
STATEMENT_TIMEOUT_SEC = 20.0
TOLD_WITHIN_SEC = 15
"""On a machine that is busy; before a statement has timed out, or the wait for a connection or a lock."""

# The trigger runs in the commit. It looks now and then instead of waiting for the lock: where a stop of the server ends
# the lock's holder first, the commit would go through before it is ended too.
WAITING_COMMITS = """
    CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        WHILE NOT pg_try_advisory_xact_lock_shared(42) LOOP PERFORM pg_sleep(0.05); END LOOP;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON message_claims DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION wait_for_the_test()
"""
COMMITTING = """
    SELECT pid FROM pg_stat_activity
    WHERE application_name = 'pychat journal' AND query = 'COMMIT' AND state = 'active' AND datname = current_database()
"""


@pytest.fixture
def url(own_postgres: Postgres) -> str:
    return own_postgres.new_database()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody is to wait for takes long."""
    monkeypatch.setattr(writer, "KNOWN_WITHIN_SEC", STATEMENT_TIMEOUT_SEC)
    monkeypatch.setattr(session, "STATEMENT_TIMEOUT_SEC", STATEMENT_TIMEOUT_SEC)
    monkeypatch.setattr(pool, "ACQUIRE_TIMEOUT_SEC", STATEMENT_TIMEOUT_SEC)
    monkeypatch.setitem(session.SETTINGS, "lock_timeout", f"{LOCK_TIMEOUT_SEC}s")


@contextmanager
def impatience() -> Iterator[None]:
    """Senders and a stop wait but a moment for the batches that begin in a `with` block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "KNOWN_WITHIN_SEC", SOON_SEC)
        patch.setattr(writer, "FLUSHED_WITHIN_SEC", SOON_SEC)
        yield


def refusal(reply: Reply) -> str:
    assert reply.status == 503, reply.body
    return str(json.loads(reply.body)["code"])


async def texts(database: Database) -> list[str]:
    return [row["text"] for row in await database.fetch("SELECT text FROM messages ORDER BY id")]


async def is_writing(journal: JournalWriter) -> None:
    async with asyncio.timeout(30):
        while not journal.is_writing:
            await asyncio.sleep(0.01)


async def taken(core: Core, text: str, client_id: str | None) -> "asyncio.Task[Reply]":
    """A message whose batch is being written."""

    def batches() -> int:
        return sum(sum(counts) for name, _, _, counts, _ in core.histograms() if name == "chat_journal_batch_size_hist")

    before = batches()
    posted = asyncio.create_task(post(core, text, client_id))
    while batches() == before:
        await asyncio.sleep(0)
    return posted


async def is_committing(database: Database) -> int:
    """Waits until the journal's session commits; the number of its process."""
    async with asyncio.timeout(30):
        while (process := await database.fetchval(COMMITTING)) is None:
            await asyncio.sleep(0.005)
    return int(process)


@asynccontextmanager
async def commits_held(database: Database) -> AsyncIterator[None]:
    """Has the commits of messages with a client id wait for the end of an `async with` block."""
    await database.execute(WAITING_COMMITS)
    holder = await database.connect_alone({})
    await holder.execute("SELECT pg_advisory_lock(42)")
    try:
        yield
    finally:
        holder.terminate()


@contextmanager
def in_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < TOLD_WITHIN_SEC


@pytest.mark.parametrize("client_id", [None, "a"])
async def test_senders_are_told_though_the_database_hangs(
    core: Core, database: Database, own_postgres: Postgres, client_id: str | None
) -> None:
    async with writing(core, database) as journal:
        with own_postgres.frozen(), impatience(), in_time():
            batch = await taken(core, "one", client_id)
            behind = asyncio.create_task(post(core, "two", "b"))
            assert refusal(await batch) == "outcome_unknown"
            assert refusal(await behind) == "database_unavailable"
            assert not journal.is_writing
            assert refusal(await post(core, "three", "c")) == "database_unavailable"
        await is_writing(journal)
        for text, repeated in ("one", client_id), ("two", "b"), ("three", "c"):
            assert (await post(core, text, repeated)).status in (200, 201)
    stored = await texts(database)
    assert sorted(stored)[-2:] == ["three", "two"]
    # It was written by the statement that hung, and without a client id it is sent a second time.
    assert stored.count("one") == (1 if client_id else 2)


async def test_a_commit_in_which_the_database_hangs_is_looked_up(
    core: Core, database: Database, own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "STATEMENT_TIMEOUT_SEC", 6.0)
    async with writing(core, database) as journal:
        async with commits_held(database):
            with impatience():
                posted = await taken(core, "one", "a")
            await is_committing(database)
            with capture_logs() as logs, own_postgres.frozen():

                def is_given_up() -> bool:
                    return any(entry["event"] == "messages may be stored or not" for entry in logs)

                assert refusal(await posted) == "outcome_unknown"
                assert not is_given_up()
                while not is_given_up():
                    await asyncio.sleep(0.01)
        await is_writing(journal)
        while counted(core, "chat_journal_committed_total") == 0:
            await asyncio.sleep(0.01)
        assert (await post(core, "one", "a")).status == 200
    assert await texts(database) == ["one"]


async def test_the_last_words_of_a_session_are_not_believed(core: Core, database: Database) -> None:
    async with writing(core, database) as journal:
        with capture_logs() as logs:
            async with commits_held(database):
                posted = asyncio.create_task(post(core, "one", "a"))
                await database.execute("SELECT pg_terminate_backend($1)", await is_committing(database))
                assert refusal(await posted) == "database_unavailable"
        assert "a commit without an answer is looked up" in [entry["event"] for entry in logs]
        await is_writing(journal)
        assert (await post(core, "one", "a")).status == 201
    assert await texts(database) == ["one"]


async def test_a_slow_database_is_written_to_again_by_the_same_session(core: Core, database: Database) -> None:
    async with writing(core, database) as journal:
        async with database.transaction() as blocking:
            await blocking.execute("LOCK TABLE messages IN SHARE MODE")
            with impatience(), in_time():
                assert refusal(await post(core, "one", "a")) == "outcome_unknown"
            assert not journal.is_writing
        await is_writing(journal)
        assert (await post(core, "one", "a")).status == 200
    assert await texts(database) == ["one"]


async def test_a_batch_that_waits_for_a_lock_too_long_is_not_stored(
    core: Core, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(session.SETTINGS, "lock_timeout", "50ms")
    async with writing(core, database) as journal:
        async with database.transaction() as blocking:
            await blocking.execute("LOCK TABLE messages IN SHARE MODE")
            assert refusal(await post(core, "one", "a")) == "database_unavailable"
        assert journal.is_writing
        assert (await post(core, "one", "a")).status == 201
    assert await texts(database) == ["one"]


async def test_senders_do_not_wait_for_a_rollback(
    core: Core, database: Database, own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = asyncpg.Connection.execute
    with ExitStack() as silence:

        async def hang_in_rollback(self: asyncpg.Connection, query: str, *args: Any, **options: Any) -> str:
            if query == "ROLLBACK":
                silence.enter_context(own_postgres.frozen())
            return await execute(self, query, *args, **options)

        async with writing(core, database) as journal:
            await database.execute("ALTER TABLE messages ADD CONSTRAINT broken CHECK (text <> 'bad') NOT VALID")
            monkeypatch.setattr(asyncpg.Connection, "execute", hang_in_rollback)
            with in_time():
                assert refusal(await post(core, "bad", "a")) == "database_unavailable"
            silence.close()
            await is_writing(journal)
            assert (await post(core, "good", "a")).status == 201
    assert await texts(database) == ["good"]


@pytest.mark.parametrize("client_id", [None, "a"])
async def test_a_stop_ends_though_the_database_hangs(
    core: Core, database: Database, own_postgres: Postgres, client_id: str | None
) -> None:
    journal, running = await start_writing(core, database)
    with own_postgres.frozen(), impatience(), in_time():
        batch = await taken(core, "one", client_id)
        behind = asyncio.create_task(post(core, "two"))
        await asyncio.sleep(0)
        await journal.flush()
        assert refusal(await batch) == "outcome_unknown"
        assert refusal(await behind) == "database_unavailable"
        running.cancel()
        await asyncio.wait([running])


async def test_a_stop_ends_though_the_database_is_gone_with_an_answer(
    core: Core, database: Database, own_postgres: Postgres
) -> None:
    journal, running = await start_writing(core, database)
    async with commits_held(database):
        posted = asyncio.create_task(post(core, "one", "a"))
        await is_committing(database)
        await asyncio.to_thread(own_postgres.stop)
    try:
        with impatience(), in_time():
            await journal.flush()
            assert refusal(await posted) == "outcome_unknown"
            running.cancel()
            await asyncio.wait([running])
    finally:
        await asyncio.to_thread(own_postgres.start)


async def test_old_client_ids_that_cannot_be_looked_up_keep_no_stop_waiting(core: Core, database: Database) -> None:
    async with writing(core, database):
        assert (await post(core, "one", "a")).status == 201
    fresh = new_core()
    journal, running = await start_writing(fresh, database)
    async with AsyncExitStack() as busy:
        for _ in range(FOR_ITSELF):
            await busy.enter_async_context(database.own.transaction())
        with impatience(), in_time():
            posted = asyncio.create_task(post(fresh, "one", "a"))
            await asyncio.sleep(0)
            await journal.flush()
            assert refusal(await posted) == "outcome_unknown"
            running.cancel()
            await asyncio.wait([running])


async def test_old_client_ids_do_not_wait_for_what_is_written_with_them(core: Core, database: Database) -> None:
    async with writing(core, database):
        assert (await post(core, "one", "a")).status == 201
    fresh = new_core()
    async with writing(fresh, database), database.transaction() as blocking:
        await blocking.execute("LOCK TABLE messages IN SHARE MODE")
        assert (await post(fresh, "one", "a")).status == 200


async def test_the_log_says_once_why_no_messages_are_taken(
    core: Core, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def refuse(*_: object) -> int:
        nonlocal tries
        tries += 1
        raise asyncpg.DuplicateTableError("it is there, and not attached")

    with capture_logs() as logs:
        async with writing(core, database):
            monkeypatch.setattr(writer, "make_partitions", refuse)
            await database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 "
                "AND datname = current_database()",
                "pychat journal",
            )
            while tries < 3:
                await asyncio.sleep(0.01)
    assert [entry["reason"] for entry in logs if "no messages are taken" in entry["event"]] == [
        "it is there, and not attached"
    ]


async def test_a_partition_that_cannot_be_made_leaves_no_message_in_doubt(
    core: Core, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> int:
        raise asyncpg.DuplicateTableError("it is there, and not attached")

    async with writing(core, database) as journal:
        monkeypatch.setattr(journal, "_partitioned_until", 0)
        with monkeypatch.context() as patch:
            patch.setattr(writer, "make_partitions", refuse)
            assert refusal(await post(core, "one", "a")) == "database_unavailable"
        assert journal.is_writing
        assert (await post(core, "one", "a")).status == 201


async def test_a_server_that_falls_silent_while_a_session_is_opened_is_given_up(
    database: Database, own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "STATEMENT_TIMEOUT_SEC", SOON_SEC)
    connect = database.connect_alone
    with ExitStack() as silence:

        async def connect_and_hang(*args: Any) -> asyncpg.Connection:
            connection = await connect(*args)
            silence.enter_context(own_postgres.frozen())
            return connection

        monkeypatch.setattr(database, "connect_alone", connect_and_hang)
        with in_time(), pytest.raises(DatabaseUnavailable, match="TimeoutError"):
            await session.open_session(database, lambda: None)


async def test_who_waits_for_the_lock_does_not_take_the_server_for_gone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(session.SETTINGS, "lock_timeout", "50ms")
    waiting = asyncio.Event()
    first = await session.open_session(database, lambda: None)
    second = asyncio.create_task(session.open_session(database, waiting.set))
    await waiting.wait()
    # Several times as long as it waits at once.
    assert not (await asyncio.wait([second], timeout=0.2))[0]
    first.terminate()
    async with asyncio.timeout(30):
        (await second).terminate()
