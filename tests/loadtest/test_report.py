"""What a load test's figures come to."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loadtest.profile import Profile, Stage, Thresholds
from loadtest.report import GENERATOR, SERVER, Stages, judge, write_report
from loadtest.sampler import Sample

PROFILE = Profile("a test", [Stage(1, 1, 1)], Thresholds(send_p95_ms=10, delivery_p95_ms=20))
IDLE = {GENERATOR: [Sample(float(second), 0.2, 1) for second in range(10)]}


def row(kind: str, name: str, *, count: int = 100, failed: int = 0, p95_ms: float = 5) -> dict[str, Any]:
    return {"kind": kind, "name": name, "count": count, "failed": failed, "p95_ms": p95_ms}


GOOD = [row("POST", "send"), row("DELIVERY", "message")]


def test_holds_where_everything_is_within_its_threshold() -> None:
    assert judge(PROFILE, GOOD, IDLE).holds


@pytest.mark.parametrize(
    "rows",
    [
        [row("POST", "send", p95_ms=11), GOOD[1]],
        [GOOD[0], row("DELIVERY", "message", p95_ms=21)],
        [row("POST", "send", failed=1), GOOD[1]],
        [*GOOD, row("GET", "poll (held)", failed=1)],
        [*GOOD, row("CHECK", "lost", count=1, failed=1)],
        [*GOOD, row("CHECK", "doubled", count=1, failed=1)],
        [GOOD[0]],
        [],
    ],
    ids=["slow send", "slow delivery", "failed send", "failed poll", "lost", "doubled", "nothing delivered", "nothing"],
)
def test_does_not_hold_where_one_thing_is_wrong(rows: list[dict[str, Any]]) -> None:
    assert not judge(PROFILE, rows, IDLE).holds


def test_says_when_the_generator_was_the_limit() -> None:
    assert judge(PROFILE, GOOD, IDLE).notes == []
    busy = {GENERATOR: [Sample(float(second), 0.97 if second < 5 else 0.2, 1) for second in range(10)]}
    (note,) = judge(PROFILE, GOOD, busy).notes
    assert "5 of 10 seconds" in note


@pytest.mark.parametrize(("last", "holds"), [(140, True), (160, False)])
def test_memory_that_keeps_growing_does_not_hold(last: int, holds: bool) -> None:
    profile = Profile("a test", [Stage(1, 1, 1)], Thresholds(send_p95_ms=10, delivery_p95_ms=20, memory_growth=0.5))
    # Half as much at the start, which says nothing.
    memory = [
        Sample(float(second), 0.2, bytes_) for second, bytes_ in enumerate([50, 50, 100, 100, 120, 120, last, last])
    ]
    assert judge(profile, GOOD, {**IDLE, SERVER: memory}).holds is holds
    assert judge(profile, GOOD, IDLE).holds


STAGED = Profile("a test", [Stage(users, 1, 10) for users in (50, 100, 200)], Thresholds(10, 20))


def stage(send_p95_ms: float, delivery_p95_ms: float) -> list[dict[str, Any]]:
    others = {"p50_ms": 1.0, "p99_ms": 99.0, "max_ms": 99.0}
    rows = [row("POST", "send", p95_ms=send_p95_ms), row("DELIVERY", "message", p95_ms=delivery_p95_ms)]
    return [{**one, **others} for one in rows]


def test_stages_say_with_how_many_people_it_breaks(tmp_path: Path) -> None:
    stages = Stages.of(STAGED, [stage(5, 6), stage(9, 21), stage(40, 50)])
    assert stages.breaks == "It breaks with 100 people (stage 2): a delivery's p95 is 21 ms, above 20."
    assert [(one.people, one.sends_per_sec, one.failed_share, one.send_p95_ms) for one in stages.figures] == [
        (50, 10, 0, 5),
        (100, 10, 0, 9),
        (200, 10, 0, 40),
    ]
    rows = stage(40, 50)
    write_report(tmp_path, "own", STAGED, "http://x", datetime.now(UTC), rows, judge(STAGED, rows, IDLE), stages)
    assert json.loads((tmp_path / "summary.json").read_text())["stages"][1]["delivery_p95_ms"] == 21
    page = (tmp_path / "report.html").read_text()
    assert stages.breaks.replace("'", "&#x27;") in page
    assert "<td>21</td>" in page


def test_it_breaks_where_sends_fail_or_nothing_comes() -> None:
    failing = [{**one, "failed": 30} if one["name"] == "send" else one for one in stage(5, 6)]
    stages = Stages.of(STAGED, [stage(5, 6), failing, []])
    assert stages.breaks == "It breaks with 100 people (stage 2): 30.0% of the requests failed."
    assert stages.figures[1].sends_per_sec == 7
    assert "30.0%" in stages.table()
    stalled = stage(5, 6)[:1]
    assert Stages.of(STAGED, [stalled, [], []]).breaks.endswith("nothing that was sent came.")


def test_stages_in_which_nothing_was_sent_break_nothing() -> None:
    stages = Stages.of(STAGED, [[], stage(5, 6), []])
    assert stages.breaks.startswith("It breaks nowhere")
    assert "none" in stages.table().splitlines()[2]
