"""The edge beside what one would use instead and beside itself: every comparison in one run, so that ratios hold
whatever the machine. The server has one core and the load the other, but where two threads are compared with one.
"""

import asyncio
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from benches import straight
from benches.figures import PER_SECOND, Figure
from benches.process import cpu_sec, pinned, two_cores
from benches.send_cost import CONNECTIONS, DYNAMIC_CONFIG, PAIRS, Pair, load, wrk
from loadtest.crowd import bring_online
from loadtest.driver_process import drive
from loadtest.peers import peers
from loadtest.sampler import tree_cpu_sec
from tests.support.folder import servers_folder
from tests.support.postgres import Postgres
from tests.support.server import SIGNING_KEY, Options, Server, running

ROUND_SEC = 5
WARM_UP_SEC = 1
ONLINE = 100_000
REQUESTS = 320 * straight.CONNECTIONS
COLD_RATE = 10_000
PUBLISH = Path(__file__).with_name("publish.lua")
SETTINGS: dict[str, dict[str, object]] = {
    **DYNAMIC_CONFIG,
    # Who is brought online stays so, and leaves room for others.
    "SESSIONS_CONFIG": {"idle_timeout_sec": 3_600, "max_sessions_amount": 500},
    "REGISTRY_CONFIG": {"max_users_amount": 2 * ONLINE},
    # A send is compared with a publish that stores nothing either.
    "HISTORY_CONFIG": {"is_enabled": False},
}


def measure() -> list[Figure]:
    cores = two_cores()
    figures = []
    one, other, both = {cores[0]}, {cores[1]}, set(cores[:2])
    with edge(one, threads=1) as server, pinned(other):
        pairs = [Pair.introduced(server) for _ in range(PAIRS)]
        alone = sends(server, pairs)
        figures.append(Figure("CPU time of a send", alone, "us", "nchan's bare publish", nchan_publish(one)))
        figures += [forwarded(server), cold_tokens(server), delivery(server)]
        bring_online(server.options.environment["PYCHAT_DATABASE__URL"], server.url, SIGNING_KEY, ONLINE)
        figures.append(Figure("CPU time of a send, 100,000 online", sends(server, pairs), "us", "with 64", alone))
    two, one_thread = (statistics.median(sends_a_cpu_second(both, threads)) for threads in (2, 1))
    figures.append(Figure("sends a CPU second on two threads", two, PER_SECOND, "one thread", one_thread))
    return figures


def sends_a_cpu_second(cores: set[int], threads: int) -> list[float]:
    """Rounds of them. wrk has as many threads as there are cores: where it cannot keep up with the server, that goes to
    sleep between any two requests, and it is this that is measured."""
    with edge(cores, threads) as server:
        pairs = [Pair.introduced(server) for _ in range(PAIRS)]
        return [1e6 / sends(server, pairs, wrk_threads=len(cores)) for _ in range(3)]


@contextmanager
def edge(cores: set[int], threads: int) -> Iterator[Server]:
    """A server on these cores, its database included."""
    with servers_folder() as folder, ExitStack() as stack:
        with pinned(cores):
            postgres = Postgres(folder / "postgres")
            stack.callback(postgres.close)
            postgres.start()
            environment = {
                "PYCHAT_DATABASE__URL": postgres.new_database(),
                "PYCHAT_DATABASE__DATA_DIR": str(folder / "data"),
                "PYCHAT_AUTH__SIGNING_KEY": SIGNING_KEY,
                "PYCHAT_EDGE__THREADS": str(threads),
                "PYCHAT_HTTP__MAX_CONNECTIONS_PER_ADDRESS": "20000",
            }
            server = stack.enter_context(running(Options(folder, environment, SETTINGS)))
        yield server


def sends(server: Server, pairs: list[Pair], *, wrk_threads: int = 1) -> float:
    """Microseconds of the server's CPU time for an accepted send."""
    senders = server.options.folder / "senders"
    senders.write_text("".join(f"{pair.sender.token} {pair.chat_id}\n" for pair in pairs))
    load(server, senders, None, WARM_UP_SEC, threads=wrk_threads)
    for pair in pairs:
        pair.drain()
    before = cpu_sec(server.pid)
    counted = load(server, senders, None, ROUND_SEC, threads=wrk_threads)
    cpu = cpu_sec(server.pid) - before
    assert counted["refused"] == counted["lost"] == 0, f"not every send was accepted: {counted}"
    arrived = sum(pair.drain() for pair in pairs)
    assert counted["answers"] <= arrived <= counted["answers"] + CONNECTIONS, "accepted messages are missing"
    return cpu / counted["answers"] * 1e6


def nchan_publish(cores: set[int]) -> float:
    """Microseconds of nginx's CPU time for a publish of the same message, to as many channels; nobody is asked who he
    is."""
    peer = next(peer for peer in peers() if peer.name == "nchan")
    with ExitStack() as stack:
        with pinned(cores):
            started = stack.enter_context(peer.started())

        wrk(started.url, PUBLISH, None, WARM_UP_SEC, str(PAIRS))
        before = tree_cpu_sec(started.process)
        counted = wrk(started.url, PUBLISH, None, ROUND_SEC, str(PAIRS))
        assert counted["refused"] == counted["lost"] == 0, f"not every publish was accepted: {counted}"
        return (tree_cpu_sec(started.process) - before) / counted["answers"] * 1e6


def forwarded(server: Server) -> Figure:
    """A profile asked for through the edge and at Granian's own socket: CPU time of the process."""
    person = server.person()
    request = straight.get(f"/v1/users/{person.username}", str(person.token))
    sockets = {str(socket.laddr) for socket in psutil.Process(server.pid).net_connections("unix")}
    (socket,) = (path for path in sockets if path.endswith("application.sock"))
    costs = {}
    for name, address in (("straight", socket), ("edge", server.url)):
        asyncio.run(straight.ask(address, request, 500))
        before = cpu_sec(server.pid)
        asyncio.run(straight.ask(address, request, REQUESTS))
        costs[name] = (cpu_sec(server.pid) - before) / REQUESTS * 1e6
    return Figure("CPU time of a forwarded request", costs["edge"], "us", "straight to Granian", costs["straight"])


def cold_tokens(server: Server) -> Figure:
    """Each send with a token whose signature must be looked at, and with one that was seen before. At a fixed rate: the
    driver is slower where it signs them."""
    key = {"PYCHAT_AUTH__SIGNING_KEY": SIGNING_KEY}
    process = psutil.Process(server.pid)

    def cost(**options: Any) -> float:
        driven = drive(server.url, process, environment=key, rate=COLD_RATE, duration=ROUND_SEC, **options)
        return driven.cpu_us_per_send

    # In turn, so that what else goes on meets both.
    rounds = [(cost(), cost(cold_tokens=True)) for _ in range(3)]
    seen, cold = (statistics.median(costs) for costs in zip(*rounds, strict=True))
    return Figure("CPU time of a delivered send, a new token each", cold, "us", "one token", seen)


def delivery(server: Server) -> Figure:
    """From a send to the answer of the poll that brings it, at a rate that leaves the server idle most of the time."""
    driven = drive(server.url, psutil.Process(server.pid), rate=1_000, duration=8, senders=20)
    return Figure("p99 from send to poll, 1,000 sends/s", driven.report["delivery_ms"]["p99"], "ms")
