"""Each field of each key is changed while people talk: the next request meets it, and none fails because of it."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from pychat.dynconf.schemas import KEYS
from tests.conftest import DynamicConfig, Launch
from tests.support.client import Person
from tests.support.configs import Configs
from tests.support.expect import expect_error
from tests.support.server import Server
from tests.support.talk import Talk
from tests.support.wait import wait_until

# Sweeps are off until a test wants them; nobody is held back.
BASE: DynamicConfig = {
    "POLLING_CONFIG": {"polling_time_sec": 1},
    "GC_TASK_CONFIG": {"is_enabled": False, "period_seconds": 1},
    "SEND_LIMITER_CONFIG": {"is_enabled": False},
}
SWEEPING = {"is_enabled": True, "period_seconds": 1, "inter_shard_pause_ms": 0}


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch(BASE) as started:
        yield started


@pytest.fixture
def configs(server: Server) -> Configs:
    return Configs(partial(server.monitor, "POST"))


@pytest.fixture(autouse=True)
def talk(server: Server, configs: Configs) -> Iterator[Talk]:
    """Goes on during each test and, when all is as it was before, after it."""
    talk = Talk(server.person(), server.person())
    with talk.running():
        talk.goes_on()
        yield talk
        configs.delete(*KEYS)
        talk.goes_on()


def set_key(configs: Configs, key: str, **fields: object) -> None:
    configs.put({key: {**BASE.get(key, {}), **fields}})


def test_messages_a_poll(configs: Configs, alice: Person, bob: Person) -> None:
    session, chat_id = bob.session(), alice.chat_with(bob)
    for number in range(5):
        alice.says(chat_id, str(number))
    set_key(configs, "POLLING_CONFIG", max_size=2)
    assert session.read().texts == ["0", "1"]
    set_key(configs, "POLLING_CONFIG", max_size=3)
    assert session.read().texts == ["2", "3", "4"]


def test_the_time_of_a_poll_holds_from_the_next_one(configs: Configs, alice: Person) -> None:
    set_key(configs, "POLLING_CONFIG", polling_time_sec=3_600)
    parked = alice.session().park()
    set_key(configs, "POLLING_CONFIG", polling_time_sec=0)
    assert alice.session().read().texts == []
    alice.says(alice.chat_with(alice), "still there?")
    assert [message["text"] for message in parked.answer()[1]["messages"]] == ["still there?"]


def test_users_online(configs: Configs, alice: Person, bob: Person) -> None:
    alice.session()
    set_key(configs, "REGISTRY_CONFIG", max_users_amount=0)
    expect_error(bob.start(), 503)
    alice.session()  # who is online is not one more
    set_key(configs, "REGISTRY_CONFIG", max_users_amount=1_000)
    bob.session()


@pytest.mark.parametrize("field", ["max_queue_size", "max_queue_bytes"])
def test_a_smaller_queue_keeps_what_it_holds(configs: Configs, alice: Person, bob: Person, field: str) -> None:
    session, chat_id = bob.session(), alice.chat_with(bob)
    for text in ("first", "second"):
        alice.says(chat_id, text)
    set_key(configs, "QUEUE_CONFIG", **{field: 1})
    alice.says(chat_id, "refused")
    batch = session.read()
    assert (batch.texts, batch.resync_required) == (["first", "second"], True)
    configs.delete("QUEUE_CONFIG")
    alice.says(chat_id, "third")
    batch = session.read()
    assert (batch.texts, batch.resync_required) == (["third"], False)


def test_sessions_a_user(configs: Configs, alice: Person) -> None:
    sessions = [alice.session(), alice.session()]
    set_key(configs, "SESSIONS_CONFIG", max_sessions_amount=1)
    expect_error(alice.start(), 429)
    alice.says(alice.chat_with(alice), "to both")
    assert [session.read().texts for session in sessions] == [["to both"], ["to both"]]
    set_key(configs, "SESSIONS_CONFIG", max_sessions_amount=3)
    alice.session()
    expect_error(alice.start(), 429)


def test_the_time_until_a_session_is_idle(configs: Configs, alice: Person) -> None:
    idle = alice.session()
    set_key(configs, "SESSIONS_CONFIG", max_sessions_amount=1, idle_timeout_sec=1)
    expect_error(alice.start(), 429)
    configs.put({"GC_TASK_CONFIG": SWEEPING})
    wait_until(lambda: alice.start().status_code == 200, "the idle session is closed")
    expect_error(alice.poll(idle.session_id), 410)


def test_the_limiter_is_switched(configs: Configs, alice: Person) -> None:
    chat_id = alice.chat_with(alice)
    set_key(configs, "SEND_LIMITER_CONFIG", is_enabled=True, max_rps_per_user=0)
    expect_error(alice.send(chat_id, "no"), 429)
    set_key(configs, "SEND_LIMITER_CONFIG", is_enabled=False, max_rps_per_user=0)
    alice.says(chat_id, "yes")


def test_the_burst_and_the_refill(configs: Configs, alice: Person) -> None:
    chat_id = alice.chat_with(alice)
    set_key(configs, "SEND_LIMITER_CONFIG", is_enabled=True, max_rps_per_user=2, token_refill_amount=0)
    for status in (202, 202, 429):
        assert alice.send(chat_id, "Hello").status_code == status
    set_key(configs, "SEND_LIMITER_CONFIG", is_enabled=True, max_rps_per_user=2, token_refill_amount=10_000_000)
    alice.says(chat_id, "refilled")
    set_key(configs, "SEND_LIMITER_CONFIG", is_enabled=True, max_rps_per_user=0, token_refill_amount=10_000_000)
    expect_error(alice.send(chat_id, "no room for a token"), 429)


def test_the_time_until_a_limiter_is_forgotten(server: Server, configs: Configs, alice: Person) -> None:
    limiter = {"is_enabled": True, "max_rps_per_user": 1_000_000, "token_refill_amount": 1_000_000}
    set_key(configs, "SEND_LIMITER_CONFIG", **limiter, idle_timeout_sec=86_400)
    alice.says(alice.chat_with(alice), "Hello")
    configs.put({"GC_TASK_CONFIG": SWEEPING})
    before = gc_task(server)["last_run_at"]
    wait_until(lambda: bool(gc_task(server)["last_run_at"] != before), "a sweep is over")
    removed = removed_limiters(server)
    set_key(configs, "SEND_LIMITER_CONFIG", **limiter, idle_timeout_sec=0)
    wait_until(lambda: removed_limiters(server) > removed, "her limiter is removed")


def removed_limiters(server: Server) -> int:
    metrics = server.monitor("GET", "/service/monitor?format=json").json()
    return int(metrics["chat_limiter.removed.total"][0]["value"])


def gc_task(server: Server) -> dict[str, Any]:
    tasks = server.monitor("GET", "/service/tasks").json()["tasks"]
    return next(dict(task) for task in tasks if task["name"] == "gc-background-job")


def test_the_sweeper_is_switched_and_its_period_changed(server: Server, configs: Configs) -> None:
    set_key(configs, "GC_TASK_CONFIG", is_enabled=True, period_seconds=3_600)
    before = gc_task(server)["last_run_at"]
    set_key(configs, "GC_TASK_CONFIG", is_enabled=True, period_seconds=1)
    wait_until(lambda: bool(gc_task(server)["last_run_at"] != before), "the sweeper runs by its new period")


def test_the_sweepers_pause(server: Server, configs: Configs, alice: Person) -> None:
    alice.session()
    set_key(configs, "SESSIONS_CONFIG", idle_timeout_sec=1)
    configs.put({"GC_TASK_CONFIG": {**SWEEPING, "inter_shard_pause_ms": 600}})
    wait_until(lambda: (gc_task(server)["last_run_sec"] or 0) >= 0.6, "a sweep pauses")


def test_a_whole_snapshot_at_once(configs: Configs, alice: Person) -> None:
    alice.session()
    configs.put({"POLLING_CONFIG": {"polling_time_sec": 0}, "SESSIONS_CONFIG": {"max_sessions_amount": 1}})
    expect_error(alice.start(), 429)
    configs.delete("SESSIONS_CONFIG", "POLLING_CONFIG")
    assert alice.session().read().texts == []
