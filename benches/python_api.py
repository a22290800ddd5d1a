"""What the Python side of the Rust core costs: runs the benches of pytest-benchmark beside this file.

Times are nanoseconds an operation, the median of the rounds. A ratio is the usual way's time divided by ours: above 1,
ours is faster.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


def measure() -> dict[str, dict[str, float | str]]:
    """The figures by bench; those that are compared with something have `against`, `usual_ns` and `ratio`."""
    benches = {each["name"]: each for each in run()}
    figures: dict[str, dict[str, float | str]] = {}
    for name, bench in benches.items():
        if "[usual" in name:
            continue
        usual = benches.get(name.replace("[pychat", "[usual"))
        figures[title(bench)] = {"ns": nanoseconds(bench)}
        if usual is not None and usual is not bench:
            figures[title(bench)] |= {
                "against": bench["extra_info"]["against"],
                "usual_ns": nanoseconds(usual),
                "ratio": nanoseconds(usual) / nanoseconds(bench),
            }
    return figures


def show(figures: dict[str, dict[str, float | str]]) -> None:
    print(f"{'Python API':50}{'ns':>8}{'usual':>8}{'ratio':>7}")
    for name, values in figures.items():
        line = f"{name:50}{values['ns']:8,.0f}"
        if "ratio" in values:
            line += f"{values['usual_ns']:8,.0f}{values['ratio']:7.2f}  {values['against']}"
        print(line)


def run() -> list[dict[str, Any]]:
    with TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), "--dist=no", "--quiet", "--quiet"]
        # A busy machine makes for long rounds.
        command += ["--timeout=600", "--benchmark-quiet", f"--benchmark-json={results}"]
        subprocess.run(command, check=True)
        benches: list[dict[str, Any]] = json.loads(results.read_text())["benchmarks"]
    return benches


def title(bench: dict[str, Any]) -> str:
    """`test_rcu_map_read[pychat-2]` becomes `rcu map read, 2 threads`."""
    words = bench["name"].partition("[")[0].removeprefix("test_").replace("_", " ")
    threads = (bench["params"] or {}).get("threads", 1)
    return f"{words}, {threads} threads" if threads > 1 else words


def nanoseconds(bench: dict[str, Any]) -> float:
    return float(bench["stats"]["median"] / bench["extra_info"]["operations"] * 1e9)


if __name__ == "__main__":
    show(measure())
