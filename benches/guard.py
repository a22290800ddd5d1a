"""`make bench-check`: fails where a ratio of the Python API, of the edge or of a growing history has fallen by more
than a quarter against ratios.json.

Only what is steady on a small machine that others use too: of the Python API one thread and no event loop, of the edge
CPU time, of a history the medians of its pages, each ratio of two measurements taken one after the other. A loss counts
when it is seen three times in a row.
"""

import json
import sys

from benches import edge_cost, history, python_api
from benches.__main__ import RATIOS
from benches.figures import ratios, show

STEADY = "not pychat-2 and not usual-2 and not hand_over"
TOLERATED = 0.75
TIMES = 3


def main() -> None:
    parts: dict[str, dict[str, float]] = json.loads(RATIOS.read_text())
    committed = parts["python_api"] | parts["edge_cost"] | parts["short_history"]
    lost = set(committed)
    for _ in range(TIMES):
        figures = [*python_api.measure("-k", STEADY), *edge_cost.measure(), *history.measure_short()]
        show("guarded", figures)
        measured = ratios(figures)
        if unknown := measured.keys() - committed.keys():
            sys.exit(f"not in {RATIOS.name}, run `make bench`: {', '.join(sorted(unknown))}")
        if missing := (parts["edge_cost"] | parts["short_history"]).keys() - measured.keys():
            sys.exit(f"in {RATIOS.name}, but not measured any more: {', '.join(sorted(missing))}")
        lost &= {name for name, ratio in measured.items() if ratio < committed[name] * TOLERATED}
        if not lost:
            return
        print("".join(f"lost: {name}: {measured[name]:.2f} after {committed[name]:.2f}\n" for name in sorted(lost)))
    sys.exit(f"{len(lost)} ratios fell by more than a quarter, {TIMES} times in a row")


if __name__ == "__main__":
    main()
