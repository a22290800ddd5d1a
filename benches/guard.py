"""`make bench-check`: fails where a ratio of the Python API has fallen by more than a quarter against ratios.json.

Only what is steady on a small machine that others use too: one thread, no event loop, each ratio of two
measurements taken one after the other. A loss counts when it is seen three times in a row.
"""

import json
import sys

from benches import python_api
from benches.__main__ import RATIOS
from benches.figures import ratios, show

STEADY = "not pychat-2 and not usual-2 and not hand_over"
TOLERATED = 0.75
TIMES = 3


def main() -> None:
    committed: dict[str, float] = json.loads(RATIOS.read_text())["python_api"]
    lost = set(committed)
    for _ in range(TIMES):
        figures = python_api.measure("-k", STEADY)
        show("python_api", figures)
        measured = ratios(figures)
        if unknown := measured.keys() - committed.keys():
            sys.exit(f"not in {RATIOS.name}, run `make bench`: {', '.join(sorted(unknown))}")
        lost &= {name for name, ratio in measured.items() if ratio < committed[name] * TOLERATED}
        if not lost:
            return
        print("".join(f"lost: {name}: {measured[name]:.2f} after {committed[name]:.2f}\n" for name in sorted(lost)))
    sys.exit(f"{len(lost)} ratios fell by more than a quarter, {TIMES} times in a row")


if __name__ == "__main__":
    main()
