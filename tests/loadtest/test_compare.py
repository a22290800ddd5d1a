"""What the comparison says of servers that were not measured as asked, or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from loadtest import compare
from loadtest.compare import BASE, Measured, medians, table
from loadtest.driver_process import Driven, Unsound
from loadtest.peers import Peer, Started


def driven(per_sec: float, driver_cpu: float = 0.5, memory: int = 0) -> Driven:
    report = {"sends": {"per_sec": per_sec}, "driver_cpu": driver_cpu, "delivery_ms": {"p50": 0.1, "p99": 0.5}}
    return Driven(report, 10.0, memory, 0, 0.0)


@contextmanager
def nothing() -> Iterator[Started]:
    yield Started("http://127.0.0.1:9", psutil.Process())


def test_a_rate_that_the_load_set_is_marked_and_what_was_not_held_left_out() -> None:
    measured = {
        BASE: Measured({"publishes_per_sec": 100, "driver_cpu": 0.5, "cpu_us_per_publish": 10}, []),
        "fast": Measured({"publishes_per_sec": 300, "driver_cpu": 0.97, "cpu_us_per_publish": 5}, []),
        "lossy": Measured({}, ["at 5,000/s: 7 accepted messages did not come"]),
    }
    shown = table(measured, dict.fromkeys(measured, ""))
    lines = {name: line for line in shown.splitlines() for name in measured if line.startswith(name)}
    assert ">300.00 (3.00x)" in lines["fast"]
    assert "5.00 (0.50x)" in lines["fast"]
    assert ">100" not in lines[BASE]
    assert lines["lossy"].split() == ["lossy", *"-------"]
    assert "lossy, at 5,000/s: 7 accepted messages did not come" in shown


def test_of_several_runs_the_medians_count_and_every_note_stays() -> None:
    runs = [
        Measured({"cpu_us_per_publish": 10, "publishes_per_sec": 300}, []),
        Measured({"cpu_us_per_publish": 90}, ["as fast as it can: lost"]),
        Measured({"cpu_us_per_publish": 12, "publishes_per_sec": 100}, ["as fast as it can: lost"]),
    ]
    assert medians(runs) == Measured({"cpu_us_per_publish": 12}, ["as fast as it can: lost"])


def test_without_pychat_there_are_no_ratios() -> None:
    shown = table({"other": Measured({"publishes_per_sec": 100, "driver_cpu": 0.5}, [])}, {"other": ""})
    assert "x)" not in shown


def test_a_peer_that_fails_costs_the_others_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Started]:
        raise RuntimeError("it cannot be built here")

    def drive(_url: str, _loaded: object, **options: object) -> Driven:
        if options.get("rate") == 5_000:
            raise Unsound({"faults": ["7 polls failed"]})
        return driven(1_000, memory=450_000 if options.get("idle_polls") == 5_000 else 0)

    everybody = [
        Peer(BASE, "", None, nothing, {}),
        Peer("broken", "", None, contextmanager(broken), {}),
        Peer("missing", "", "Go", nothing, {}),
    ]
    monkeypatch.setattr(compare, "peers", lambda: everybody)
    monkeypatch.setattr(compare, "drive", drive)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr("os.sched_setaffinity", lambda *_: None)
    result = CliRunner().invoke(compare.main, ["--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "broken: left out: it cannot be built here" in result.output
    assert "missing: left out, since Go is not installed" in result.output
    assert f"{BASE}, at 5,000/s: 7 polls failed" in result.output
    kept = (tmp_path / "compare.json").read_text()
    assert '"bytes_per_held_connection": 100.0' in kept
    assert '"delivery_p99_ms_at_5000"' not in kept


def test_a_name_that_is_no_peers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    result = CliRunner().invoke(compare.main, ["--only", "ejabberd"])
    assert result.exit_code == 2
    assert "no peer's name begins with ejabberd" in result.output
