"""A scrape is beside the requests: with 100,000 sessions it takes its time, and nobody waits for it long."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client.core import Metric

from pychat._core import Core
from pychat.app import create_app
from pychat.database.pool import Database
from pychat.dynconf.schemas import DynamicConfig
from pychat.monitor import sources
from pychat.monitor.formats import as_json, as_prometheus
from pychat.monitor.metrics import Metrics
from pychat.services import Services
from pychat.settings import Auth, Settings
from pychat.settings import Database as DatabaseSettings
from tests.support.crowd import open_sessions
from tests.support.metrics import Scrape
from tests.support.server import SIGNING_KEY
from tests.support.wait import wait_until

USERS = 20_000
SESSIONS_EACH = 5
ROUTES = 60
STATUSES = (200, 400, 401, 404, 503)

Write = Callable[[Iterable[Metric], str, Mapping[str, str]], bytes]

TURNS = 20_000
LONGEST = 8
"""Times as long as so many turns of an empty loop, which take some 0.2 ms."""

SCRAPES = 30
WITHIN_SEC = 60


@pytest.fixture(scope="module")
def services() -> Services:
    """An application's with a full hub and requests of many kinds, none of its tasks running."""
    nowhere = Path("/nonexistent")
    settings = Settings(DatabaseSettings(nowhere), Auth(nowhere))
    app = create_app(settings, Database("postgresql://nowhere"), SIGNING_KEY.encode(), DynamicConfig())
    services: Services = app.state.services
    open_sessions(services.core, range(USERS), SESSIONS_EACH)
    for route in range(ROUTES):
        for status in STATUSES:
            services.requests.count("GET", f"/v1/route/{route}", status, 0.001)
    return services


class Counted:
    """A core, and how much processor time its native counting took, which is done without the GIL: see below."""

    def __init__(self, core: Core) -> None:
        self.numbers = core.numbers
        self.native_sec = 0.0
        self._core = core

    def histograms(self) -> object:
        before = time.thread_time()
        try:
            return self._core.histograms()
        finally:
            self.native_sec += time.thread_time() - before


@pytest.mark.parametrize("write", [as_prometheus, as_json])
def test_a_scrape_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, services: Services, write: Write, figure: Callable[[str], None]
) -> None:
    """In processor time, which neighbours on the machine add little to, and beside what takes the same on any machine:
    no step from breath to breath is long."""
    core = Counted(services.core)
    # Its native part alone is replaced.
    metrics = Metrics(partial(sources.hub_metrics, cast(Core, core)), *services.metrics._sources[1:])
    steps: list[float] = []
    since = 0.0

    def begin() -> None:
        nonlocal since
        core.native_sec, since = 0.0, time.thread_time()

    def end() -> None:
        steps.append(time.thread_time() - since - core.native_sec)

    def breathe(sec: float) -> None:
        end()
        time.sleep(sec)
        begin()

    monkeypatch.setattr("pychat.monitor.metrics.time", SimpleNamespace(sleep=breathe))
    longest, loops = [], []
    for _ in range(SCRAPES):
        begin()
        for _ in range(TURNS):
            pass
        loops.append(time.thread_time() - since)
        steps.clear()
        begin()
        write(metrics.collect(), "", {})
        end()
        assert len(steps) > 10
        longest.append(max(steps))
    times = median(longest) / median(loops)
    figure(
        f"the longest step of a scrape: {median(longest) * 1000:.2f} ms, {times:.1f} times an empty loop's;"
        f" {max(longest) * 1000:.2f} at worst"
    )
    assert times <= LONGEST


def test_the_counting_is_beside_python(services: Services) -> None:
    """While sessions are counted others have the GIL: a thread gets on, though nobody is made to give it up."""
    beats = 0
    is_over = False

    def beat() -> None:
        nonlocal beats
        while not is_over:
            beats += 1
            time.sleep(0)

    def gets_on() -> bool:
        before = beats
        services.core.histograms()
        return beats > before

    interval = sys.getswitchinterval()
    sys.setswitchinterval(WITHIN_SEC)
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        wait_until(gets_on, "Python runs while sessions are counted")
    finally:
        is_over = True
        sys.setswitchinterval(interval)
        thread.join()


def test_it_counts_them_all(services: Services) -> None:
    scrape = Scrape.parsed(as_prometheus(services.metrics.collect(), "", {}).decode())
    assert scrape.value("chat_sessions_opened_current") == USERS * SESSIONS_EACH
    assert scrape.value("chat_sessions_queue_size_hist_count") == USERS * SESSIONS_EACH
    assert scrape.value("chat_sessions_per_user_hist_count") == USERS
    assert scrape.value("chat_mailbox_shards_size_hist_sum") == USERS
