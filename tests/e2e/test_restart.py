"""Stops and starts: accounts, chats and tokens outlive the process; the embedded Postgres does with it."""

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.client import Person
from tests.support.postgres import execute
from tests.support.server import STOP_WITHIN_SEC, Options, Server, running, start_process
from tests.support.wait import wait_until

END_JOURNALS_SESSION = """
    SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
def embedded(server_options: Callable[..., Options]) -> Options:
    """A server that runs its own Postgres and makes its own signing key."""
    made = server_options()
    left_out = {"PYCHAT_DATABASE__URL", "PYCHAT_AUTH__SIGNING_KEY"}
    environment = {name: value for name, value in made.environment.items() if name not in left_out}
    return Options(made.folder, environment, made.dynamic_config)


def people_and_chat(server: Server) -> tuple[Person, Person, str]:
    alice, bob = server.person(), server.person()
    assert alice.patch(alice.username, biography="Hello").status_code == 200
    return alice, bob, alice.chat_with(bob)


def postgres_process(options: Options) -> int | None:
    """The id of the embedded Postgres's process, `None` while there is none."""
    with suppress(FileNotFoundError, IndexError):
        return int((options.folder / "data/postgres/postmaster.pid").read_text().splitlines()[0])
    return None


def expect_all_there(server: Server, before: tuple[Person, Person, str]) -> None:
    """Asserts that the people, their tokens and their chat are as they were."""
    alice, bob, chat_id = before
    now_alice, now_bob = (Person(server.http, person.username, str(person.token)) for person in (alice, bob))
    assert now_alice.profile(alice.username).json()["user"]["biography"] == "Hello"
    assert now_alice.login(alice.username).status_code == 200
    found = now_bob.private_chat(alice.username)
    assert (found.status_code, found.json()["chat_id"]) == (200, chat_id)
    session = now_bob.session()
    now_alice.says(chat_id, "We are back")
    assert session.read().texts == ["We are back"]


def test_accounts_and_chats_outlive_a_restart(server_options: Callable[..., Options]) -> None:
    options = server_options()
    with running(options) as server:
        before = people_and_chat(server)
    with running(options) as server:
        expect_all_there(server, before)


def test_the_embedded_postgres_keeps_them_as_well(embedded: Options) -> None:
    with running(embedded) as server:
        before = people_and_chat(server)
    with running(embedded) as server:
        expect_all_there(server, before)


def test_a_kill_loses_none_of_them(embedded: Options) -> None:
    killed = Server(embedded)
    before = people_and_chat(killed)
    killed.kill()
    # The Postgres of the killed server may still run; it is taken over.
    with running(embedded) as server:
        expect_all_there(server, before)


def test_a_killed_postgres_is_started_again(embedded: Options) -> None:
    with running(embedded) as server:
        before = people_and_chat(server)
        killed = postgres_process(embedded)
        assert killed
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: postgres_process(embedded) not in (None, killed), "another Postgres runs")
        wait_until(server.is_ready, "the server is ready again")
        expect_all_there(server, before)


def test_a_second_server_on_the_same_folder_is_refused(embedded: Options) -> None:
    with running(embedded) as server:
        alice = server.person()
        log = embedded.folder / "second.log"
        second = start_process(log, {**embedded.environment, "PYCHAT_HTTP__LISTEN": "127.0.0.1:0"})
        assert second.wait(60) == 1
        assert len(log.read_text().splitlines()) == 1, log.read_text()
        assert str(embedded.folder / "data") in log.read_text()
        assert alice.profile(alice.username).status_code == 200


def test_a_stop_answers_parked_polls_and_is_quick(server_options: Callable[..., Options]) -> None:
    options = server_options({"POLLING_CONFIG": {"polling_time_sec": 60}})
    server = Server(options)
    alice = server.person()
    parked = [alice.session().park() for _ in range(3)]
    began = time.monotonic()
    server.terminate()
    for poll in parked:
        assert poll.answer() == (200, {"resync_required": False, "messages": []})
    assert server.exit_code() == 0
    assert time.monotonic() - began < STOP_WITHIN_SEC


def test_a_port_in_use_is_one_clear_line(server_options: Callable[..., Options]) -> None:
    options = server_options()
    options.folder.mkdir()
    log = options.folder / "server.log"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        process = start_process(log, {**options.environment, "PYCHAT_HTTP__LISTEN": address})
        assert process.wait(60) == 1
    lines = log.read_text().splitlines()
    assert len(lines) == 1, lines
    assert address in lines[0]


def test_a_successor_leaves_the_schema_alone_until_the_one_before_has_stopped(
    server_options: Callable[..., Options], tmp_path: Path
) -> None:
    options = server_options()
    log = tmp_path / "second.log"
    with running(options) as server:
        # So whoever migrates it begins with the first migration, which then fails.
        execute(server.database_url, "DELETE FROM schema_migrations")
        second = start_process(log, {**options.environment, "PYCHAT_HTTP__LISTEN": "127.0.0.1:0"})
        wait_until(lambda: "waiting for the pychat" in log.read_text(), "it waits")
    assert second.wait(60) == 1
    assert "cannot bring the schema up to date" in log.read_text()


def test_a_successor_that_cannot_listen_leaves_the_one_before_at_work(
    server_options: Callable[..., Options], tmp_path: Path
) -> None:
    options = server_options()
    log = tmp_path / "second.log"
    with running(options) as first:
        second = start_process(log, {**options.environment, "PYCHAT_HTTP__LISTEN": first.url.removeprefix("http://")})
        wait_until(lambda: "waiting for the pychat" in log.read_text(), "it waits")
        execute(first.database_url, END_JOURNALS_SESSION)
        assert second.wait(60) == 1
        assert first.url.removeprefix("http://") in log.read_text()
        wait_until(first.is_ready, "the first goes on")
        ann, ben = first.person(), first.person()
        ann.says(ann.chat_with(ben), "Still there?")


def test_a_server_whose_database_another_has_taken_over_ends_with_one_clear_line(
    server_options: Callable[..., Options],
) -> None:
    options = server_options()
    first = Server(options)
    log = first.options.folder / "second.log"
    second = start_process(
        log,
        {
            **options.environment,
            "PYCHAT_HTTP__LISTEN": "127.0.0.1:0",
            "PYCHAT_MONITOR__LISTEN": "127.0.0.1:0",
        },
    )
    try:
        wait_until(lambda: "waiting for the pychat" in log.read_text(), "it waits")
        execute(first.database_url, END_JOURNALS_SESSION)
        assert first.exit_code() == 1
        lines = [line for line in first.log.splitlines() if line.startswith("pychat: ")]
        assert len(lines) == 1, first.log
        assert "another pychat has taken over the database" in lines[0]
        wait_until(lambda: "pychat listens on" in log.read_text(), "the other serves")
    finally:
        first.kill()
        second.terminate()
        assert second.wait(60) == 0
