"""`pychat dynconf serve`: the protocol without a chat server, for operators who show their token."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.config_service import ConfigService, running_service
from tests.support.configs import expect_brief_error
from tests.support.postgres import Postgres
from tests.support.server import start_process

BODIES = {
    "/admin/v1/configs": {"configs": {"A": 1}, "service": "other"},
    "/admin/v1/configs/delete": {"ids": ["A"], "service": "other"},
}


@pytest.fixture(scope="module")
def service(workspace: Path, postgres: Postgres) -> Iterator[ConfigService]:
    folder = workspace / f"config-service-{uuid4().hex[:8]}"
    with running_service(folder, postgres.new_database(), PYCHAT_MONITOR__ADMIN_TOKEN="geheim") as started:
        yield started


def test_configs_are_set_read_and_deleted(service: ConfigService) -> None:
    service.put({"A": {"b": 1}, "B": 2}, "other")
    answer = service.values(service="other")
    assert answer["configs"] == {"A": {"b": 1}, "B": 2}
    service.delete("A", service="other")
    later = service.values(service="other", updated_since=answer["updated_at"])
    assert (later["configs"], later["removed"]) == ({}, ["A"])


def test_a_chat_servers_own_keys_are_judged(service: ConfigService) -> None:
    body = {"configs": {"POLLING_CONFIG": {"max_size": 0}}, "service": "pychat"}
    answer = service.post("/admin/v1/configs", json=body, headers={"Authorization": "Bearer geheim"})
    assert expect_brief_error(answer, 400) == "POLLING_CONFIG.max_size: expected `int` >= 1"


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer geheim2", "Basic geheim", "geheim"])
def test_who_shows_no_token_changes_nothing(service: ConfigService, path: str, authorization: str | None) -> None:
    service.put({"A": "kept"}, "other")
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = service.post(path, json=BODIES[path], headers=headers)
    expect_brief_error(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert service.values(service="other", ids=["A"])["configs"] == {"A": "kept"}


def test_the_scheme_is_written_in_any_case(service: ConfigService) -> None:
    answer = service.post(
        "/admin/v1/configs", json=BODIES["/admin/v1/configs"], headers={"Authorization": "bEARER geheim"}
    )
    assert answer.status_code == 204


def test_nothing_of_the_chat_server_is_served(service: ConfigService) -> None:
    assert service.http.get("/ping").status_code == 200
    for path in ("/v1/users/login", "/v1/messages/poll/start", "/service/ready", "/docs"):
        assert service.http.post(path).status_code == 404


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (
            {"PYCHAT_DYNAMIC_CONFIG__LISTEN": "0.0.0.0:0"},
            "pychat: PYCHAT_DYNAMIC_CONFIG__LISTEN: dynamic_config.listen: expected a loopback address, or",
        ),
        ({"PYCHAT_DATABASE__URL": "postgresql://u:geheim@127.0.0.1:1/x"}, "pychat: cannot connect to the database: "),
    ],
)
def test_what_an_operator_can_set_right_is_one_line(tmp_path: Path, environment: dict[str, str], expected: str) -> None:
    log = tmp_path / "log"
    process = start_process(log, {"PYCHAT_DYNAMIC_CONFIG__LISTEN": "127.0.0.1:0", **environment}, "dynconf", "serve")
    assert process.wait(60) == 1
    assert log.read_text().startswith(expected)
    assert log.read_text().count("\n") == 1
    assert "geheim" not in log.read_text()


def test_an_address_in_use_is_one_line(tmp_path: Path, service: ConfigService) -> None:
    log = tmp_path / "log"
    process = start_process(log, {"PYCHAT_DYNAMIC_CONFIG__LISTEN": service.address}, "dynconf", "serve")
    assert process.wait(60) == 1
    assert (
        log.read_text()
        == f"pychat: cannot listen on {service.address} (dynamic_config.listen): Address already in use\n"
    )
