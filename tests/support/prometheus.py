"""Debian's Prometheus with the project's own configuration."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.ports import free_port
from tests.support.wait import wait_until

CONFIGS = Path(__file__).parents[2] / "configs"
METRIC = re.compile(r"\b(?:up|(?:chat|http|process|pychat|node)_\w+)\b")


def metrics_in(expression: str) -> set[str]:
    """The metrics that an expression in PromQL names."""
    without_labels = re.sub(r'"[^"]*"', "", expression)
    return set(METRIC.findall(without_labels))


@dataclass(frozen=True)
class Prometheus:
    url: str

    def ask(self, path: str, **params: str) -> Any:
        """The `data` of an answer of its API; fails with what it says of a query that it refuses."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=params, timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@contextmanager
def prometheus(targets: Mapping[str, str], folder: Path) -> Iterator[Prometheus]:
    """Runs Prometheus on configs/prometheus.yml and alerts.yml.

    Only the addresses of the targets are replaced, as `targets` say, and the intervals, 15 s, which are made 1 s.
    """
    own = f"127.0.0.1:{free_port()}"
    text = (CONFIGS / "prometheus.yml").read_text()
    for old, new in {"interval: 15s": "interval: 1s", "127.0.0.1:9090": own, **targets}.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "prometheus.yml").write_text(text)
    shutil.copy(CONFIGS / "alerts.yml", folder)
    with program("prometheus", f"--config.file={folder}/prometheus.yml", f"--web.listen-address={own}",
                 f"--storage.tsdb.path={folder}/data", "--log.level=warn", folder=folder):  # fmt: skip
        started = Prometheus(f"http://{own}")
        wait_until(lambda: _answers(f"{started.url}/-/ready"), "Prometheus is ready")
        yield started


@contextmanager
def node_exporter(folder: Path) -> Iterator[str]:
    """Runs node-exporter; yields its address."""
    own = f"127.0.0.1:{free_port()}"
    with program("prometheus-node-exporter", f"--web.listen-address={own}", "--log.level=warn", folder=folder):
        wait_until(lambda: _answers(f"http://{own}/"), "node-exporter answers")
        yield own


@contextmanager
def program(name: str, *args: str, folder: Path) -> Iterator[None]:
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen([name, *args], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield
    except BaseException as error:
        error.add_note(log.read_text())
        raise
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
