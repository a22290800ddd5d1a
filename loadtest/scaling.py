"""`make scaling`: what a send costs as there are more people, more sessions, longer texts, more sends, more threads."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import psutil

from benches.process import pinned, two_cores
from loadtest.charts import draw_scaling
from loadtest.crowd import bring_online
from loadtest.driver_process import Unsound, drive
from loadtest.sampler import tree_cpu_sec
from tests.support.folder import servers_folder
from tests.support.postgres import Postgres, execute
from tests.support.server import SIGNING_KEY, Options, Server, running

OUT: Final = Path(__file__).with_name("results") / "scaling"
ONLINE: Final = (100, 1_000, 10_000, 100_000)
SESSIONS: Final = (1, 10, 100, 1_000, 10_000)
TEXT_BYTES: Final = (10, 100, 1_000, 4_000, 12_000)
RATES: Final = (1_000, 2_000, 5_000, 10_000, 20_000, 40_000)
THREADS: Final = (1, 2)
RATE: Final = 5_000  # where it is not the rate that varies
DELIVERIES_PER_SEC: Final = 20_000  # at most, where a send goes to many sessions
SENDS_AT_LEAST: Final = 40  # of a point, however few a second
PAIRS: Final = 40

Settings = dict[str, dict[str, object]]

SETTINGS: Final[Settings] = {
    "SEND_LIMITER_CONFIG": {"is_enabled": True, "token_refill_amount": 1_000_000, "max_rps_per_user": 1_000_000},
    # Nobody of the crowd polls, and all must stay.
    "SESSIONS_CONFIG": {"max_sessions_amount": 10_000, "idle_timeout_sec": 86_400},
    "REGISTRY_CONFIG": {"max_users_amount": 1_000_000},
}


class Point(NamedTuple):
    at: float
    cpu_us_per_send: float
    send_p99_ms: float
    delivery_p99_ms: float
    sends_per_sec: float


class Series(NamedTuple):
    """One question and its answer; `expected` has the cost at each point as it would be without surprises."""

    title: str
    unit: str
    points: Sequence[Point]
    expected: Sequence[float]


@click.command()
@click.option("--seconds", default=6, show_default=True, type=click.IntRange(3, 600), help="Of each point.")
@click.option("--durable", is_flag=True, help="With history: each send is committed before it is answered.")
@click.option("--out", default=OUT, show_default=True, type=click.Path(path_type=Path))
def main(seconds: int, durable: bool, out: Path) -> None:
    """Measures the CPU time of a send (the server's processes, without Postgres) along five lines.

    The server has one core and the load another, but where two threads are measured, which share both with the load.
    Writes scaling.json and scaling.png, or scaling-durable.
    """
    cores = two_cores()
    settings: Settings = {**SETTINGS, "HISTORY_CONFIG": {"is_enabled": durable}}
    with servers_folder() as folder:
        series = _measure(folder, settings, cores, seconds)
    out.mkdir(parents=True, exist_ok=True)
    picture = out / ("scaling-durable.png" if durable else "scaling.png")
    picture.with_suffix(".json").write_text(json.dumps([_as_dict(one) for one in series], indent=2) + "\n")
    draw_scaling(picture, series, durable=durable)
    click.echo(f"picture: {picture}")


def _measure(folder: Path, settings: Settings, cores: list[int], seconds: int) -> list[Series]:
    postgres = Postgres(folder / "postgres")
    postgres.start()
    url = postgres.new_database()
    # As in service, unlike in tests.
    execute(url, "ALTER SYSTEM RESET fsync")
    execute(url, "SELECT pg_reload_conf()")
    try:
        # A server for each line, since those who were online stay so.
        with _server(folder / "online", url, settings, {cores[0]}) as server:
            online: list[Point] = []
            crowd = 0
            for users in ONLINE:
                # The readers of this point and of those before are online as well.
                wanted = users - PAIRS * (len(online) + 1)
                bring_online(url, server.url, SIGNING_KEY, wanted - crowd)
                crowd = wanted
                online.append(_point(server, users, core=cores[1], rate=RATE, duration=seconds))
        with _server(folder / "fan-out", url, settings, {cores[0]}) as server:
            fans = [_fan_out(server, sessions, core=cores[1], seconds=seconds) for sessions in SESSIONS]
        with _server(folder / "texts", url, settings, {cores[0]}) as server:
            texts = [
                _point(server, size, core=cores[1], rate=RATE, text_bytes=size, duration=seconds) for size in TEXT_BYTES
            ]
        with _server(folder / "rates", url, settings, {cores[0]}) as server:
            rates = _rates(server, core=cores[1], seconds=seconds)
        threads = []
        for count in THREADS:
            with _server(folder / f"{count} threads", url, settings, set(cores[:count]), count) as server:
                threads.append(_point(server, count, saturate=True, duration=seconds))
    finally:
        postgres.close()
    flat = [point.cpu_us_per_send for point in online[:1] * len(online)]
    return [
        Series("people online", "people", online, flat),
        Series("fan-out", "sessions", fans, _linear(fans)),
        Series("text", "bytes", texts, [texts[0].cpu_us_per_send] * len(texts)),
        Series("rate", "sends/s", rates, [rates[-1].cpu_us_per_send] * len(rates)),
        Series("threads", "threads", threads, [threads[0].cpu_us_per_send] * len(threads)),
    ]


def _fan_out(server: Server, sessions: int, *, core: int, seconds: int) -> Point:
    """At a rate that makes as many deliveries as at the other points. Where that is few sends a second, what the
    server takes with nothing to do would be much of each, so it is taken off and there are more seconds."""
    rate = min(RATE, DELIVERIES_PER_SEC / sessions)
    process = psutil.Process(server.pid)
    before = tree_cpu_sec(process)
    time.sleep(seconds)
    idle_cores = (tree_cpu_sec(process) - before) / seconds
    duration = max(seconds, SENDS_AT_LEAST / rate)
    point = _point(server, sessions, core=core, rate=rate, senders=1, sessions=sessions, duration=duration)
    return point._replace(cpu_us_per_send=point.cpu_us_per_send - idle_cores / point.sends_per_sec * 1e6)


def _rates(server: Server, *, core: int, seconds: int) -> list[Point]:
    """Each at the rate that was reached; the last is as fast as it goes."""
    points = []
    for rate in RATES:
        try:
            points.append(_point(server, rate, core=core, rate=rate, duration=seconds))
        except Unsound as unsound:
            click.echo(f"  {rate:,}/s: {unsound}")
            break
    points.append(_point(server, 0, core=core, saturate=True, duration=seconds))
    # Higher ones may have been reached at a fixed rate, where there is less to send again.
    return sorted((point._replace(at=point.sends_per_sec) for point in points), key=lambda point: point.at)


def _linear(points: Sequence[Point]) -> list[float]:
    """What the first two points' difference makes of the others, if each session costs the same."""
    first, second = points[0], points[1]
    each = (second.cpu_us_per_send - first.cpu_us_per_send) / (second.at - first.at)
    return [first.cpu_us_per_send + each * (point.at - first.at) for point in points]


@contextmanager
def _server(folder: Path, url: str, settings: Settings, cores: set[int], threads: int = 1) -> Iterator[Server]:
    environment = {
        "PYCHAT_DATABASE__URL": url,
        "PYCHAT_AUTH__SIGNING_KEY": SIGNING_KEY,
        "PYCHAT_EDGE__THREADS": str(threads),
        "PYCHAT_HTTP__MAX_CONNECTIONS_PER_ADDRESS": "60000",
    }
    with pinned(cores), running(Options(folder, environment, settings)) as server:
        yield server


def _point(server: Server, at: float, *, core: int | None = None, **options: Any) -> Point:
    """One measurement.

    Raises:
        Unsound: what was asked for was not reached, or something was lost.
    """
    options = {"senders": PAIRS, "connections": 64, **options}
    driven = drive(server.url, psutil.Process(server.pid), core=core, **options)
    report = driven.report
    point = Point(
        at,
        driven.cpu_us_per_send,
        report["sends"]["ms"]["p99"],
        report["delivery_ms"]["p99"],
        report["sends"]["per_sec"],
    )
    click.echo(
        f"  {options}: {point.cpu_us_per_send:.1f} us a send, delivered within {point.delivery_p99_ms:.2f} ms (p99)"
    )
    return point


def _as_dict(series: Series) -> dict[str, object]:
    return {**series._asdict(), "points": [point._asdict() for point in series.points]}


if __name__ == "__main__":
    main()
