"""What the chart renders runs as rendered: the topics' Job, a pod of the Deployment and the test pod, with a real Kafka, a real Redis and a receiver."""
import base64
import os
import re
import time

import pytest

import harness
import matrix
import pod as pods
import tools
from harness import body, event, wait_for

IMAGE_KIB_MAX = 40 * 1024
SECRETS = {"JOBHOOK_REDIS_URL": {"name": "jobhook-secrets", "key": "redis-url"}, "JOBHOOK_SIGNING_KEYS": {"name": "jobhook-secrets", "key": "signing-keys"}}
OLD, NEW = ("whsec_" + base64.b64encode(bytes([fill]) * 32).decode() for fill in (1, 2))


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def pem():
    """A bundle that a private CA might be in."""
    with open("/etc/ssl/certs/ca-certificates.crt", encoding="ascii") as file:
        return file.read().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"


@pytest.fixture
def installed(make_rig, folder):
    """(rig, objects): rendered for this rig, with the Secret that an administrator would have made."""
    rig = make_rig(topics=False)
    http = f"127.0.0.1:{harness.free_ports(1)[0]}"
    values = {"settings": {"JOBHOOK_KAFKA_BROKERS": rig.kafka.brokers, "JOBHOOK_TOPIC": rig.topic, "JOBHOOK_GROUP": rig.group, "JOBHOOK_RETRY_DELAYS": rig.delays,
                           "JOBHOOK_DEFER_DELAYS": rig.defers, "JOBHOOK_HTTP_LISTEN": http, "JOBHOOK_API_LISTEN": "127.0.0.1:0", "JOBHOOK_EGRESS_ALLOW": "127.0.0.0/8",
                           "JOBHOOK_CA_FILE": "/etc/jobhook/files/ca.pem"},
              "kafkaProperties": {"client.id": "as-rendered"}, "files": {"ca.pem": {"content": pem()}}, "existingSecrets": SECRETS, "topics": {"replication": 1, "partitions": 2}}
    found = tools.objects(tools.render(values))
    found[("Secret", "jobhook-secrets")] = {"data": {"redis-url": encoded(f"redis://127.0.0.1:{rig.redis.port}"), "signing-keys": encoded(OLD)}}
    os.chmod(folder, 0o711)
    return rig, found


def run_job(folder, found):
    return pods.Pod(folder, "topics", found[("Job", "jobhook-topics")]["spec"]["template"]["spec"], found).finish()


def start_service(rig, folder, found, ready=True):
    service = pods.Pod(folder, "service", found[("Deployment", "jobhook")]["spec"]["template"]["spec"], found)
    rig.jobhooks.append(service)
    return service.start(ready)


def test_the_image_is_small_and_what_its_labels_say():
    config = pods.image_config()
    assert config["Entrypoint"] == ["/usr/local/bin/jobhook"] and config["Cmd"] == ["run"] and config["User"] == "65534:65534"
    if pods.size_of_image() is None:
        pytest.skip("tests/system/image.sh did not run")
    print(f"the image: {pods.size_of_image() // 1024} KiB over its base")
    assert pods.size_of_image() // 1024 <= IMAGE_KIB_MAX
    with open(os.path.join(tools.PROJECT, "CMakeLists.txt"), encoding="utf-8") as file:
        version = re.search(r"^project\(jobhook VERSION ([\d.]+)", file.read(), re.MULTILINE).group(1)
    assert config["Labels"]["org.opencontainers.image.version"] == version


def test_as_rendered_it_creates_topics_delivers_and_ends(installed, folder):
    rig, found = installed
    status, log = run_job(folder, found)
    assert status == 0, log
    assert set(rig.kafka.topic_names()) >= set(rig.all_topics())

    service = start_service(rig, folder, found, ready=False)
    begun = wait_for(lambda: re.search(r"^started (\d+)$", service.log(), re.MULTILINE), 20, "its root is made", pause_s=0.005)
    wait_for(lambda: service.get("/healthz")[0] == 200, 20, "/healthz", pause_s=0.005)
    print(f"alive {time.time() * 1000 - int(begun.group(1)) / 1e6:.0f} ms after it was started")
    service.wait_ready()
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert service.probe(probe) == 200

    rig.publish(event("as-rendered", rig.receiver.url("500,ok/a")))
    rig.receiver.wait(2)
    first, second = rig.receiver.of("as-rendered")
    assert second["body"] == body("as-rendered") and "webhook-signature" in second["headers"]
    rig.wait_no_lag()

    process = service.process.pid
    with open(f"/proc/{process}/status", encoding="utf-8") as file:
        now = dict(re.findall(r"^(\w+):\s+(.*)$", file.read(), re.MULTILINE))
    assert now["Uid"].split() == ["65534"] * 4 and now["Gid"].split() == ["65534"] * 4
    assert int(now["CapEff"], 16) == int(now["CapBnd"], 16) == 0 and now["NoNewPrivs"] == "1"
    with open(f"/proc/{process}/mounts", encoding="utf-8") as file:
        root = [line.split() for line in file if line.split()[1] == "/"][-1]
    assert "ro" in root[3].split(","), "the root can be written to"

    grace = found[("Deployment", "jobhook")]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert service.stop(grace) == 0, service.log()[-2000:]


def test_a_key_that_is_rotated_in_its_secret_is_used_without_a_restart(installed, folder):
    rig, found = installed
    assert run_job(folder, found)[0] == 0
    service = start_service(rig, folder, found)
    rig.publish(event("before", rig.receiver.url("ok/a")))
    rig.receiver.wait(1)
    (before,) = rig.receiver.of("before")

    found[("Secret", "jobhook-secrets")]["data"]["signing-keys"] = encoded(f"{NEW} {OLD}")
    service.rotate()
    sent = []

    def signed_by_both():
        sent.append(f"after-{len(sent)}")
        rig.publish(event(sent[-1], rig.receiver.url("ok/a")))
        wait_for(lambda: rig.receiver.of(sent[-1]), 20, "delivered")
        return len(rig.receiver.of(sent[-1])[0]["headers"]["webhook-signature"].split()) == 2
    wait_for(signed_by_both, 40, "two signatures", pause_s=1)
    assert len(before["headers"]["webhook-signature"].split()) == 1
    assert service.alive


def test_the_test_pod_tells_a_good_release_from_a_bad_one(installed, folder):
    rig, found = installed
    assert run_job(folder, found)[0] == 0
    spec = found[("Pod", "jobhook-test")]["spec"]
    status, log = pods.Pod(folder, "good", spec, found).finish()
    assert status == 0, log
    assert OLD not in log, "secrets are masked"
    found[("Secret", "jobhook-secrets")]["data"]["redis-url"] = encoded(f"redis://127.0.0.1:{harness.free_ports(1)[0]}")
    status, log = pods.Pod(folder, "bad", spec, found).finish()
    assert status == 1 and "broken" in log, log


def test_an_upgrade_finds_its_topics_and_changes_nothing(installed, folder):
    rig, found = installed
    assert run_job(folder, found)[0] == 0
    before = rig.kafka.topic_config(rig.topic)
    status, log = run_job(folder, found)
    assert status == 0 and "exists" in log, log
    assert rig.kafka.topic_config(rig.topic) == before


def test_the_pods_own_values_hold_what_the_matrix_holds():
    """The renders above come from values that are a member of the matrix but for addresses: nothing here is a special case."""
    least = tools.objects(tools.render(matrix.least()))[("Deployment", "jobhook")]["spec"]["template"]["spec"]["containers"][0]
    assert set(least) == {"name", "image", "imagePullPolicy", "args", "envFrom", "env", "ports", "startupProbe", "livenessProbe", "readinessProbe", "securityContext",
                          "resources", "volumeMounts"}, "pod.py has to know what is new"
