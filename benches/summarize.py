"""`python -m benches.summarize`, after `cargo bench --bench structures`: prints how each structure compares with what
one would use instead and writes benches/results/structures.json. A ratio over 1 says how many times as fast ours is.
"""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results") / "structures.json"

# By name of a bench, by name of what was measured: the median time of an operation.
Nanoseconds = dict[str, dict[str, float]]


def read(criterion: Path) -> Nanoseconds:
    """The last run's medians out of criterion's folder."""
    times: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for file in sorted(criterion.glob("*/*/new/benchmark.json")):
        name: dict[str, Any] = json.loads(file.read_text())
        estimates: dict[str, Any] = json.loads(file.with_name("estimates.json").read_text())
        times[name["group_id"]][name["function_id"]] = estimates["median"]["point_estimate"]
    return dict(times)


def ratios(times: Nanoseconds) -> Nanoseconds:
    """Each time divided by ours; a bench is named after the structure: "RcuMap: reads, quiet"."""
    return {
        bench: {name: time / measured[bench.partition(":")[0]] for name, time in measured.items()}
        for bench, measured in times.items()
    }


def main() -> None:
    folder = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "criterion"
    times = read(folder)
    if not times:
        raise SystemExit(f"nothing measured in {folder}: run `cargo bench --bench structures` first")
    compared = ratios(times)
    for bench, measured in times.items():
        print(bench)
        for name, time in sorted(measured.items(), key=lambda item: item[1]):
            print(f"    {name:40}{time:10.1f} ns{compared[bench][name]:8.2f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"nanoseconds": times, "ratios": compared}, indent=2) + "\n")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
