"""publish, send and reindex against a real Kafka, Redis and receiver."""
import json
import os
import re
import subprocess
import urllib.error
import urllib.request

import certificates
import harness
from harness import event


def lines(folder, *texts):
    path = os.path.join(folder, "events.jsonl")
    with open(path, "wb") as f:
        f.write(b"\n".join(t if isinstance(t, bytes) else t.encode() for t in texts) + b"\n")
    return path


def value(task, url):
    return event(task, url)["value"]


# ---- publish ----


def test_published_lines_are_delivered_byte_for_byte(rig, folder):
    hook = rig.jobhook().start()
    odd = event("odd", rig.receiver.url("ok"), raw='{"n":1e400,"n":12345678901234567890,"s":"\\u00e9"}')["value"]
    path = lines(folder, value("t1", rig.receiver.url("ok")), b"", odd, value("poll", None))
    code, output, errors = hook.command("publish", path, "--check")
    assert (code, output, errors) == (0, "3 are fine, 0 refused\n", "")
    assert sum(rig.kafka.end_offsets(rig.topic).values()) == 0
    code, output, errors = hook.command("publish", path)
    assert (code, output, errors) == (0, "3 published, 0 refused\n", "")
    rig.receiver.wait(2)
    assert {(r.key, r.value) for r in rig.kafka.read(rig.topic)} == {(b"t1", value("t1", rig.receiver.url("ok"))), (b"odd", odd), (b"poll", value("poll", None))}
    assert '"n":1e400,"n":12345678901234567890' in rig.receiver.of("odd")[0]["body"]


def test_wrong_lines_are_named_and_the_others_written(rig, folder):
    ok = rig.receiver.url("ok")
    path = lines(folder, "nonsense", value("t1", ok), '{"task_id":"x"}', value("in", "http://10.0.0.1/x"), "\x00\xff\x1b[2J", value("t2", ok), b"[" * 100000)
    code, output, errors = rig.jobhook().command("publish", path)
    assert code == 1 and output == "2 published, 5 refused\n"
    assert [line.split(":")[0] for line in errors.splitlines()] == ["line 1", "line 3", "line 4", "line 5", "line 7"]
    assert "line 4: webhook_url may not be called: address" in errors and "\x1b" not in errors
    assert sorted(r.key for r in rig.kafka.read(rig.topic)) == [b"t1", b"t2"]


def test_publish_reads_standard_input_and_says_what_is_missing(rig, folder):
    tool = rig.jobhook()
    result = subprocess.run([harness.BINARY, "publish", "-"], input=value("t1", None), env=tool.environment(), capture_output=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, b"1 published, 0 refused\n")
    assert "No such file" in tool.command("publish", "/nowhere")[2]
    assert tool.command("publish")[0] == 2 and tool.command("publish", "a", "--rate", "0")[0] == 2
    code, _, errors = tool.command("publish", lines(folder, value("t", None)), JOBHOOK_TOPIC="not.there")
    assert code == 1 and "there is no such topic" in errors


# ---- send ----


KINDS = ["find_email", "find_phone", "find_email_bulk", "find_phone_bulk", "people_intelligence", "company_intelligence", "research_agent", "qa_agent"]


def test_send_shows_each_step_and_the_receiver_gets_a_test_event(rig):
    tool = rig.jobhook(JOBHOOK_SIGNING_KEYS="whsec_" + "QUFB" * 8)
    for kind in KINDS:
        code, output, errors = tool.command("send", rig.receiver.url("ok"), "--type", kind)
        assert (code, errors) == (0, ""), output
        for part in ("policy    allowed, origin http://127.0.0.1:", "address   127.0.0.1, allowed", "request   POST, ", "webhook-signature: v1,",
                     "jobhook-test: 1", "answer    HTTP status 200", "times     name ", "verdict   delivered"):
            assert part in output, part
    requests = rig.receiver.wait(len(KINDS))
    assert [json.loads(r["body"])["task_type"] for r in requests] == KINDS
    assert all(r["headers"]["jobhook-test"] == "1" and r["id"].startswith("test-") and "webhook-signature" in r["headers"] for r in requests)
    assert not rig.kafka.read(rig.topic) and not rig.redis.client().keys()


def test_send_says_how_it_failed(rig):
    tool, hasty = rig.jobhook(), rig.jobhook(JOBHOOK_ATTEMPT_TIMEOUT="1s")
    assert "none: timeout" in hasty.command("send", rig.receiver.url("hang"))[1]
    for url, parts in ((rig.receiver.url("503r7"), ["HTTP status 503", "Retry-After: 7 s", "an event would be retried", "not signed"]),
                       ("http://127.0.0.1:1/", ["none: connect_refused"]),
                       ("http://10.1.2.3/", ["refused (address)"]), ("http://localhost/", ["refused (host_name)"]), ("ftp://a.example.com/", ["refused (scheme)"]),
                       ("https://" + rig.receiver.addresses[0] + "/", ["answer    none: ", "TLS       not reached"])):
        code, output, _ = tool.command("send", url)
        assert code == 1, url
        for part in parts:
            assert part in output, (part, output)
    code, output, _ = tool.command("send", rig.receiver.url("ok"), "--failed")
    assert code == 0 and '"error":"this is a test' in output
    assert tool.command("send", "http://x/", "--type", "lunch")[0] == 2 and tool.command("send")[0] == 2
    code, _, errors = tool.command("send", "")
    assert code == 2 and "the URL is empty" in errors
    assert tool.command("send", "http://a.example.com/" + "x" * 9000)[0] == 1


def test_send_shows_the_connection_and_the_certificate_of_a_receiver(folder):
    authority = certificates.Authority(folder, "our-ca")
    environment = {**os.environ, "JOBHOOK_KAFKA_BROKERS": "127.0.0.1:1", "JOBHOOK_REDIS_URL": "redis://127.0.0.1:1", "JOBHOOK_EGRESS_ALLOW": "127.0.0.0/8",
                   "JOBHOOK_CA_FILE": authority.pem}
    valid, expired = r"valid     \S+Z to \S+Z, still 2\d d", r"valid     \S+Z to \S+Z, expired for [12] d"
    cases = [("good", {}, ["the certificate is valid for this host", "answer    HTTP status 200", valid]),
             ("late", {"days": -1}, ["the certificate is not trusted", "certificate has expired", expired]),
             ("elsewhere", {"names": "DNS:other.example"}, ["the certificate is not trusted", "not for this host", valid])]
    for name, certificate, parts in cases:
        receiver = harness.Receiver(folder, certificate=authority.sign(name, **certificate)[2]).start()
        try:
            result = subprocess.run([harness.BINARY, "send", receiver.url("ok")], env=environment, capture_output=True, text=True, timeout=60)
        finally:
            receiver.stop()
        assert result.returncode == (name != "good"), result.stdout + result.stderr
        for part in [r"TLS       TLSv1\.3, ", f"subject   CN={name}\n", "issuer    CN=our-ca\n", *parts]:
            assert re.search(part, result.stdout), (part, result.stdout)
        if name != "late":  # there is a cipher once the handshake is over
            assert re.search(r"TLS       TLSv1\.3, TLS_\w+(, http/1\.1)?, ", result.stdout), result.stdout


def test_send_through_kafka_follows_the_event_to_its_end(rig):
    hook = rig.jobhook().start()
    code, output, errors = hook.command("send", rig.receiver.url("500,ok"), "--through-kafka")
    assert code == 0 and f"kafka     written to {rig.topic}" in output and "state     delivered (epoch 0)" in output, output + errors
    code, output, _ = hook.command("send", rig.receiver.url("500"), "--through-kafka")
    assert code == 1 and "state     dead (epoch 0)" in output


# ---- reindex ----


def test_reindex_writes_pointers_only_where_nothing_is_known(rig):
    hook = rig.jobhook().start()
    rig.publish(*[event(f"t{i}", rig.receiver.url("ok")) for i in range(20)], harness.record(b"{", b"x"))
    rig.receiver.wait(20)
    rig.wait_no_lag()
    client = rig.redis.client()
    keys = {k: client.get(k) for k in client.keys() if b":t" in k}
    client.delete(*[k for k in keys if not k.endswith(b"t7")])
    code, output, errors = hook.command("reindex", "--since", "1h", "--dry-run")
    assert code == 0 and output.startswith("21 events read, 1 that are no events"), errors
    code, output, errors = hook.command("reindex", "--since", "1h")
    assert code == 0 and "21 events read, 19 pointers written, 1 known already, 1 that are no events" in output, errors
    for key, record in keys.items():
        assert client.get(key)[15:35] == record[15:35], "digest, partition and offset"
        assert (client.get(key) == record) == key.endswith(b"t7")
        assert client.pttl(key) > 0
    assert "0 pointers written, 20 known already" in hook.command("reindex", "--since", "1h")[1]
    rig.publish(event("t3", rig.receiver.url("ok")))  # a pointer suppresses nothing
    rig.receiver.wait(21)
    assert hook.command("reindex")[0] == 2
    rig.redis.kill()
    code, _, errors = hook.command("reindex", "--since", "1h")
    assert code == 1 and "Redis does not answer" in errors


def test_tasks_can_be_polled_again_after_a_reindex(rig):
    token, (port,) = "t" * 40, harness.free_ports(1)
    hook = rig.jobhook(JOBHOOK_API_TOKENS=token, JOBHOOK_API_LISTEN=f"127.0.0.1:{port}").start()
    rig.publish(event("t1", rig.receiver.url("ok")))
    rig.receiver.wait(1)
    rig.wait_no_lag()
    rig.redis.client().flushall()

    def poll():
        request = urllib.request.Request(f"http://127.0.0.1:{port}/job-status/t1", headers={"Authorization": "Bearer " + token})
        try:
            with harness.NO_PROXY.open(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as problem:
            return problem.code, None
    assert poll() == (404, None)
    assert hook.command("reindex", "--since", "1h")[0] == 0
    status, body = poll()
    assert status == 200 and body["result"] == {"email": "ada@example.com"} and body["delivery"]["state"] == "unknown"
