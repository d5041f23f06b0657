"""deploy/compose.yaml: what the Compose specification takes, with files that exist; and its jobhook runs as written there."""
import json
import os
import re

import jsonschema
import pytest
import yaml

import harness
from harness import body, event

PATH = os.path.join(harness.PROJECT, "deploy", "compose.yaml")
with open(PATH, encoding="utf-8") as source:
    TEXT = source.read()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]


def test_the_specification_takes_it():
    with open(os.path.join(harness.HERE, "compose", "compose-spec.json"), encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.validate(COMPOSE, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"services": {"a": {**SERVICES["jobhook"], "read_onli": True}}}, schema)


def test_what_it_names_exists():
    folder = os.path.dirname(PATH)
    files = [config["file"] for config in COMPOSE["configs"].values() if "file" in config]
    files += [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", []) if volume.startswith(".")]
    files += [os.path.join(service["build"]["context"], "Dockerfile") for service in SERVICES.values() if "build" in service]
    assert len(files) >= 5
    for name in files:
        assert os.path.exists(os.path.join(folder, name)), name
    used = {config["source"] for service in SERVICES.values() for config in service.get("configs", [])}
    assert used == set(COMPOSE["configs"])
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        assert set(service.get("networks", [])) <= set(COMPOSE["networks"])


def test_images_have_versions():
    for name, service in SERVICES.items():
        assert service["image"] == "jobhook" or re.search(r":v?\d", service["image"]), name


def test_prometheus_scrapes_and_the_dashboard_finds_it():
    prometheus = yaml.safe_load(COMPOSE["configs"]["prometheus"]["content"])
    (target,) = prometheus["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target == "jobhook:8080" and "127.0.0.1:8080:8080" in SERVICES["jobhook"]["ports"]
    assert {"namespace"} <= set(prometheus["scrape_configs"][0]["static_configs"][0]["labels"]), "the alerts are per namespace and job"
    assert yaml.safe_load(COMPOSE["configs"]["grafana-datasource"]["content"])["datasources"][0]["type"] == "prometheus"


@pytest.mark.same_everywhere
def test_its_jobhook_runs_as_written(make_rig):
    """Command and environment are the file's; only names of machines become addresses of this one, and the topic this test's."""
    rig = make_rig(topics=False)
    here = {"JOBHOOK_KAFKA_BROKERS": rig.kafka.brokers, "JOBHOOK_REDIS_URL": rig.redis.url, "JOBHOOK_EGRESS_ALLOW": "127.0.0.0/8"}
    topics, service = SERVICES["topics"], SERVICES["jobhook"]
    assert set(here) <= set(service["environment"]) and topics["environment"] == service["environment"]
    hook = rig.jobhook(**{**service["environment"], **here, "JOBHOOK_RETRY_DELAYS": rig.delays, "JOBHOOK_DEFER_DELAYS": rig.defers})
    status, output, errors = hook.command(*topics["command"])
    assert status == 0, output + errors
    assert service["command"] == ["run"] and service["read_only"] and service["cap_drop"] == ["ALL"]
    hook.start()

    example = json.loads(re.search(r"echo '(\{.*?\})'", TEXT).group(1))
    assert example["webhook_url"].startswith("http://" + SERVICES["receiver"]["networks"]["inside"]["ipv4_address"] + ":8000/")
    assert service["environment"]["JOBHOOK_EGRESS_ALLOW"] == SERVICES["receiver"]["networks"]["inside"]["ipv4_address"] + "/32"
    path = example["webhook_url"].split(":8000/")[1]
    rig.publish(event(example["task_id"], rig.receiver.url(path), raw=json.dumps(example["result"])))
    rig.receiver.wait(2)
    assert rig.receiver.of(example["task_id"])[1]["body"] == body(example["task_id"], raw=json.dumps(example["result"]))
    rig.wait_no_lag()
    seconds = int(service["stop_grace_period"].removesuffix("s"))
    assert hook.stop(seconds) == 0
