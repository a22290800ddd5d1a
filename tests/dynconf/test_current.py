"""The snapshot in force: what a source says over the fallback, and what it says wrongly not at all."""

import time
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from pychat._core import Core
from pychat.dynconf.current import CurrentConfig
from pychat.dynconf.schemas import DynamicConfig, Polling, Queue
from pychat.monitor.sources import config_metrics
from tests.support.configs import raw

FALLBACK = DynamicConfig(polling=Polling(max_size=7), queue=Queue(max_queue_size=8))


@pytest.fixture
def current() -> CurrentConfig:
    return CurrentConfig(Core(signing_key=b"k" * 32), FALLBACK)


def refused_keys(current: CurrentConfig) -> float:
    """As the monitor shows it."""
    [family] = [family for family in config_metrics(current) if family.name == "pychat_dynamic_config_refused_keys"]
    return family.samples[0].value


def test_the_fallback_is_in_force_from_the_start(current: CurrentConfig) -> None:
    assert (current.value, current.source, current.invalid_total) == (FALLBACK, "fallback", 0)


def test_a_source_goes_over_the_fallback_key_by_key(current: CurrentConfig) -> None:
    current.take(raw({"POLLING_CONFIG": {"polling_time_sec": 3}, "OTHER": 1}), "database")
    # What a value does not name has its default, not the fallback's.
    assert current.value == DynamicConfig(polling=Polling(polling_time_sec=3), queue=Queue(max_queue_size=8))
    assert current.source == "database"
    current.take(raw({}), "database")
    assert current.value == FALLBACK


def test_an_invalid_value_leaves_the_last_good_one(current: CurrentConfig) -> None:
    current.take(raw({"POLLING_CONFIG": {"max_size": 3}}), "database")
    current.take(raw({"POLLING_CONFIG": {"max_size": 0}, "QUEUE_CONFIG": {"max_queue_size": 4}}), "database")
    assert (current.value.polling.max_size, current.value.queue.max_queue_size) == (3, 4)
    current.take(raw({"POLLING_CONFIG": {"max_size": 5}}), "database")
    assert current.value.polling.max_size == 5


def test_an_invalid_value_is_logged_and_counted_once(current: CurrentConfig) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            current.take(raw({"POLLING_CONFIG": {"max_size": 0}}), "database")
    assert [(line["log_level"], line["why"]) for line in logs] == [
        ("warning", "POLLING_CONFIG.max_size: expected `int` >= 1")
    ]
    assert current.invalid_total == 1
    assert refused_keys(current) == 1  # which stays so, for somebody to be told
    current.take(raw({}), "database")
    assert refused_keys(current) == 0
    current.take(raw({"POLLING_CONFIG": {"max_size": 0}}), "database")
    assert current.invalid_total == 2


def test_the_correct_limiter_key_wins_even_where_it_is_the_invalid_one(current: CurrentConfig) -> None:
    current.take(raw({"SEND_LIMTIER_CONFIG": {"max_rps_per_user": 3}}), "database")
    both = {"SEND_LIMTIER_CONFIG": {"max_rps_per_user": 4}, "SEND_LIMITER_CONFIG": {"max_rps_per_user": -1}}
    current.take(raw(both), "database")
    assert current.value.send_limiter.max_rps_per_user == 3


def test_the_age_is_of_what_was_heard_last(monkeypatch: pytest.MonkeyPatch, current: CurrentConfig) -> None:
    now = time.monotonic()
    monkeypatch.setattr("pychat.dynconf.current.time", SimpleNamespace(monotonic=lambda: now))
    current.take(raw({}), "service")
    now += 50
    assert current.age_sec == 50
    current.take(raw({}), "service")
    assert current.age_sec == 0
