"""The tasks in the background go on, whatever one of their rounds meets."""

import asyncio
from typing import cast

from pychat._core import Core, LoadBatch
from pychat.database.pool import Database
from pychat.dynconf.current import CurrentConfig
from pychat.dynconf.schemas import DynamicConfig, GcTask
from pychat.loader import run_loader
from pychat.sweeper import run_sweeper


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

    async def next_load(self) -> LoadBatch:
        self._called()
        if self.done.is_set():
            await asyncio.Event().wait()
        return cast(LoadBatch, Nothing())


def config_of(gc_task: GcTask) -> CurrentConfig:
    return CurrentConfig(Core(signing_key=b"k" * 32), DynamicConfig(gc_task=gc_task))


class Nothing:
    """A batch without a question."""

    user_ids = usernames = chat_ids = pairs = ()

    def resolve(self, users: object, chats: object, private_chats: object) -> None: ...


async def until_done(core: OnceBroken, task: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(10):
        await core.done.wait()
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


async def test_the_sweeper_goes_on() -> None:
    core = OnceBroken()
    await until_done(core, asyncio.create_task(run_sweeper(cast(Core, core), config_of(GcTask(period_seconds=0)))))


async def test_the_loader_goes_on() -> None:
    core = OnceBroken()
    await until_done(core, asyncio.create_task(run_loader(cast(Core, core), cast(Database, None))))


async def test_the_sweeper_can_be_switched_off() -> None:
    core = OnceBroken()
    task = asyncio.create_task(run_sweeper(cast(Core, core), config_of(GcTask(is_enabled=False, period_seconds=0))))
    await asyncio.sleep(0.05)
    assert core.calls == 0
    task.cancel()
    await asyncio.wait([task])
