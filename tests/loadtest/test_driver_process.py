"""The native driver as a process: what becomes of what it says."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from loadtest import driver_process
from loadtest.driver_process import Unsound, drive

PROGRESS = "   1 s     10 sends/s  (warm-up)\n   2 s     30 sends/s\n   3 s     50 sends/s\n"


@pytest.fixture
def saying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a program in the driver's place that says this on its two outputs."""

    def put(output: str, errors: str) -> None:
        program = tmp_path / "driver"
        program.write_text(
            f"#!{sys.executable}\nimport sys\nsys.stdout.write({output!r})\nsys.stderr.write({errors!r})\n"
        )
        program.chmod(0o700)
        monkeypatch.setattr(driver_process, "BINARY", program)

    return put


def report(*faults: str) -> str:
    return json.dumps({"faults": faults})


def run(**options: Any) -> driver_process.Driven:
    return drive("http://127.0.0.1:9", psutil.Process(), duration=3, **options)


def test_a_sound_run_is_given_back(saying: Callable[[str, str], None]) -> None:
    saying(report(), PROGRESS)
    told: list[str] = []
    driven = run(tell=told.append)
    assert driven.report == {"faults": []}
    assert driven.memory_bytes > 0
    assert told == PROGRESS.splitlines()


def test_a_run_with_faults_is_no_measurement(saying: Callable[[str, str], None]) -> None:
    saying(report("7 polls failed", "90 sends a second were done of 100"), PROGRESS)
    with pytest.raises(Unsound, match="7 polls failed; 90 sends a second") as unsound:
        run()
    assert unsound.value.report["faults"][0] == "7 polls failed"


def test_why_it_could_not_run_is_said(saying: Callable[[str, str], None]) -> None:
    saying("", "registering 4 users\npychat-load: cannot connect\n")
    with pytest.raises(RuntimeError, match="cannot connect"):
        run()


def test_it_does_not_outlive_what_goes_wrong_here(
    saying: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: psutil.Process) -> float:
        raise psutil.NoSuchProcess(1)

    saying(report(), PROGRESS)
    monkeypatch.setattr(driver_process, "tree_cpu_sec", fail)
    before = psutil.Process().children()  # servers of other tests
    with pytest.raises(psutil.NoSuchProcess):
        run()
    assert psutil.Process().children() == before
