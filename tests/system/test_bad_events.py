"""Events that cannot or must not be delivered: each goes to the dead-letter topic untouched, and the events around it are delivered."""
import time

from harness import event, record


def members(**changes):
    """An event's text from its members' texts; None leaves one out."""
    texts = {"task_id": '"t"', "status": '"completed"', "task_type": '"find_email"', "result": "{}", "error": None, "webhook_url": None, **changes}
    return "{" + ",".join(f'"{name}":{text}' for name, text in texts.items() if text is not None) + "}"


def deep(levels):
    return '{"a":' + "[" * levels + "]" * levels + "}"


MALFORMED = {
    "empty": b"", "no value": None, "white space": b" \n", "truncated": members()[:-1].encode(), "cut in a string": b'{"task_id":"t',
    "not JSON": b"hello", "array": b"[]", "null": b"null", "string": b'"t"', "number": b"1", "two objects": (members() * 2).encode(),
    "rubbish behind": members().encode() + b"x", "comma behind": members()[:-1].encode() + b",}", "byte order mark": b"\xef\xbb\xbf" + members().encode(),
    "NUL behind": members().encode() + b"\0", "NUL inside": members(result='{"a":"\0"}').encode(), "UTF-16": members().encode("utf-16"),
    "comment": b"/* x */" + members().encode(), "single quotes": members().replace('"', "'").encode(), "NaN": members(result='{"a":NaN}').encode(),
    "leading zero": members(result='{"a":01}').encode(), "form feed": b"\f" + members().encode(), "bare control": members(result='{"a":"\x01"}').encode(),
    "schema registry frame": b"\x00\x00\x00\x00\x2a" + members().encode(),
    "no task_id": members(task_id=None).encode(), "no status": members(status=None).encode(), "no task_type": members(task_type=None).encode(),
    "no result": members(result=None).encode(), "no error": members(status='"failed"', result=None).encode(),
    "task_id number": members(task_id="1").encode(), "task_id null": members(task_id="null").encode(), "task_id empty": members(task_id='""').encode(),
    "task_id long": members(task_id='"%s"' % ("x" * 257)).encode(), "task_id newline": members(task_id=r'"a\nb"').encode(),
    "task_id NUL": members(task_id=r'"a\u0000"').encode(), "task_id DEL": members(task_id='"a\x7f"').encode(),
    "task_id half a pair": members(task_id=r'"\ud800"').encode(), "task_id object": members(task_id="{}").encode(),
    "status other": members(status='"done"').encode(), "status capital": members(status='"Completed"').encode(), "status true": members(status="true").encode(),
    "task_type number": members(task_type="1").encode(), "task_type empty": members(task_type='""').encode(),
    "task_type long": members(task_type='"%s"' % ("x" * 129)).encode(), "task_type control": members(task_type=r'"a\rb"').encode(),
    "result array": members(result="[]").encode(), "result string": members(result='"x"').encode(), "result null": members(result="null").encode(),
    "result with failed": members(status='"failed"', error='"e"').encode(), "error with completed": members(error='"e"').encode(),
    "error object": members(status='"failed"', result=None, error="{}").encode(), "error null": members(status='"failed"', result=None, error="null").encode(),
    "webhook_url number": members(webhook_url="1").encode(), "webhook_url object": members(webhook_url="{}").encode(),
    "doubled task_id": (members()[:-1] + ',"task_id":"t"}').encode(), "doubled result": (members()[:-1] + ',"result":{}}').encode(),
    "doubled by escape": (members()[:-1] + r',"task\u005fid":"u"}').encode(), "doubled other": (members()[:-1] + ',"x":1,"x":1}').encode(),
    "bad UTF-8 in result": members(result='{"a":"?"}').encode().replace(b"?", b"\xff"), "overlong UTF-8": members(result='{"a":"?"}').encode().replace(b"?", b"\xc0\xaf"),
    "surrogate in UTF-8": members(result='{"a":"?"}').encode().replace(b"?", b"\xed\xa0\x80"), "bad UTF-8 elsewhere": (members()[:-1] + ',"x":"?"}').encode().replace(b"?", b"\x80"),
    "too deep": members(result=deep(600)).encode(), "far too deep": members(result=deep(200000)).encode(),
}


def test_malformed_events_go_to_the_dead_letter_topic_untouched(make_rig):
    rig = make_rig(partitions=2)
    hook = rig.jobhook().start()
    records, places = [], {}
    for i, (name, value) in enumerate(MALFORMED.items()):
        records += [event(f"before-{i}", rig.receiver.url("ok"), partition=0),
                    record(value, name.encode(), headers=[("name", name.encode()), ("jobhook-reason", b"forged")], partition=0)]
    for r, place in zip(records, rig.publish(*records)):
        places["%s/%d/%d" % (rig.topic, *place)] = r
    letters = rig.wait_dead(len(MALFORMED))
    rig.receiver.wait(len(MALFORMED))
    rig.wait_no_lag()
    assert len(rig.receiver.requests()) == len(MALFORMED)
    assert len(letters) == len(MALFORMED)
    for letter in letters:
        sent = places[letter.headers["jobhook-origin"]]
        name = sent["key"].decode()
        assert (letter.key, letter.value) == (sent["key"], sent["value"]), name
        assert letter.header_list[0] == ("name", sent["key"]), name
        assert letter.headers["jobhook-reason"] == "invalid_event", name
    framed = next(r for r in letters if r.key == b"schema registry frame")
    assert "schema" in " ".join(v for n, v in framed.headers.items() if n.startswith("jobhook-")).lower()
    assert hook.metric('jobhook_dead_letters_total{reason="invalid_event"}') == len(MALFORMED)
    assert not list(rig.redis.client().scan_iter("*:t"))  # a corrected event must not be suppressed


def test_values_in_odd_places_are_fine(rig):
    """What looks wrong and is not."""
    rig.jobhook().start()
    fine = {"long-id": "x" * 256, "pair": "\U0001f600", "space": " "}
    rig.publish(*[event(task, rig.receiver.url("ok")) for task in fine.values()], event("deep", rig.receiver.url("ok"), raw=deep(400)),
                event("long-type", rig.receiver.url("ok"), task_type="y" * 128))
    rig.receiver.wait(5)
    assert rig.dead() == []


def test_urls_that_may_not_be_called_are_final(rig):
    hook = rig.jobhook(JOBHOOK_EGRESS_DENY="127.0.0.2/32").start()
    port = rig.receiver.addresses[0].split(":")[1]
    denied_port = rig.receiver.addresses[1].split(":")[1]
    # Should the policy fail, each of these would still only reach this machine.
    urls = [f"http://127.0.0.2:{denied_port}/ok", f"http://[::1]:{port}/ok", f"http://localhost:{port}/ok", f"http://user@127.0.0.1:{port}/ok",
            f"http://127.1:{port}/ok", f"http://2130706433:{port}/ok", f"http://0x7f.0.0.1:{port}/ok", f"ftp://127.0.0.1:{port}/ok", "http://127.0.0.1:99999/ok",
            f"http://127.0.0.1:{port}\\@x/ok", f"http://[::ffff:127.0.0.1]:{port}/ok", "not a url", "//127.0.0.1/ok", f"http://0.0.0.0:{port}/ok",
            f"http://127.0.0.1:{port}/" + "x" * 9000, f"http://foo.localhost:{port}/ok", f"http://127.0.0.1:{port}/o k", f"http://127.0.0.1:{port}/é"]
    sent = [event(f"t{i}", url, partition=0) for i, url in enumerate(urls)]
    rig.publish(*sent, event("fine", rig.receiver.url("ok"), partition=0))
    letters = {r.key.decode(): r for r in rig.wait_dead(len(urls))}
    rig.receiver.wait(1)
    rig.wait_no_lag()
    for i, url in enumerate(urls):
        assert letters[f"t{i}"].headers["jobhook-reason"] == "blocked_url", url[:80]
        assert letters[f"t{i}"].value == sent[i]["value"]
    assert [r["id"] for r in rig.receiver.requests()] == ["fine"]
    assert sum(v for n, v in hook.metrics().items() if n.startswith("jobhook_blocked_total")) == len(urls)


def test_plain_http_can_be_forbidden(rig):
    rig.jobhook(JOBHOOK_ALLOW_HTTP="false").start()
    rig.publish(event("t", rig.receiver.url("ok")))
    (letter,) = rig.wait_dead(1)
    assert letter.headers["jobhook-reason"] == "blocked_url" and rig.receiver.requests() == []


def test_old_events_expire_unsent(rig):
    rig.jobhook(JOBHOOK_MAX_EVENT_AGE="1h").start()
    now = int(time.time() * 1000)
    rig.publish(event("old", rig.receiver.url("ok"), timestamp=now - 2 * 3600_000), event("young", rig.receiver.url("ok"), timestamp=now - 1800_000))
    (letter,) = rig.wait_dead(1)
    rig.receiver.wait(1)
    assert (letter.key, letter.headers["jobhook-reason"]) == (b"old", "expired")
    assert [r["id"] for r in rig.receiver.requests()] == ["young"]


def test_a_retry_that_is_due_too_long_ago_expires(rig):
    rig.jobhook(JOBHOOK_MAX_EVENT_AGE="1h").start()
    long_ago = str(int(time.time() * 1000) - 2 * 3600_000).encode()
    headers = [("jobhook-attempt", b"2"), ("jobhook-epoch", b"0"), ("jobhook-due-ms", long_ago), ("jobhook-first-ms", long_ago),
               ("jobhook-origin", f"{rig.topic}/0/0".encode())]
    rig.kafka.produce(rig.topic + ".retry.100ms", [event("late", rig.receiver.url("ok"), headers=headers)])
    (letter,) = rig.wait_dead(1)
    assert letter.headers["jobhook-reason"] == "expired" and rig.receiver.requests() == []


def test_an_event_published_twice_is_posted_once(rig):
    hook = rig.jobhook().start()
    same = event("t", rig.receiver.url("slow300"))
    rig.publish(same, same, same)
    rig.publish({**same, "partition": 0}, {**same, "partition": 1})
    rig.wait_no_lag(30)
    assert len(rig.receiver.requests()) == 1
    assert (hook.settled("delivered"), hook.settled("skipped")) == (1, 4)
    assert rig.dead() == []


def test_a_different_event_under_the_same_id_is_a_conflict(rig):
    rig.jobhook().start()
    first = event("t", rig.receiver.url("ok"), raw='{"v":1}', partition=1)
    rig.publish(first)
    rig.receiver.wait(1)
    rig.wait_no_lag()
    other = event("t", rig.receiver.url("ok"), raw='{"v":2}', partition=2)
    elsewhere = event("t", rig.receiver.url("ok/elsewhere"), raw='{"v":1}', partition=2)
    ignored = record(first["value"][:-1] + b',"worker":"b"}', b"t", partition=2)  # ignored members make no difference
    rig.publish(other, elsewhere, ignored)
    letters = rig.wait_dead(2)
    rig.wait_no_lag()
    assert [r.value for r in letters] == [other["value"], elsewhere["value"]]
    assert {r.headers["jobhook-reason"] for r in letters} == {"task_id_conflict"}
    assert len(rig.receiver.requests()) == 1 and len(rig.dead()) == 2


def test_events_up_to_the_limit_are_delivered_and_larger_ones_are_dead_letters(make_rig):
    rig = make_rig(max_message_bytes=12 << 20)
    rig.jobhook().start()
    limit = 8 << 20
    fits = event("fits", rig.receiver.url("500,ok"), raw='{"a":"%s"}' % ("x" * (limit - 4096)))
    over = event("over", rig.receiver.url("ok"), raw='{"a":"%s"}' % ("y" * limit))
    rig.publish(over, fits, event("small", rig.receiver.url("ok")))
    (letter,) = rig.wait_dead(1, seconds=30)
    assert (letter.key, letter.value == over["value"], letter.headers["jobhook-reason"]) == (b"over", True, "too_large")
    rig.receiver.wait(3, seconds=30)
    rig.wait_no_lag()
    assert {r["id"]: r["bytes"] > limit - 4096 for r in rig.receiver.requests()} == {"fits": True, "small": False}


def test_a_dead_letter_too_large_for_its_topic_is_shortened(make_rig):
    rig = make_rig(topics=False)
    rig.kafka.create_topics([rig.topic], 1, max_message_bytes=4 << 20)
    rig.kafka.create_topics(rig.all_topics()[1:], 1, max_message_bytes=200_000)
    rig.jobhook().start()
    ((partition, offset),) = rig.publish(record(b"x" * (1 << 20), b"big"))
    rig.publish(event("next", rig.receiver.url("ok")))
    (letter,) = rig.wait_dead(1, seconds=30)
    rig.receiver.wait(1)
    rig.wait_no_lag()
    assert len(letter.value) < 200_000 and b"x" * (1 << 20) != letter.value
    assert letter.headers["jobhook-origin"] == f"{rig.topic}/{partition}/{offset}"


def test_a_retry_too_large_for_its_topic_is_a_dead_letter_at_once(make_rig):
    rig = make_rig(topics=False)
    rig.kafka.create_topics([rig.topic, rig.dlq], 1, max_message_bytes=4 << 20)
    rig.kafka.create_topics(rig.all_topics()[2:], 1, max_message_bytes=200_000)
    rig.jobhook().start()
    rig.publish(event("big", rig.receiver.url("500,ok"), raw='{"a":"%s"}' % ("x" * (1 << 20))), event("next", rig.receiver.url("ok")))
    (letter,) = rig.wait_dead(1, seconds=30)
    rig.wait_no_lag()
    assert (letter.key, len(rig.receiver.of("big")), len(rig.receiver.of("next"))) == (b"big", 1, 1)
