"""The writer where one week's partition ends, and where the clock is not what it was."""

import asyncio
import json

import pytest

from pychat._core import Core
from pychat.database.pool import Database
from pychat.journal import writer
from pychat.journal.partitions import WEEK, make_partitions, now_id, partition_name
from tests.support.journal import post, writing


@pytest.mark.parametrize("weeks", [1, 9], ids=["made ahead", "made when it is needed"])
async def test_sends_go_on_over_the_end_of_a_week(core: Core, database: Database, weeks: int) -> None:
    border = (now_id() // WEEK + weeks) * WEEK
    await make_partitions(database, border - 1, border - 1)
    await database.execute("INSERT INTO messages VALUES ($1, 7, 1, 'as if it was nearly midnight')", border - 51)
    async with writing(core, database):
        # Ids go on above the highest, so the border is where the fiftieth begins a batch, or in the middle of one.
        replies = [
            await asyncio.gather(*(post(core, "x", f"{number} {turn}") for turn in range(7))) for number in range(15)
        ]
    ids = [int(json.loads(reply.body)["id"]) for some in replies for reply in some]
    assert ids == list(range(border - 50, border + 55))
    rows = await database.fetch(
        "SELECT tableoid::regclass::text AS name, count(*) FROM messages GROUP BY 1 ORDER BY min(id)"
    )
    assert [tuple(row) for row in rows] == [
        (partition_name(border // WEEK - 1), 51),
        (partition_name(border // WEEK), 55),
    ]


async def test_a_clock_that_was_ahead_at_the_start(
    core: Core, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = now_id() + 3 * WEEK
    monkeypatch.setattr(writer, "now_id", lambda: ahead)
    async with writing(core, database):
        monkeypatch.undo()
        reply = await post(core, "after the clock was set")
        assert reply.status == 201, reply.body
        assert int(json.loads(reply.body)["id"]) >= ahead, "where there is a partition"


async def test_a_clock_that_was_behind_at_the_start(
    core: Core, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "now_id", lambda: now_id() - 100 * WEEK)
    async with writing(core, database):
        assert (await post(core, "after the clock was set")).status == 201
