"""What a sweep of a million idle sessions costs the sends that go on meanwhile."""

import json

from benches.cargo import run_bench
from benches.figures import Figure


def measure() -> list[Figure]:
    """Against is the same server just before the sweep."""
    measured: dict[str, dict[str, float]] = json.loads(run_bench("sweep").splitlines()[-1])
    before, during = measured["before"], measured["during"]
    titles = {"p50_us": "send, p50", "p99_us": "send, p99", "p999_us": "send, p99.9", "longest_us": "send, longest"}
    return [
        Figure(f"{title}, during the sweep", during[key], "us", "before", before[key]) for key, title in titles.items()
    ]
