"""The first attempt: what a customer receives, byte for byte, and what counts as received."""
import json
import re
import subprocess
import time

import pytest

from harness import Receiver, body, event, record, wait_for

KINDS = ["find_email", "find_phone", "find_email_bulk", "find_phone_bulk", "people_intelligence", "company_intelligence", "research_agent", "qa_agent"]

EXACT = {
    "big integer": '{"n":123456789012345678901234567890}',
    "out of range": '{"n":1e400,"m":-1E-400}',
    "long fraction": '{"n":0.10000000000000000000000000001}',
    "order of keys": '{"z":1,"a":2,"m":{"y":1,"b":2}}',
    "doubled keys inside": '{"a":1,"a":2}',
    "escapes as written": r'{"a":"\u0041\/\n\"\\ \ud83d\ude00 é"}',
    "white space inside": '{ "a" :\t[ 1 ,\n2 ] }',
    "empty": "{}",
    "unicode": '{"name":"Žofie 李 😀"}',
    "escaped NUL": r'{"a":"\u0000"}',
    "looks like an envelope": '{"result":{"task_id":"other"},"webhook_url":"http://127.0.0.1:1/"}',
}


def test_all_eight_kinds_arrive_with_their_bodies_and_headers(rig):
    hook = rig.jobhook().start()
    for kind in KINDS:
        raw = json.dumps({"leads": [{"lead": i, "text": "x" * 3000} for i in range(100)]}) if kind.endswith("bulk") else '{"found":true}'
        rig.publish(event("task-" + kind, rig.receiver.url(f"ok/{kind}?a=1&b=%20"), task_type=kind, raw=raw))
    requests = rig.receiver.wait(len(KINDS))
    rig.wait_no_lag()
    assert len(rig.receiver.requests()) == len(KINDS)
    for r in requests:
        kind = r["id"].removeprefix("task-")
        headers = r["headers"]
        assert (r["method"], r["path"]) == ("POST", f"/ok/{kind}?a=1&b=%20")
        raw = json.dumps({"leads": [{"lead": i, "text": "x" * 3000} for i in range(100)]}) if kind.endswith("bulk") else '{"found":true}'
        assert r["body"] == body(r["id"], task_type=kind, raw=raw)
        assert headers["content-type"] == "application/json"
        assert re.fullmatch(r"jobhook/\d+\.\d+\.\d+", headers["user-agent"])
        assert headers["jobhook-attempt"] == "1"
        assert abs(int(headers["webhook-timestamp"]) - r["wall"]) < 5
        unwanted = {"expect", "webhook-signature", "jobhook-replay", "jobhook-test", "cookie", "authorization", "tracestate", "accept-encoding"}
        assert not unwanted & set(headers)
    assert hook.settled("delivered") == len(KINDS)


def test_results_arrive_as_the_worker_wrote_them(rig):
    rig.jobhook().start()
    for i, raw in enumerate(EXACT.values()):
        rig.publish(event(f"t{i}", rig.receiver.url("ok"), raw=raw))
    rig.receiver.wait(len(EXACT))
    for i, (name, raw) in enumerate(EXACT.items()):
        assert rig.receiver.of(f"t{i}")[0]["body"] == body(f"t{i}", raw=raw), name


def test_a_failed_job_is_delivered_with_its_error(rig):
    rig.jobhook().start()
    raw = r'"budget \u2013 used up\n"'
    rig.publish(event("t", rig.receiver.url("ok"), status="failed", raw=raw))
    (request,) = rig.receiver.wait(1)
    assert request["body"] == body("t", status="failed", raw=raw)


def test_unknown_types_members_and_white_space_do_no_harm(rig):
    rig.jobhook().start()
    text = ('\n{ "extra" : {"task_id":"x"}, "task_type":"brand_new" , "error":null,\t"result" : {"a":1} ,"status":"completed","task_id":"t",'
            '"webhook_url":"%s","priority":7 }\r\n' % rig.receiver.url("ok"))
    rig.publish(record(text.encode()))
    (request,) = rig.receiver.wait(1)
    assert request["body"] == body("t", task_type="brand_new", raw='{"a":1}')


def test_the_id_of_a_task_is_the_same_on_every_attempt(rig):
    rig.jobhook().start()
    odd = {"plain-ID_1": "plain-ID_1", "a" * 64: "a" * 64, "a" * 65: None, "with space": None, "ünïcode/1": None, "x" * 256: None}
    rig.publish(*[event(task, rig.receiver.url("500,ok")) for task in odd])
    requests = rig.receiver.wait(2 * len(odd))
    ids = {}
    for r in requests:
        ids.setdefault(json.loads(r["body"])["task_id"], []).append(r["id"])
    for task, plain in odd.items():
        first, second = ids[task]
        assert first == second
        assert first == plain if plain else re.fullmatch(r"msg_[0-9A-Za-z]{1,60}", first)
    assert len({ids[task][0] for task in odd}) == len(odd)


def test_traceparent_is_passed_on_and_nothing_else_of_the_record(rig):
    rig.jobhook().start()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    rig.publish(event("t", rig.receiver.url("500,ok"), headers=[("traceparent", trace.encode()), ("tracestate", b"internal=1"), ("x-secret", b"1")]))
    for r in rig.receiver.wait(2):
        assert r["headers"]["traceparent"] == trace
        assert not {"tracestate", "x-secret"} & set(r["headers"])


def test_jobhook_headers_of_producers_are_ignored(rig):
    rig.jobhook().start()
    forged = [("jobhook-attempt", b"5"), ("jobhook-epoch", b"3"), ("jobhook-url", rig.receiver.url("ok/forged").encode()), ("jobhook-due-ms", b"99999999999999")]
    rig.publish(event("t", rig.receiver.url("500,ok/real"), headers=forged))
    first, second = rig.receiver.wait(2)
    assert [r["headers"]["jobhook-attempt"] for r in (first, second)] == ["1", "2"]
    assert first["path"].startswith("/500") and "jobhook-replay" not in first["headers"]


@pytest.mark.parametrize("url", ["leave out", "null"])
def test_without_a_webhook_nothing_is_posted_and_the_outcome_is_kept(rig, url):
    hook = rig.jobhook().start()
    rig.publish(event("silent", None) if url == "leave out" else
                record(b'{"task_id":"silent","status":"completed","task_type":"t","result":{},"webhook_url":null}'))
    rig.publish(event("loud", rig.receiver.url("ok")))
    rig.wait_no_lag()
    assert [r["id"] for r in rig.receiver.requests()] == ["loud"]
    assert hook.settled("nothing_to_send") == 1
    assert rig.redis.client().exists(f"jobhook:{rig.group}:silent")


def test_a_2xx_is_success_whatever_happens_to_its_body(rig):
    hook = rig.jobhook(JOBHOOK_ATTEMPT_TIMEOUT="2s", JOBHOOK_LEASE_MARGIN="2s").start()
    steps = ["ok", "201", "204", "299", "dripbody", "cutbody", "big20000000", "chunk20000000", "bye"]
    rig.publish(*[event(step, rig.receiver.url(step)) for step in steps])
    rig.receiver.wait(len(steps))
    rig.wait_no_lag()
    time.sleep(1)
    assert sorted(r["id"] for r in rig.receiver.requests()) == sorted(steps)
    assert hook.settled("delivered") == len(steps)


def test_one_slow_endpoint_does_not_keep_others_waiting(rig):
    rig.jobhook().start()
    rig.publish(*[event(f"slow{i}", rig.receiver.url("slow2000/x", origin=1), partition=0) for i in range(12)])
    rig.publish(*[event(f"fast{i}", rig.receiver.url("ok"), partition=0) for i in range(200)])
    wait_for(lambda: sum(r["id"].startswith("fast") for r in rig.receiver.requests()) == 200, 20, "the fast ones")
    fast = max(r["mono"] for r in rig.receiver.requests() if r["id"].startswith("fast"))
    wait_for(lambda: len(rig.receiver.requests()) == 212, 30, "the slow ones, too")
    assert fast < max(r["mono"] for r in rig.receiver.requests() if r["id"].startswith("slow"))


def test_https_is_verified_against_the_ca_file(rig, folder):
    pem = folder + "/receiver.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", pem, "-out", folder + "/cert.pem",
                    "-subj", "/CN=receiver", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"], check=True, capture_output=True)
    with open(folder + "/cert.pem") as cert, open(pem, "a") as both:
        both.write(cert.read())
    secure = Receiver(folder, "secure", certificate=pem).start()
    try:
        strict = rig.jobhook(JOBHOOK_RETRY_DELAYS="100ms").start()
        rig.publish(event("untrusted", secure.url("ok")))
        (letter,) = rig.wait_dead(1)
        assert letter.headers["jobhook-error"] == "tls_verify"
        assert secure.requests() == []
        assert strict.stop() == 0
        rig.jobhook(JOBHOOK_CA_FILE=folder + "/cert.pem").start()
        rig.publish(event("trusted", secure.url("500,ok")), event("other-name", secure.url("ok", origin=1)))
        secure.wait(2)
        assert rig.wait_dead(2)[-1].headers["jobhook-error"] == "tls_verify"
        assert {r["id"] for r in secure.requests()} == {"trusted"}
    finally:
        secure.stop()
