"""What a load test's figures come to."""

from typing import Any

import pytest

from loadtest.profile import Profile, Stage, Thresholds
from loadtest.report import GENERATOR, SERVER, judge
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
