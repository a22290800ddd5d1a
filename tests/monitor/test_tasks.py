"""`/service/tasks`: what runs in the background, and running it now."""

from collections.abc import Iterator

import pytest

from tests.conftest import QUICK_POLLS, Launch
from tests.support.client import Person
from tests.support.expect import expect_error, expect_error_body
from tests.support.server import Server

IDLE_TIMEOUT_SEC = 600
GC = "gc-background-job"
RESET = "reset-task"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def patient(launch: Launch) -> Iterator[Server]:
    """A server that collects nothing by itself."""
    with launch(
        {
            **QUICK_POLLS,
            "SESSIONS_CONFIG": {"idle_timeout_sec": IDLE_TIMEOUT_SEC},
            "GC_TASK_CONFIG": {"is_enabled": False},
            "SEND_LIMITER_CONFIG": {"max_rps_per_user": 2, "token_refill_amount": 0},
        },
        PYCHAT_TESTING__ENABLED="true",
    ) as started:
        yield started


@pytest.fixture
def server(patient: Server) -> Iterator[Server]:
    yield patient
    patient.set_clock(0)


def run(server: Server, name: str) -> dict[str, object]:
    answer = server.monitor("POST", f"/service/tasks/{name}", headers=JSON)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def listed(server: Server) -> dict[str, dict[str, object]]:
    return {task["name"]: task for task in server.monitor("GET", "/service/tasks").json()["tasks"]}


def test_collecting_is_over_when_it_is_answered(server: Server, alice: Person, bob: Person) -> None:
    idle, seen = alice.session(), bob.session()
    server.set_clock(IDLE_TIMEOUT_SEC - 1)
    seen.read()
    server.set_clock(IDLE_TIMEOUT_SEC + 1)
    run(server, GC)
    expect_error(alice.poll(idle.session_id), 410)
    seen.read()


def test_a_run_is_listed_with_its_outcome(server: Server) -> None:
    assert set(listed(server)) >= {GC, RESET}
    answered = run(server, GC)
    task = listed(server)[GC]
    assert task == answered
    assert task["last_outcome"] == "done"
    assert str(task["last_run_at"]).endswith("Z")
    assert isinstance(task["last_run_sec"], float)


def test_a_reset_closes_all_sessions_and_fills_the_limiters(server: Server, alice: Person) -> None:
    chat_id = alice.chat_with(alice)
    session = alice.session()
    for text in ("one", "two"):
        alice.says(chat_id, text)
    expect_error(alice.send(chat_id, "three"), 429)
    run(server, RESET)
    expect_error(alice.poll(session.session_id), 410)
    alice.says(chat_id, "three")


@pytest.mark.usefixtures("long_polls")
def test_a_parked_poll_ends_with_a_reset(server: Server, alice: Person) -> None:
    parked = alice.session().park()
    run(server, RESET)
    assert parked.answer()[0] == 410


def test_there_is_no_other_task(server: Server) -> None:
    expect_error(server.monitor("POST", "/service/tasks/nothing", headers=JSON), 404)


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "text/plain"}, {}, {**JSON, "Host": "example.com"}], ids=["text", "no type", "host"]
)
def test_a_web_page_cannot_run_a_task(server: Server, alice: Person, headers: dict[str, str]) -> None:
    session = alice.session()
    answer = server.monitor("POST", f"/service/tasks/{RESET}", headers=headers)
    assert answer.status_code in (403, 415)
    expect_error_body(answer)
    session.read()


@pytest.fixture(scope="module")
def guarded(launch: Launch) -> Iterator[Server]:
    """A server whose operators show a token."""
    with launch(PYCHAT_TESTING__ENABLED="true", PYCHAT_MONITOR__ADMIN_TOKEN="geheim") as started:
        yield started


CHANGES = [
    ("POST", f"/service/tasks/{GC}", {}),
    ("POST", "/service/tasks/nothing", {}),
    ("PUT", "/service/clock", {"offset_sec": 0}),
    ("POST", "/admin/v1/configs", {"configs": {"A": 1}, "service": "other"}),
    ("POST", "/admin/v1/configs/delete", {"ids": ["A"], "service": "other"}),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer geheim2", "Basic geheim", "geheim"])
def test_who_shows_no_token_changes_nothing(
    guarded: Server, method: str, path: str, body: object, authorization: str
) -> None:
    answer = guarded.monitor(method, path, json=body, headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_who_shows_the_token_may_come_by_any_name(guarded: Server, method: str, path: str, body: object) -> None:
    headers = {"Authorization": "Bearer geheim", "Host": "monitor.example.com:8081"}
    answer = guarded.monitor(method, path, json=body, headers=headers)
    assert answer.is_success or answer.status_code == 404, answer.text
    answer = guarded.monitor(method, path, content=b"{}", headers={**headers, "Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_who_only_looks_needs_no_token(guarded: Server) -> None:
    for path in ("/service/ready", "/service/tasks", "/service/monitor"):
        assert guarded.monitor("GET", path).status_code == 200


def test_a_reset_is_for_tests_alone(launch: Launch) -> None:
    with launch() as server:
        assert RESET not in listed(server)
        expect_error(server.monitor("POST", f"/service/tasks/{RESET}", headers=JSON), 404)
        assert run(server, GC)["last_outcome"] == "done"
