"""`make bench`: runs the measurements, prints a table and writes benches/results/latest.json."""

import json
from pathlib import Path

from benches import parked_polls, send_cost
from tests.support.door import DOORS

RESULTS = Path(__file__).with_name("results") / "latest.json"


def main() -> None:
    benches = {"send_cost": send_cost.measure, "parked_polls": parked_polls.measure}
    figures = {f"{name}, {door.name}": measure(door) for name, measure in benches.items() for door in DOORS}
    for bench, values in figures.items():
        for name, value in values.items():
            print(f"{bench:24}{name:22}{value:12,.1f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
