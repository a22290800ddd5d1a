"""`GET /service/monitor`: what is counted, and what is made of it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benches.process import resident_bytes
from tests.conftest import QUICK_POLLS, Launch
from tests.support.client import Api, Person
from tests.support.door import EDGE, Door
from tests.support.expect import expect_error
from tests.support.metrics import Scrape, scrape_text
from tests.support.server import Server
from tests.support.wait import wait_until

COUNTERS = {
    "chat_messages_resync_required_total",
    "chat_send_successful_total",
    "chat_send_dropped_overflow_total",
    "chat_send_dropped_offline_total",
    "chat_sessions_removed_total",
    "chat_sessions_messages_sent_total",
    "chat_mailbox_removed_total",
    "chat_limiter_removed_total",
    "chat_limiter_rejected_total",
}
GAUGES = {
    "chat_messages_polling_active_current",
    "chat_sessions_opened_current",
    "chat_mailbox_opened_current",
    "chat_limiter_opened_current",
}
HISTOGRAMS = {
    "chat_messages_polling_duration_sec_hist": [1, 2, 5, 10, 90, 180],
    "chat_messages_queue_wait_latency_sec_hist": [1, 3, 5, 10, 15, 50, 100, 150, 200],
    "chat_messages_send_overhead_us_hist": [1, 100, 500, 1000, 5000],
    "chat_messages_polling_overhead_us_hist": [1, 500, 700, 1000, 5000, 10000, 100000],
    "chat_messages_batch_size_hist": [1, 5, 10, 20, 50, 70, 100],
    "chat_sessions_per_user_hist": [1, 2, 3, 4, 5],
    "chat_sessions_queue_size_hist": [1, 5, 10, 25, 50, 100, 500, 1000],
    "chat_sessions_lifetime_sec_hist": [1, 10, 50, 100, 500, 1000, 10000],
    "chat_mailbox_shards_size_hist": [1, 10, 100, 500, 1000, 10000],
    "chat_limiter_shards_size_hist": [1, 10, 100, 500, 1000, 10000],
}
OURS = {
    "http_requests_total": "counter",
    "http_request_duration_seconds": "histogram",
    "process_cpu_seconds_total": "counter",
    "process_resident_memory_bytes": "gauge",
    "process_open_fds": "gauge",
    "process_start_time_seconds": "gauge",
    "pychat_build_info": "gauge",
    "pychat_database_failures_total": "counter",
    "pychat_database_pool_connections": "gauge",
    "pychat_database_pool_in_use_connections": "gauge",
    "pychat_database_pool_max_connections": "gauge",
    "pychat_database_pool_waiting": "gauge",
    "pychat_database_up": "gauge",
    "pychat_dynamic_config_age_seconds": "gauge",
    "pychat_dynamic_config_info": "gauge",
    "pychat_dynamic_config_invalid_total": "counter",
    "pychat_dynamic_config_refused_keys": "gauge",
    "pychat_event_loop_lag_seconds": "histogram",
    "pychat_task_last_run_duration_seconds": "gauge",
    "pychat_task_last_run_timestamp_seconds": "gauge",
    "pychat_task_last_success_timestamp_seconds": "gauge",
    "pychat_task_runs_total": "counter",
}
IDLE_TIMEOUT_SEC = 600


@pytest.fixture(scope="module")
def counted(launch: Launch) -> Iterator[Server]:
    """A server on which nothing happens that the tests do not do."""
    with launch(
        {
            **QUICK_POLLS,
            "SESSIONS_CONFIG": {"idle_timeout_sec": IDLE_TIMEOUT_SEC},
            "GC_TASK_CONFIG": {"is_enabled": False},
            "QUEUE_CONFIG": {"max_queue_size": 3},
            "SEND_LIMITER_CONFIG": {"max_rps_per_user": 5, "token_refill_amount": 0},
        },
        PYCHAT_TESTING__ENABLED="true",
    ) as started:
        yield started


@pytest.fixture
def server(counted: Server) -> Iterator[Server]:
    """The server, empty."""
    collect(counted, "reset-task")
    yield counted
    counted.set_clock(0)


def collect(server: Server, task: str = "gc-background-job") -> None:
    answer = server.monitor("POST", f"/service/tasks/{task}", headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text


class Since:
    """How much each metric has grown."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before = Scrape.of(server)

    def grown(self, name: str, **labels: str) -> float:
        return Scrape.of(self._server).value(name, **labels) - self._before.value(name, **labels)


def test_all_of_the_contract_is_there_with_its_buckets(server: Server) -> None:
    collect(server)
    scrape = Scrape.of(server)
    assert {name for name, kind in scrape.types.items() if kind == "counter"} >= COUNTERS
    assert {name for name, kind in scrape.types.items() if kind == "gauge"} >= GAUGES
    for name, bounds in HISTOGRAMS.items():
        assert scrape.types[name] == "histogram"
        assert list(scrape.buckets(name)) == [*map(str, bounds), "+Inf"], name
    for name, kind in OURS.items():
        assert scrape.types[name] == kind, name


def test_what_a_conversation_counts(server: Server, alice: Person, bob: Person) -> None:
    since = Since(server)
    chat_id = alice.chat_with(bob)
    session = bob.session()
    for text in ("one", "two", "three", "four"):
        alice.says(chat_id, text)
    assert since.grown("chat_send_successful_total") == 3
    assert since.grown("chat_send_dropped_overflow_total") == 1
    assert since.grown("chat_send_dropped_offline_total") == 4, "Alice, who hears herself as well, is offline"
    assert since.grown("chat_messages_send_overhead_us_hist_count") == 4
    assert Scrape.of(server).buckets("chat_sessions_queue_size_hist") == {
        bound: float(bound != "1") for bound in ["1", "5", "10", "25", "50", "100", "500", "1000", "+Inf"]
    }
    assert session.read().resync_required
    assert since.grown("chat_messages_resync_required_total") == 1
    assert since.grown("chat_sessions_messages_sent_total") == 3
    assert since.grown("chat_messages_batch_size_hist_sum") == 3
    assert since.grown("chat_messages_queue_wait_latency_sec_hist_count") == 3
    assert since.grown("chat_messages_polling_overhead_us_hist_count") == 1
    wait_until(lambda: since.grown("chat_messages_polling_duration_sec_hist_count") == 1, "the poll is over")


def test_who_is_there_is_counted(server: Server, alice: Person, bob: Person) -> None:
    alice.session()
    alice.session()
    bob.session()
    alice.says(alice.chat_with(bob), "Hello")
    scrape = Scrape.of(server)
    assert scrape.value("chat_sessions_opened_current") == 3
    assert scrape.value("chat_mailbox_opened_current") == 2
    assert scrape.value("chat_limiter_opened_current") == 1
    assert scrape.buckets("chat_sessions_per_user_hist") == {"1": 1, "2": 2, "3": 2, "4": 2, "5": 2, "+Inf": 2}
    assert scrape.value("chat_mailbox_shards_size_hist_sum") == 2
    assert scrape.value("chat_limiter_shards_size_hist_sum") == 1
    shards = scrape.value("chat_mailbox_shards_size_hist_count")
    assert shards == scrape.value("chat_limiter_shards_size_hist_count") > 1


def test_who_has_gone_is_counted(server: Server, alice: Person, bob: Person) -> None:
    since = Since(server)
    alice.session()
    bob.session()
    alice.says(alice.chat_with(bob), "Hello")
    bob.says(bob.chat_with(alice), "Hello")
    collect(server, "reset-task")
    assert since.grown("chat_sessions_removed_total") == 2
    assert since.grown("chat_sessions_lifetime_sec_hist_count") == 2
    assert since.grown("chat_mailbox_removed_total") == 2
    assert since.grown("chat_limiter_removed_total") == 2
    scrape = Scrape.of(server)
    for name in GAUGES:
        assert scrape.value(name) == 0, name
    assert scrape.value("chat_sessions_per_user_hist_count") == 0


def test_refused_sends_are_counted(server: Server, alice: Person) -> None:
    since = Since(server)
    chat_id = alice.chat_with(alice)
    for _ in range(5):
        alice.says(chat_id, "Hello")
    expect_error(alice.send(chat_id, "Hello"), 429)
    assert since.grown("chat_limiter_rejected_total") == 1


@pytest.mark.usefixtures("long_polls")
def test_a_parked_poll_is_counted_while_it_waits(server: Server, alice: Person) -> None:
    chat_id, parked = alice.chat_with(alice), alice.session().park()
    assert Scrape.of(server).value("chat_messages_polling_active_current") == 1
    alice.says(chat_id, "Hello")
    assert parked.answer()[0] == 200
    wait_until(lambda: Scrape.of(server).value("chat_messages_polling_active_current") == 0, "the poll is over")


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("POST", "/v1/messages/poll/start", "/v1/messages/poll/start", 200),
        ("POST", "/v1/messages/send", "/v1/messages/send", 400),
        ("GET", "/v1/messages/poll/none", "/v1/messages/poll/{session_id}", 410),
        ("GET", "/v1/users/nobody", "/v1/users/{username}", 404),
        ("GET", "/ping", "/ping", 200),
        ("GET", "/v1/nothing/of/the/kind", "other", 404),
        ("DELETE", "/v1/messages/send", "other", 405),
        ("BREW", "/ping", "other", 405),
    ],
)
def test_requests_are_counted_by_route(
    server: Server, alice: Person, method: str, path: str, route: str, status: int
) -> None:
    since = Since(server)
    assert alice.request(method, path, content=b"{}").status_code == status
    counted_as = "other" if method == "BREW" else method
    assert since.grown("http_requests_total", method=counted_as, route=route, status=str(status)) == 1
    assert since.grown("http_request_duration_seconds_count", method=counted_as, route=route) == 1


def test_paths_make_no_routes(server: Server, alice: Person) -> None:
    series = len(Scrape.of(server).samples)
    for number in range(20):
        alice.profile(f"nobody{number}")
        alice.poll(f"session{number}")
        alice.request("GET", f"/nowhere/{number}")
        alice.request(f"VERB{number}", "/ping")
    assert len(Scrape.of(server).samples) < series + 100


def test_the_json_of_the_original(server: Server, alice: Person) -> None:
    session = alice.session()
    chat_id = alice.chat_with(alice)
    for text in ("one", "two"):
        alice.says(chat_id, text)
    answer = server.monitor("GET", "/service/monitor", params={"format": "json", "prefix": "chat_sessions."})
    assert answer.headers["content-type"] == "application/json"
    shown = answer.json()
    assert shown.keys() == {
        "chat_sessions.opened.current",
        "chat_sessions.removed.total",
        "chat_sessions.messages.sent.total",
        "chat_sessions.per_user.hist",
        "chat_sessions.queue.size.hist",
        "chat_sessions.lifetime.sec.hist",
    }
    assert shown["chat_sessions.opened.current"] == [{"value": 1, "labels": {}, "type": "GAUGE"}]
    assert shown["chat_sessions.removed.total"][0]["type"] == "RATE"
    assert shown["chat_sessions.queue.size.hist"] == [
        {
            "value": {
                "bounds": [1, 5, 10, 25, 50, 100, 500, 1000],
                "buckets": [0, 1, 0, 0, 0, 0, 0, 0],
                "inf": 0,
                "sum": 2,
            },
            "labels": {},
            "type": "HIST_RATE",
        }
    ]
    session.read()


def test_every_metric_has_a_name_of_the_original(server: Server) -> None:
    shown = server.monitor("GET", "/service/monitor", params={"format": "json"}).json()
    assert shown.keys() >= {
        "chat_messages.polling.overhead.us.hist",
        "chat_messages.queue_wait_latency.sec.hist",
        "chat_messages.send_overhead.us.hist",
        "chat_messages.resync_required.total",
        "chat_mailbox.shards.size.hist",
    }
    assert len(shown) == len(Scrape.of(server).types)


def test_a_prefix_selects(server: Server) -> None:
    for prefix in ("chat_limiter_", "chat_limiter."):
        assert set(Scrape.of(server, prefix=prefix).types) == {
            "chat_limiter_opened_current",
            "chat_limiter_removed_total",
            "chat_limiter_rejected_total",
            "chat_limiter_shards_size_hist",
        }
    assert scrape_text(server, prefix="nothing") == ""
    assert server.monitor("GET", "/service/monitor?format=json&prefix=nothing").json() == {}


def test_labels_select(server: Server, anybody: Api) -> None:
    anybody.request("GET", "/ping")
    labels = {"route": "/ping", "method": "GET"}
    samples = Scrape.of(server, labels=json.dumps(labels)).samples
    assert samples
    assert all(dict(given) | labels == dict(given) for _, given in samples)
    shown = server.monitor("GET", "/service/monitor", params={"format": "json", "labels": json.dumps(labels)}).json()
    assert shown.keys() == {"http_requests.total", "http_request.duration.seconds"}
    assert shown["http_requests.total"][0]["labels"] == labels | {"status": "200"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"format": "xml"}, "format"),
        ({"format": ""}, "format"),
        ({"prefix": "chat-"}, "prefix"),
        ({"prefix": "x" * 201}, "prefix"),
        ({"labels": "route"}, "labels"),
        ({"labels": "[]"}, "labels"),
        ({"labels": '{"route": 1}'}, "labels"),
        ({"labels": '{"a":' * 300}, "labels"),
    ],
    ids=lambda given: str(given)[:30],
)
def test_a_wrong_query_is_refused(server: Server, query: dict[str, str], field: str) -> None:
    expect_error(server.monitor("GET", "/service/monitor", params=query), 400, field)


def test_the_edge_is_counted(server: Server, door: Door) -> None:
    scrape = Scrape.of(server)
    assert (scrape.types.get("pychat_edge_refusals_total") == "counter") == (door == EDGE)
    if door == EDGE:
        assert scrape.value("pychat_edge_open_connections") >= 1
        for reason in (
            "too_many_connections",
            "too_many_of_address",
            "too_slow",
            "malformed",
            "upstream_unavailable",
            "overloaded",
        ):
            assert ("pychat_edge_refusals_total", frozenset({("reason", reason)})) in scrape.samples


def test_the_process_is_measured(server: Server) -> None:
    scrape = Scrape.of(server)
    files = sum(1 for _ in Path(f"/proc/{server.pid}/fd").iterdir())
    # Connections come and go.
    assert abs(scrape.value("process_open_fds") - files) < 20
    assert scrape.value("process_max_fds") > files
    started = psutil.Process(server.pid).create_time()
    assert scrape.value("process_start_time_seconds") == pytest.approx(started, abs=5)
    assert scrape.value("process_resident_memory_bytes") == pytest.approx(resident_bytes(server.pid), rel=0.2)
    assert 0 < scrape.value("process_cpu_seconds_total") < 3600


def test_a_process_starts_once(server: Server) -> None:
    assert len({Scrape.of(server).value("process_start_time_seconds") for _ in range(5)}) == 1


# What promtool would name otherwise ("seconds"), and the contract has frozen.
FROZEN = {
    "chat_messages_polling_duration_sec_hist",
    "chat_messages_polling_overhead_us_hist",
    "chat_messages_queue_wait_latency_sec_hist",
    "chat_messages_send_overhead_us_hist",
    "chat_sessions_lifetime_sec_hist",
}


def test_promtool_objects_to_frozen_names_alone(server: Server) -> None:
    assert shutil.which("promtool"), "promtool is missing; Debian has it in the package prometheus"
    collect(server)
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=scrape_text(server), text=True, capture_output=True, check=False
    )
    complaints = (checked.stdout + checked.stderr).splitlines()
    # It says nothing else when it cannot read what it is given.
    assert {line.split()[0] for line in complaints} == FROZEN, complaints
