"""What more work than it can do makes of a server: how much of it is still done, how much memory it takes, and whether
sign-ins hold up messages.

The server has one core and shares it with a process that never waits, the load has the other; for the sign-ins it has
both, as has the load.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from benches.edge_figures import edge
from benches.figures import PER_SECOND, Figure
from benches.process import pinned, resident_bytes, two_cores
from loadtest.driver_process import drive
from tests.support.server import Server

TIMES = 3
SECONDS = 6
MANY_CONNECTIONS = 2_000
MEBIBYTE = 1024 * 1024
# Ten times what one core can hash.
LOGINS = 500


def measure() -> list[Figure]:
    cores = two_cores()
    one, other, both = {cores[0]}, {cores[1]}, set(cores[:2])
    with edge(one, threads=1) as server, hog(one), pinned(other):
        figures = [*overloaded_sends(server), *overloaded_profiles(server)]
    with edge(both, threads=2) as server:
        calm = driven(server, rate=1_000, connections=700)
        storm = driven(server, rate=1_000, connections=700, logins=LOGINS)
    for percentile in ("p50", "p99"):
        with_storm, without = storm["sends"]["ms"][percentile], calm["sends"]["ms"][percentile]
        figures.append(Figure(f"{percentile} of a send in a storm of sign-ins", with_storm, "ms", "without", without))
    return figures


def overloaded_sends(server: Server) -> list[Figure]:
    capacity = driven(server, saturate=True)["sends"]["per_sec"]
    before = resident_bytes(server.pid)
    over = driven(server, rate=int(TIMES * capacity), connections=MANY_CONNECTIONS, overload=True)
    useful = over["sends"]["per_sec"]
    return [
        Figure(f"sends at {TIMES} times the rate", useful, PER_SECOND, "at capacity", capacity),
        Figure("memory after", resident_bytes(server.pid) / MEBIBYTE, "MiB", "before", before / MEBIBYTE),
    ]


def overloaded_profiles(server: Server) -> list[Figure]:
    """Requests that are Python's."""
    # More than it can, over few connections: those set the pace.
    capacity = driven(server, rate=1, profiles=20_000)["asides"]["profiles"]["per_sec"]
    before = resident_bytes(server.pid)
    over = driven(server, rate=1, profiles=int(TIMES * capacity), connections=MANY_CONNECTIONS)["asides"]["profiles"]
    return [
        Figure(f"profiles at {TIMES} times the rate", over["per_sec"], PER_SECOND, "at capacity", capacity),
        Figure("memory after", resident_bytes(server.pid) / MEBIBYTE, "MiB", "before", before / MEBIBYTE),
        Figure("p99 of a refusal", over["refusal_ms"]["p99"], "ms"),
    ]


def driven(server: Server, **options: Any) -> Any:
    return drive(server.url, psutil.Process(server.pid), duration=SECONDS, **options).report


@contextmanager
def hog(cores: set[int]) -> Iterator[None]:
    """A process that takes what it can of these cores."""
    with pinned(cores):
        process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()
