"""A log that nobody empties, which stops the event loop: the process ends nevertheless."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.door import through_the_edge
from tests.support.server import Options, Server

pytestmark = through_the_edge

# Comes with the interpreter: at a signal standard error becomes a full pipe, into which the loop then writes.
BLOCKING = """
import os, signal

def block(*_):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writing, True)
    os.dup2(writing, 2)
    os.write(2, b"x")

signal.signal(signal.SIGUSR1, block)
"""


@pytest.fixture
def server(server_options: Callable[..., Options], tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "sitecustomize.py").write_text(BLOCKING)
    server = Server(server_options(PYCHAT_EDGE__WATCHDOG_SEC="6", PYTHONPATH=str(tmp_path)))
    yield server
    server.kill()


def test_a_loop_that_waits_for_its_log(server: Server) -> None:
    os.kill(server.pid, signal.SIGUSR1)
    assert server.exit_code() == 1
