"""What a load test came to: its thresholds judged, and a page that shows it."""

import html
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any, Final, NamedTuple

from loadtest.history import METHODS
from loadtest.profile import Profile
from loadtest.sampler import Sample

# Whose samples they are; the charts have these names too.
SERVER: Final = "server with its Postgres"
GENERATOR: Final = "load generator"
# A Python process on one core answers late from here on: what is then measured is the generator.
GENERATOR_BUSY_CORES: Final = 0.9
GENERATOR_BUSY_SHARE: Final = 0.1  # of the samples
# Whose latencies count, by the kind and name of their rows.
MEASURED: Final = {"send": ("POST", "send"), "delivery": ("DELIVERY", "message")}
PERCENTILES: Final = ("p50_ms", "p95_ms", "p99_ms")


class Check(NamedTuple):
    what: str
    measured: str
    allowed: str
    holds: bool


class Verdict(NamedTuple):
    checks: list[Check]
    notes: list[str]  # what a reader of the figures must know

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)

    def table(self) -> str:
        lines = [
            f"  {'ok ' if c.holds else 'NOT'}  {c.what:32}{c.measured:>14}   allowed {c.allowed}" for c in self.checks
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


class StageFigures(NamedTuple):
    """What was measured while so many people were wanted, from when they began to come until the next stage."""

    people: int
    sends_per_sec: float
    failed_share: float  # of the requests of any kind
    send_p50_ms: float | None  # `None` where nothing was sent, or came
    send_p95_ms: float | None
    send_p99_ms: float | None
    delivery_p50_ms: float | None
    delivery_p95_ms: float | None
    delivery_p99_ms: float | None


class Stages(NamedTuple):
    figures: list[StageFigures]
    breaks: str  # from how many people on the latency is more than the profile allows for the whole run

    @classmethod
    def of(cls, profile: Profile, counted: Sequence[Sequence[Mapping[str, Any]]]) -> "Stages":
        """From the rows of each stage."""
        figures = []
        for stage, rows in zip(profile.stages, counted, strict=True):
            by_name = {(row["kind"], row["name"]): row for row in rows}
            sends = by_name.get(MEASURED["send"], {"count": 0, "failed": 0})
            latencies = {
                f"{what}_{percentile}": by_name[key][percentile] if key in by_name else None
                for what, key in MEASURED.items()
                for percentile in PERCENTILES
            }
            sent_per_sec = (sends["count"] - sends["failed"]) / stage.seconds
            figures.append(StageFigures(stage.users, sent_per_sec, _failed_share(rows), **latencies))
        return cls(figures, _where_it_breaks(profile, figures))

    def rows(self) -> list[list[str]]:
        return [[_shown(field, figure) for field, figure in stage._asdict().items()] for stage in self.figures]

    def table(self) -> str:
        lines = [STAGE_COLUMNS, *self.rows()]
        widths = [max(len(line[column]) for line in lines) for column in range(len(STAGE_COLUMNS))]
        shown = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join(f"  {line}" for line in ["By stage, latencies in ms:", *shown, self.breaks])


STAGE_COLUMNS: Final = [
    field.removesuffix("_ms").replace("_per_sec", "/s").replace("_", " ") for field in StageFigures._fields
]


def _where_it_breaks(profile: Profile, figures: Sequence[StageFigures]) -> str:
    thresholds = profile.thresholds
    for number, stage in enumerate(figures, 1):
        broken = [
            f"{what}'s p95 is {measured:,.0f} ms, above {allowed:g}"
            for what, measured, allowed in (
                ("a send", stage.send_p95_ms, thresholds.send_p95_ms),
                ("a delivery", stage.delivery_p95_ms, thresholds.delivery_p95_ms),
            )
            if measured is not None and measured > allowed
        ]
        if stage.failed_share > thresholds.failed_share:
            broken.append(f"{stage.failed_share:.1%} of the requests failed")
        if stage.send_p95_ms is not None and stage.delivery_p95_ms is None:
            broken.append("nothing that was sent came")
        if broken:
            return f"It breaks with {stage.people} people (stage {number}): {'; '.join(broken)}."
    return "It breaks nowhere: in each stage all is within what the profile allows."


def _failed_share(rows: Sequence[Mapping[str, Any]]) -> float:
    requests = [row for row in rows if row["kind"] in METHODS]
    return float(sum(row["failed"] for row in requests) / max(1, sum(row["count"] for row in requests)))


def judge(profile: Profile, rows: Sequence[Mapping[str, Any]], samples: Mapping[str, Sequence[Sample]]) -> Verdict:
    """Holds the rows that Locust counted against the profile's thresholds."""
    by_name = {(row["kind"], row["name"]): row for row in rows}
    thresholds = profile.thresholds
    failed_share = _failed_share(rows)
    checks = [
        Check(
            "failed requests",
            f"{failed_share:.3%}",
            f"{thresholds.failed_share:.3%}",
            failed_share <= thresholds.failed_share,
        )
    ]
    for what, key, allowed in (
        ("send, p95", MEASURED["send"], thresholds.send_p95_ms),
        ("delivery end to end, p95", MEASURED["delivery"], thresholds.delivery_p95_ms),
    ):
        row = by_name.get(key)
        # Where nothing was measured nothing holds.
        measured = f"{row['p95_ms']:.0f} ms" if row else "none"
        checks.append(Check(what, measured, f"{allowed:g} ms", row is not None and row["p95_ms"] <= allowed))
    if thresholds.memory_growth is not None and SERVER in samples:
        growth = _memory_growth(samples[SERVER])
        allowed = thresholds.memory_growth
        checks.append(Check("memory, growth", f"{growth:.0%}", f"{allowed:.0%}", growth <= allowed))
    for what in ("lost", "doubled"):
        count = by_name.get(("CHECK", what), {"count": 0})["count"]
        checks.append(Check(f"messages {what}", str(count), "0", count == 0))
    return Verdict(checks, _notes(samples))


def _memory_growth(samples: Sequence[Sample]) -> float:
    quarter = len(samples) // 4
    if quarter == 0:
        return math.inf
    begin, end = (fmean(one.memory_bytes for one in some) for some in (samples[quarter:][:quarter], samples[-quarter:]))
    return end / begin - 1


def _notes(samples: Mapping[str, Sequence[Sample]]) -> list[str]:
    generator = samples[GENERATOR]
    busy = sum(sample.cores >= GENERATOR_BUSY_CORES for sample in generator)
    if busy > GENERATOR_BUSY_SHARE * len(generator):
        when = f"in {busy} of {len(generator)} seconds"
        return [f"The load generator had its one core busy {when}: latencies and rates are its own there."]
    return []


def write_report(
    out: Path,
    name: str,
    profile: Profile,
    url: str,
    began: datetime,
    rows: Sequence[Mapping[str, Any]],
    verdict: Verdict,
    stages: Stages | None,
) -> None:
    """Writes `summary.json` and `report.html`, which shows `charts.png` beside it."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    summary = {
        "profile": name,
        "began": began.isoformat(timespec="seconds"),
        "machine": machine,
        "holds": verdict.holds,
        "checks": [check._asdict() for check in verdict.checks],
        "notes": verdict.notes,
        "stages": [stage._asdict() for stage in stages.figures] if stages else [],
        "rows": rows,
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    checks = _table(
        ["", "measured", "allowed", ""],
        [[c.what, c.measured, c.allowed, "holds" if c.holds else "DOES NOT HOLD"] for c in verdict.checks],
    )
    columns = ["kind", "name", "count", "failed", "p50_ms", "p95_ms", "p99_ms", "max_ms"]
    counted = _table(columns, [[_shown(column, row[column]) for column in columns] for row in rows])
    by_stage = ""
    if stages:
        by_stage = (
            f"<h2>By stage</h2>\n<p>{html.escape(stages.breaks)} Latencies are in ms, of all that ended in a stage, "
        )
        by_stage += f"the coming and going of its people included.</p>\n{_table(STAGE_COLUMNS, stages.rows())}"
    notes = "".join(f"<p class=note>{html.escape(note)}</p>" for note in verdict.notes)
    (out / "report.html").write_text(
        f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>pychat: load test {html.escape(name)}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1f2937 }}
table {{ border-collapse: collapse; margin: 1rem 0 }}
td, th {{ padding: .25rem .9rem .25rem 0; text-align: left; border-bottom: 1px solid #e5e7eb }}
img {{ max-width: 100% }} .note {{ background: #fef3c7; padding: .6rem 1rem }}
</style>
<h1>Load test: {html.escape(name)}</h1>
<p>{html.escape(profile.description)}</p>
<p>{began:%Y-%m-%d %H:%M %Z}; {html.escape(url)}; generator and report on {html.escape(machine)}.</p>
{notes}{checks}
<p><img src="charts.png" alt="People online, throughput, latencies, CPU and memory over the time of the test"></p>
{by_stage}
<h2>All rows</h2>
<p>DELIVERY is from just before a send to the other's poll having brought it. A held poll's duration is
the waiting that it is for.</p>
{counted}
<p><a href="locust.html">Locust's own report</a></p>
</html>
"""
    )


def _shown(field: str, value: object) -> str:
    if value is None:
        return "none"
    if field.endswith("_share"):
        return f"{value:.1%}"
    return f"{value:,.0f}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"
