"""Closes idle sessions, a shard at a time."""

import asyncio
import math
from collections.abc import Callable

import structlog

from pychat._core import Core, release_memory
from pychat.dynconf.schemas import GcTask
from pychat.tasks import Task

log = structlog.get_logger("pychat.sweeper")

TASK = "gc-background-job"

LOOK_EVERY_SEC = 1.0
"""How soon a shorter period is noticed: the shortest one there is."""

WORTH_RELEASING = 10_000
"""Sessions closed after which memory is given back: some eight megabytes."""

RELEASE_EVERY_SEC = 60.0
"""How often at most: meanwhile whoever wants memory waits for it. What is free is used again until then."""


class Sweeper:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._closed_since_release = 0
        self._released_at = -math.inf

    async def run(self, config: Callable[[], GcTask], task: Task) -> None:
        """Sweeps all shards every `period_seconds` until cancelled, where `is_enabled` is true; `config` gives what is
        in force. The closing of each round is a run of `task`; the freeing is none, so that no operator's run waits for
        it: of a million sessions it takes half a minute."""
        while True:
            await _wait_for_turn(config)
            if not config().is_enabled:
                continue
            try:
                async with task.turn():
                    await self._close(config)
                await self._free()
            except Exception as failure:
                # Without a sweeper every session that a client forgot would stay.
                log.error("a sweep failed; the next one is tried in its time", exc_info=failure)

    async def sweep(self) -> None:
        """Closes what is idle in every shard, once, and frees it; as operators have it run, without pauses and even
        where it is switched off."""
        await self._close()
        await self._free()

    async def _close(self, config: Callable[[], GcTask] | None = None) -> None:
        """By `config` it waits after a shard that had something to close, and closes no more where it is switched off;
        without, it does neither."""
        for shard in range(self._core.shard_count):
            if config is not None and not config().is_enabled:
                break
            # Beside the loop: with a million sessions a shard takes tens of milliseconds.
            closed = await asyncio.to_thread(self._core.sweep, shard)
            self._closed_since_release += closed
            # The pause spreads the closing; where none was, it would only make the next round late.
            await asyncio.sleep(config().inter_shard_pause_ms / 1000 if closed and config is not None else 0)

    async def _free(self) -> None:
        await asyncio.to_thread(self._core.release_swept)
        now = asyncio.get_running_loop().time()
        if self._closed_since_release >= WORTH_RELEASING and now >= self._released_at + RELEASE_EVERY_SEC:
            self._closed_since_release, self._released_at = 0, now
            await asyncio.to_thread(release_memory)


async def _wait_for_turn(config: Callable[[], GcTask]) -> None:
    now = asyncio.get_running_loop().time
    began = now()
    left = LOOK_EVERY_SEC
    while left >= LOOK_EVERY_SEC:
        left = max(0, began + config().period_seconds - now())
        await asyncio.sleep(min(left, LOOK_EVERY_SEC))
