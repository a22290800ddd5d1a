"""What it costs that messages are stored before they are answered: `python -m loadtest.durable`.

A server with its own Postgres, which flushes to the disk, and the native driver, all on the same cores; each message
goes to somebody online.
"""

import json
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from tempfile import NamedTemporaryFile
from typing import Any, Final

import asyncpg
import click
import httpx
import psutil

from benches.send_cost import SCRIPT
from loadtest.driver_process import Driven, Unsound, drive
from loadtest.sampler import tree_memory_bytes
from pychat.database.embedded import running_url
from tests.support.client import PASSWORD, Person
from tests.support.folder import servers_folder
from tests.support.metrics import Scrape
from tests.support.postgres import complete
from tests.support.server import Options, Server, running

SENDERS: Final = 64
CONNECTIONS: Final = 256
SATURATING: Final[dict[str, Any]] = {"saturate": True, "connections": CONNECTIONS, "senders": SENDERS}
RATE: Final = 5_000.0
COST_RATE: Final = 20_000.0
REPEATS_PER_SEC: Final = 50
PROGRESS_EVERY_SEC: Final = 5
# What the driver takes at most beside the time that is measured; what is done meanwhile goes on through all of it.
SETTING_UP_SEC: Final = 60
LOGINS_PER_SEC: Final = 20
SETTINGS: Final[dict[str, dict[str, object]]] = {
    "SEND_LIMITER_CONFIG": {"is_enabled": True, "token_refill_amount": 1_000_000, "max_rps_per_user": 1_000_000},
    # wrk does not read: a session must hold its share of the run.
    "QUEUE_CONFIG": {"max_queue_size": 1_000_000, "max_queue_bytes": 1_000_000_000},
    "SESSIONS_CONFIG": {"idle_timeout_sec": 86_400},
}


@click.command()
@click.option("--seconds", default=10, show_default=True, type=click.IntRange(3, 3_600), help="Of each measurement.")
@click.option("--only", multiple=True, help="How a measurement's name begins; may be given several times.")
def main(seconds: int, only: tuple[str, ...]) -> None:
    """Prints sends a second, latencies in milliseconds, microseconds of CPU a send and memory once it was warm and at
    the end, both Postgres included, or what was lost, doubled, refused or not reached; progress to standard error."""

    def wanted(name: str) -> bool:
        return not only or any(name.startswith(begin) for begin in only)

    def measure(name: str, server: Server, meanwhile: Callable[[], None] | None = None, **options: Any) -> None:
        if wanted(name):
            try:
                with _often(meanwhile):
                    _show(name, drive(server.url, psutil.Process(server.pid), duration=seconds, tell=_tell, **options))
            except Unsound as unsound:
                click.echo(f"{name:<40} NOT SOUND: {unsound}")

    with _server(durable=True) as server:
        if wanted("wrk, 256 connections"):
            _saturate(server, seconds)
        measure("saturated, 256 connections", server, **SATURATING)
        measure("saturated, with client ids", server, **SATURATING, client_ids=True)
        measure("5,000/s", server, rate=RATE)
        repeat = None
        if wanted("5,000/s, old client ids repeated"):
            # Before both, so that these differ by nothing else: it leaves hundreds of thousands of client ids.
            repeat = _repeating(server, REPEATS_PER_SEC * (seconds + SETTING_UP_SEC))
        measure("5,000/s, with client ids", server, rate=RATE, client_ids=True)
        measure("5,000/s, old client ids repeated", server, repeat, rate=RATE, client_ids=True)
        measure("5,000/s, 20 logins a second", server, _signing_in(server), rate=RATE)
        measure("20,000/s", server, rate=COST_RATE, connections=256)
    with _server(durable=False) as server:
        measure("volatile, saturated, 256 connections", server, **SATURATING)
        measure("volatile, 20,000/s", server, rate=COST_RATE, connections=256)


@contextmanager
def _server(*, durable: bool) -> Iterator[Server]:
    with servers_folder() as folder:
        environment = {
            "PYCHAT_DATABASE__DATA_DIR": str(folder / "data"),
            "PYCHAT_HTTP__MAX_CONNECTIONS_PER_ADDRESS": "20000",
        }
        settings: dict[str, dict[str, object]] = {**SETTINGS, "HISTORY_CONFIG": {"is_enabled": durable}}
        with running(Options(folder, environment, settings)) as server:
            yield server


def _saturate(server: Server, seconds: int) -> None:
    """By wrk, which takes less of the cores than the driver: it does not read. The readers' sessions are open."""
    pairs = [(server.person(), server.person()) for _ in range(SENDERS)]
    for _, reader in pairs:
        reader.session()
    with NamedTemporaryFile("w") as senders:
        senders.writelines(f"{sender.token} {sender.chat_with(reader)}\n" for sender, reader in pairs)
        senders.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(SCRIPT), server.url, "--", senders.name]
        wrk = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        memory = [tree_memory_bytes(psutil.Process(server.pid))]
        while wrk.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                wrk.wait(PROGRESS_EVERY_SEC)
            memory.append(tree_memory_bytes(psutil.Process(server.pid)))
            _tell(f"{Scrape.of(server).value('chat_journal_committed_total'):,.0f} stored, {memory[-1] >> 20} MB")
        assert wrk.stdout is not None
        counted = json.loads(wrk.stdout.read().splitlines()[-1])
    stored = _stored(server)
    # What was under way when wrk stopped is stored, and nobody has heard of it.
    lost = max(0, counted["answers"] - stored)
    doubled = max(0, stored - counted["answers"] - CONNECTIONS)
    click.echo(
        f"{'wrk, 256 connections':<40} {counted['answers'] / counted['duration_sec']:>8,.0f}/s   "
        f"p50 {counted['p50_ms']:>6.2f}   p99 {counted['p99_ms']:>6.2f}   {memory[0] >> 20} to {memory[-1] >> 20} MB   "
        f"refused {counted['refused']}, lost {lost}, doubled {doubled}"
    )


def _stored(server: Server) -> int:
    url = running_url(server.options.folder / "data")
    assert url is not None

    async def count() -> int:
        connection = await asyncpg.connect(url)
        try:
            return int(await connection.fetchval("SELECT count(*) FROM messages"))
        finally:
            await connection.close()

    return complete(count())


def _tell(progress: str) -> None:
    click.echo(progress, err=True)


def _repeating(server: Server, count: int) -> Callable[[], None]:
    """Stores messages under client ids and has the server forget that; then repeats one at a time, each once."""
    sender = server.person()
    path = f"/v2/chats/{sender.chat_with(sender)}/messages"

    def post(number: int) -> int:
        return sender.request("POST", path, json={"text": "x", "client_id": f"old {number}"}).status_code

    for number in range(count):
        assert post(number) == 201
    # As many newer ones as it remembers: its memory is of the last ones.
    drive(server.url, psutil.Process(server.pid), duration=15, **SATURATING, client_ids=True)
    numbers = iter(random.sample(range(count), count))
    clock = _Clock(REPEATS_PER_SEC)

    def repeat() -> None:
        clock.wait()
        assert post(next(numbers)) == 200

    return repeat


def _signing_in(server: Server) -> Callable[[], None]:
    people = [server.person() for _ in range(5)]
    clock, scraped = _Clock(LOGINS_PER_SEC), _Clock(1)

    def sign_in() -> None:
        clock.wait()
        person: Person = random.choice(people)
        user = {"username": person.username, "password": PASSWORD}
        httpx.post(f"{server.url}/v1/users/login", json={"user": user}).raise_for_status()
        if scraped.is_due():
            server.monitor("GET", "/service/monitor")

    return sign_in


class _Clock:
    """Something that is due so often."""

    def __init__(self, per_sec: float) -> None:
        self._every = 1 / per_sec
        self._next = time.monotonic()

    def is_due(self) -> bool:
        due = time.monotonic() >= self._next
        self._next += self._every if due else 0
        return due

    def wait(self) -> None:
        time.sleep(max(0, self._next - time.monotonic()))
        self._next = max(self._next, time.monotonic() - self._every) + self._every


@contextmanager
def _often(work: Callable[[], None] | None) -> Iterator[None]:
    """Has something done again and again; raises what it raised."""
    if work is None:
        yield
        return
    over = threading.Event()

    def loop() -> int:
        count = 0
        while not over.is_set():
            work()
            count += 1
        return count

    with ThreadPoolExecutor(1) as pool:
        counted = pool.submit(loop)
        try:
            yield
        finally:
            over.set()
    click.echo(f"(meanwhile: {counted.result()})")


def _show(name: str, driven: Driven) -> None:
    sends = driven.report["sends"]
    ms = sends["ms"]
    click.echo(
        f"{name:<40} {sends['per_sec']:>8,.0f}/s   p50 {ms['p50']:>6.2f}   p99 {ms['p99']:>6.2f}   "
        f"CPU {driven.cpu_us_per_send:>5.1f} us   "
        f"{driven.memory_before_bytes >> 20} to {driven.memory_bytes >> 20} MB"
    )


if __name__ == "__main__":
    main()
