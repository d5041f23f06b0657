"""`jobhook status` and `jobhook forget`: all that is known of one task, and its end."""
import json
import time

import pytest

from harness import event, wait_for


def status(hook, task, *more):
    return hook.command("status", task, *more)


def known(hook, task, state):
    def there():
        code, output, _ = status(hook, task, "--json")
        return code == 0 and (answer := json.loads(output))["delivery"]["state"] == state and answer
    return wait_for(there, 30, f"{task} is {state}", 0.2)


def test_one_command_says_where_a_webhook_is(make_rig):
    rig = make_rig(delays="100ms,1m")
    topic = rig.topic + ".attempts"
    rig.kafka.create_topics([topic], rig.partitions)
    hook = rig.jobhook(JOBHOOK_ATTEMPTS_TOPIC=topic).start()
    rig.publish(event("good", rig.receiver.url("ok")), event("waits", rig.receiver.url("503")), event("dead", "http://localhost/secret"), event("none"))
    good = known(hook, "good", "delivered")
    assert good["delivery"]["attempts"] == 1 and good["delivery"]["last_outcome"] == "http_200" and good["event"]["state"] == "found"
    assert wait_for(lambda: json.loads(status(hook, "good", "--json")[1])["attempts"], 20, "its attempt", 0.2)[0]["outcome"] == "http_200"
    known(hook, "none", "nothing_to_send")
    dead = known(hook, "dead", "dead")
    (letter,) = dead["dead_letters"]
    (record,) = rig.wait_dead(1)
    assert (letter["reason"], letter["partition"], letter["offset"]) == ("blocked_url", record.partition, record.offset)
    assert dead["complete"] is True and "secret" not in json.dumps(dead)
    wait_for(lambda: json.loads(status(hook, "waits", "--json")[1])["delivery"]["attempts"] == 2, 30, "the second attempt failed", 0.2)
    code, output, _ = status(hook, "waits")
    assert code == 0 and "scheduled after 2 attempts, the last ended with http_503" in output and "next attempt" in output
    assert f"{rig.topic}/" in output and "#1  http_503" in output

    code, output, errors = status(hook, "never")
    assert (code, output) == (1, "") and "nothing is known" in errors
    assert json.loads(status(hook, "never", "--json")[1]) == {"error": "not_found"}
    for wrong in ([], ["--what"], ["a", "b"], [""], ["x" * 257]):
        assert hook.command("status", *wrong)[0] == 2, wrong


def test_forgetting_erases_what_redis_has_and_lists_what_remains(make_rig):
    rig = make_rig(delays="100ms")
    topic = rig.topic + ".attempts"
    rig.kafka.create_topics([topic], rig.partitions)
    hook = rig.jobhook(JOBHOOK_ATTEMPTS_TOPIC=topic).start()
    rig.publish(event("t", rig.receiver.url("500")), event("other", rig.receiver.url("500")))
    known(hook, "t", "dead")
    known(hook, "other", "dead")
    wait_for(lambda: sum(rig.kafka.end_offsets(topic).values()) >= 4, 20, "the attempts are recorded", 0.2)
    code, output, _ = hook.command("forget", "t", "--dry-run", "--json")
    answer = json.loads(output)
    assert code == 0 and answer["redis"] == "kept" and answer["complete"]
    assert sorted(copy["topic"] for copy in answer["copies"]) == sorted([rig.topic, rig.topic + ".retry.100ms", rig.dlq, topic, topic])
    assert all(copy["kept_until"] > copy["time"] > "2020" for copy in answer["copies"])
    known(hook, "t", "dead")
    code, output, errors = hook.command("forget", "t")
    assert code == 0 and "Redis: erased" in output and rig.dlq in output, errors
    assert status(hook, "t")[0] == 1
    known(hook, "other", "dead")
    code, output, errors = hook.command("forget", "t")
    assert code == 1 and "nothing known" in output
    assert hook.command("forget")[0] == 2


def test_what_redis_holds_and_nobody_can_read_is_erased_and_its_copies_looked_for_by_key(rig):
    hook = rig.jobhook().start()
    rig.publish(event("t", "http://localhost/"), event("other", "http://localhost/"))
    known(hook, "t", "dead")
    rig.wait_dead(2)
    (key,) = [k for k in rig.redis.client().keys() if k.endswith(b":t")]
    rig.redis.client().set(key, b"\xff" * 40)
    code, output, _ = hook.command("forget", "t", "--dry-run")
    assert code == 0 and "Copies that remain" in output and f"  {rig.dlq}/" in output and f"  {rig.topic}/" in output and "There may be more" in output
    code, output, _ = hook.command("forget", "t", "--json")
    answer = json.loads(output)
    assert (code, answer["redis"], answer["complete"]) == (0, "erased", False)
    assert sorted(copy["topic"] for copy in answer["copies"]) == [rig.topic, rig.dlq]
    assert rig.redis.client().get(key) is None


def test_attempts_are_found_whatever_clock_stamped_the_event(rig):
    topic, now = rig.topic + ".attempts", int(time.time() * 1000)
    rig.kafka.create_topics([topic], rig.partitions)
    hook = rig.jobhook(JOBHOOK_ATTEMPTS_TOPIC=topic).start()
    ahead = {"soon": 30_000, "much later": 3_000_000, "past": -3_600_000}
    rig.publish(*[event(task, rig.receiver.url("ok"), timestamp=now + ms) for task, ms in ahead.items()])
    for task in ahead:
        known(hook, task, "delivered")
        wait_for(lambda: json.loads(status(hook, task, "--json")[1])["attempts"], 20, f"the attempt of {task}", 0.2)


@pytest.mark.same_everywhere
def test_what_is_away_is_said(rig):
    hook = rig.jobhook().start()
    rig.publish(event("t"))
    known(hook, "t", "nothing_to_send")
    code, output, _ = hook.command("status", "t", "--json", JOBHOOK_KAFKA_BROKERS="127.0.0.1:1")
    assert code == 1 and json.loads(output)["complete"] is False and json.loads(output)["event"]["state"] == "unknown"
    started = time.monotonic()
    rig.redis.kill()
    code, _, errors = status(hook, "t")
    assert code == 1 and "Redis does not answer" in errors and time.monotonic() - started < 60
