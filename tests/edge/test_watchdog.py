"""An event loop that does not turn: operators are told, and a process that is stuck ends."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.door import through_the_edge
from tests.support.postgres import is_alive, running_in
from tests.support.server import Options, Server
from tests.support.wait import wait_until
from tests.support.wire import Answer, Wire

pytestmark = through_the_edge

WATCHDOG_SEC = 8
# Comes with the interpreter: at a signal the main thread, which is the loop's, sleeps, until it may go on.
BLOCKING = """
import os, signal, time

def block(*_):
    while not os.path.exists(os.environ["MAY_GO_ON"]):
        time.sleep(0.01)

signal.signal(signal.SIGUSR1, block)
"""


@pytest.fixture
def may_go_on(tmp_path: Path) -> Path:
    """The file that ends the sleep."""
    return tmp_path / "may_go_on"


@pytest.fixture
def start(server_options: Callable[..., Options], tmp_path: Path, may_go_on: Path) -> Iterator[Callable[[int], Server]]:
    """Starts a server with this patience."""
    (tmp_path / "sitecustomize.py").write_text(BLOCKING)
    own = {"PYTHONPATH": str(tmp_path), "MAY_GO_ON": str(may_go_on)}
    with ExitStack() as stack:

        def start(watchdog_sec: int) -> Server:
            # What is stored waits for Python.
            config = {"HISTORY_CONFIG": {"is_enabled": False}}
            options = server_options(config, PYCHAT_EDGE__WATCHDOG_SEC=str(watchdog_sec), **own)
            server = Server(options.embedded())
            stack.callback(server.kill)
            return server

        yield start


def probe(server: Server) -> Answer | None:
    """Asks as a supervisor does, who waits for a second."""
    with Wire(server.monitor_url) as monitor:
        monitor.socket.settimeout(1)
        try:
            return monitor.ask("GET", "/service/ready")
        except TimeoutError:
            return None


def test_a_loop_that_is_held_up_for_a_while(start: Callable[[int], Server], may_go_on: Path) -> None:
    server = start(3_600)
    alice = server.person()
    chat_id = alice.chat_with(alice)
    answers = []

    def is_told(status: int) -> bool:
        answer = probe(server)
        answers.extend([answer] if answer else [])
        return bool(answer and answer.status == status)

    os.kill(server.pid, signal.SIGUSR1)
    wait_until(lambda: is_told(503), "operators are told")
    message = answers[-1].json["message"]
    assert message == "Not ready: the event loop is silent"
    assert answers[-1].json == {"code": "503", "message": message, "details": {"errors": message}}
    assert int(answers[-1].headers["retry-after"]) >= 1
    # What needs no Python goes on.
    alice.says(chat_id, "text")
    with Wire(server.monitor_url) as monitor:
        assert monitor.ask("GET", "/service/live").json == {"status": "live"}
    may_go_on.touch()
    wait_until(lambda: is_told(200), "the loop turns again")
    server.stop()


def test_a_loop_that_is_stuck(start: Callable[[int], Server]) -> None:
    server = start(WATCHDOG_SEC)
    processes = running_in(server.options.data_dir)
    began = time.monotonic()
    os.kill(server.pid, signal.SIGUSR1)
    assert server.exit_code() == 1
    assert time.monotonic() - began > WATCHDOG_SEC - 2
    assert server.log.splitlines()[-1] == f"pychat: the event loop has been silent for {WATCHDOG_SEC} s: giving up"
    wait_until(lambda: not any(map(is_alive, processes)), "its database has stopped with it")
