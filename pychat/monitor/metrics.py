"""Everything that operators can watch, in one collector; `sources.py` says where each metric comes from."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

Source = Callable[[], Iterable[Metric]]

BREATH_SEC = 0.0001
"""Long enough that a thread which waits for the GIL gets it: that it is free for an instant is not enough."""


class Metrics(Collector):
    """All metrics of one server, collected from its sources when asked."""

    def __init__(self, *sources: Source) -> None:
        self._sources = list(sources)

    def add(self, source: Source) -> None:
        """Has `source` asked as well, from any thread, each time."""
        self._sources.append(source)

    def collect(self) -> Iterator[Metric]:
        """Takes its time, so that nobody waits for it long: for a thread of its own."""
        for source in self._sources:
            yield from source()
            breathe()


def breathe() -> None:
    """Lets other threads run. A scrape is some milliseconds of Python, and requests are answered beside it."""
    time.sleep(BREATH_SEC)


def add_histogram(
    family: HistogramMetricFamily,
    labels: Sequence[str],
    bounds: Sequence[float],
    counts: Sequence[int],
    total: float,
) -> None:
    """Adds a histogram to `family`: `counts` has each bucket's own, the last one being for what is above all bounds."""
    buckets, so_far = [], 0
    for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        so_far += count
        buckets.append((bound, so_far))
    family.add_metric(labels, buckets, total)
