"""An event loop that does not turn: operators are told, and a process that is stuck ends."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.door import through_the_edge
from tests.support.server import Options, Server
from tests.support.wait import wait_until
from tests.support.wire import Answer, Wire

pytestmark = through_the_edge

WATCHDOG_SEC = 8
# Comes with the interpreter: at a signal the main thread, which is the loop's, sleeps.
BLOCKING = """
import signal, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(6.5))
signal.signal(signal.SIGUSR2, lambda *_: time.sleep(3600))
"""


@pytest.fixture
def server(server_options: Callable[..., Options], tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "sitecustomize.py").write_text(BLOCKING)
    options = server_options(PYCHAT_EDGE__WATCHDOG_SEC=str(WATCHDOG_SEC), PYTHONPATH=str(tmp_path))
    server = Server(options)
    yield server
    server.kill()


def probe(server: Server) -> Answer | None:
    """Asks as a supervisor does, who waits for a second."""
    with Wire(server.monitor_url) as monitor:
        monitor.socket.settimeout(1)
        try:
            return monitor.ask("GET", "/service/ready")
        except TimeoutError:
            return None


def test_a_loop_that_is_held_up_for_a_while(server: Server) -> None:
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
    wait_until(lambda: is_told(200), "the loop turns again")
    server.stop()


def test_a_loop_that_is_stuck(server: Server) -> None:
    began = time.monotonic()
    os.kill(server.pid, signal.SIGUSR2)
    assert server.exit_code() == 1
    assert time.monotonic() - began > WATCHDOG_SEC - 2
    assert server.log.splitlines()[-1] == f"pychat: the event loop has been silent for {WATCHDOG_SEC} s: giving up"
