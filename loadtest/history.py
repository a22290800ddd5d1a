"""Locust's history file (`--csv-full-history`): the rows of one kind and name over time."""

import csv
from pathlib import Path
from typing import Final, NamedTuple

METHODS: Final = frozenset({"GET", "POST"})
"""The types of the rows that are HTTP requests."""
TAIL_BYTES: Final = 32_768  # some seconds


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
    """The rows of one name, in order."""
    rows = list(csv.DictReader(file.read_text().splitlines()))
    return [
        Moment(
            float(row["Timestamp"]) - float(rows[0]["Timestamp"]),
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


def read_requests(file: Path) -> list[Moment]:
    """All HTTP requests together. Locust's own sum counts deliveries and checks as well, which are rows beside them."""
    return _requests(file.read_text().splitlines())


def latest_requests(file: Path) -> Moment | None:
    """The newest of those, without reading all that was before."""
    with file.open("rb") as lines:
        head = lines.readline()
        lines.seek(max(len(head) - 1, file.stat().st_size - TAIL_BYTES))
        # The rest of a line, and the last one may be half written.
        tail = lines.read().split(b"\n")[1:-1]
    moments = _requests([line.decode() for line in (head.strip(), *tail)])
    # Those of the last second may not all be there.
    return moments[-2] if len(moments) > 1 else None


def _requests(lines: list[str]) -> list[Moment]:
    moments: dict[float, Moment] = {}
    start = None
    for row in csv.DictReader(lines):
        at = float(row["Timestamp"])
        start = at if start is None else start
        before = moments.get(at) or Moment(at - start, int(row["User Count"]), 0.0, 0.0, None, None, None)
        if row["Type"] in METHODS:
            before = before._replace(
                per_second=before.per_second + float(row["Requests/s"]),
                failed_per_second=before.failed_per_second + float(row["Failures/s"]),
            )
        moments[at] = before
    return list(moments.values())


def _number(cell: str) -> float | None:
    return None if cell == "N/A" else float(cell)
