"""`make bench`: runs the measurements, prints tables and writes benches/results/latest.json."""

import json
from pathlib import Path

from benches import parked_polls, python_api, send_cost
from tests.support.door import DOORS

RESULTS = Path(__file__).with_name("results") / "latest.json"


def main() -> None:
    api = python_api.measure()
    python_api.show(api)
    benches = {"send_cost": send_cost.measure, "parked_polls": parked_polls.measure}
    server = {f"{name}, {door.name}": measure(door) for name, measure in benches.items() for door in DOORS}
    for bench, values in server.items():
        for name, value in values.items():
            print(f"{bench:24}{name:22}{value:12,.1f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"python_api": api, **server}, indent=2) + "\n")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
