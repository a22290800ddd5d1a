"""`make bench`: runs the measurements and prints a table of each; `python -m benches STEP...` runs some of them.

Writes the figures to results/latest.json and the ratios, without any absolute figure, to ratios.json.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benches import criterion, edge_figures, history, overload, parked_polls, python_api, send_cost, sweep
from benches.figures import Figure, ratios, show

STEPS: dict[str, Callable[[], list[Figure]]] = {
    "structures": criterion.measure,
    "sweep": sweep.measure,
    "python_api": python_api.measure,
    "send_cost": send_cost.measure,
    "parked_polls": parked_polls.measure,
    "edge": edge_figures.measure,
    "overload": overload.measure,
    "history": history.measure,
}
FIGURES = Path(__file__).with_name("results") / "latest.json"
RATIOS = Path(__file__).with_name("ratios.json")


def main(names: list[str]) -> None:
    if unknown := set(names) - STEPS.keys():
        sys.exit(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}")
    for name in names or STEPS:
        figures = STEPS[name]()
        show(name, figures)
        # At once: a later step may fail.
        put(FIGURES, name, [asdict(each) for each in figures])
        put(RATIOS, name, {title: round(ratio, 3) for title, ratio in ratios(figures).items()})
    print(f"\nwritten to {FIGURES} and {RATIOS}")


def put(file: Path, name: str, value: object) -> None:
    """Replaces one step's part of a file."""
    file.parent.mkdir(exist_ok=True)
    parts: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**parts, name: value}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
