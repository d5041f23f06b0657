"""Failed attempts: the schedule, never early, and the end in the dead-letter topic."""
import time

import pytest

from harness import event, free_ports, record, wait_for

EARLY_S = 0.002  # clocks are read in ms


def waits(requests):
    return [b["mono"] - a["mono"] for a, b in zip(requests, requests[1:])]


def assert_schedule(requests, delays_s, late_s=3):
    assert len(requests) == len(delays_s) + 1
    for wait, delay in zip(waits(requests), delays_s):
        assert delay - EARLY_S <= wait < delay + late_s, f"waited {wait}, should be {delay}"


@pytest.mark.same_everywhere
def test_the_default_schedule_is_kept_and_ends_in_the_dead_letter_topic(make_rig):
    rig = make_rig(delays="1s,2s,4s,8s,16s")
    rig.jobhook().start()
    always = event("always", rig.receiver.url("500/always"), headers=[("a", b"1"), ("n", None), ("a", b"2")], partition=3)
    ((partition, offset),) = rig.publish(always)
    rig.publish(event("last", rig.receiver.url("500x5,ok/last")), event("lost", rig.receiver.url("reset,close,garbage,302,404,503/lost")))
    began_ms = time.time() * 1000
    letters = {r.headers["jobhook-origin"]: r for r in rig.wait_dead(2, seconds=50)}
    for task in ("always", "last", "lost"):
        assert_schedule(rig.receiver.of(task), [1, 2, 4, 8, 16])
        assert [r["headers"]["jobhook-attempt"] for r in rig.receiver.of(task)] == list("123456")
    letter = letters[f"{rig.topic}/{partition}/{offset}"]
    assert (letter.key, letter.value) == (always["key"], always["value"])
    assert [h for h in letter.header_list if not h[0].startswith("jobhook-")] == always["headers"]
    assert (letter.headers["jobhook-reason"], letter.headers["jobhook-error"]) == ("exhausted", "http_500")
    assert (letter.headers["jobhook-attempt"], letter.headers["jobhook-epoch"]) == ("6", "0")
    assert abs(int(letter.headers["jobhook-first-ms"]) - began_ms) < 15000
    rig.wait_no_lag()
    assert len(rig.dead()) == 2


def test_retry_records_carry_the_event_untouched_and_the_attempt_in_headers(make_rig):
    rig = make_rig(delays="2s,3s")
    rig.jobhook().start()
    sent = event("t", rig.receiver.url("500,reset,ok"), headers=[("h", b"\xff\x00"), ("jobhook-attempt", b"77")])
    ((partition, offset),) = rig.publish(sent)
    rig.receiver.wait(1)
    (first,) = wait_for(lambda: rig.kafka.read(rig.topic + ".retry.2s"), 10, "the first retry record")
    assert (first.key, first.value, first.partition) == (sent["key"], sent["value"], partition)
    assert first.header_list[0] == ("h", b"\xff\x00")
    assert (first.headers["jobhook-attempt"], first.headers["jobhook-epoch"]) == ("2", "0")
    assert first.headers["jobhook-origin"] == f"{rig.topic}/{partition}/{offset}"
    assert first.headers["jobhook-error"] == "http_500"
    assert 1500 < int(first.headers["jobhook-due-ms"]) - first.timestamp_ms < 2010
    assert "jobhook-reason" not in first.headers and "jobhook-deferral" not in first.headers
    rig.receiver.wait(3)
    (second,) = rig.kafka.read(rig.topic + ".retry.3s")
    assert (second.headers["jobhook-attempt"], second.headers["jobhook-error"]) == ("3", "connection_lost")
    assert second.headers["jobhook-first-ms"] == first.headers["jobhook-first-ms"]
    rig.wait_no_lag()
    assert rig.dead() == []


FAILURES = {"500": "http_500", "302": "http_302", "404": "http_404", "503": "http_503", "429": "http_429", "reset": "connection_lost",
            "close": "connection_lost", "garbage": "bad_answer", "hang": "timeout", "drip": "timeout", "slow5000": "timeout"}


def test_every_kind_of_failure_is_retried_and_named(make_rig):
    rig = make_rig(delays="100ms")
    hook = rig.jobhook(JOBHOOK_ATTEMPT_TIMEOUT="1s", JOBHOOK_LEASE_MARGIN="2s").start()
    closed_port = free_ports(1)[0]
    rig.publish(*[event(step, rig.receiver.url(step)) for step in FAILURES], event("refused", f"http://127.0.0.1:{closed_port}/"),
                event("silent", rig.receiver.url("ok", origin=1).replace("http:", "https:")))
    letters = {r.key.decode(): r for r in rig.wait_dead(len(FAILURES) + 2, seconds=40)}
    for step, error in FAILURES.items():
        assert (letters[step].headers["jobhook-reason"], letters[step].headers["jobhook-error"]) == ("exhausted", error), step
        assert len(rig.receiver.of(step)) == 2, step
    assert letters["refused"].headers["jobhook-error"] == "connect_refused"
    assert letters["silent"].headers["jobhook-error"] == "connect_timeout"  # its TLS handshake is never answered
    assert hook.metric('jobhook_dead_letters_total{reason="exhausted"}') == len(FAILURES) + 2


def test_redirects_are_not_followed(rig):
    rig.jobhook().start()
    rig.publish(event("t", rig.receiver.url("302,ok/here")))
    requests = rig.receiver.wait(2)
    assert [r["path"] for r in requests] == ["/302,ok/here"] * 2


def test_final_statuses_are_not_retried(rig):
    rig.jobhook(JOBHOOK_FINAL_STATUSES="410,404").start()
    rig.publish(event("gone", rig.receiver.url("410")), event("other", rig.receiver.url("400,ok")))
    (letter,) = rig.wait_dead(1)
    assert (letter.key, letter.headers["jobhook-reason"], letter.headers["jobhook-error"]) == (b"gone", "final_status", "http_410")
    rig.wait_no_lag()
    assert (len(rig.receiver.of("gone")), len(rig.receiver.of("other"))) == (1, 2)


def test_an_empty_schedule_means_one_attempt(make_rig):
    rig = make_rig(delays="1s")
    rig.jobhook(JOBHOOK_RETRY_DELAYS="").start()
    rig.publish(event("t", rig.receiver.url("500")))
    (letter,) = rig.wait_dead(1)
    assert letter.headers["jobhook-reason"] == "exhausted" and len(rig.receiver.requests()) == 1


@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_a_retry_outlives_the_process_and_is_not_early(make_rig, ending):
    rig = make_rig(delays="4s")
    hook = rig.jobhook(KAFKA_SESSION_TIMEOUT_MS=6000).start()
    rig.publish(event("t", rig.receiver.url("500,ok")))
    rig.receiver.wait(1)
    wait_for(lambda: sum(rig.kafka.end_offsets(rig.topic + ".retry.4s").values()), 10, "the retry record")
    getattr(hook, ending)()
    rig.jobhook(KAFKA_SESSION_TIMEOUT_MS=6000).start()
    rig.receiver.wait(2, seconds=30)
    assert_schedule(rig.receiver.of("t"), [4], late_s=20)


def test_changing_the_schedule_leaves_no_record_behind(make_rig):
    rig = make_rig(delays="3s,700ms")
    rig.kafka.create_topics([rig.topic + ".retry.500ms"], 4)
    hook = rig.jobhook().start()
    rig.publish(*[event(f"old{i}", rig.receiver.url("500,ok")) for i in range(200)])
    rig.receiver.wait(200)
    hook.stop()
    rig.jobhook(JOBHOOK_RETRY_DELAYS="500ms").start()
    rig.publish(*[event(f"new{i}", rig.receiver.url("500,ok")) for i in range(200)])
    rig.receiver.wait(800, seconds=30)
    rig.wait_no_lag()
    assert len(rig.receiver.requests()) == 800 and rig.dead() == []
    for i in range(200):
        assert_schedule(rig.receiver.of(f"old{i}"), [3], late_s=20)
        assert_schedule(rig.receiver.of(f"new{i}"), [0.5], late_s=10)


def test_an_attempt_beyond_the_schedule_is_made_once(rig):
    rig.jobhook().start()
    now = str(int(time.time() * 1000)).encode()
    headers = [("jobhook-attempt", b"9"), ("jobhook-epoch", b"0"), ("jobhook-due-ms", now), ("jobhook-first-ms", now),
               ("jobhook-origin", f"{rig.topic}/0/0".encode()), ("jobhook-error", b"http_500")]
    rig.kafka.produce(rig.topic + ".retry.100ms", [event("beyond", rig.receiver.url("500"), headers=headers)])
    (letter,) = rig.wait_dead(1)
    (request,) = rig.receiver.requests()
    assert (letter.headers["jobhook-reason"], request["headers"]["jobhook-attempt"]) == ("exhausted", "9")


BAD_HEADERS = {
    "none at all": [],
    "attempt 0": [("jobhook-attempt", b"0")],
    "attempt no number": [("jobhook-attempt", b"two")],
    "attempt huge": [("jobhook-attempt", b"99999999999999999999")],
    "due no number": [("jobhook-due-ms", b"-")],
    "origin cut": [("jobhook-origin", b"topic/1")],
    "epoch negative": [("jobhook-epoch", b"-1")],
}


def test_unreadable_headers_on_a_retry_topic_are_dead_lettered(rig):
    rig.jobhook().start()
    now = str(int(time.time() * 1000)).encode()
    good = {"jobhook-attempt": b"2", "jobhook-epoch": b"0", "jobhook-due-ms": now, "jobhook-first-ms": now, "jobhook-origin": f"{rig.topic}/0/0".encode()}
    records = []
    for name, bad in BAD_HEADERS.items():
        headers = list({**good, **dict(bad)}.items()) if bad else [("other", b"1")]
        records.append(event(name, rig.receiver.url("ok"), headers=headers, partition=0))
    records.append(event("neighbour", rig.receiver.url("ok"), headers=list(good.items()), partition=0))
    rig.kafka.produce(rig.topic + ".retry.100ms", records)
    letters = {r.key.decode(): r for r in rig.wait_dead(len(BAD_HEADERS))}
    rig.receiver.wait(1)
    for name in BAD_HEADERS:
        assert letters[name].headers["jobhook-reason"] == "invalid_headers", name
    assert [r["id"] for r in rig.receiver.requests()] == ["neighbour"]


def test_a_due_time_far_ahead_is_not_believed(rig):
    """A writer's clock that is off must not hold up the topic: a head waits its topic's delay and a second at most."""
    rig.jobhook().start()
    now = int(time.time() * 1000)
    headers = [("jobhook-attempt", b"2"), ("jobhook-epoch", b"0"), ("jobhook-due-ms", str(now + 3600_000).encode()),
               ("jobhook-first-ms", str(now).encode()), ("jobhook-origin", f"{rig.topic}/0/0".encode())]
    rig.kafka.produce(rig.topic + ".retry.200ms", [event("ahead", rig.receiver.url("ok"), headers=headers)])
    rig.receiver.wait(1, seconds=15)


def test_a_null_key_stays_null_through_retries_and_dead_letter(make_rig):
    rig = make_rig(delays="100ms")
    rig.jobhook().start()
    keyless = record(event("t", rig.receiver.url("500"))["value"])
    rig.publish(keyless, event("empty-key", rig.receiver.url("500"), key=b""))
    letters = {r.headers["jobhook-origin"]: r for r in rig.wait_dead(2)}
    assert sorted((r.key for r in letters.values()), key=repr) == sorted([None, b""], key=repr)
