"""What a parked poll costs in memory: how much the server grows when polls are held open, connection and all."""

import time

from benches.figures import Figure
from benches.process import cpu_sec, resident_bytes
from tests.support.door import EDGE, LITESTAR, Door
from tests.support.folder import servers_folder
from tests.support.parked import raise_open_files_limit
from tests.support.server import Options, Server, running
from tests.support.wait import wait_until

USERS = 40
SESSIONS_EACH = 225
POLLS = USERS * SESSIONS_EACH

DYNAMIC_CONFIG: dict[str, dict[str, object]] = {
    "SESSIONS_CONFIG": {"max_sessions_amount": SESSIONS_EACH},
    # None may come back by itself while they are measured.
    "POLLING_CONFIG": {"polling_time_sec": 600},
}


def measure() -> list[Figure]:
    """The edge against Litestar, which serves the same route where there is no edge."""
    (kib, stop_sec), (other_kib, other_stop_sec) = held(EDGE), held(LITESTAR)
    return [
        Figure("memory of a parked poll", kib, "KiB", LITESTAR.name, other_kib),
        Figure(f"stop with {POLLS:,} of them", stop_sec, "s", LITESTAR.name, other_stop_sec),
    ]


def held(door: Door) -> tuple[float, float]:
    """KiB of a poll, and seconds of a stop that answers them all, on one server that held none before."""
    needed = POLLS + 200
    raise_open_files_limit(needed)
    with servers_folder() as folder:
        environment = {
            **door.environment,
            "PYCHAT_DATABASE__DATA_DIR": str(folder / "data"),
            "PYCHAT_HTTP__MAX_CONNECTIONS_PER_ADDRESS": str(needed),
        }
        options = Options(folder, environment, DYNAMIC_CONFIG)
        with running(options) as server:
            people = [server.person() for _ in range(USERS)]
            sessions = [person.session() for person in people for _ in range(SESSIONS_EACH)]
            settle(server)
            before = resident_bytes(server.pid)
            polls = [session.open_poll() for session in sessions]
            settle(server)
            after = resident_bytes(server.pid)
            # A stopping server answers what it holds: this many polls it did hold.
            began = time.monotonic()
            server.terminate()
            statuses = [poll.answer()[0] for poll in polls]
            assert statuses == [200] * POLLS, "not every poll was parked"
            server.exit_code()
            stop_sec = time.monotonic() - began
    return (after - before) / POLLS / 1024, stop_sec


def settle(server: Server) -> None:
    """Waits until the server has done what it was asked: a second in which it used next to no CPU time."""

    def is_quiet() -> bool:
        before = cpu_sec(server.pid)
        time.sleep(1)
        return cpu_sec(server.pid) - before <= 0.02

    wait_until(is_quiet, "the server comes to rest", within_sec=60)
