"""JOBHOOK_ATTEMPTS_TOPIC: each attempt leaves a small record, never in the way of a delivery; `jobhook attempts` reads them like tail -f."""
import json
import os
import subprocess

import jsonschema

import harness
from harness import PROJECT, event, wait_for

SCHEMA = os.path.join(PROJECT, "deploy", "schema", "attempt.schema.json")


def start(rig, create=True, **settings):
    topic = rig.topic + ".attempts"
    if create:
        rig.kafka.create_topics([topic], rig.partitions)
    return rig.jobhook(JOBHOOK_ATTEMPTS_TOPIC=topic, **settings).start(), topic


def attempts(rig, topic, count):
    wait_for(lambda: sum(rig.kafka.end_offsets(topic).values()) >= count, 30, f"{count} attempts", 0.2)
    return [json.loads(r.value) for r in rig.kafka.read(topic)]


def test_each_attempt_is_recorded_as_the_schema_says(rig):
    hook, topic = start(rig, JOBHOOK_RESPONSE_SNIPPET_BYTES=64)
    rig.publish(event("good", rig.receiver.url("500x2,ok")), event("refused", "http://127.0.0.1:1/hook?secret=1"), event("none"))
    records = attempts(rig, topic, 3 + 4)
    with open(SCHEMA) as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    for record in records:
        jsonschema.validate(record, schema)
        assert "secret" not in json.dumps(record)
    good = sorted((r for r in records if r["task_id"] == "good"), key=lambda r: r["attempt"])
    assert [(r["attempt"], r["outcome"], r["status"]) for r in good] == [(1, "http_500", 500), (2, "http_500", 500), (3, "http_200", 200)]
    assert {r["outcome"] for r in records if r["task_id"] == "refused"} == {"connect_refused"}
    places = {(r["event"]["partition"], r["event"]["offset"]) for r in good}
    assert len(places) == 1
    lying = {r.partition for r in rig.kafka.read(topic) if r.key == b"good"}
    assert lying == {places.pop()[0]}, "all of a task lie in its event's partition"
    metrics = hook.metrics()
    assert (metrics["jobhook_attempt_records_total"], metrics["jobhook_attempt_records_dropped_total"]) == (7, 0)

    code, output, _ = hook.command("attempts", "--json")
    assert code == 0 and sorted(map(json.dumps, map(json.loads, output.splitlines()))) == sorted(map(json.dumps, records))
    code, output, _ = hook.command("attempts", "--task", "good", "--outcome", "5xx", "--json")
    assert code == 0 and [json.loads(line)["attempt"] for line in output.splitlines()] == [1, 2]
    assert len(hook.command("attempts", "--outcome", "failed")[1].splitlines()) == 6
    assert len(hook.command("attempts", "--origin", "http://127.0.0.1:1", "--since", "1h")[1].splitlines()) == 4
    assert hook.command("attempts", "--since", "0s")[1] == ""
    for wrong in (["--since", "yesterday"], ["--what"], ["task"]):
        code, _, errors = hook.command("attempts", *wrong)
        assert code == 2 and errors, wrong
    code, _, errors = hook.command("attempts", JOBHOOK_ATTEMPTS_TOPIC="")
    assert code == 1 and "JOBHOOK_ATTEMPTS_TOPIC" in errors


def test_hostile_records_are_shown_and_not_obeyed(rig):
    hook, topic = start(rig)
    evil = json.dumps({"time": "2026-01-01T00:00:00Z", "task_id": "\x1b]0;owned\x07", "task_type": "t", "origin": "http://x\u202e", "attempt": 1, "epoch": 0,
                       "outcome": "http_200", "status": 200, "ms": {"total": 1}, "response": "\x1b[2J", "worker": "w", "event": {}})
    rig.kafka.produce(topic, [harness.record(v) for v in (evil.encode(), b"", b"{", b'{"time":"', b"\xff" * 100, b"[" * 5000, b'{"a":' * 2000)])
    code, output, errors = hook.command("attempts")
    assert code == 0 and "\x1b" not in output and "\x07" not in output and "\u202e" not in output
    assert "\\x1b]0;owned\\x07" in output and "6 records" in errors


def test_follow_shows_what_comes(rig, folder):
    hook, topic = start(rig)
    rig.publish(event("before", rig.receiver.url("ok")))
    attempts(rig, topic, 1)
    with open(os.path.join(folder, "followed"), "w") as file:
        follower = subprocess.Popen([harness.BINARY, "attempts", "--follow", "--json"], env=hook.environment(), stdout=file)
    try:
        def followed():
            rig.publish(event(f"after-{len(rig.receiver.requests())}", rig.receiver.url("ok")))
            with open(file.name) as lines:
                return [json.loads(line)["task_id"] for line in lines]
        seen = wait_for(followed, 30, "an attempt is followed", 0.5)
        assert "before" not in seen
    finally:
        follower.terminate()
        assert follower.wait(20) == 0


def test_without_its_topic_deliveries_go_on(rig):
    hook, _ = start(rig, create=False)
    rig.publish(*[event(f"t{i}", rig.receiver.url("ok")) for i in range(50)])
    rig.receiver.wait(50)
    rig.wait_no_lag()
    hook.command("topics", "create", "--replication", "1")
    assert rig.topic + ".attempts" in rig.kafka.topic_names()
