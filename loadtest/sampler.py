"""CPU and memory of processes while a load test runs."""

import time
from collections.abc import Mapping
from contextlib import suppress
from threading import Event, Thread
from typing import Final, NamedTuple

import psutil

EVERY_SEC: Final = 1.0


class Sample(NamedTuple):
    """What one process and its children used since the sample before."""

    second: float  # since the start
    cores: float  # CPU time a second: 1.0 is one core kept busy
    memory_bytes: int  # resident


class Sampler:
    """Samples named process trees beside the load; a context manager, whose `samples` are complete at its end."""

    def __init__(self, processes: Mapping[str, psutil.Process]) -> None:
        self._processes = processes
        self._over = Event()
        self._thread = Thread(target=self._run, name="sampler")
        self.samples: dict[str, list[Sample]] = {name: [] for name in processes}

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        start = at = time.monotonic()
        before = {name: _cpu_by_pid(process) for name, process in self._processes.items()}
        while not self._over.wait(EVERY_SEC):
            now = time.monotonic()
            for name, process in self._processes.items():
                cpu = _cpu_by_pid(process)
                # A child that is gone, or new, counts from or until the sample that knows it.
                used = sum(max(0.0, sec - before[name].get(pid, 0.0)) for pid, sec in cpu.items())
                self.samples[name].append(Sample(now - start, used / (now - at), tree_memory_bytes(process)))
                before[name] = cpu
            at = now


def tree_cpu_sec(process: psutil.Process) -> float:
    """CPU time that the process and its children have used so far."""
    return sum(_cpu_by_pid(process).values())


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _cpu_by_pid(process: psutil.Process) -> dict[int, float]:
    seconds = {}
    for one in _tree(process):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds[one.pid] = times.user + times.system
    return seconds


def tree_memory_bytes(process: psutil.Process) -> int:
    """Without what Postgres's processes share counted once for each: their proportional share, where it may be read."""
    total = 0
    for one in _tree(process):
        with suppress(psutil.NoSuchProcess):
            try:
                total += one.memory_full_info().pss
            except psutil.AccessDenied:
                total += one.memory_info().rss
    return total
