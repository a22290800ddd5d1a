"""What a sweep of a million idle sessions costs the sends that go on meanwhile."""

import json
from typing import Any

from benches.cargo import run_bench
from benches.figures import Figure

TITLES = {"p50_us": "p50", "p99_us": "p99", "p999_us": "p99.9", "longest_us": "longest"}


def measure() -> list[Figure]:
    """Against is the same server just before the sweep."""
    measured: dict[str, Any] = json.loads(run_bench("sweep").splitlines()[-1])
    before = measured["before"]
    return [
        Figure(f"send while {part['part']}, {title}", part[key], "us", "before", before[key])
        for part in measured["during"]
        for key, title in TITLES.items()
    ]
