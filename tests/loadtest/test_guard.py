"""When the guard of the committed ratios fires."""

import json
from pathlib import Path

import pytest

from benches import guard
from benches.figures import Figure

NAME = "one, against another"
EDGE = "edge, against another"
PAGE = "page, against another"


def figures(ratio: float) -> list[Figure]:
    return [Figure("one", 1.0, "ns", "another", ratio)]


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "ratios.json"
    file.write_text(json.dumps({"python_api": {NAME: 4.0}, "edge_cost": {EDGE: 2.0}, "short_history": {PAGE: 1.0}}))
    monkeypatch.setattr(guard, "RATIOS", file)
    return file


def measuring(monkeypatch: pytest.MonkeyPatch, *ratios: float, edge: float = 2.0, page: float = 1.0) -> list[float]:
    """The guard finds these, one after the other; returns those that it has not asked for."""
    left = list(ratios)
    monkeypatch.setattr("benches.edge_cost.measure", lambda: [Figure("edge", 1.0, "us", "another", edge)])
    monkeypatch.setattr("benches.history.measure_short", lambda: [Figure("page", 1.0, "ms", "another", page)])
    monkeypatch.setattr("benches.python_api.measure", lambda *_: figures(left.pop(0)))
    return left


def test_fails_where_a_loss_is_seen_three_times(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measuring(monkeypatch, 2.9, 2.0, 2.9)
    with pytest.raises(SystemExit, match="1 ratios fell by more than a quarter, 3 times"):
        guard.main()


@pytest.mark.parametrize("dearer", [{"edge": 1.4}, {"page": 0.1}])
def test_a_dearer_edge_or_history_is_a_loss_too(
    dearer: dict[str, float], committed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring(monkeypatch, 4.0, 4.0, 4.0, **dearer)
    with pytest.raises(SystemExit, match="1 ratios fell"):
        guard.main()


@pytest.mark.parametrize("ratios", [(3.1,), (2.0, 3.1), (2.0, 2.9, 4.0), (9.0,)])
def test_a_loss_that_does_not_stay_is_none(
    ratios: tuple[float, ...], committed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = measuring(monkeypatch, *ratios)
    guard.main()
    assert left == []


def test_a_bench_that_nobody_committed_is_named(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed.write_text(json.dumps({"python_api": {}, "edge_cost": {EDGE: 2.0}, "short_history": {PAGE: 1.0}}))
    measuring(monkeypatch, 4.0)
    with pytest.raises(SystemExit, match=f"run `make bench`: {NAME}"):
        guard.main()
