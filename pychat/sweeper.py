"""Closes idle sessions, a shard at a time."""

import asyncio
from collections.abc import Callable

import structlog

from pychat._core import Core, release_memory
from pychat.dynconf.schemas import GcTask
from pychat.tasks import Task

log = structlog.get_logger("pychat.sweeper")

TASK = "gc-background-job"

LOOK_EVERY_SEC = 1.0
"""How soon a shorter period is noticed: the shortest one there is."""

WORTH_RELEASING = 1_000
"""Sessions closed in one round after which memory is given back: about a megabyte."""


async def run_sweeper(core: Core, config: Callable[[], GcTask], task: Task) -> None:
    """Sweeps all shards every `period_seconds` until cancelled, where `is_enabled` is true; `config` gives what is in
    force. Each round is a run of `task`."""
    while True:
        await _wait_for_turn(config)
        if not config().is_enabled:
            continue
        try:
            async with task.turn():
                await sweep(core, config)
        except Exception as failure:
            # Without a sweeper every session that a client forgot would stay.
            log.error("a sweep failed; the next one is tried in its time", exc_info=failure)


async def sweep(core: Core, config: Callable[[], GcTask] | None = None) -> None:
    """Closes what is idle in every shard, once. By `config` it waits after a shard that had something to close, and
    ends where it is switched off; without, as operators have it run, it does neither."""
    total = 0
    for shard in range(core.shard_count):
        if config is not None and not config().is_enabled:
            break
        # Beside the loop: with a million sessions a shard takes tens of milliseconds.
        closed = await asyncio.to_thread(core.sweep, shard)
        total += closed
        # The pause spreads the closing; where none was, it would only make the next round late.
        await asyncio.sleep(config().inter_shard_pause_ms / 1000 if closed and config is not None else 0)
    if total >= WORTH_RELEASING:
        await asyncio.to_thread(release_memory)


async def _wait_for_turn(config: Callable[[], GcTask]) -> None:
    now = asyncio.get_running_loop().time
    began = now()
    left = LOOK_EVERY_SEC
    while left >= LOOK_EVERY_SEC:
        left = max(0, began + config().period_seconds - now())
        await asyncio.sleep(min(left, LOOK_EVERY_SEC))
