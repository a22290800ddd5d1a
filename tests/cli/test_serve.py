"""How the server process starts and ends; `tests/e2e/test_restart.py` has what outlives it."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from tests.support.server import Options, Server, running, start_process
from tests.support.signals import is_taken
from tests.support.wait import wait_until

Start = Callable[..., "Process"]


class Process:
    """`pychat serve` with a folder of its own, which need not come to listen."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.data_dir = folder / "data"
        self._log = folder / "log"
        listen = {"PYCHAT_HTTP__LISTEN": "127.0.0.1:0", "PYCHAT_MONITOR__LISTEN": "127.0.0.1:0"}
        own = {**listen, "PYCHAT_DATABASE__DATA_DIR": str(self.data_dir)}
        self.popen = start_process(self._log, {**own, **environment})

    @property
    def log(self) -> str:
        return self._log.read_text()

    def exit_code(self) -> int:
        return self.popen.wait(60)

    def has_database(self) -> bool:
        """Whether a Postgres server of this folder runs."""
        found = subprocess.run(["pgrep", "-f", f"{self.data_dir}/postgres"], check=False, capture_output=True)
        return found.returncode == 0


@pytest.fixture
def start(workspace: Path) -> Iterator[Start]:
    started: list[Process] = []

    def start(**environment: str) -> Process:
        folder = workspace / uuid4().hex[:8]
        folder.mkdir()
        started.append(Process(folder, environment))
        return started[-1]

    yield start
    for process in started:
        process.popen.kill()
        process.popen.wait()


def test_a_start_says_all_that_an_operator_wants_to_know(start: Start) -> None:
    process = start()
    wait_until(lambda: "Ctrl+C" in process.log, "the server says how to stop it")
    assert "http://127.0.0.1:" in process.log
    assert f"embedded Postgres in {process.data_dir}" in process.log
    assert f"{process.data_dir}/signing.key" in process.log
    process.popen.send_signal(signal.SIGINT)
    assert process.exit_code() == 0
    assert not process.has_database()
    assert re.search(r"to chat +http://127\.0\.0\.1:\d+/$", process.log.rstrip())
    assert len(process.log.splitlines()) == 6, process.log


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (
            {"PYCHAT_HTTP__LISTEN": "0.0.0.0:0", "PYCHAT_EDGE__ENABLED": "false"},
            "PYCHAT_HTTP__LISTEN: http.listen: expected a loopback address",
        ),
        ({"PYCHAT_AUTH__SIGNING_KEY": "short"}, "auth.signing_key: the signing key has 5 bytes"),
        ({"PYCHAT_DYNAMIC_CONFIG__FALLBACK": "/absent.json"}, "/absent.json: No such file or directory"),
        ({"PYCHAT_DATABASE__URL": "postgresql://u:geheim@127.0.0.1:1/x"}, "cannot connect to the database: "),
        ({"PYCHAT_CONFIG": "/absent.toml"}, "/absent.toml: No such file or directory"),
    ],
)
def test_what_an_operator_can_set_right_is_one_line(
    start: Start, environment: Mapping[str, str], expected: str
) -> None:
    process = start(**environment)
    assert process.exit_code() == 1
    assert process.log.startswith("pychat: ")
    assert expected in process.log
    assert process.log.count("\n") == 1
    assert "geheim" not in process.log


def test_a_stop_during_the_start_leaves_no_database_behind(start: Start) -> None:
    process = start()
    wait_until((process.data_dir / "lock").exists, "the database is being made")
    process.popen.terminate()
    assert process.exit_code() == 0
    assert not process.has_database()
    assert "Traceback" not in process.log


def connected(server: Server, data: bytes = b"") -> socket.socket:
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(data)
    return connection


HALF_A_REQUEST = b"POST /v1/users/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


def test_open_connections_do_not_hold_up_the_stop(server_options: Callable[..., Options]) -> None:
    with running(server_options()) as server:
        idle = connected(server, b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(100).startswith(b"HTTP/1.1 200")
        connections = [idle, connected(server), connected(server, b"GET /pi"), connected(server, HALF_A_REQUEST)]
    for connection in connections:
        connection.close()


def test_a_second_signal_ends_the_process_at_once(start: Start, server_options: Callable[..., Options]) -> None:
    options = server_options()
    environment = {name: value for name, value in options.environment.items() if name != "PYCHAT_DATABASE__URL"}
    server = Server(Options(options.folder, environment, {}))
    alice = server.person()
    # Keeps the first stop busy for a moment.
    with connected(server, HALF_A_REQUEST):
        server.terminate()
        wait_until(lambda: not accepts(server), "the server is stopping")
        os.kill(server.pid, signal.SIGINT)
        assert server.exit_code() == 128 + signal.SIGINT
    with running(server.options) as again:
        answer = again.anonymous().login(alice.username, alice.password)
        assert answer.status_code == 200, "the data is there, and can be used at once"


def test_a_second_signal_while_the_database_is_made(start: Start) -> None:
    process = start()
    wait_until(lambda: initdb_of(process) is not None, "the database is being made")
    initdb = initdb_of(process)
    assert initdb
    # For as long as it takes until the second signal is there.
    initdb.suspend()
    process.popen.terminate()
    wait_until(lambda: is_taken(process.popen.pid, signal.SIGTERM), "the first signal is taken")
    process.popen.terminate()
    assert process.exit_code() == 128 + signal.SIGTERM
    wait_until(lambda: not process.has_database(), "nothing is left running")
    again = start(PYCHAT_DATABASE__DATA_DIR=str(process.data_dir))
    wait_until(lambda: "Ctrl+C" in again.log, "it is made anew")
    again.popen.terminate()
    assert again.exit_code() == 0


def initdb_of(process: Process) -> psutil.Process | None:
    for child in psutil.Process(process.popen.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name() == "initdb":
                return child
    return None


def accepts(server: Server) -> bool:
    try:
        connected(server).close()
    except ConnectionError:  # one that is taken as the listener closes is reset
        return False
    return True
