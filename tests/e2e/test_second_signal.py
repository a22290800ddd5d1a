"""A second signal while the event loop hangs, so that nothing in Python hears of the first."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server import Options, Server
from tests.support.signals import is_taken
from tests.support.wait import wait_until

WATCHDOG_SEC = 30
AT_ONCE_SEC = 5
"""Far less than the watchdog takes, also on a busy machine."""

# Comes with the interpreter: at a signal the main thread, which is the loop's, sleeps; or it does so with the
# interpreter's lock, so that no other thread gets to run Python either.
HANGING = """
import ctypes, signal, time
def hang(sleep):
    print("hangs", flush=True)
    while True:
        sleep(100)
signal.signal(signal.SIGUSR1, lambda *_: hang(time.sleep))
signal.signal(signal.SIGUSR2, lambda *_: hang(ctypes.PyDLL(None).sleep))
"""


@pytest.fixture
def server(server_options: Callable[..., Options], tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "sitecustomize.py").write_text(HANGING)
    options = server_options(PYCHAT_EDGE__WATCHDOG_SEC=str(WATCHDOG_SEC), PYTHONPATH=str(tmp_path))
    server = Server(options)
    yield server
    server.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("hang", [signal.SIGUSR1, signal.SIGUSR2])
def test_it_ends_the_process_at_once(server: Server, hang: signal.Signals, number: signal.Signals) -> None:
    os.kill(server.pid, hang)
    wait_until(lambda: "hangs" in server.log, "the loop hangs")
    os.kill(server.pid, number)
    wait_until(lambda: is_taken(server.pid, number), "the first signal is taken")
    began = time.monotonic()
    os.kill(server.pid, number)
    assert server.exit_code() == 128 + number
    assert time.monotonic() - began < AT_ONCE_SEC
    assert server.log.splitlines()[-1] == "pychat: asked to stop a second time: ending at once"
