"""The tasks in the background go on, whatever one of their rounds meets."""

import asyncio
import threading
from typing import cast

import msgspec
import pytest

from pychat import tasks
from pychat._core import Core, LoadBatch
from pychat.database.pool import DatabaseUnavailable, Share
from pychat.dynconf.schemas import GcTask
from pychat.loader import run_loader
from pychat.sweeper import WORTH_RELEASING, Sweeper
from pychat.tasks import Task, run_by_time


class OnceBroken:
    """A core that fails once and then counts what it is asked; `done` is set when it was asked again."""

    shard_count = 2

    def __init__(self) -> None:
        self.calls = 0
        self.done = asyncio.Event()

    def _called(self) -> None:
        self.calls += 1
        if self.calls == 1:
            raise RuntimeError("as it happens")
        if self.calls > 2:
            self.done.set()

    def sweep(self, _shard: int) -> int:
        self._called()
        return 0

    def release_swept(self) -> None: ...

    async def next_load(self) -> LoadBatch:
        self._called()
        if self.done.is_set():
            await asyncio.Event().wait()
        return cast(LoadBatch, Nothing())


class Nothing:
    """A batch without a question."""

    user_ids = usernames = chat_ids = pairs = ()

    def resolve(self, users: object, chats: object, private_chats: object) -> None: ...


async def until_done(core: OnceBroken, task: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(30):
        await core.done.wait()
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


async def nothing() -> None: ...


async def test_the_sweeper_goes_on() -> None:
    core, task = OnceBroken(), Task("sweep", nothing)
    await until_done(core, asyncio.create_task(Sweeper(cast(Core, core)).run(lambda: GcTask(period_seconds=0), task)))
    assert task.runs["failed"] == 1


async def test_the_loader_goes_on() -> None:
    core = OnceBroken()
    await until_done(core, asyncio.create_task(run_loader(cast(Core, core), cast(Share, None), 1_000)))


async def test_the_sweeper_can_be_switched_off_and_on() -> None:
    core = OnceBroken()
    swept_by_then: list[int] = []
    switched_on = asyncio.Event()

    def config() -> GcTask:
        swept_by_then.append(core.calls)
        # It looks twice a round: when, and whether at all.
        is_off = len(swept_by_then) <= 200
        if not is_off:
            switched_on.set()
        return GcTask(is_enabled=not is_off, period_seconds=0)

    task = asyncio.create_task(Sweeper(cast(Core, core)).run(config, Task("sweep", nothing)))
    await switched_on.wait()
    assert set(swept_by_then) == {0}, "it swept while it was off"
    await until_done(core, task)


class Counted:
    """A core with ten shards, which notes those that were swept, and which of them were freed; the sweeping waits for
    `may_go_on`, the freeing for `may_free`."""

    shard_count = 10

    def __init__(self, closed: int = 1) -> None:
        self.swept: list[int] = []
        self.freed: list[int] = []
        self.closed = closed
        self.first_shard = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.may_go_on = threading.Event()
        self.freeing = asyncio.Event()
        self.may_free = threading.Event()
        self.may_free.set()

    def sweep(self, shard: int) -> int:
        self._loop.call_soon_threadsafe(self.first_shard.set)
        self.may_go_on.wait()
        self.swept.append(shard)
        return self.closed

    def release_swept(self) -> None:
        freed = self.swept.copy()
        self._loop.call_soon_threadsafe(self.freeing.set)
        self.may_free.wait()
        self.freed = freed


async def test_a_sweep_that_is_switched_off_ends_with_its_shard() -> None:
    core = Counted()
    config = GcTask(period_seconds=0, inter_shard_pause_ms=0)
    by_time = asyncio.create_task(Sweeper(cast(Core, core)).run(lambda: config, Task("sweep", nothing)))
    await core.first_shard.wait()
    config = GcTask(is_enabled=False)
    core.may_go_on.set()
    await core.freeing.wait()
    assert core.swept == [0]
    by_time.cancel()
    await asyncio.wait([by_time])


async def test_a_sweep_on_demand_does_not_wait_while_what_was_swept_by_time_is_freed() -> None:
    core = Counted()
    core.may_go_on.set()
    core.may_free.clear()
    sweeper = Sweeper(cast(Core, core))
    config = GcTask(period_seconds=0, inter_shard_pause_ms=0)
    task = Task("sweep", nothing)
    by_time = asyncio.create_task(sweeper.run(lambda: config, task))
    await core.freeing.wait()
    try:
        async with asyncio.timeout(30):
            await task.run()
    finally:
        core.may_free.set()
        by_time.cancel()
        await asyncio.wait([by_time])
    assert task.runs["done"] >= 2


async def test_memory_is_given_back_when_it_is_worth_it_and_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[int] = []
    core = Counted(closed=WORTH_RELEASING // 10 - 1)
    core.may_go_on.set()
    monkeypatch.setattr("pychat.sweeper.release_memory", lambda: given_back.append(len(core.freed)))
    sweeper = Sweeper(cast(Core, core))
    await sweeper.sweep()
    assert given_back == [], "too little"
    await sweeper.sweep()
    assert given_back == [20]
    await sweeper.sweep()
    await sweeper.sweep()
    assert given_back == [20], "less than a minute ago"
    monkeypatch.setattr("pychat.sweeper.RELEASE_EVERY_SEC", 0)
    await sweeper.sweep()
    assert given_back == [20, 50]
    core.closed = 1
    await sweeper.sweep()
    assert given_back == [20, 50], "too little since then"


async def test_a_sweep_on_demand_waits_for_the_one_under_way() -> None:
    core = Counted()
    sweeper = Sweeper(cast(Core, core))
    task = Task("sweep", sweeper.sweep)
    periods = iter([0])
    config = GcTask(inter_shard_pause_ms=0)
    by_time = asyncio.create_task(
        sweeper.run(lambda: msgspec.structs.replace(config, period_seconds=next(periods, 3_600)), task)
    )
    await core.first_shard.wait()
    on_demand = asyncio.create_task(task.run())
    core.may_go_on.set()
    await on_demand
    assert core.swept == [*range(10), *range(10)]
    assert task.runs["done"] == 2
    by_time.cancel()
    await asyncio.wait([by_time])


async def test_a_task_goes_on_by_time() -> None:
    runs = 0
    done = asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise RuntimeError("as it happens")
        done.set()

    task = Task("now and then", work, every_sec=0)
    by_time = asyncio.create_task(run_by_time(task))
    async with asyncio.timeout(30):
        await done.wait()
    by_time.cancel()
    assert task.runs["failed"] == 1
    assert task.last_run is not None
    assert task.last_run.outcome == "done"


async def test_a_task_is_run_soon_after_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "FIRST_AFTER_SEC", 0)
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    by_time = asyncio.create_task(run_by_time(Task("hourly", work, every_sec=3_600)))
    async with asyncio.timeout(30):
        await done.wait()
    by_time.cancel()


async def test_a_failure_is_no_success() -> None:
    fails = False

    async def work() -> None:
        if fails:
            raise DatabaseUnavailable("away")

    task = Task("now and then", work)
    await task.run()
    success = task.last_success
    assert success is task.last_run
    fails = True
    with pytest.raises(DatabaseUnavailable):
        await task.run()
    assert task.last_success is success
    assert task.last_run is not success


async def test_runs_of_a_task_do_not_overlap() -> None:
    running = 0

    async def work() -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        running -= 1

    task = Task("alone", work)
    await asyncio.gather(*(task.run() for _ in range(5)))
    assert task.runs["done"] == 5
