"""The chart: what it renders is what Kubernetes 1.29 to 1.35 take, wrong values are refused with a sentence, and each part can be left out.

JOBHOOK_GOLDEN=write writes the golden files anew."""
import copy
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

import matrix
import tools
from cluster import Cluster, namespace, secret
from matrix import MATRIX, REFUSED, least

GOLDEN = os.path.join(tools.HERE, "golden")
DEPLOYMENT = ("Deployment", "jobhook")


def text(*path):
    with open(os.path.join(tools.PROJECT, *path), encoding="utf-8") as file:
        return file.read()


@pytest.fixture(scope="module")
def rendered():
    return {name: tools.render(values) for name, values in MATRIX.items()}


def deployment(values):
    return tools.objects(tools.render(values))[DEPLOYMENT]


# ------------------------------------------------------------------------------------------------------------------ what is rendered

def test_lint_finds_nothing():
    for values in MATRIX.values():
        assert "[WARNING]" not in tools.helm("lint", "--strict", tools.CHART, values=values)


@pytest.mark.parametrize("version", tools.KUBERNETES)
def test_kubernetes_takes_it(version, rendered):
    assert not tools.kubeconform("---\n".join(rendered.values()), version)


def test_the_checker_has_teeth(rendered):
    broken = rendered["everything"].replace("minReadySeconds: 5", "minReadySecond: 5").replace("maxReplicaCount: 12", "maxReplicas: 12").replace("endpoints:", "endpoint:")
    complaints = "\n".join(tools.kubeconform(broken, tools.KUBERNETES[0]))
    assert all(kind in complaints for kind in ("Deployment", "ScaledObject", "ServiceMonitor")), complaints


@pytest.mark.parametrize("name", sorted(MATRIX))
def test_it_renders_as_before(name, rendered):
    """What the alerts and the dashboard say is another test's business."""
    fresh = []
    for item in yaml.safe_load_all(rendered[name]):
        if item and item["kind"] == "PrometheusRule":
            assert item["spec"] == yaml.safe_load(text("deploy/alerts.yaml"))
            item["spec"] = "as in files/alerts.yaml"
        if item and item["metadata"]["name"].endswith("-dashboard"):
            assert item["data"] == {"jobhook.json": text("deploy/dashboard.json")}
            item["data"] = "as in files/dashboard.json"
        fresh += [item] if item else []
    fresh = "---\n".join(yaml.safe_dump(item, sort_keys=True, width=160) for item in sorted(fresh, key=lambda item: (item["kind"], item["metadata"]["name"])))
    path = os.path.join(GOLDEN, name + ".yaml")
    if os.environ.get("JOBHOOK_GOLDEN") == "write":
        with open(path, "w", encoding="utf-8") as file:
            file.write(fresh)
    assert fresh == text("tests/system/chart/golden", name + ".yaml"), "JOBHOOK_GOLDEN=write writes it anew"


@pytest.mark.parametrize("name", sorted(MATRIX))
def test_all_pods_keep_to_the_restricted_standard(name, rendered):
    specs = tools.pods(tools.objects(rendered[name]))
    assert specs
    for where, spec in specs.items():
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] > 0, where
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, where
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False, where
        assert not any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")), where
        assert not [volume for volume in spec.get("volumes", []) if "projected" not in volume], where
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False and context["readOnlyRootFilesystem"] is True, where
            assert context["capabilities"] == {"drop": ["ALL"]} and not context.get("privileged"), where
            assert container["resources"]["limits"]["memory"] and container["resources"]["requests"], where


@pytest.mark.parametrize("name", sorted(MATRIX))
def test_secrets_are_files_that_can_change(name, rendered):
    assert "subPath" not in rendered[name], "a file mounted by subPath never changes"
    for spec in tools.pods(tools.objects(rendered[name])).values():
        for container in spec["containers"]:
            for variable in container.get("env", []):
                assert "valueFrom" not in variable
                if variable["name"].endswith("_FILE"):
                    assert variable["value"].startswith("/etc/jobhook/")
    assert "whsec_" not in rendered[name] and "p@redis" not in rendered[name], "base64 at least"


# ------------------------------------------------------------------------------------------------------------------ parts on and off

PARTS = [  # value, object
    ({"topics": {"enabled": True}}, ("Job", "jobhook-topics")),
    ({"serviceAccount": {"create": True}}, ("ServiceAccount", "jobhook")),
    ({"service": {"enabled": True}}, ("Service", "jobhook")),
    ({"podDisruptionBudget": {"enabled": True}}, ("PodDisruptionBudget", "jobhook")),
    ({"networkPolicy": {"enabled": True}}, ("NetworkPolicy", "jobhook")),
    ({"serviceMonitor": {"enabled": True}}, ("ServiceMonitor", "jobhook")),
    ({"prometheusRule": {"enabled": True}}, ("PrometheusRule", "jobhook")),
    ({"dashboard": {"enabled": True}}, ("ConfigMap", "jobhook-dashboard")),
    ({"autoscaling": {"type": "hpa"}}, ("HorizontalPodAutoscaler", "jobhook")),
    ({"autoscaling": {"type": "keda", "keda": {"serverAddress": "http://p"}}}, ("ScaledObject", "jobhook")),
]


@pytest.mark.parametrize("values, part", PARTS, ids=[part[0] for _, part in PARTS])
def test_each_part_comes_alone(values, part):
    nothing = MATRIX["nothing"]
    before = set(tools.objects(tools.render(nothing)))
    after = set(tools.objects(tools.render(matrix.merged(nothing, values))))
    with_it = {part, ("ConfigMap", "jobhook-topics")} if part[0] == "Job" else {part}
    assert after - before == with_it and not before - after


def test_without_any_part_it_still_runs():
    assert set(tools.objects(tools.render(MATRIX["nothing"]))) == {("ConfigMap", "jobhook"), DEPLOYMENT, ("Pod", "jobhook-test")}


# -------------------------------------------------------------------------------------------------------------------------- refusals

@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name):
    values, sentence = REFUSED[name]
    complaint = tools.render(values, fine=False)
    assert sentence in complaint, complaint
    assert "nil pointer" not in complaint


def test_every_setting_of_the_program_passes():
    names = re.findall(r'ROW\(\s*"(\w+)"', text("consumer/settings_table.c"))
    secret = {"JOBHOOK_SIGNING_KEYS", "JOBHOOK_API_TOKENS", "JOBHOOK_OTLP_HEADERS"}
    values = {"settings": {name: "1s" if "TIMEOUT" in name else "x:1" for name in names if name not in secret}, "secrets": {name: "x" for name in secret},
              "networkPolicy": {"enabled": False}}
    data = tools.objects(tools.render(values))[("ConfigMap", "jobhook")]["data"]
    assert set(data) == set(names) - secret


def test_numbers_and_truths_become_text():
    data = tools.objects(tools.render(MATRIX["everything"]))[("ConfigMap", "jobhook")]["data"]
    assert data["JOBHOOK_MAX_IN_FLIGHT"] == "100000" and data["JOBHOOK_ALLOW_HTTP"] == "false" and data["KAFKA_SECURITY_PROTOCOL"] == "sasl_ssl"
    huge = tools.objects(tools.render(least(settings={"JOBHOOK_MAX_HELD_BYTES": 1 << 30})))[("ConfigMap", "jobhook")]["data"]
    assert huge["JOBHOOK_MAX_HELD_BYTES"] == str(1 << 30)


# -------------------------------------------------------------------------------------------------------------------- rolling, ending

def rolls(before, after):
    return deployment(before)["spec"]["template"]["metadata"]["annotations"] != deployment(after)["spec"]["template"]["metadata"]["annotations"]


def test_pods_roll_when_what_is_read_at_the_start_changes():
    base = matrix.merged(MATRIX["own-secrets"], {"secrets": {"JOBHOOK_SIGNING_KEYS": "whsec_YQ=="}})
    assert rolls(base, matrix.merged(base, {"settings": {"JOBHOOK_GROUP": "other"}}))
    assert rolls(base, matrix.merged(base, {"kafkaProperties": {"sasl.username": "other"}}))
    assert rolls(base, matrix.merged(base, {"secrets": {"KAFKA_SASL_PASSWORD": "other"}}))
    assert not rolls(base, matrix.merged(base, {"secrets": {"JOBHOOK_SIGNING_KEYS": "whsec_Yg=="}})), "these are read again while it runs"
    assert not rolls(base, matrix.merged(base, {"secrets": {"JOBHOOK_OTLP_HEADERS": "a=b"}}))
    assert not rolls(base, matrix.merged(base, {"replicas": 7}))


def test_pods_roll_when_a_file_changes_that_is_not_read_again():
    """Which settings' files are read again: the README's "Files that are read again"."""
    folder = "/etc/jobhook/files/"
    base = least(settings={"JOBHOOK_CA_FILE": folder + "again.pem", "JOBHOOK_REDIS_CA_FILE": folder + "once.pem"},
                 files={"again.pem": {"content": "a"}, "once.pem": {"content": "a"}, "kafka.pem": {"secret": {"name": "kafka", "key": "ca"}}})
    assert not rolls(base, matrix.merged(base, {"files": {"again.pem": {"content": "b"}}}))
    assert rolls(base, matrix.merged(base, {"files": {"once.pem": {"content": "b"}}}))
    assert rolls(base, matrix.merged(base, {"files": {"kafka.pem": {"secret": {"key": "other"}}}}))


@pytest.mark.parametrize("drain, pre_stop, seconds", [("25s", 0, 40), ("1500ms", 0, 17), ("2m", 0, 135), ("1h", 5, 3620), ("0s", 0, 15)])
def test_there_is_time_to_drain(drain, pre_stop, seconds):
    spec = deployment(least(settings={"JOBHOOK_DRAIN_TIMEOUT": drain}, preStopSeconds=pre_stop))["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == seconds
    assert ("lifecycle" in spec["containers"][0]) == (pre_stop > 0)


def test_a_rollout_takes_no_copy_away_before_another_is_ready():
    spec = deployment(MATRIX["least"])["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert spec["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_who_scales_owns_the_number_of_copies(rendered):
    assert tools.objects(rendered["least"])[DEPLOYMENT]["spec"]["replicas"] == 3
    assert "replicas" not in tools.objects(rendered["everything"])[DEPLOYMENT]["spec"]
    assert "replicas" not in tools.objects(rendered["hpa"])[("Deployment", "hooks")]["spec"]


def test_keda_counts_the_input_and_what_is_due(rendered):
    spec = tools.objects(rendered["everything"])[("ScaledObject", "jobhook")]["spec"]
    query = spec["triggers"][0]["metadata"]["query"]
    assert 'jobhook_consumer_lag{namespace="webhooks",job="jobhook",topic="jobs.completed"}' in query
    assert 'jobhook_retry_records{namespace="webhooks",job="jobhook",state="due"}' in query
    assert spec["minReplicaCount"] == 2 and spec["maxReplicaCount"] == spec["fallback"]["replicas"] == 12 and "idleReplicaCount" not in spec


def test_promtool_takes_kedas_query(rendered, tmp_path):
    query = tools.objects(rendered["everything"])[("ScaledObject", "jobhook")]["spec"]["triggers"][0]["metadata"]["query"]
    series = [("jobhook_consumer_lag", 'topic="jobs.completed",partition="0",instance="a"', 100), ("jobhook_consumer_lag", 'topic="jobs.completed",partition="0",instance="b"', 100),
              ("jobhook_consumer_lag", 'topic="jobs.completed",partition="1",instance="b"', 50), ("jobhook_consumer_lag", 'topic="jobs.completed.retry.5m",partition="0",instance="b"', 999),
              ("jobhook_retry_records", 'delay="1s",state="due",pod="a"', 7), ("jobhook_retry_records", 'delay="1s",state="due",pod="b"', 5),
              ("jobhook_retry_records", 'delay="5m",state="not_due",pod="b"', 500)]
    case = {"rule_files": [], "tests": [{"interval": "1m", "input_series": [
        {"series": f'{name}{{namespace="webhooks",job="jobhook",{labels}}}', "values": f"{value}x5"} for name, labels, value in series],
        "promql_expr_test": [{"expr": query, "eval_time": "2m", "exp_samples": [{"labels": "{}", "value": 162}]}]}]}
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(case))
    run = subprocess.run(["promtool", "test", "rules", "case.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


# ---------------------------------------------------------------------------------------------------------------------------- network

def blocks(policy):
    return [peer["ipBlock"] for rule in policy["spec"]["egress"] for peer in rule.get("to", []) if "ipBlock" in peer]


def test_the_policy_refuses_what_the_program_refuses(rendered):
    source = text("delivery/guard_address.c")
    v4 = {f"{a}.{b}.{c}.{d}/{n}" for a, b, c, d, n in re.findall(r"\bV4\((\d+), (\d+), (\d+), (\d+), (\d+)\),", source)}
    v6 = {f"{int(a, 16):x}:{int(b, 16):x}::/{n}".replace(":0::", "::") for a, b, n in re.findall(r"^    V6\((0x\w+), (\w+), 0, 0, (\d+)\),", source, re.MULTILINE)}
    assert len(v4) > 10 and len(v6) == 4, "the program's table is written otherwise: mend the test"
    found = {block["cidr"]: set(block.get("except", [])) for block in blocks(tools.objects(rendered["least"])[("NetworkPolicy", "jobhook")])}
    assert found["0.0.0.0/0"] == v4
    assert found["2000::/3"] == v6
    assert set(found) == {"0.0.0.0/0", "2000::/3", "169.254.20.10/32"}


def test_the_policy_follows_the_programs_allow_and_deny(rendered):
    found = {block["cidr"]: set(block.get("except", [])) for block in blocks(tools.objects(rendered["everything"])[("NetworkPolicy", "jobhook")])}
    assert "8.8.8.0/24" in found["0.0.0.0/0"] and "2001:4860::/32" in found["2000::/3"]
    assert "fd00::/8" not in found["2000::/3"], "an exception outside of its range would be refused by Kubernetes"
    assert "10.1.2.0/24" in found and "fd00:1::/64" in found and "10.20.0.0/24" in found


def test_the_policy_opens_the_brokers_ports(rendered):
    policy = tools.objects(rendered["least"])[("NetworkPolicy", "jobhook")]
    ports = [[port["port"] for port in rule.get("ports", [])] for rule in policy["spec"]["egress"]]
    assert [9092, 9093] in ports and [6379] in ports and [53, 53] in ports


def test_without_the_internet_only_the_neighbours_are_reached(rendered):
    assert {block["cidr"] for block in blocks(tools.objects(rendered["own-secrets"])[("NetworkPolicy", "jobhook")])} == {"169.254.20.10/32"}


# ------------------------------------------------------------------------------------------------------------------------- the topics

def test_the_topics_job_comes_first_and_brings_what_it_needs(rendered):
    for name in ("everything", "own-secrets"):
        found = tools.objects(rendered[name])
        for key in found:
            if key[1] == "jobhook-topics":
                assert found[key]["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade", key
        spec = found[("Job", "jobhook-topics")]["spec"]["template"]["spec"]
        assert "serviceAccountName" not in spec, "the release's own does not exist yet"
        assert spec["containers"][0]["envFrom"] == [{"configMapRef": {"name": "jobhook-topics"}}]
    job = tools.objects(rendered["everything"])[("Job", "jobhook-topics")]["spec"]["template"]["spec"]
    assert [source["secret"]["name"] for source in job["volumes"][0]["projected"]["sources"]] == ["kafka-admin"], "the administrator's, not the service's"
    assert tools.objects(rendered["everything"])[("ConfigMap", "jobhook-topics")]["data"]["KAFKA_SASL_USERNAME"] == "admin"


def test_no_selector_of_the_services_finds_another_pod(rendered):
    found = tools.objects(rendered["everything"])
    selector = found[DEPLOYMENT]["spec"]["selector"]["matchLabels"].items()
    assert selector <= found[DEPLOYMENT]["spec"]["template"]["metadata"]["labels"].items()
    assert not selector <= found[("Job", "jobhook-topics")]["spec"]["template"]["metadata"]["labels"].items()
    assert not selector <= found[("Pod", "jobhook-test")]["metadata"]["labels"].items()
    assert found[("ServiceMonitor", "jobhook")]["spec"]["selector"]["matchLabels"].items() <= found[("Service", "jobhook")]["metadata"]["labels"].items()


# ---------------------------------------------------------------------------------------------------------------- under another chart

def test_it_works_under_another_chart(tmp_path):
    shutil.copytree(tools.CHART, tmp_path / "charts" / "jobhook")
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [
        {"name": "jobhook", "version": "*", "repository": "", "condition": "jobhook.enabled"}]}))
    values = {"global": {"imageRegistry": "registry.example.com", "imagePullSecrets": ["a", {"name": "b"}], "storageClass": "fast"},
              "jobhook": {**copy.deepcopy(matrix.LEAST), "enabled": True}}
    spec = tools.objects(tools.render(values, release="shop", chart=str(tmp_path)))[("Deployment", "shop-jobhook")]["spec"]["template"]["spec"]
    assert spec["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]
    assert spec["containers"][0]["image"].startswith("registry.example.com/jobhook:")
    assert not tools.render({**values, "jobhook": {"enabled": False}}, release="shop", chart=str(tmp_path)).strip()


# ---------------------------------------------------------------------------------------------------------------------- what it says

def install(cluster, values, **more):
    """What helm would install there: its output or complaint."""
    return tools.helm("install", "jobhook", tools.CHART, "--dry-run=server", "--disable-openapi-validation", "--namespace", "webhooks", values=values,
                      kubeconfig=cluster.kubeconfig, **more)


def test_the_notes_say_what_to_look_at_next(tmp_path):
    with Cluster(tmp_path, {**namespace(), **secret("jobhook-secrets", **{"redis-url": "eA=="})}) as cluster:
        notes = install(cluster, least()).split("NOTES:")[1]
    for part in ("rollout status deployment/jobhook", "/readyz", "helm -n webhooks test jobhook", "webhook_url", "Webhooks are not signed", "networkPolicy.kafka.to"):
        assert part in notes, part


def test_a_missing_secret_is_named(tmp_path):
    with Cluster(tmp_path, namespace()) as cluster:
        assert 'JOBHOOK_REDIS_URL is to come from the Secret "jobhook-secrets", which does not exist in the namespace "webhooks"' in install(cluster, least(), fine=False)
        cluster.objects.update(secret("jobhook-secrets", url="eA==", other="eA=="))
        assert 'the key "redis-url" of the Secret "jobhook-secrets", which has only: other, url' in install(cluster, least(), fine=False)
        cluster.objects.update(secret("jobhook-secrets", **{"redis-url": "eA=="}))
        admin = least(topics={"existingSecrets": {"KAFKA_SASL_PASSWORD": {"name": "kafka-admin", "key": "password"}}})
        assert 'KAFKA_SASL_PASSWORD is to come from the Secret "kafka-admin"' in install(cluster, admin, fine=False)


def test_pods_roll_when_an_existing_secret_has_changed(tmp_path):
    values = least(existingSecrets={"JOBHOOK_SIGNING_KEYS": {"name": "keys", "key": "all"}})

    def digest():
        return re.search(r"checksum/existing-secrets: (\w+)", install(cluster, values)).group(1)
    with Cluster(tmp_path, {**namespace(), **secret("jobhook-secrets", **{"redis-url": "eA=="}), **secret("keys", all="eA==")}) as cluster:
        first = digest()
        cluster.objects.update(secret("keys", all="eQ=="))
        assert digest() == first, "signing keys are read again while it runs"
        cluster.objects.update(secret("jobhook-secrets", **{"redis-url": "eQ=="}))
        assert digest() != first


def test_the_readme_shows_the_values():
    subprocess.run([sys.executable, os.path.join(tools.PROJECT, "helm", "readme.py"), "--check"], check=True, timeout=60)


def test_the_readmes_example_is_taken():
    readme = text("helm/jobhook/README.md")
    (example,) = re.findall(r"```yaml\n# my-values.yaml\n(.*?)```", readme, re.DOTALL)
    for part in re.findall(r"```yaml\n((?:networkPolicy|kafkaProperties):.*?)```", readme, re.DOTALL):
        assert tools.kubeconform(tools.render(matrix.merged(yaml.safe_load(example), yaml.safe_load(part))), tools.KUBERNETES[-1]) == []
