"""How late the event loop is: what everything that Python answers waits for, besides its own work."""

import asyncio
from bisect import bisect_left
from collections.abc import Iterable

from prometheus_client.core import HistogramMetricFamily, Metric

from pychat.monitor.metrics import add_histogram

MEASURE_EVERY_SEC = 0.25
"""Sixty times in a usual scrape's 15 s, and no work to speak of."""

BOUNDS_SEC = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class LoopLag:
    """A histogram of how much later than asked the loop wakes a sleeper."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_SEC) + 1)
        self._sum = 0.0

    async def measure(self) -> None:
        """Goes on until cancelled."""
        now = asyncio.get_running_loop().time
        while True:
            due = now() + MEASURE_EVERY_SEC
            await asyncio.sleep(MEASURE_EVERY_SEC)
            lag = max(0.0, now() - due)
            self._counts[bisect_left(BOUNDS_SEC, lag)] += 1
            self._sum += lag

    def metrics(self) -> Iterable[Metric]:
        family = HistogramMetricFamily("pychat_event_loop_lag_seconds", "How late Python's event loop wakes a sleeper.")
        add_histogram(family, [], BOUNDS_SEC, self._counts, self._sum)
        yield family
