"""What the Python side of the Rust core costs: runs the benches of pytest-benchmark beside this file.

Times are nanoseconds an operation in the fastest round: whatever else runs on the machine makes rounds only longer.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benches.figures import Figure


def measure(*arguments: str) -> list[Figure]:
    """Runs pytest with these arguments of its own."""
    benches = {each["name"]: each for each in run(*arguments)}
    return [
        Figure(
            title(bench),
            nanoseconds(bench),
            "ns",
            bench["extra_info"].get("against", ""),
            nanoseconds(benches[name.replace("[pychat", "[usual")]),
        )
        for name, bench in benches.items()
        if "[usual" not in name
    ]


def run(*arguments: str) -> list[dict[str, Any]]:
    with TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), "--dist=no", "--quiet", "--quiet"]
        # A busy machine makes for long rounds.
        command += ["--timeout=600", "--benchmark-quiet", f"--benchmark-json={results}", *arguments]
        subprocess.run(command, check=True)
        benches: list[dict[str, Any]] = json.loads(results.read_text())["benchmarks"]
    return benches


def title(bench: dict[str, Any]) -> str:
    """`test_rcu_map_read[pychat-2]` becomes `rcu map read, 2 threads`."""
    words = bench["name"].partition("[")[0].removeprefix("test_").replace("_", " ")
    threads = (bench["params"] or {}).get("threads", 1)
    return f"{words}, {threads} threads" if threads > 1 else words


def nanoseconds(bench: dict[str, Any]) -> float:
    return float(bench["stats"]["min"] / bench["extra_info"]["operations"] * 1e9)
