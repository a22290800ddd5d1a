"""The Rust structures against what one would use instead, quiet and contended: criterion's medians."""

import json
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benches.cargo import run_bench
from benches.figures import Figure


def measure(*arguments: str) -> list[Figure]:
    """Runs criterion with these arguments of its own."""
    # In a folder of its own, for criterion's usual one also has what earlier runs measured.
    with TemporaryDirectory() as folder:
        run_bench("structures", "--quiet", *arguments, CRITERION_HOME=folder)
        return compared(medians(Path(folder)))


def medians(folder: Path) -> dict[str, dict[str, float]]:
    """By name of a bench, by name of what was measured: nanoseconds an operation."""
    times: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for file in sorted(folder.glob("*/*/new/benchmark.json")):
        name: dict[str, Any] = json.loads(file.read_text())
        estimates: dict[str, Any] = json.loads(file.with_name("estimates.json").read_text())
        times[name["group_id"]][name["function_id"]] = estimates["median"]["point_estimate"]
    return dict(times)


def compared(times: dict[str, dict[str, float]]) -> list[Figure]:
    """A bench is named after the structure: "RcuMap: reads, quiet"."""
    return [
        Figure(bench, measured[bench.partition(":")[0]], "ns", other, time)
        for bench, measured in times.items()
        for other, time in measured.items()
        if other != bench.partition(":")[0]
    ]
