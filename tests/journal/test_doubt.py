"""Messages of which nobody knows whether they are stored: what their senders are told, and who repeats them."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from pychat._core import Core, Reply
from pychat.database.pool import Database
from pychat.journal import writer
from tests.support.journal import counted, post, writing

UNKNOWN = (503, "outcome_unknown")
REFUSED_REPEATS = "chat_journal_refused_doubted_total"


def told(reply: Reply) -> tuple[int, str | None]:
    return reply.status, json.loads(reply.body).get("code")


class Line:
    """To the database: the answer to a commit may be lost on it."""

    def __init__(self) -> None:
        self.next_commit: type[Exception] | None = None
        """Raised in place of its answer."""
        self.may_connect = asyncio.Event()
        self.may_connect.set()


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    line, connect = Line(), asyncpg.connect

    class Session(asyncpg.Connection):
        async def execute(self, query: str, *args: Any, **options: Any) -> str:
            done = await super().execute(query, *args, **options)
            if line.next_commit is not None and query.strip("; ").upper() == "COMMIT":
                lost, line.next_commit = line.next_commit, None
                self.terminate()
                raise lost("as it happens")
            return done

    async def connect_by_it(*args: Any, **options: Any) -> Any:
        await line.may_connect.wait()
        return await connect(*args, connection_class=Session, **options)

    monkeypatch.setattr(asyncpg, "connect", connect_by_it)
    return line


async def stored(database: Database) -> list[str]:
    return [row["text"] for row in await database.fetch("SELECT text FROM messages ORDER BY id")]


async def test_who_repeats_one_in_doubt_is_told_so(
    core: Core, database: Database, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "KNOWN_WITHIN_SEC", 0.1)
    async with writing(core, database):
        line.next_commit = asyncpg.ConnectionDoesNotExistError
        line.may_connect.clear()
        first, joined = await asyncio.gather(post(core, "one", "a"), post(core, "one", "a"))
        assert [told(first), told(joined)] == [UNKNOWN, UNKNOWN]
        assert counted(core, REFUSED_REPEATS) == 0, "the two are one message, in doubt"
        assert told(await post(core, "one", "a")) == UNKNOWN, "and not that it is not stored, though nothing is taken"
        assert counted(core, REFUSED_REPEATS) == 1
        assert told(await post(core, "two", "b")) == (503, "database_unavailable")
        assert (counted(core, REFUSED_REPEATS), counted(core, "chat_journal_refused_closed_total")) == (1, 1)
        line.may_connect.set()
        while (reply := await post(core, "one", "a")).status == 503:
            assert told(reply) == UNKNOWN
            await asyncio.sleep(0.01)
        assert reply.status == 200
    assert await stored(database) == ["one"]
    assert (counted(core, "chat_journal_unknown_total"), counted(core, "chat_journal_failed_total")) == (1, 0)


async def test_what_fails_as_nobody_expects_is_in_doubt(core: Core, database: Database, line: Line) -> None:
    async with writing(core, database):
        line.next_commit = RuntimeError
        line.may_connect.clear()
        assert told(await post(core, "one", "a")) == UNKNOWN
        assert told(await post(core, "one", "a")) == UNKNOWN
        assert counted(core, REFUSED_REPEATS) == 1
        line.may_connect.set()
        while (reply := await post(core, "one", "a")).status == 503:
            assert told(reply) == UNKNOWN
            await asyncio.sleep(0.01)
        assert reply.status == 200, "the next session sees what is in the database"
    assert await stored(database) == ["one"]
    assert (counted(core, "chat_journal_unknown_total"), counted(core, "chat_journal_failed_total")) == (1, 0)
