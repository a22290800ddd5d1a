"""What one send costs: sends a second and CPU time a send, the server on one core, wrk on another.

Each send is a request of its own with its token judged and the limiter on (raised, so that it lets the load through);
it goes to a private chat whose other member is online. The sessions are read empty after each round, and every
message is counted: as many must have arrived as wrk saw accepted.
"""

import json
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benches.figures import PER_SECOND, Figure
from benches.process import cpu_sec, pinned, two_cores
from tests.support.client import Person, Session
from tests.support.door import EDGE, LITESTAR, Door
from tests.support.folder import servers_folder
from tests.support.server import Options, Server, running

SCRIPT = Path(__file__).with_name("send.lua")
PAIRS = 64
CONNECTIONS = 64
ROUNDS = 5
ROUND_SEC = 5
WARM_UP_SEC = 2
END = "the round is over"

DYNAMIC_CONFIG: dict[str, dict[str, object]] = {
    # Lets one user send whatever wrk can.
    "SEND_LIMITER_CONFIG": {"is_enabled": True, "token_refill_amount": 100_000, "max_rps_per_user": 100_000},
    # Of the send itself; what its storing costs is in loadtest/README.md.
    "HISTORY_CONFIG": {"is_enabled": False},
    # A session must hold its share of a round, which nobody reads before the end.
    "QUEUE_CONFIG": {"max_queue_size": 100_000, "max_queue_bytes": 100_000_000},
}


@dataclass(frozen=True)
class Pair:
    sender: Person
    reader: Session
    chat_id: str

    @classmethod
    def introduced(cls, server: Server) -> "Pair":
        sender, reader = server.person(), server.person()
        return cls(sender, reader.session(), sender.chat_with(reader))

    def drain(self) -> int:
        """Reads the session empty; returns how many messages were in it."""
        self.sender.says(self.chat_id, END)
        count = 0
        while True:
            batch = self.reader.read()
            assert not batch.resync_required, "a queue ran over: it was not the cost of a delivered message"
            count += len(batch.messages)
            if batch.texts[-1] == END:
                return count - 1


def measure() -> list[Figure]:
    """The edge against Litestar, which serves the same route where there is no edge."""
    edge, litestar = through(EDGE), through(LITESTAR)
    titles = {
        "sends_per_sec": ("sends, server on one core", PER_SECOND),
        "cpu_us_per_send": ("CPU time a send", "us"),
        "p50_ms": ("p50 of a send, 64 connections", "ms"),
        "p99_ms": ("p99 of a send, 64 connections", "ms"),
    }
    return [Figure(name, edge[key], unit, LITESTAR.name, litestar[key]) for key, (name, unit) in titles.items()]


def through(door: Door) -> dict[str, float]:
    """The figures through one door, each the median of the rounds."""
    cores = two_cores()
    with servers_folder() as folder, pinned({cores[0]}):
        environment = {**door.environment, "PYCHAT_DATABASE__DATA_DIR": str(folder / "data")}
        options = Options(folder, environment, DYNAMIC_CONFIG)
        with running(options) as server:
            pairs = [Pair.introduced(server) for _ in range(PAIRS)]
            senders = folder / "senders"
            senders.write_text("".join(f"{pair.sender.token} {pair.chat_id}\n" for pair in pairs))
            load(server, senders, cores[1], WARM_UP_SEC)
            for pair in pairs:
                pair.drain()
            rounds = [one_round(server, pairs, senders, cores[1]) for _ in range(ROUNDS)]
    return {figure: statistics.median(each[figure] for each in rounds) for figure in rounds[0]}


def one_round(server: Server, pairs: list[Pair], senders: Path, core: int) -> dict[str, float]:
    before = cpu_sec(server.pid)
    counted = load(server, senders, core, ROUND_SEC)
    cpu = cpu_sec(server.pid) - before
    assert counted["refused"] == counted["lost"] == 0, f"not every send was accepted: {counted}"
    sends = counted["answers"]
    arrived = sum(pair.drain() for pair in pairs)
    # wrk leaves with one request a connection under way.
    assert sends <= arrived <= sends + CONNECTIONS, f"{sends} sends were accepted and {arrived} messages arrived"
    return {
        "sends_per_sec": sends / counted["duration_sec"],
        "cpu_us_per_send": cpu / sends * 1e6,
        "p50_ms": counted["p50_ms"],
        "p99_ms": counted["p99_ms"],
    }


def load(server: Server, senders: Path, core: int | None, duration_sec: int, *, threads: int = 1) -> dict[str, float]:
    """Lets wrk send for a while; returns what it counted."""
    return wrk(server.url, SCRIPT, core, duration_sec, str(senders), threads=threads)


def wrk(url: str, script: Path, core: int | None, duration_sec: int, *args: str, threads: int = 1) -> dict[str, float]:
    """Runs wrk, on `core` or where this process may run; returns what it counted."""
    pin = [] if core is None else ["taskset", "-c", str(core)]
    command = [*pin, "wrk", f"-t{threads}", f"-c{CONNECTIONS}", f"-d{duration_sec}s", "-s", str(script)]
    output = subprocess.run([*command, url, "--", *args], check=True, capture_output=True, text=True).stdout
    counted: dict[str, float] = json.loads(output.splitlines()[-1])
    return counted
