"""What more work than it can do makes of a server: how much of it is still done, how much memory it takes, and whether
sign-ins hold up messages.

The server has one core and shares it with a process that never waits, the load has the other; for the sign-ins it has
both, as has the load.
"""

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
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
ROUNDS = 3
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
        figures += stormed_sends(server)
    return figures


def stormed_sends(server: Server) -> list[Figure]:
    """Sign-ins beside the sends: what the ones do to the others. The percentiles are medians of rounds in turn."""
    rounds = [(stormed(server), stormed(server, logins=LOGINS)) for _ in range(ROUNDS)]
    figures = []
    for percentile in ("p50", "p90", "p99"):
        without, storm = (
            statistics.median(report["sends"]["ms"][percentile] for report in reports)
            for reports in zip(*rounds, strict=True)
        )
        figures.append(Figure(f"{percentile} of a send in a storm of sign-ins", storm, "ms", "without", without))
    logins = [report["asides"]["logins"] for _, report in rounds]
    for name, value, unit in (
        ("sign-ins in that storm", [each["per_sec"] for each in logins], PER_SECOND),
        ("p99 of a refused one", [each["refusal_ms"]["p99"] for each in logins], "ms"),
    ):
        figures.append(Figure(name, statistics.median(value), unit))
    busy = driven(server, saturate=True, logins=LOGINS)["asides"]["logins"]["per_sec"]
    figures.append(Figure("sign-ins beside all the sends that there can be", busy, PER_SECOND))
    return figures


def stormed(server: Server, **options: Any) -> Any:
    return driven(server, rate=1_000, connections=700, **options)


def overloaded_sends(server: Server) -> list[Figure]:
    """Over the same connections both times: many that are all in use cost a server more than few, overloaded or not."""

    def capacity() -> float:
        return float(driven(server, saturate=True, connections=MANY_CONNECTIONS)["sends"]["per_sec"])

    def over(rate: int) -> float:
        return float(driven(server, rate=rate, connections=MANY_CONNECTIONS, overload=True)["sends"]["per_sec"])

    return in_turn(server, "sends", capacity, over)


def overloaded_profiles(server: Server) -> list[Figure]:
    """Requests that are Python's."""
    refusals = []

    def capacity() -> float:
        # More than it can, over few connections: those set the pace.
        return float(driven(server, rate=1, profiles=20_000)["asides"]["profiles"]["per_sec"])

    def over(rate: int) -> float:
        profiles = driven(server, rate=1, profiles=rate, connections=MANY_CONNECTIONS)["asides"]["profiles"]
        refusals.append(profiles["refusal_ms"]["p99"])
        return float(profiles["per_sec"])

    figures = in_turn(server, "profiles", capacity, over)
    return [*figures, Figure("p99 of a refusal", max(refusals), "ms")]


def in_turn(server: Server, what: str, capacity: Callable[[], float], over: Callable[[int], float]) -> list[Figure]:
    """What the overloaded server does beside what it can, each the median of rounds in turn: what a machine can differs
    by half from one minute to the next. And its memory after the last round beside that after the first, which has made
    room for the connections."""
    rounds, memory = [], []
    for _ in range(ROUNDS):
        most = capacity()
        rounds.append((over(int(TIMES * most)), most))
        memory.append(resident_bytes(server.pid) / MEBIBYTE)
    useful, most = (statistics.median(each) for each in zip(*rounds, strict=True))
    return [
        Figure(f"{what} at {TIMES} times the rate", useful, PER_SECOND, "at capacity", most),
        Figure(f"memory after so many {what}", memory[-1], "MiB", "before", memory[0]),
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
