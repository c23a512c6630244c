"""Alerts and dashboards, by promtool: all is understood, every alert fires when it should, and only then."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[3]
CASES = Path(__file__).with_name("alerts")
COMPOSED = ROOT / "compose" / "prometheus"
DASHBOARDS = sorted((ROOT / "compose" / "grafana" / "dashboards").glob("*.json"))
TARGET = {
    "type": "object",
    "required": ["refId", "expr"],
    "properties": {"refId": {"pattern": "^[A-Z]$"}, "expr": {"type": "string"}, "legendFormat": {"type": "string"}},
    "additionalProperties": False,
}
PANEL = {
    "type": "object",
    "required": ["id", "title", "type", "gridPos", "datasource", "targets"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "title": {"type": "string", "minLength": 1},
        "type": {"enum": ["timeseries", "stat", "table"]},
        "gridPos": {
            "required": ["x", "y", "w", "h"],
            "properties": {"x": {"maximum": 23}, "w": {"minimum": 1, "maximum": 24}, "h": {"minimum": 1}},
        },
        "datasource": {"const": {"type": "prometheus", "uid": "prometheus"}},
        "targets": {"type": "array", "minItems": 1, "items": TARGET},
        "fieldConfig": {"type": "object", "required": ["defaults", "overrides"]},
    },
    "additionalProperties": False,
}
DASHBOARD = {  # what Grafana's file provider and its schema 39 want of the parts that we use
    "type": "object",
    "required": ["uid", "title", "schemaVersion", "panels", "time", "editable"],
    "properties": {
        "uid": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,40}$"},
        "schemaVersion": {"const": 39},
        "editable": {"const": False},
        "panels": {"type": "array", "minItems": 1, "items": PANEL},
    },
}
pytestmark = pytest.mark.prometheus


def promtool(*words: str | Path) -> str:
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed: apt-get install prometheus")
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules_of(where: str) -> str:
    if where == "compose":
        return (COMPOSED / "rules.yml").read_text()
    mapped = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "base" / "rules.yaml").read_text())
    return str(mapped["data"]["sacristy.yaml"])


def dashboard(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_every_alert_fires_when_it_should_and_only_then(where: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(rules_of(where))
    shutil.copy(CASES / f"{where}.yaml", tmp_path)
    promtool("check", "rules", tmp_path / "rules.yml")
    assert "SUCCESS" in promtool("test", "rules", tmp_path / f"{where}.yaml")


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_no_alert_is_without_a_case_in_which_it_fires(where: str) -> None:
    rules = yaml.safe_load(rules_of(where))["groups"][0]["rules"]
    cases = yaml.safe_load((CASES / f"{where}.yaml").read_text())["tests"]
    fired = {each["alertname"] for case in cases for each in case["alert_rule_test"] if each["exp_alerts"]}
    assert fired == {rule["alert"] for rule in rules}


def test_prometheus_understands_its_configuration(tmp_path: Path) -> None:
    text = (COMPOSED / "prometheus.yml").read_text()
    for inside in re.findall(r"/(?:etc/sacristy|run/secrets)/[\w.-]+", text):
        text = text.replace(inside, str(tmp_path / Path(inside).name))
    (tmp_path / "prometheus.yml").write_text(text)
    (tmp_path / "rules.yml").write_text(rules_of("compose"))
    (tmp_path / "gateway-scientist").touch()
    assert "SUCCESS" in promtool("check", "config", tmp_path / "prometheus.yml")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_expression_of_a_dashboard_is_understood(path: Path, tmp_path: Path) -> None:
    asked = [target["expr"] for panel in dashboard(path)["panels"] for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(asked)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", tmp_path / "panels.yml")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_what_grafana_takes(path: Path) -> None:
    found = dashboard(path)
    jsonschema.validate(found, DASHBOARD)
    assert len({panel["id"] for panel in found["panels"]}) == len(found["panels"])
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in found["panels"])


def test_grafana_finds_the_dashboards_and_their_source() -> None:
    provisioned = ROOT / "compose" / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioned / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert [(each["uid"], each["type"], each["url"]) for each in sources] == [
        ("prometheus", "prometheus", "http://prometheus:9090")
    ]
    service = yaml.safe_load((ROOT / "compose" / "compose.yaml").read_text())["services"]["grafana"]
    provider = yaml.safe_load((provisioned / "dashboards" / "files.yaml").read_text())["providers"][0]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in service["volumes"]
    assert f"./grafana/provisioning:{service['environment']['GF_PATHS_PROVISIONING']}:ro" in service["volumes"]
