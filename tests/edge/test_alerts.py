"""The alerts, the dashboard and the runbook, beside Debian's promtool: each alert fires when it should and is silent when it should not, names only
metrics that the program has, and leads to what to do."""
import json
import os
import re
import subprocess

import pytest
import yaml

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHART_FILES = os.path.join(PROJECT, "helm", "jobhook", "files")
CASES = os.path.join(PROJECT, "tests", "edge", "alerts", "cases.yaml")


def text(*path):
    with open(os.path.join(PROJECT, *path), encoding="utf-8") as file:
        return file.read()


RULES = yaml.safe_load(text("helm/jobhook/files/alerts.yaml"))["groups"][0]["rules"]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
TESTS = yaml.safe_load(text("tests/edge/alerts/cases.yaml"))["tests"]
DASHBOARD = json.loads(text("helm/jobhook/files/dashboard.json"))


def exported():
    """Names of all metrics, from the program's own tables."""
    names, folder = set(), os.path.join(PROJECT, "consumer", "http")
    for name in os.listdir(folder):
        if name.endswith(".c"):
            source = text("consumer/http", name)
            names |= set(re.findall(r'^    \{ "(\w+)", (?:COUNTER|GAUGE|OF_\w+\()', source, re.MULTILINE))
            names |= set(re.findall(r'write_head\(\s*text, "(\w+)"', source))
            names |= {"process_" + found for found in re.findall(r'write_(?:one|number)\(text, "(\w+)"', source)}
    distributions = set(re.findall(r'^    \{ "(\w+_seconds)", OF_', text("consumer/http/metrics.c"), re.MULTILINE))
    for name in distributions:
        names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    return {name if name.startswith("process_") else "jobhook_" + name for name in names}


def metrics_in(expression):
    without_strings = re.sub(r'"[^"]*"', '""', expression)
    return set(re.findall(r"\b(?:jobhook|process)_\w+", without_strings))


def queries():
    """(where, expression) of all that asks Prometheus."""
    for rule in RULES:
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["query"]
    yield "keda.yaml", text("helm/jobhook/templates/keda.yaml").split("query: >-")[1].split("threshold:")[0]


def test_promtool_finds_no_fault():
    subprocess.run(["promtool", "check", "rules", os.path.join(CHART_FILES, "alerts.yaml")], check=True, capture_output=True, timeout=60)


def test_each_alert_fires_and_is_silent_as_the_cases_say(tmp_path):
    """promtool compares annotations, too: they are left out here and rendered in the next test."""
    bare = [{name: value for name, value in rule.items() if name != "annotations"} for rule in RULES]
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump({"groups": [{"name": "jobhook", "rules": bare}]}))
    (tmp_path / "cases.yaml").write_text(text("tests/edge/alerts/cases.yaml"))
    run = subprocess.run(["promtool", "test", "rules", "cases.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr


def test_each_alert_has_a_case_that_fires_and_one_that_does_not():
    fires, silent = set(), set()
    for case in TESTS:
        for check in case.get("alert_rule_test", []):
            (fires if check["exp_alerts"] else silent).add(check["alertname"])
    assert fires == silent == set(ALERTS)


def test_the_cases_have_teeth(tmp_path):
    """With every threshold's comparison turned round, hardly anything stays as the cases say."""
    turned = str.maketrans({"<": ">", ">": "<"})
    bare = [{**{name: value for name, value in rule.items() if name != "annotations"}, "expr": rule["expr"].translate(turned).replace("== 0", "== 1").replace("absent", "count")}
            for rule in RULES]
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump({"groups": [{"name": "jobhook", "rules": bare}]}))
    (tmp_path / "cases.yaml").write_text(text("tests/edge/alerts/cases.yaml"))
    run = subprocess.run(["promtool", "test", "rules", "cases.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    failed = set(re.findall(r"alertname: ?(\w+)", run.stdout + run.stderr))
    assert failed == set(ALERTS)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_the_runbook_says_what_to_do(name):
    alert, runbook = ALERTS[name], text("deploy/runbook.md")
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["annotations"]["summary"] and alert["annotations"]["description"]
    assert alert["annotations"]["runbook"] == f"deploy/runbook.md#{name.lower()}"
    section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", runbook, re.MULTILINE | re.DOTALL)
    assert section, f"deploy/runbook.md has no section {name}"
    for part in ("**What it means.**", "**What customers see.**", "**How to check.**", "**What to do.**"):
        assert part in section.group(1), f"{name}: {part}"


def test_the_runbook_has_no_section_of_an_alert_that_is_gone():
    assert {name for name in re.findall(r"^## (Jobhook\w+)$", text("deploy/runbook.md"), re.MULTILINE)} == set(ALERTS)


@pytest.mark.parametrize("where, expression", list(queries()), ids=[where for where, _ in queries()])
def test_only_metrics_that_the_program_has_are_asked_for(where, expression):
    used = metrics_in(expression)
    assert used or "jobhook:" in expression or "ALERTS" in expression, expression
    assert used <= exported(), used - exported()


def test_the_dashboard_is_one_that_grafana_takes():
    assert DASHBOARD["uid"] and DASHBOARD["title"] and DASHBOARD["schemaVersion"] >= 36
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"], panel["title"]
            assert panel["targets"], panel["title"]
            assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_the_dashboards_queries_are_ones_that_prometheus_takes(tmp_path):
    """As recording rules, with Grafana's variables filled in."""
    rules = []
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "5m").replace("$namespace", ".*").replace("$job", ".*")
            assert "$" not in expression, expression
            rules.append({"record": f"panel:{panel['id']}:{target['refId']}", "expr": expression})
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("name", ["alerts.yaml", "dashboard.json"])
def test_deploy_and_the_chart_hold_the_same_file(name):
    assert os.path.realpath(os.path.join(PROJECT, "deploy", name)) == os.path.join(CHART_FILES, name)
