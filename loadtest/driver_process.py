"""The native driver (`loadtest/driver`) as a process beside what it loads."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import psutil

from loadtest.sampler import tree_cpu_sec, tree_memory_bytes

BINARY: Final = Path(__file__).parent.parent / "target" / "release" / "pychat-load"
_PROGRESS: Final = re.compile(r"\s*\d+ s +(\d+) sends/s")

Options: TypeAlias = Mapping[str, str | float | bool]
"""The driver's flags: `{"idle_polls": 500}` is `--idle-polls 500`."""


class Unsound(RuntimeError):
    """What was measured is not what was asked for: the message says what was lost, refused, not held or not reached."""

    def __init__(self, report: dict[str, Any], said: str = "") -> None:
        super().__init__("; ".join(report["faults"]) + (f" ({said})" if said else ""))
        self.report = report


class Driven(NamedTuple):
    report: dict[str, Any]  # as `pychat-load --json` prints it
    cpu_us_per_send: float  # of what was loaded, once it was warm
    memory_bytes: int  # of what was loaded, at the end, while connections were still held
    memory_before_bytes: int  # once it was warm
    others_cores: float  # what else the machine did meanwhile, its hypervisor's other guests included


class _Look(NamedTuple):
    """CPU seconds until now."""

    at: float
    loaded: float
    driver: float
    machine: float

    @classmethod
    def at_all(cls, loaded: psutil.Process, driver: psutil.Process) -> "_Look":
        times = psutil.cpu_times()
        machine = sum(times[:8]) - times.idle - times.iowait  # of the rest, guests' time is in the first ones already
        return cls(time.monotonic(), tree_cpu_sec(loaded), tree_cpu_sec(driver), machine)


def drive(
    url: str,
    loaded: psutil.Process,
    *,
    core: int | None = None,
    environment: Mapping[str, str] = {},  # beside this process's own
    tell: Callable[[str], None] | None = None,
    **options: str | float | bool,
) -> Driven:
    """Runs the driver to its end, on one core where `core` says so, and watches the process (and children) it loads;
    `tell` is called with each line of progress.

    Raises:
        Unsound: something was lost, refused or not reached; with `overload=True` only where it was lost or doubled.
        RuntimeError: it could not run.
    """
    pin = [] if core is None else ["taskset", "-c", str(core)]
    process = subprocess.Popen(
        [*pin, *_command(url, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stderr is not None
    assert process.stdout is not None
    said = []
    sends, looks, memory = [], [], []
    last = int(float(options.get("duration", 10))) - 1
    try:
        # Its standard output comes all at the end, and fits the pipe.
        for line in process.stderr:
            progress = _PROGRESS.match(line)
            if progress is None:
                said.append(line)
                continue
            if tell is not None:
                tell(line.rstrip())
            if "(warm-up)" not in line:
                sends.append(int(progress[1]))
                # To look takes some 20 ms of a core: each second of it would be in the latencies.
                if len(sends) == 1 or len(sends) >= last:
                    looks.append(_Look.at_all(loaded, psutil.Process(process.pid)))
                    memory.append(tree_memory_bytes(loaded))
        output = process.stdout.read()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    if not output:
        raise RuntimeError(f"the driver failed: {''.join(said).strip()}")
    report = json.loads(output)
    if report["faults"]:
        raise Unsound(report, "; ".join(line.strip() for line in said if "failed" in line))
    if len(looks) < 2:
        raise RuntimeError("the driver ran too short to measure CPU time")
    seconds, cpu, driver, machine = (after - before for before, after in zip(looks[0], looks[-1], strict=True))
    cpu_us = cpu / max(1, sum(sends[1:])) * 1e6
    return Driven(report, cpu_us, memory[-1], memory[0], max(0.0, machine - cpu - driver) / seconds)


@contextmanager
def driving(url: str, **options: str | float | bool) -> Iterator[None]:
    """Loads the server during a `with` block, from when people are registered and sends go out."""
    process = subprocess.Popen(_command(url, options), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _wait_for_sends(process)
        yield
    finally:
        process.kill()
        process.wait()


def _wait_for_sends(process: "subprocess.Popen[str]") -> None:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if _PROGRESS.match(line):
            return
        said.append(line)
    raise RuntimeError(f"the driver failed: {''.join(said).strip()}")


def _command(url: str, options: Options) -> list[str]:
    command = [str(BINARY), "--url", url, "--json"]
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        command += [flag] if value is True else [flag, str(value)]
    return command
