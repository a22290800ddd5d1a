"""Waiting for a condition."""

import time
from collections.abc import Callable

# Between two looks; a test never depends on it.
PAUSE_SEC = 0.02


def wait_until(condition: Callable[[], bool], what: str, *, within_sec: float = 60) -> None:
    """Returns as soon as `condition()` holds; fails, naming `what`, when it does not come to hold."""
    deadline = time.monotonic() + within_sec
    while not condition():
        assert time.monotonic() < deadline, f"waited {within_sec} s in vain: {what}"
        time.sleep(PAUSE_SEC)
