"""`HISTORY_CONFIG.is_enabled` is false: messages are only live, and a repeat is none all the same."""

import asyncio

import pytest

from pychat._core import Core
from pychat.database.pool import Database
from pychat.dynconf.schemas import DynamicConfig, History, SendLimiter
from tests.support.journal import counted, new_core, post, writing

OFF = DynamicConfig(send_limiter=SendLimiter(is_enabled=False), history=History(is_enabled=False))


@pytest.fixture
def off() -> Core:
    core = new_core()
    OFF.apply(core)
    return core


async def stored(database: Database) -> list[str]:
    return [row["text"] for row in await database.fetch("SELECT text FROM messages ORDER BY id")]


async def test_a_message_from_before_it_was_switched_off_is_not_sent_again(
    core: Core, off: Core, database: Database
) -> None:
    async with writing(core, database):
        first = await post(core, "one", "a")
    async with writing(off, database):
        again = await post(off, "one", "a")
        assert (again.status, again.body) == (200, first.body)
        assert counted(off, "chat_send_successful_total") == 0


async def test_a_message_under_way_while_it_is_switched_off_is_sent_once(core: Core, database: Database) -> None:
    async with writing(core, database):
        first = asyncio.ensure_future(post(core, "one", "a"))
        await asyncio.sleep(0)
        OFF.apply(core)
        again = await post(core, "one", "a")
        assert ((await first).status, again.status) == (201, 200)
        assert again.body == (await first).body


async def test_only_client_ids_are_stored(off: Core, database: Database) -> None:
    async with writing(off, database):
        replies = [await post(off, "one", "a"), await post(off, "two"), await post(off, "one", "a")]
        assert [reply.status for reply in replies] == [201, 201, 200]
    assert counted(off, "chat_journal_committed_total") == 0
    fresh = new_core()
    async with writing(fresh, database):
        again = await post(fresh, "one", "a")
        assert (again.status, again.body) == (200, replies[0].body), "after a restart too"
    assert await stored(database) == []


async def test_who_has_no_client_id_needs_no_database(off: Core) -> None:
    assert (await post(off, "one")).status == 201
    assert (await post(off, "one", "a")).status == 503, "nobody can tell whether it was sent before"
