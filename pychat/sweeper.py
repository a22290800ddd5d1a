"""Closes idle sessions, a shard at a time."""

import asyncio

from pychat._core import Core

PERIOD_SEC = 2


async def run_sweeper(core: Core) -> None:
    """Sweeps all shards every `PERIOD_SEC` until cancelled."""
    while True:
        await asyncio.sleep(PERIOD_SEC)
        for shard in range(core.shard_count):
            core.sweep(shard)
            # Requests go first: a sweep has no hurry.
            await asyncio.sleep(0)
