"""What the kernel knows about a process, and where it may run."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TICKS_PER_SEC = os.sysconf("SC_CLK_TCK")


def cpu_sec(pid: int) -> float:
    """User and system time of all threads so far."""
    # The second field is the name in parentheses, which may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / TICKS_PER_SEC


def resident_bytes(pid: int) -> int:
    """Memory of the process that is in RAM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no VmRSS")


def two_cores() -> list[int]:
    """One for what is measured and one for its load; ends the program where there are no two."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("This needs two cores: one for the server, one for the load.")
    return cores[:2]


@contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Processes started inside run on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
