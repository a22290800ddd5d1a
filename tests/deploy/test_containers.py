"""Dockerfile and docker-compose.yml, as far as they can be judged without an engine."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.door import through_the_edge
from tests.support.server import Server

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+(\.\d+)?[\w.-]*(@sha256:[0-9a-f]{64})?")
SERVICES = {"chat", "postgres", "nginx", "prometheus", "grafana", "node-exporter"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(COMPOSE)
    return found


@pytest.fixture(scope="module")
def dockerfile() -> list[str]:
    """Its instructions, one a line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    return re.sub(r"\s*\\\n\s*", " ", text).splitlines()


def networks(service: dict[str, Any]) -> set[str]:
    return set(service["networks"])


def test_the_compose_file_is_one() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_image_is_pinned(compose: dict[str, Any], dockerfile: list[str]) -> None:
    images = [service["image"] for service in compose["services"].values()]
    images += [line.split()[1] for line in dockerfile if line.startswith("FROM")]
    assert len(images) == len(SERVICES) + 2
    assert [image for image in images if not PINNED.fullmatch(image)] == []
    assert compose["services"]["chat"]["image"] == f"pychat:{version('pychat')}"


def test_every_service_may_do_little(compose: dict[str, Any], dockerfile: list[str]) -> None:
    assert set(compose["services"]) == SERVICES
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert not service.get("privileged"), name
        assert "healthcheck" in service or name == "chat", name
    assert any(line.startswith("HEALTHCHECK") and "curl" not in line for line in dockerfile)


def test_only_nginx_is_open_to_the_world(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        ports = service.get("ports", [])
        assert name == "nginx" or all(port.startswith("127.0.0.1:") for port in ports), name
    # Who reaches the operators' listener of the chat server is in one network with it, and nginx is not.
    listen, chat = services["chat"]["environment"]["PYCHAT_MONITOR__LISTEN"], services["chat"]["networks"]
    assert listen == f"{chat['monitoring']['ipv4_address']}:8081"
    assert "monitoring" not in networks(services["nginx"])
    for name in ("front", "data", "monitoring"):
        assert compose["networks"][name]["internal"] is True
    assert networks(services["postgres"]) == {"data"}
    assert networks(services["chat"]) & {"public", "operators"} == set()


def test_the_parts_know_each_other(compose: dict[str, Any]) -> None:
    services = compose["services"]
    trusted = services["chat"]["environment"]["PYCHAT_HTTP__TRUSTED_PROXIES"]
    assert trusted == services["nginx"]["networks"]["front"]["ipv4_address"]
    assert "chat" in services
    assert "server chat:8080;" in (ROOT / "configs/nginx.d/http.compose.conf").read_text()
    native = (ROOT / "configs/nginx.d/http.conf").read_text()
    # But for the addresses they say the same.
    for line in ("keepalive 64;", "keepalive_timeout 60s;"):
        assert line in native
        assert line in (ROOT / "configs/nginx.d/http.compose.conf").read_text()
    for service in services.values():
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            if source.startswith("."):
                assert (ROOT / source).exists(), source
                assert mode == ["ro"], target
            elif not source.startswith("/"):
                assert source in compose["volumes"]


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    text = COMPOSE.read_text()
    for name, rest in re.findall(r"\$\{(\w+)([^}]*)\}", text):
        assert rest.startswith(":?") or name == "PYCHAT_PORT", name
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|KEY|SECRET", name):
                assert re.fullmatch(r"\$\{\w+:\?[^}]*\}", value), name


def test_the_image_runs_as_nobody_in_particular_and_gets_what_it_needs(dockerfile: list[str]) -> None:
    assert sum(line.startswith("FROM") for line in dockerfile) == 2
    user = max(index for index, line in enumerate(dockerfile) if line.startswith("USER"))
    assert dockerfile[user] != "USER root"
    assert not any(line.startswith(("RUN", "COPY", "ADD")) for line in dockerfile[user:])
    assert not any(re.search(r"https?://|\bcurl\b|\bwget\b|^ADD", line) for line in dockerfile)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    for line in dockerfile:
        if line.startswith("COPY") and "--from" not in line:
            *sources, _ = [word for word in line.split()[1:] if not word.startswith("--")]
            for source in sources:
                assert (ROOT / source).exists(), source
                assert any(kept.startswith(f"!{source}") for kept in ignored), source


def test_cargo_finds_in_the_image_what_its_manifest_names(dockerfile: list[str], tmp_path: Path) -> None:
    _, second = [number for number, line in enumerate(dockerfile) if line.startswith("FROM")]
    for line in dockerfile[:second]:
        if line.startswith("COPY"):
            *sources, target = line.split()[1:]
            for source in sources:
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, tmp_path / target)
                else:
                    shutil.copy(ROOT / source, tmp_path / target)
    path = f"{os.environ['PATH']}:{Path.home()}/.cargo/bin"
    command = ["cargo", "metadata", "--no-deps", "--offline", "--format-version=1"]
    ran = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr


@through_the_edge
def test_the_health_check_tells_a_healthy_server(server: Server) -> None:
    def check(listen: str) -> "subprocess.CompletedProcess[str]":
        environment = {"PYCHAT_MONITOR__LISTEN": listen}
        healthy = [sys.executable, str(ROOT / "scripts" / "healthy")]
        return subprocess.run(healthy, env=environment, capture_output=True, text=True, check=False)

    well = check(server.monitor_url.removeprefix("http://"))
    assert (well.returncode, well.stdout) == (0, '{"status":"ready"}\n')
    public = check(server.url.removeprefix("http://"))
    assert (public.returncode, "404" in public.stderr) == (1, True)
    away = check("127.0.0.1:1")
    assert (away.returncode, away.stderr) == (1, "127.0.0.1:1: <urlopen error [Errno 111] Connection refused>\n")


DOCKER = """#!/bin/sh
echo "$@" >>"$LOG"
case "$1 $2" in
  "compose version") exit "${NO_COMPOSE:-0}" ;;
  "info "*) exit "${NO_ENGINE:-0}" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script in it, and a `docker` that writes down what it is asked."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "up").symlink_to(ROOT / "scripts" / "up")
    (tmp_path / "bin").mkdir()
    return tmp_path


def up(checkout: Path, *, docker: bool = True, **environment: str) -> "subprocess.CompletedProcess[str]":
    program = checkout / "bin" / "docker"
    program.unlink(missing_ok=True)
    if docker:
        program.write_text(DOCKER)
        program.chmod(0o755)
    path = {"PATH": f"{checkout}/bin:/usr/bin:/bin", "LOG": str(checkout / "log")}
    command = ["/bin/bash", str(checkout / "scripts" / "up")]
    return subprocess.run(command, env=path | environment, capture_output=True, text=True, check=False)


def test_up_makes_the_secrets_once_and_keeps_them(checkout: Path) -> None:
    first = up(checkout)
    assert first.returncode == 0, first.stderr
    env = checkout / ".env"
    assert env.stat().st_mode & 0o777 == 0o600
    secrets = dict(line.split("=") for line in env.read_text().splitlines() if not line.startswith("#"))
    assert set(secrets) == set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()))
    assert len(set(secrets.values())) == 3
    assert all(re.fullmatch("[0-9a-f]{48}", value) for value in secrets.values())
    assert not any(value in first.stdout + first.stderr for value in secrets.values())
    assert "compose up --detach --build --wait" in (checkout / "log").read_text()

    env.write_text(before := env.read_text() + "PYCHAT_PORT=8000\n")
    again = up(checkout)
    assert "http://127.0.0.1:8000/docs" in again.stdout
    assert env.read_text() == before
    assert [path.name for path in checkout.glob(".env*")] == [".env"]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ({"docker": False}, "This needs Docker, and 'docker' is not there"),
        ({"NO_COMPOSE": "1"}, "This needs Docker's Compose plugin"),
        ({"NO_ENGINE": "1"}, "Docker does not answer"),
    ],
)
def test_up_says_what_is_missing_and_makes_nothing(checkout: Path, what: dict[str, Any], expected: str) -> None:
    result = up(checkout, **what)
    assert result.returncode == 1
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (checkout / ".env").exists()
