"""`make bench`: runs the measurements, prints tables and writes benches/results/latest.json."""

import json
from pathlib import Path

from benches import parked_polls, python_api, send_cost

RESULTS = Path(__file__).with_name("results") / "latest.json"


def main() -> None:
    api = python_api.measure()
    python_api.show(api)
    server = {"send_cost": send_cost.measure(), "parked_polls": parked_polls.measure()}
    for bench, values in server.items():
        for name, value in values.items():
            print(f"{bench:14}{name:22}{value:12,.1f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"python_api": api, **server}, indent=2) + "\n")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
