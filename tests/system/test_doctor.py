"""jobhook doctor: what is well, and what is not, against real neighbours."""
import json
import subprocess
import time

import pytest

import harness
from certificates import Authority
from harness import free_ports
from namespace import Names


def doctor(hook, *arguments, **settings):
    """(exit status, {subject: [(state, text, cure)]}) of `doctor --json`."""
    status, out, problems = hook.command("doctor", "--json", *arguments, **settings)
    report = json.loads(out)
    found = {}
    for finding in report["findings"]:
        found.setdefault(finding["subject"], []).append((finding["state"], finding["text"], finding["cure"]))
    states = [f["state"] for f in report["findings"]]
    assert {state: states.count(state) for state in ("ok", "warning", "broken")} == {s: report[s] for s in ("ok", "warning", "broken")}
    assert status == (1 if report["broken"] else 0) and problems == "", problems
    return status, found


@pytest.fixture
def hook(make_rig):
    rig = make_rig(topics=False)
    hook = rig.jobhook(JOBHOOK_SIGNING_KEYS="whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX")
    hook.rig = rig
    return hook


def test_all_is_well(hook):
    assert hook.command("topics", "create", "--replication", "1", "--partitions", "3")[0] == 0
    status, found = doctor(hook, hook.rig.receiver.url("ok"))
    assert status == 0, found
    assert found["kafka"][0][0] == "ok" and "1 broker answers" in found["kafka"][0][1]
    assert found["broker 1"] == [("ok", f"{hook.rig.kafka.brokers} speaks as Kafka {harness.kafka_release()}", None)] and "brokers" not in found
    assert found["redis"][0][0] == found["redis policy"][0][0] == found["redis scripts"][0][0] == found["clock and Redis"][0][0] == "ok"
    assert found["consumer group"][0][0] == found["clock and Kafka"][0][0] == "ok"
    assert [(s, "replication is 1" in t) for s, t, _ in found[hook.rig.topic]] == [("warning", True)]  # nothing else is wrong with it
    assert all([s for s, _, _ in found[t]] == ["warning"] for t in hook.rig.all_topics())
    assert found["signing"][0][2] == "set JOBHOOK_SIGNING_SCOPE to origin or url"
    (answer,) = [rows for subject, rows in found.items() if subject.startswith("http://127.0.0.1")]
    assert answer[0][0] == "ok" and "can be connected to" in answer[0][1]
    assert hook.rig.receiver.requests() == []


def test_topics_that_are_missing_are_named(hook):
    status, found = doctor(hook)
    assert status == 1
    assert all(found[t][0][:2] == ("broken", "there is no such topic") and "jobhook topics create" in found[t][0][2] for t in hook.rig.all_topics())


def test_topics_that_lose_records_are_named(make_rig):
    rig = make_rig(max_message_bytes=100000, retention_ms=60000, cleanup_policy="compact,delete")
    status, found = doctor(rig.jobhook(JOBHOOK_DEFER_DELAYS="2s,4s"))
    texts = " ".join(t for s, t, _ in found[rig.topic + ".retry.100ms"] if s == "broken")
    assert status == 1 and "do not fit" in texts and "only the younger survives" in texts


def test_nobody_answers(hook):
    kafka, redis = free_ports(2)
    before = time.monotonic()
    status, found = doctor(hook, JOBHOOK_KAFKA_BROKERS=f"127.0.0.1:{kafka}", JOBHOOK_REDIS_URL=f"redis://127.0.0.1:{redis}")
    assert status == 1 and found["kafka"][0][0] == found["redis"][0][0] == "broken"
    assert "Connection refused" in found["kafka"][0][1] and "Connection refused" in found["redis"][0][1]
    assert time.monotonic() - before < 60


def test_neighbours_that_are_silent_do_not_hang_it(hook):
    hook.rig.redis.pause()
    hook.rig.kafka.nodes[0].pause()
    try:
        status, found = doctor(hook)
    finally:
        hook.rig.kafka.nodes[0].resume()
    assert status == 1 and found["kafka"][0][0] == "broken"
    assert found["redis"][0][:2] == ("broken", "cannot be used: it does not answer in time")


@pytest.mark.parametrize("command,subject,state,text", [
    (("config", "set", "maxmemory-policy", "allkeys-lru"), "redis policy", "warning", "Redis may forget"),
    (("config", "set", "maxmemory", "1"), "redis scripts", "broken", "OOM"),
    (("replicaof", "127.0.0.1", "1"), "redis", "broken", "this is a replica"),
    (("config", "set", "requirepass", "secret"), "redis", "broken", "NOAUTH"),
    (("acl", "setuser", "default", "-evalsha"), "redis scripts", "broken", "NOPERM"),
])
def test_a_redis_that_cannot_be_used_says_why(hook, command, subject, state, text):
    hook.rig.redis.client().execute_command(*command)
    _, found = doctor(hook)
    assert found[subject][0][0] == state and text in found[subject][0][1] and found[subject][0][2], found


def test_files_that_run_would_not_start_with_are_named(hook, folder):
    authority = Authority(folder)
    certificate, other_key = authority.sign("one")[0], authority.sign("two")[1]
    _, found = doctor(hook, JOBHOOK_CA_FILE=folder)
    assert [(state, text) for state, text, _ in found["JOBHOOK_CA_FILE"]] == [("broken", f"{folder} is no regular file")]
    _, found = doctor(hook, JOBHOOK_CLIENT_CERT=certificate, JOBHOOK_CLIENT_KEY=other_key, JOBHOOK_OTLP_ENDPOINT="https://127.0.0.1:1", JOBHOOK_OTLP_CA_FILE="/dev/null")
    assert [(state, text) for state, text, _ in found["JOBHOOK_CLIENT_KEY"]] == [("broken", f"{other_key} does not belong to the certificate")]
    assert [(state, text) for state, text, _ in found["JOBHOOK_OTLP_CA_FILE"]] == [("broken", "/dev/null is no regular file")]


def test_urls_are_judged_as_the_service_does(hook):
    (port,) = free_ports(1)
    _, found = doctor(hook, f"http://127.0.0.1:{port}/x", "https://user@example.com/")
    assert found[f"http://127.0.0.1:{port}"][0][0] == "warning" and "Connection refused" in found[f"http://127.0.0.1:{port}"][0][1]
    assert found[f"http://127.0.0.1:{port}"][1][0] == "broken"
    assert found["URL"] == [("broken", "the policy refuses https://user@example.com/: user_info", found["URL"][0][2])]
    _, found = doctor(hook, f"http://127.0.0.1:{port}/x", JOBHOOK_EGRESS_ALLOW="")
    assert "the policy refuses" in found["URL"][0][1]


def test_a_refused_address_behind_more_than_are_kept_is_found(hook, folder, network):
    """As the service does, which dead-letters whatever is for such a name."""
    Names(network, {f"with{n}.example.com": [[f"93.184.216.{i}" for i in range(1, n + 1)] + ["10.0.0.1"]] for n in (15, 16)})
    for node in hook.rig.kafka.nodes:
        network.forward(node.client_port)
    urls = [f"http://with{n}.example.com/x" for n in (15, 16)]
    command = network.command(folder, "nameserver 127.0.0.1\n", harness.BINARY, "doctor", "--json", *urls)
    environment = {**hook.environment(), "JOBHOOK_EGRESS_ALLOW": ""}
    found = json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout)["findings"]
    told = [(f["subject"], f["state"], f["text"]) for f in found if "example.com" in f["subject"]]
    assert told == [(url[:-2], "broken", "the policy refuses its address 10.0.0.1") for url in urls]


def test_wrong_usage_and_wrong_settings(hook):
    assert hook.command("doctor", "--jsno")[0] == 2
    status, out, problems = hook.command("doctor", "--json", JOBHOOK_WORKERS="0")
    assert status == 1 and out == "" and "JOBHOOK_WORKERS" in problems


def size(*arguments):
    return subprocess.run([harness.BINARY, "size", *arguments], env={}, capture_output=True, text=True, timeout=20)


def test_size_answers_without_any_setting():
    answer = size("--rate", "1000", "--timeout-share", "1%", "--failure-share", "0", "--event-bytes", "2000")
    assert answer.returncode == 0 and answer.stderr == ""
    assert answer.stdout.startswith("1000 events/s, 1 % without an answer, 0 % refused: 1050 attempts/s\n")
    assert "POSTs at once     897 in all" in answer.stdout and "MAX_IN_FLIGHT=" not in answer.stdout and "2160 scripts/s" in answer.stdout
    assert "JOBHOOK_MAX_IN_FLIGHT=" in size("--rate", "20000", "--timeout-share", "20").stdout
    assert "MORE THAN ONE REDIS CAN DO" in size("--rate", "100000").stdout
    assert "tests/bench/run.sh" in size("--figures").stdout
    assert " for each copy at the most\n" in size("--rate", "100", "--endpoints", "100").stdout
    assert "with that as its limit it keeps " in size("--rate", "100", "--endpoints", "10000").stdout


@pytest.mark.parametrize("arguments", [(), ("--rate", "0"), ("--rate", "1e3"), ("--rate", "5", "more"), ("--rate", "5", "--timeout-share", "101"),
                                       ("--rate", "5", "--timeout-share", "nan"), ("--rate", "5", "--timeout-share", "60", "--failure-share", "60")])
def test_size_refuses_what_it_cannot_read(arguments):
    assert size(*arguments).returncode == 2
