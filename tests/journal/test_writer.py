"""The writer, where something comes between it and the database."""

import asyncio
import json
import time
from typing import Any

import asyncpg
import pytest

from pychat._core import Core
from pychat.database.pool import Database
from pychat.journal import session
from pychat.journal.partitions import WEEK, now_id, partition_name
from pychat.journal.writer import JournalWriter, _pause
from tests.support.journal import counted, new_core, post, recorded, start_writing, writing
from tests.support.postgres import connected


async def texts(database: Database) -> list[str]:
    return [row["text"] for row in await database.fetch("SELECT text FROM messages ORDER BY id")]


class CutOff(asyncpg.Connection):
    """A connection that breaks off once, right before or right after a statement of a batch is through."""

    cut: tuple[str, str] | None = None

    @classmethod
    def is_armed(cls) -> bool:
        return cls.cut is not None

    async def _cut(self, when: str, what: str) -> None:
        if CutOff.cut == (when, what):
            CutOff.cut = None
            self.terminate()
            raise asyncpg.ConnectionDoesNotExistError("cut off")

    async def copy_to_table(self, *args: Any, **options: Any) -> str:
        await self._cut("before", "copy")
        done = await super().copy_to_table(*args, **options)
        await self._cut("after", "copy")
        return done

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        what = query.strip("; ").lower()
        await self._cut("before", what)
        done = await super().execute(query, *args, **options)
        await self._cut("after", what)
        return done


@pytest.fixture
def breakable(monkeypatch: pytest.MonkeyPatch, database: Database) -> Database:
    """A database whose journal session is `CutOff`."""
    connect = asyncpg.connect

    async def connect_breakable(*args: Any, **options: Any) -> Any:
        return await connect(*args, connection_class=CutOff, **options)

    monkeypatch.setattr(asyncpg, "connect", connect_breakable)
    return database


@pytest.mark.parametrize(
    ("cut", "client_id", "is_stored"),
    [
        (("before", "copy"), None, False),
        (("after", "copy"), None, True),
        (("before", "copy"), "a", False),
        (("after", "copy"), "a", False),
        (("before", "commit"), "a", False),
        (("after", "commit"), "a", True),
    ],
    ids=str,
)
async def test_a_lost_answer_is_looked_up(
    core: Core, breakable: Database, cut: tuple[str, str], client_id: str | None, is_stored: bool
) -> None:
    async with writing(core, breakable) as writer:
        CutOff.cut = cut
        reply = await post(core, "one", client_id)
        assert not CutOff.is_armed()
        assert reply.status == (201 if is_stored else 503), reply.body
        assert await texts(breakable) == (["one"] if is_stored else [])
        while not writer.is_writing:
            await asyncio.sleep(0.01)
        again = await post(core, "one", client_id)
        assert again.status == (200 if is_stored and client_id else 201), again.body
    assert (await texts(breakable)).count("one") == (1 if client_id or not is_stored else 2)


async def test_a_client_id_from_before_a_restart_is_still_known(core: Core, database: Database) -> None:
    async with writing(core, database):
        first = await post(core, "one", "a")
    fresh = new_core()
    async with writing(fresh, database):
        replies = await asyncio.gather(post(fresh, "two", "b"), post(fresh, "one", "a"), post(fresh, "three"))
        assert [reply.status for reply in replies] == [201, 200, 201]
        assert replies[1].body == first.body
        assert counted(fresh, "chat_journal_repeats_stored_total") == 1
        assert (await post(fresh, "one", "a")).body == first.body
        assert counted(fresh, "chat_journal_repeats_recent_total") == 1
    assert sorted(await texts(database)) == ["one", "three", "two"]


async def test_ids_go_on_above_the_highest_there_is(core: Core, database: Database) -> None:
    async with writing(core, database):
        await post(core, "now")
    in_an_hour = time.time_ns() // 1_000 + 3_600_000_000
    await database.execute("INSERT INTO messages VALUES ($1, 7, 1, 'from a clock that was ahead')", in_an_hour)
    fresh = new_core()
    async with writing(fresh, database):
        assert int(json.loads((await post(fresh, "next")).body)["id"]) == in_an_hour + 1


async def test_what_cannot_be_stored_is_refused_and_the_next_goes_through(core: Core, database: Database) -> None:
    async with writing(core, database):
        await database.execute("ALTER TABLE messages ADD CONSTRAINT broken CHECK (text <> 'bad') NOT VALID")
        assert (await post(core, "bad", "a")).status == 503
        assert counted(core, "chat_journal_failed_total") == 1
        assert recorded(core, "chat_journal_write_duration_hist") == 1
        assert (await post(core, "good", "a")).status == 201
        assert recorded(core, "chat_journal_write_duration_hist") == 2
    assert await texts(database) == ["good"]


async def test_a_second_process_waits_for_the_first(core: Core, database: Database) -> None:
    waiting = asyncio.Event()
    async with writing(core, database):
        second = asyncio.create_task(session.open_session(database, waiting.set))
        await waiting.wait()
        assert not second.done()
        assert (await post(core, "meanwhile")).status == 201
    (await second).terminate()


LOCKS = """
    FROM pg_locks WHERE locktype = 'advisory'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def end_session(database: Database) -> None:
    """Ends the session of whoever writes, as a lost connection does."""
    await database.execute(f"SELECT pg_terminate_backend(pid) {LOCKS} AND granted")


async def test_one_that_another_has_taken_over_from_ends(
    core: Core, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not go on by what it knows of users and chats, which the other may change."""
    writer, running = await start_writing(core, database)
    other = asyncio.create_task(start_writing(new_core(), database))
    while not await database.fetchval(f"SELECT count(*) {LOCKS} AND NOT granted"):
        await asyncio.sleep(0.01)
    monkeypatch.setitem(session.SETTINGS, "lock_timeout", "50ms")
    await end_session(database)
    async with asyncio.timeout(30):
        await running
    assert writer.taken_over.is_set()
    assert (await post(core, "late")).status == 503
    other_writer, other_running = await other
    assert other_writer.is_writing
    other_running.cancel()
    await asyncio.wait([other_running])


async def test_one_that_had_been_taken_over_from_ends_too(
    core: Core, url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the other is gone again."""
    may_connect = asyncio.Event()
    connect = database.connect_alone

    async def connect_later(*args: Any) -> asyncpg.Connection:
        await may_connect.wait()
        return await connect(*args)

    writer, running = await start_writing(core, database)
    with monkeypatch.context() as patch:
        patch.setattr(database, "connect_alone", connect_later)
        await end_session(database)
        while writer.is_writing:
            await asyncio.sleep(0.01)
        other_core = new_core()
        async with connected(url) as elsewhere, writing(other_core, elsewhere):
            assert (await post(other_core, "meanwhile")).status == 201
        may_connect.set()
        async with asyncio.timeout(30):
            await running
    assert writer.taken_over.is_set()


async def test_one_that_only_lost_its_session_goes_on(core: Core, database: Database) -> None:
    async with writing(core, database) as writer:
        for text in ("one", "two"):
            await end_session(database)
            async with asyncio.timeout(30):
                while (await post(core, text)).status != 201:
                    await asyncio.sleep(0.01)
        assert not writer.taken_over.is_set()


async def test_a_partition_that_is_gone_is_made_anew(core: Core, database: Database) -> None:
    async with writing(core, database):
        assert (await post(core, "one")).status == 201
        await database.execute(f"DROP TABLE {partition_name(now_id() // WEEK)}")
        assert (await post(core, "two")).status == 503
        assert (await post(core, "three")).status == 201
    assert await texts(database) == ["three"]


@pytest.mark.parametrize(
    ("per_sec", "took_ms", "pause_ms"),
    [(900, 0.4, 0), (5_000, 0.4, 1), (5_000, 1.4, 0.6), (5_000, 9, 0), (20_000, 0.4, 1.6), (40_000, 9, 0)],
)
def test_messages_are_let_gather_where_many_come(per_sec: float, took_ms: float, pause_ms: float) -> None:
    assert _pause(per_sec, took_ms / 1_000) == pytest.approx(pause_ms / 1_000)


async def test_a_stop_writes_what_was_accepted(core: Core, database: Database) -> None:
    async with writing(core, database) as writer:
        posted = [asyncio.ensure_future(post(core, str(number))) for number in range(100)]
        await asyncio.sleep(0)
        await writer.flush()
        assert {reply.status for reply in await asyncio.gather(*posted)} == {201}
        assert (await post(core, "late")).status == 503
    assert len(await texts(database)) == 100


async def test_more_than_may_be_pending_is_refused(core: Core, database: Database) -> None:
    writer = JournalWriter(core, database)
    await writer.open()
    posted = [asyncio.ensure_future(post(core, "x")) for _ in range(10_001)]
    done, waiting = await asyncio.wait(posted, return_when=asyncio.FIRST_COMPLETED)
    assert [json.loads(reply.result().body)["code"] for reply in done] == ["journal_full"]
    task = asyncio.create_task(writer.run())
    await asyncio.wait(waiting)
    assert {reply.result().status for reply in waiting} == {201}
    task.cancel()
    await asyncio.wait([task])
