"""Locust's history file (`--csv-full-history`): the rows of one kind and name over time."""

import csv
from pathlib import Path
from typing import NamedTuple


class Moment(NamedTuple):
    """What Locust knew at one second; the percentiles are over the last ten or so."""

    second: float  # since the first row
    users: int
    per_second: float
    failed_per_second: float
    p50_ms: float | None  # `None` before there is anything
    p95_ms: float | None
    p99_ms: float | None


def read_history(file: Path, name: str) -> list[Moment]:
    """The rows of one name, in order; those of all requests together are named `Aggregated`."""
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    start = float(rows[0]["Timestamp"]) if rows else 0.0
    return [
        Moment(
            float(row["Timestamp"]) - start,
            int(row["User Count"]),
            float(row["Requests/s"]),
            float(row["Failures/s"]),
            _number(row["50%"]),
            _number(row["95%"]),
            _number(row["99%"]),
        )
        for row in rows
        if row["Name"] == name
    ]


def _number(cell: str) -> float | None:
    return None if cell == "N/A" else float(cell)
