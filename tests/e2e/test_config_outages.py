"""Dynamic config between processes, and what becomes of it when one of them dies under load."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import QUICK_POLLS
from tests.support.client import Person
from tests.support.config_service import ConfigService, running_service
from tests.support.configs import Configs
from tests.support.expect import expect_error
from tests.support.postgres import Postgres, execute
from tests.support.server import Options, Server, running
from tests.support.talk import EXPECTED, Talk
from tests.support.wait import wait_until

# Without history: what is not stored goes on without a database.
BASE = {**QUICK_POLLS, "SEND_LIMITER_CONFIG": {"is_enabled": False}, "HISTORY_CONFIG": {"is_enabled": False}}


def sessions(amount: int) -> dict[str, object]:
    return {"SESSIONS_CONFIG": {"max_sessions_amount": amount}}


def is_allowed(person: Person) -> bool:
    """Whether the person may open one more session; does so."""
    return person.start().status_code == 200


@pytest.fixture
def folder(workspace: Path) -> Path:
    return workspace / f"configs-{uuid4().hex[:8]}"


def test_a_change_by_another_process(server_options: Callable[..., Options], folder: Path) -> None:
    options = server_options(BASE)
    with running(options) as server, running_service(folder, options.environment["PYCHAT_DATABASE__URL"]) as service:
        alice = server.person()
        service.put(sessions(0))
        wait_until(lambda: not is_allowed(alice), "the server follows")
        service.delete("SESSIONS_CONFIG")
        wait_until(lambda: is_allowed(alice), "the server follows")
        # And the other way round, in the next answer.
        Configs(partial(server.monitor, "POST")).put(sessions(3))
        assert service.values(ids=["SESSIONS_CONFIG"], service="pychat")["configs"] == sessions(3)


def test_the_config_service_dies(server_options: Callable[..., Options], postgres: Postgres, folder: Path) -> None:
    database = postgres.new_database()
    service = ConfigService(folder, database)
    service.put(sessions(1))
    options = server_options(BASE, PYCHAT_DYNAMIC_CONFIG__URL=service.url)
    try:
        with running(options) as server:
            alice = server.person()
            alice.session()
            expect_error(alice.start(), 429)  # from the first request on
            talk = Talk(server.person(), server.person())
            with talk.running():
                service.kill()
                wait_until(lambda: "the config service is away" in server.log, "the server notices")
                talk.goes_on()
                expect_error(alice.start(), 429)
                service = ConfigService(folder, database, service.address)
                service.put(sessions(2))
                wait_until(lambda: is_allowed(alice), "the server follows again")
                expect_error(alice.start(), 429)
                talk.goes_on()
        service.kill()
        with running(options) as server:
            assert "the config service is away" in server.log
            alice = server.person()
            assert [is_allowed(alice) for _ in range(3)] == [True, True, False]  # the cached copy
            service = ConfigService(folder, database, service.address)
            service.put(sessions(3))
            wait_until(lambda: is_allowed(alice), "the server follows a service that came later")
    finally:
        service.kill()


@pytest.fixture(scope="module")
def server(server_options: Callable[..., Options], own_postgres: Postgres) -> Iterator[Server]:
    with running(server_options(BASE, PYCHAT_DATABASE__URL=own_postgres.new_database())) as started:
        yield started


def test_the_database_dies(server: Server, own_postgres: Postgres, alice: Person, bob: Person) -> None:
    configs = Configs(partial(server.monitor, "POST"))
    talk = Talk(server.person(), server.person(), {**EXPECTED, "profile": {200, 503}})
    with talk.running():
        for amount in (1, 2, 3):
            talk.goes_on()
            own_postgres.kill()
            statuses: set[int] = set()

            def is_set(amount: int = amount, statuses: set[int] = statuses) -> bool:
                body = {"configs": sessions(amount), "service": "pychat"}
                statuses.add(configs.post("/admin/v1/configs", json=body).status_code)
                return 204 in statuses

            wait_until(is_set, "the config can be changed again")
            assert statuses <= {204, 503}
            # In force with the next request.
            assert is_allowed(alice)
            expect_error(alice.start(), 429)
        # Who listens for changes has found back too: this one is not announced by the server itself.
        url = server.options.environment["PYCHAT_DATABASE__URL"]
        execute(url, "UPDATE configs SET config_value = $1", '{"max_sessions_amount": 0}')
        wait_until(lambda: not is_allowed(bob), "the server follows")
        talk.goes_on()
