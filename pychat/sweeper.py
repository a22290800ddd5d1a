"""Closes idle sessions, a shard at a time."""

import asyncio

import structlog

from pychat._core import Core
from pychat.dynconf.current import CurrentConfig

log = structlog.get_logger("pychat.sweeper")


async def run_sweeper(core: Core, config: CurrentConfig) -> None:
    """Sweeps all shards every `period_seconds` until cancelled, where `is_enabled` is true; a changed period holds from
    the next round."""
    while True:
        await asyncio.sleep(config.value.gc_task.period_seconds)
        gc_task = config.value.gc_task
        if not gc_task.is_enabled:
            continue
        try:
            await _sweep(core, gc_task.inter_shard_pause_ms / 1000)
        except Exception as failure:
            # Without a sweeper every session that a client forgot would stay.
            log.error("a sweep failed", exc_info=failure)


async def _sweep(core: Core, pause_sec: float) -> None:
    for shard in range(core.shard_count):
        # Beside the loop: with a million sessions a shard takes tens of milliseconds.
        closed = await asyncio.to_thread(core.sweep, shard)
        # The pause spreads the closing; where none was, it would only make the next round late.
        await asyncio.sleep(pause_sec if closed else 0)
