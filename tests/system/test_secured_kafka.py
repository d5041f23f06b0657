"""Kafka with TLS and logins: what works, and that what does not work is said with its cure, by the log and by doctor."""
import json
import os
import shlex
import subprocess

import confluent_kafka
import pytest

import certificates
import harness
from harness import event, wait_for


class Secured:
    """One broker with a listener for each way to be let in. Its plain listener is the test's own."""

    def __init__(self, folder):
        names = ("SCRAM", "PLAIN", "MTLS", "OLD", "OTHER")
        self.ports = dict(zip(names, harness.free_ports(len(names))))
        self.authority, stranger = certificates.Authority(folder), certificates.Authority(folder, "stranger")
        broker = self.authority.sign("broker")[2]
        old, other = self.authority.sign("old", days=-1)[2], self.authority.sign("other", names="IP:127.0.0.9,DNS:kafka.example")[2]
        self.client, self.unknown, self.expired = self.authority.sign("client"), stranger.sign("unknown"), self.authority.sign("expired", days=-1)
        module = "org.apache.kafka.common.security"
        more = {"listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in self.ports.items()),
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SCRAM:SASL_SSL,PLAIN:SASL_SSL,MTLS:SSL,OLD:SSL,OTHER:SSL",
                "inter.broker.listener.name": "PLAINTEXT", "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-256",
                "listener.name.plain.sasl.enabled.mechanisms": "PLAIN",
                "ssl.keystore.type": "PEM", "ssl.truststore.type": "PEM", "ssl.keystore.location": broker, "ssl.truststore.location": self.authority.pem,
                "listener.name.old.ssl.keystore.type": "PEM", "listener.name.old.ssl.keystore.location": old,
                "listener.name.other.ssl.keystore.type": "PEM", "listener.name.other.ssl.keystore.location": other,
                "listener.name.mtls.ssl.client.auth": "required",
                "listener.name.scram.scram-sha-256.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
                "listener.name.plain.plain.sasl.jaas.config": f'{module}.plain.PlainLoginModule required user_bob="bob-secret" user_carol="carol-secret" user_run="run-secret" user_create="create-secret" user_operate="operate-secret";',
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS;User:alice;User:bob;User:CN=client"}
        self.kafka = harness.Kafka(folder, more=more, users={"alice": "alice-secret"})

    def settings(self, listener, **more):
        protocol = {"SCRAM": "sasl_ssl", "PLAIN": "sasl_ssl", "MTLS": "ssl", "OLD": "ssl", "OTHER": "ssl"}[listener]
        certificate = self.client if listener == "MTLS" else (None, None)
        login = {"SCRAM": ("SCRAM-SHA-256", "alice", "alice-secret"), "PLAIN": ("PLAIN", "bob", "bob-secret")}.get(listener, (None, None, None))
        return {"JOBHOOK_KAFKA_BROKERS": f"127.0.0.1:{self.ports[listener]}", "KAFKA_SECURITY_PROTOCOL": protocol,
                "KAFKA_SSL_CA_LOCATION": self.authority.pem,
                "KAFKA_SSL_CERTIFICATE_LOCATION": certificate[0], "KAFKA_SSL_KEY_LOCATION": certificate[1],
                "KAFKA_SASL_MECHANISM": login[0], "KAFKA_SASL_USERNAME": login[1], "KAFKA_SASL_PASSWORD": login[2], **more}


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    them = Secured(str(tmp_path_factory.mktemp("secured")))
    try:
        them.kafka.start()
        yield them
    finally:
        them.kafka.stop()


@pytest.fixture
def rig(folder, secured):
    rig = harness.Rig(folder, secured.kafka, topics=False)
    yield rig
    assert rig.close() == []


SCRAM_WORKS = confluent_kafka.libversion()[1] >= 0x02060100  # librdkafka #4895


@pytest.mark.parametrize("listener", ["SCRAM", "PLAIN", "MTLS"] if SCRAM_WORKS else ["PLAIN", "MTLS"])
def test_events_are_delivered(rig, secured, listener):
    hook = rig.jobhook(**secured.settings(listener))
    status, out, problems = hook.command("topics", "create", "--replication", "1", "--partitions", "2")
    assert status == 0, out + problems
    hook.start()
    rig.publish(event("a", rig.receiver.url("ok")), event("b", rig.receiver.url("500x1,ok")))
    rig.receiver.wait(3)
    rig.wait_no_lag()
    status, out, problems = hook.command("doctor", "--json")
    report = json.loads(out)
    assert status == 0 and report["broken"] == 0, out + problems
    assert [f["text"] for f in report["findings"] if f["subject"] == "broker 1"] == \
        [f"127.0.0.1:{secured.ports[listener]} speaks as Kafka {harness.kafka_release()}"]
    assert "alice-secret" not in hook.log() + out and "bob-secret" not in hook.log() + out


WRONG = {
    "a wrong password": ("PLAIN", {"KAFKA_SASL_PASSWORD": "guessed"}, "set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD to a login that the brokers know"),
    "a wrong password, SCRAM": ("SCRAM", {"KAFKA_SASL_PASSWORD": "guessed"}, "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"),
    "a mechanism that is not offered": ("SCRAM", {"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"}, "set KAFKA_SASL_MECHANISM to one that the brokers offer"),
    "an unknown CA": ("PLAIN", {"KAFKA_SSL_CA_LOCATION": None}, "KAFKA_SSL_CA_LOCATION must name the CA of the brokers' certificates"),
    "an expired certificate of the broker": ("OLD", {}, "renew the brokers' certificate"),
    "another name": ("OTHER", {}, "must be in their certificates"),
    "no client certificate": ("MTLS", {"KAFKA_SSL_CERTIFICATE_LOCATION": None, "KAFKA_SSL_KEY_LOCATION": None}, "the brokers ask for a client certificate"),
    "a client certificate of a stranger": ("MTLS", "unknown", "client certificate"),
    "an expired client certificate": ("MTLS", "expired", "client certificate"),
    "no TLS": ("MTLS", {"KAFKA_SECURITY_PROTOCOL": "plaintext"}, "KAFKA_SECURITY_PROTOCOL"),
}
if not SCRAM_WORKS:
    WRONG["a librdkafka that is too old"] = ("SCRAM", {}, "this librdkafka (before 2.6.1) cannot log in by SCRAM")


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_with_its_cure(rig, secured, what):
    listener, changed, cure = WRONG[what]
    if isinstance(changed, str):
        changed = dict(zip(("KAFKA_SSL_CERTIFICATE_LOCATION", "KAFKA_SSL_KEY_LOCATION"), getattr(secured, changed)))
    hook = rig.jobhook(**secured.settings(listener, **changed)).start(ready=False)
    wait_for(lambda: cure in hook.log(), 20, f"the log names the cure: {cure}")
    status, out, _ = hook.command("doctor")
    assert status == 1 and "broken   kafka: no broker of" in out and cure in out, out + hook.log()
    assert "guessed" not in hook.log() + out
    assert hook.alive and hook.get("/readyz")[0] == 503


def test_a_login_without_rights_is_told_which(rig, secured):
    """Kafka shows nothing to whom it allows nothing: the topic seems not to be there."""
    hook = rig.jobhook(**secured.settings("PLAIN", KAFKA_SASL_USERNAME="carol", KAFKA_SASL_PASSWORD="carol-secret")).start(ready=False)
    wait_for(lambda: "the input topic does not exist, or this login may not see it" in hook.log(), 20, "the log says so")
    status, out, _ = hook.command("doctor")
    assert status == 1 and "there is no such topic" in out and "allow this login to describe, read and write it" in out, out


def allow(secured, hook, role, principal):
    """Exactly what `topics acls` asks for."""
    code, output, errors = hook.command("topics", "acls", "--role", role, "--principal", principal, "--json")
    assert code == 0, errors
    (wanted,) = json.loads(output)["roles"]
    assert (wanted["role"], wanted["principal"]) == (role, principal)
    lines = [" ".join((acl["resource"], acl["name"], acl["pattern"], operation)) + "\n" for acl in wanted["acls"] for operation in acl["operations"]]
    subprocess.run([os.path.join(harness.BUILD, "tests", "acls"), secured.kafka.brokers, principal], input="".join(lines), text=True, check=True, timeout=60)


def login(secured, name):
    return secured.settings("PLAIN", KAFKA_SASL_USERNAME=name, KAFKA_SASL_PASSWORD=name + "-secret")


def test_the_rights_that_are_printed_are_enough_and_no_more_than_that(rig, secured):
    """With an authorizer, and logins that have exactly these: topics are created, events delivered, retried, dead-lettered, noted, read back."""
    token = "t" * 32
    shared = {"JOBHOOK_ATTEMPTS_TOPIC": "log-of-" + rig.topic, "JOBHOOK_API_TOKENS": token}
    hook, creator, operator = (rig.jobhook(**login(secured, name), **shared) for name in ("run", "create", "operate"))
    creation = ("topics", "create", "--replication", "1", "--partitions", "2")
    status, out, _ = creator.command(*creation)
    assert status == 1 and "not created" in out
    allow(secured, hook, "create", "User:create")
    wait_for(lambda: creator.command(*creation)[0] == 0, 30, "the topics are created with the rights for that", 0.5)
    assert "WRONG" not in creator.command(*creation)[1]

    findings = json.loads(creator.command("doctor", "--json")[1])["findings"]
    (version,) = [f["text"].split("librdkafka ")[1] for f in findings if f["subject"] == "kafka"]
    if tuple(map(int, version.split(".")[:2])) >= (2, 3):  # before, nobody can ask
        refused = {(f["subject"], f["text"].split(" it:")[0]) for f in findings if f["state"] == "broken"}
        assert {(rig.topic, "this login may not read"), (rig.dlq, "this login may not write"), (rig.topic + ".retry.100ms", "this login may not write")} <= refused

    allow(secured, hook, "run", "User:run")
    hook.start()
    rig.publish(event("a", rig.receiver.url("ok")), event("b", rig.receiver.url("500x1,ok")), event("c", rig.receiver.url("500")))
    assert [r.headers["jobhook-reason"] for r in rig.wait_dead(1, 30)] == ["exhausted"]
    wait_for(lambda: hook.metric("jobhook_events_settled_total{result=\"delivered\"}") == 2, 20, "both are delivered")
    wait_for(lambda: sum(rig.kafka.end_offsets(shared["JOBHOOK_ATTEMPTS_TOPIC"]).values()) == 1 + 2 + 4, 20, "each attempt is noted")
    rig.wait_no_lag()
    (address,) = [json.loads(line) for line in hook.log().splitlines() if '"listening for /job-status"' in line]
    with harness.NO_PROXY.open(harness.urllib.request.Request(f"http://127.0.0.1:{address['port']}/job-status/b", headers={"Authorization": "Bearer " + token}),
                               timeout=10) as answer:
        told = json.load(answer)
    assert told["task_id"] == "b" and told["result"] == {"email": "ada@example.com"} and told["delivery"]["state"] == "delivered"
    assert hook.metric("jobhook_commit_failures_total") == 0 and hook.metric("jobhook_attempt_records_dropped_total") == 0
    status, out, errors = hook.command("doctor")
    assert status == 0, out + errors
    status, out, errors = hook.command("dlq", "list")
    assert status != 0, out + errors
    assert hook.stop() == 0

    allow(secured, hook, "run", "User:operate")
    allow(secured, hook, "operate", "User:operate")
    wait_for(lambda: operator.command("dlq", "list")[0] == 0, 20, "letters may be read", 0.5)
    report = json.loads(operator.command("doctor", "--json")[1])
    assert not [f for f in report["findings"] if f["state"] == "broken" or "authoriz" in f["text"].lower()]
    assert operator.command("dlq", "replay", "--task", "c")[0] == 0
    assert len(operator.command("attempts", "--json")[1].splitlines()) == 7
    status, out, errors = operator.command("dlq", "purge", "--before", "0s", "--yes")
    assert status == 0, out + errors


def test_the_rights_as_text_and_as_commands(rig, secured):
    hook = rig.jobhook(**secured.settings("PLAIN"), JOBHOOK_GROUP="it's")
    status, lines, _ = hook.command("topics", "acls", "--kafka-acls", "--principal", "User:CN=job hook")
    assert status == 0
    asked = set()
    for words in (shlex.split(line) for line in lines.splitlines() if not line.startswith("#")):
        assert words[0] == "kafka-acls.sh" and "--add" in words
        options = list(zip(words, words[1:]))
        one = dict(options)
        assert one["--allow-principal"] == "User:CN=job hook" and one["--bootstrap-server"] == hook.settings["JOBHOOK_KAFKA_BROKERS"]
        kind = "topic" if "--topic" in one else "group"
        asked |= {(kind, one["--" + kind], one["--resource-pattern-type"], value) for name, value in options if name == "--operation"}
    roles = json.loads(hook.command("topics", "acls", "--json")[1])["roles"]
    assert asked == {(a["resource"], a["name"], a["pattern"], o) for role in roles for a in role["acls"] for o in a["operations"]}
    assert ("group", "it's", "literal", "Read") in asked and ("topic", rig.topic + ".retry.", "prefixed", "Write") in asked
    text = hook.command("topics", "acls")[1]
    assert [line.split(":")[0] for line in text.splitlines() if not line.startswith(" ")] == ["run", "create", "operate"]
    assert f"  topic  {rig.topic}.retry.*" in text
    for wrong in (["--role", "king"], ["--principal", "jobhook"], ["--json", "--kafka-acls"], ["more"]):
        status, out, errors = hook.command("topics", "acls", *wrong)
        assert status == 2 and errors and not out, wrong
