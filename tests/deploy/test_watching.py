"""configs/prometheus.yml, alerts.yml and the dashboards, on what a real server and a real node-exporter say."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from ruamel.yaml import YAML

from tests.conftest import Launch
from tests.support.door import through_the_edge
from tests.support.prometheus import CONFIGS, Prometheus, metrics_in, node_exporter, prometheus
from tests.support.server import Server
from tests.support.wait import wait_until

ALERTS = CONFIGS / "alerts.yml"
CASES = Path(__file__).with_name("alerts.yml")
DASHBOARDS = sorted((CONFIGS / "grafana" / "dashboards").glob("*.json"))


def rules() -> list[dict[str, Any]]:
    return [rule for group in YAML(typ="safe").load(ALERTS)["groups"] for rule in group["rules"]]


def expressions(dashboard: Path) -> list[str]:
    """Of all its panels."""
    panels = json.loads(dashboard.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def promtool(*args: str | Path) -> None:
    ran = subprocess.run(["promtool", *args], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def server(launch: Launch) -> Iterator[Server]:
    with launch() as started:
        yield started


@pytest.fixture(scope="module")
def watched(server: Server, workspace: Path) -> Iterator[Prometheus]:
    """Prometheus with a server in it that has had a conversation."""
    folder = workspace / uuid4().hex[:8]
    folder.mkdir()
    alice, bob = server.person(), server.person()
    session = bob.session()
    alice.says(alice.chat_with(bob), "Hello")
    assert session.read().texts == ["Hello"]
    address = server.monitor_url.removeprefix("http://")
    with node_exporter(folder) as node, prometheus({"chat:8081": address, "node-exporter:9100": node}, folder) as found:
        yield found


def test_promtool_finds_nothing_wrong() -> None:
    promtool("check", "config", CONFIGS / "prometheus.yml")
    promtool("check", "rules", ALERTS)


def test_each_alert_fires_when_it_should() -> None:
    cases = YAML(typ="safe").load(CASES)["tests"]
    expected = {f"{rule['alert']} {what}" for rule in rules() for what in ("fires", "does not")}
    assert {case["name"] for case in cases} == expected
    promtool("test", "rules", CASES)


def test_each_alert_says_why_and_what_to_do() -> None:
    guide = (CONFIGS.parent / "docs" / "operations.md").read_text()
    for rule in rules():
        annotations = rule["annotations"]
        assert set(annotations) == {"summary", "reason", "runbook_url"}, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert annotations["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert re.search(rf"^#+ {rule['alert']}$", guide, re.MULTILINE), rule["alert"]


def test_the_dashboards_are_where_grafana_looks() -> None:
    compose = YAML(typ="safe").load(CONFIGS.parent / "docker-compose.yml")["services"]["grafana"]
    source = YAML(typ="safe").load(CONFIGS / "grafana/provisioning/datasources/prometheus.yml")["datasources"][0]
    provider = YAML(typ="safe").load(CONFIGS / "grafana/provisioning/dashboards/pychat.yml")["providers"][0]
    mounted = dict(volume.split(":")[:2] for volume in compose["volumes"])
    assert mounted["./configs/grafana/provisioning"] == "/etc/grafana/provisioning"
    assert mounted["./configs/grafana/dashboards"] == provider["options"]["path"]
    assert compose["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].endswith("/service.json")
    assert [dashboard.stem for dashboard in DASHBOARDS] == ["http", "node", "service"]
    found = [json.loads(dashboard.read_text()) for dashboard in DASHBOARDS]
    assert len({dashboard["uid"] for dashboard in found}) == 3
    for dashboard in found:
        for panel in dashboard["panels"]:
            assert panel["type"] == "row" or panel["datasource"]["uid"] == source["uid"]


@through_the_edge
def test_every_target_is_up(watched: Prometheus) -> None:
    def health() -> dict[str, str]:
        return {
            target["labels"]["job"]: target["health"] + target["lastError"]
            for target in watched.ask("targets")["activeTargets"]
        }

    expected = dict.fromkeys(("pychat", "node", "prometheus"), "up")

    def are_up() -> bool:
        print(found := health())  # for whoever reads of a failure
        return found == expected

    # A scrape that a busy machine has no time for is made up for by the next.
    wait_until(are_up, "all targets are up")


@through_the_edge
def test_whatever_a_rule_or_a_dashboard_names_is_there(watched: Prometheus) -> None:
    named = {dashboard.stem: metrics_in(" ".join(expressions(dashboard))) for dashboard in DASHBOARDS}
    named["alerts"] = metrics_in(" ".join(rule["expr"] for rule in rules()))
    assert all(named.values())

    def missing() -> set[str]:
        return set().union(*named.values()) - set(watched.ask("label/__name__/values"))

    wait_until(lambda: not missing(), f"Prometheus has {missing()}")


@through_the_edge
def test_every_expression_is_understood(watched: Prometheus) -> None:
    variables = {"$__rate_interval": "1m", "$instance": ".*", "$route": ".*"}
    for dashboard in DASHBOARDS:
        for expression in expressions(dashboard):
            for name, value in variables.items():
                expression = expression.replace(name, value)  # noqa: PLW2901 # the same, filled in
            watched.ask("query", query=expression)

    def loaded() -> list[str]:
        return [rule["health"] for group in watched.ask("rules")["groups"] for rule in group["rules"]]

    wait_until(lambda: "unknown" not in loaded(), "every rule was looked at")
    assert loaded() == ["ok"] * len(rules())
    assert [alert for alert in watched.ask("alerts")["alerts"] if alert["state"] == "firing"] == []


@through_the_edge
def test_every_metric_of_ours_is_on_a_dashboard(server: Server) -> None:
    shown = set().union(*(metrics_in(" ".join(expressions(dashboard))) for dashboard in DASHBOARDS))
    families = re.findall(r"^# TYPE (\w+) (\w+)$", server.monitor("GET", "/service/monitor").text, re.MULTILINE)
    ours = {(name, kind) for name, kind in families if name.startswith(("chat_", "http_", "pychat_"))}
    assert ours
    unseen = {name for name, kind in ours if (f"{name}_bucket" if kind == "histogram" else name) not in shown}
    assert unseen == set()


@through_the_edge
def test_what_there_is_now_is_shown_as_it_is(server: Server) -> None:
    """A histogram of what is open at this moment shrinks as well: there is no rate of it."""
    text = server.monitor("GET", "/service/monitor").text
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    now = {
        name
        for name, kind in kinds.items()
        if kind == "histogram" and re.search(rf"^# HELP {name} .* now\.$", text, re.MULTILINE)
    }
    assert len(now) == 4
    written = [expression for dashboard in DASHBOARDS for expression in expressions(dashboard)]
    written += [rule["expr"] for rule in rules()]
    wrong = [
        expression
        for expression in written
        if re.search(rf"\b(rate|irate|increase|delta)\(({'|'.join(now)})_", expression)
    ]
    assert wrong == []
