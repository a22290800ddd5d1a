"""`make bench`: runs the measurements and prints a table of each; `python -m benches STEP...` runs some of them.

Writes the figures to results/latest.json and the ratios, without any absolute figure, to ratios.json.
"""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benches import criterion, edge_cost, edge_figures, history, overload, parked_polls, python_api, send_cost, sweep
from benches.figures import Figure, ratios, show
from benches.process import two_cores
from loadtest.peers import peers

STEPS: dict[str, Callable[[], list[Figure]]] = {
    "structures": criterion.measure,
    "sweep": sweep.measure,
    "python_api": python_api.measure,
    "send_cost": send_cost.measure,
    "parked_polls": parked_polls.measure,
    "edge_cost": edge_cost.measure,
    "edge": edge_figures.measure,
    "overload": overload.measure,
    "history": history.measure,
    "short_history": history.measure_short,
}
FIGURES = Path(__file__).with_name("results") / "latest.json"
RATIOS = Path(__file__).with_name("ratios.json")


def main(names: list[str]) -> None:
    if {"-h", "--help"} & set(names):
        print(f"{__doc__}\nSteps: {', '.join(STEPS)}")
        return
    if unknown := set(names) - STEPS.keys():
        sys.exit(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}")
    names = names or list(STEPS)
    require(names)
    for name in names:
        figures = STEPS[name]()
        show(name, figures)
        # At once: a later step may fail.
        put(FIGURES, name, [asdict(each) for each in figures])
        put(RATIOS, name, {title: round(ratio, 3) for title, ratio in ratios(figures).items()})
    print(f"\nwritten to {FIGURES} and {RATIOS}")


def require(names: list[str]) -> None:
    """Ends where a step would fail for want of something, before the first is begun."""
    missing = []
    if {"send_cost", "edge"} & set(names) and shutil.which("wrk") is None:
        missing.append("wrk (Debian: wrk)")
    if "edge" in names:
        missing += [peer.missing for peer in peers() if peer.name == "nchan" and peer.missing]
    if {"send_cost", "edge", "overload"} & set(names):
        two_cores()
    if missing:
        sys.exit(f"This needs {'; '.join(missing)}.")


def put(file: Path, name: str, value: object) -> None:
    """Replaces one step's part of a file."""
    file.parent.mkdir(exist_ok=True)
    parts: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**parts, name: value}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
