"""`pychat dynconf get|set|delete|list` and what `pychat config` tells of it, as processes against a real service."""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import Launch
from tests.support.command import surroundings
from tests.support.config_service import ConfigService, running_service
from tests.support.configs import Configs
from tests.support.postgres import Postgres, execute

TOKEN = "geheim"
NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="module")
def service(workspace: Path, postgres: Postgres) -> Iterator[ConfigService]:
    folder = workspace / f"config-service-{uuid4().hex[:8]}"
    with running_service(folder, postgres.new_database(), PYCHAT_MONITOR__ADMIN_TOKEN=TOKEN) as started:
        yield started


@pytest.fixture
def name() -> str:
    """A service that nobody else is."""
    return f"service-{uuid4().hex[:8]}"


def pychat(*args: str, answer: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pychat", *args],
        input=answer,
        env={**surroundings(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


class Dynconf:
    """The commands, for one service at the config service."""

    def __init__(self, url: str, name: str) -> None:
        self._environment = {
            "PYCHAT_DYNAMIC_CONFIG__URL": url,
            "PYCHAT_DYNAMIC_CONFIG__SERVICE": name,
            "PYCHAT_MONITOR__ADMIN_TOKEN": TOKEN,
        }

    def __call__(self, *args: str, answer: str = "") -> str:
        """Runs a command that must succeed, and returns what it prints."""
        result = pychat("dynconf", *args, answer=answer, **self._environment)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def fails(self, *args: str, answer: str = "") -> str:
        """Runs a command that must fail, and returns what it complains of."""
        result = pychat("dynconf", *args, answer=answer, **self._environment)
        assert result.returncode == 1, result.stdout
        return result.stderr


@pytest.fixture
def dynconf(service: ConfigService, name: str) -> Dynconf:
    return Dynconf(service.url, name)


def test_a_change_is_shown_before_it_is_sent(dynconf: Dynconf, service: ConfigService, name: str) -> None:
    shown = dynconf("set", "POLLING_CONFIG", '{"max_size": 3, "polling_time_sec": 5}', "--yes")
    assert '+POLLING_CONFIG {\n+    "max_size": 3,\n+    "polling_time_sec": 5\n+}' in shown
    shown = dynconf("set", "POLLING_CONFIG", '{"polling_time_sec": 5, "max_size": 4}', answer="y\n")
    assert '-    "max_size": 3,\n+    "max_size": 4,\n     "polling_time_sec": 5\n' in shown
    assert service.values(service=name)["configs"] == {"POLLING_CONFIG": {"max_size": 4, "polling_time_sec": 5}}


@pytest.mark.parametrize("answer", ["", "n\n", "\n"])
def test_what_is_not_confirmed_is_not_sent(dynconf: Dynconf, service: ConfigService, name: str, answer: str) -> None:
    dynconf("set", "A", "1", "--yes")
    for command in (("set", "A", "2"), ("delete", "A")):
        result = dynconf(*command, answer=answer) if answer else dynconf.fails(*command)
        assert "Send this?" in result or "Aborted!" in result
    assert service.values(service=name)["configs"] == {"A": 1}


def test_what_is_there_is_listed_and_shown(dynconf: Dynconf, service: ConfigService, name: str) -> None:
    assert dynconf("list") == ""
    default = f"DEFAULT_{name}"
    service.put({default: [1]}, "__default__")
    service.put({"B": {"x": 1}, "A": None}, name)
    assert dynconf("list") == 'A null\nB {"x":1}\n'
    assert dynconf("get", "B", default) == f'B {{\n    "x": 1\n}}\n{default} [\n    1\n]\n'
    assert dynconf.fails("get", "A", "NOTHING") == f"pychat: not set for {name}: NOTHING\n"


def test_a_deletion_shows_what_then_holds(dynconf: Dynconf, service: ConfigService, name: str) -> None:
    config = f"CONFIG_{name}"
    service.put({config: "own"}, name)
    service.put({config: "default"}, "__default__")
    shown = dynconf("delete", config, "--yes")
    assert f'-{config} "own"\n+{config} "default"\n' in shown
    assert dynconf("get", config) == f'{config} "default"\n'
    assert dynconf.fails("delete", config) == f"pychat: {name} has none of its own: {config}\n"


def test_no_change_is_not_sent(dynconf: Dynconf) -> None:
    dynconf("set", "A", '{"b": 1, "c": 2}', "--yes")
    assert dynconf("set", "A", '{"c":2,"b":1}') == "nothing would change\n"


def test_what_is_wrong_is_one_line(dynconf: Dynconf, service: ConfigService) -> None:
    assert dynconf.fails("set", "A", "{").startswith("pychat: the value is not JSON: ")
    bad = dynconf.fails("set", "POLLING_CONFIG", '{"max_size": 0}', "--service", "pychat", "--yes")
    assert bad == f"pychat: {service.url} answers 400: POLLING_CONFIG.max_size: expected `int` >= 1\n"
    away = dynconf.fails("list", "--url", "http://u:geheim@127.0.0.1:1")
    assert away.startswith("pychat: http://u@127.0.0.1:1 does not answer: ")
    assert away.count("\n") == 1
    without_token = pychat("dynconf", "set", "A", "1", "--url", service.url, "--yes")
    assert without_token.returncode == 1
    assert "answers 401: The operators' token (monitor.admin_token) is missing or wrong" in without_token.stderr


def test_a_field_that_does_not_exist_is_told(dynconf: Dynconf) -> None:
    result = pychat("dynconf", "set", "POLLING_CONFIG", '{"max_sise": 3}', "--url", "http://127.0.0.1:1", "--yes")
    assert "pychat: POLLING_CONFIG has no field max_sise; it will be ignored\n" in result.stderr


@pytest.mark.parametrize("key", ["POLING_CONFIG", "polling_config", "POLLING_CONFIGS"])
def test_a_key_that_is_mistyped_is_told(key: str) -> None:
    result = pychat("dynconf", "set", key, "{}", "--url", "http://127.0.0.1:1", "--yes")
    assert f"pychat: {key} is no key of pychat's; is POLLING_CONFIG meant?\n" in result.stderr


@pytest.mark.parametrize("key", ["POLLING_CONFIG", "SEND_LIMTIER_CONFIG", "LOG_CONFIG", "A"])
def test_a_key_of_somebody_is_not_questioned(key: str) -> None:
    result = pychat("dynconf", "set", key, "{}", "--url", "http://127.0.0.1:1", "--yes")
    assert "is no key" not in result.stderr


# What `pychat config` tells


def config(**environment: str) -> tuple[str, dict[str, list[str]]]:
    """The line over the dynamic config, and its rows by their names."""
    result = pychat("config", **{"PYCHAT_MONITOR__LISTEN": NOBODY, **environment})
    assert result.returncode == 0, result.stderr
    lines = result.stdout.partition("\n\n")[2].splitlines()
    if lines[0].startswith("no server tells what it goes by: http://127.0.0.1:1 does not answer: "):
        del lines[0]
    heading, *rows = lines
    return heading, {row.split()[0]: row.split()[1:] for row in rows}


def test_config_shows_what_the_running_server_goes_by(launch: Launch) -> None:
    with launch({"QUEUE_CONFIG": {"max_queue_size": 8}}) as server:
        configs = Configs(partial(server.monitor, "POST"))
        configs.put({"POLLING_CONFIG": {"max_size": 3}, "SESSIONS_CONFIG": {"idle_timeout_sec": 70}})
        # What is stored, by another server or version, is not what holds.
        spoilt = "UPDATE configs SET config_value = '{\"idle_timeout_sec\": 0}' WHERE config_name = 'SESSIONS_CONFIG'"
        execute(server.database_url, spoilt)
        configs.put({"ANY": 1})
        listen = server.monitor_url.removeprefix("http://")
        # Both addresses are one without the edge.
        edge = server.options.environment.get("PYCHAT_EDGE__ENABLED", "true")
        heading, rows = config(PYCHAT_MONITOR__LISTEN=listen, PYCHAT_HTTP__LISTEN=listen, PYCHAT_EDGE__ENABLED=edge)
    assert heading.startswith(f"dynamic config in force at {server.monitor_url}, from the database, heard ")
    assert heading.endswith("s ago; ignored: SESSIONS_CONFIG.idle_timeout_sec: expected `int` >= 1")
    assert rows["POLLING_CONFIG.max_size"] == ["3", "database"]
    assert rows["SESSIONS_CONFIG.idle_timeout_sec"] == ["70", "database"]
    assert rows["QUEUE_CONFIG.max_queue_size"] == ["8", "fallback"]


def test_config_shows_what_the_service_says(service: ConfigService, name: str, tmp_path: Path) -> None:
    fallback = tmp_path / "fallback.json"
    fallback.write_text('{"QUEUE_CONFIG": {"max_queue_size": 8}}')
    environment = {
        "PYCHAT_DYNAMIC_CONFIG__URL": service.url,
        "PYCHAT_DYNAMIC_CONFIG__SERVICE": name,
        "PYCHAT_DYNAMIC_CONFIG__FALLBACK": str(fallback),
    }
    assert config(**environment)[0] == f"dynamic config of {name} by {service.url}, which has set nothing"
    service.put({"POLLING_CONFIG": {"max_size": 3}, "SESSIONS_CONFIG": {"idle_timeout_sec": 0}}, name)
    heading, rows = config(**environment)
    assert heading.startswith(f"dynamic config of {name} by {service.url}, as of its last change ")
    assert heading.endswith("ago; ignored: SESSIONS_CONFIG.idle_timeout_sec: expected `int` >= 1")
    assert rows["POLLING_CONFIG.max_size"] == ["3", service.url]
    assert rows["POLLING_CONFIG.polling_time_sec"] == ["30", service.url]
    assert rows["QUEUE_CONFIG.max_queue_size"] == ["8", str(fallback)]
    assert rows["SESSIONS_CONFIG.idle_timeout_sec"] == ["60", str(fallback)]


def test_config_shows_what_a_start_would_find_while_the_service_is_down(tmp_path: Path) -> None:
    environment = {
        "PYCHAT_DYNAMIC_CONFIG__URL": "http://127.0.0.1:1",
        "PYCHAT_DATABASE__DATA_DIR": str(tmp_path),
    }
    heading, rows = config(**environment)
    assert heading.startswith("dynamic config that a server starts with; http://127.0.0.1:1 does not answer")
    assert rows["POLLING_CONFIG.max_size"] == ["100", "default"]
    cache = tmp_path / "dynamic_config.cache.json"
    cache.write_bytes(
        b'{"url": "http://127.0.0.1:1", "service": "pychat", "configs": {"POLLING_CONFIG": {"max_size": "\xff"}}}'
    )
    assert config(**environment)[0].startswith("dynamic config that a server starts with; ")
    copy = '{"url": "http://127.0.0.1:1", "service": "%s", "configs": {"POLLING_CONFIG": {"max_size": 3}}}'
    cache.write_text(copy % "another")
    assert config(**environment)[0].startswith("dynamic config that a server starts with; ")
    cache.write_text(copy % "pychat")
    heading, rows = config(**environment)
    assert heading.startswith("dynamic config as it was heard ")
    assert rows["POLLING_CONFIG.max_size"] == ["3", str(cache)]
