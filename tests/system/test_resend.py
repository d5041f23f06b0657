"""Events delivered again from the input topic: lost by their receiver, or left behind when a retry topic was destroyed."""
import time

import pytest

from harness import event, record, wait_for


def delivered(rig, count):
    rig.receiver.wait(count)
    rig.wait_no_lag()


def test_one_task_is_resent_and_not_its_double(rig):
    hook = rig.jobhook().start()
    rig.publish(event("t1", rig.receiver.url("ok"), partition=0), event("t2", rig.receiver.url("ok"), partition=1))
    delivered(rig, 2)
    rig.publish(event("t1", rig.receiver.url("ok"), partition=2))  # published twice: absorbed
    rig.wait_no_lag()
    code, output, _ = hook.command("resend", "t1", "--dry-run")
    assert code == 0 and "attempt 1 of epoch 1, to " in output and "1 would be sent again" in output
    code, output, errors = hook.command("resend", "t1", "--wait")
    assert code == 0 and "1 resent" in output and "1 delivered, 0 dead again" in output, errors
    requests = rig.receiver.wait(3)
    assert [r["id"] for r in requests][2:] == ["t1"] and requests[2]["headers"]["jobhook-replay"] == "1"
    assert hook.command("resend", "t1", "t2", "--wait")[0] == 0
    assert sorted((r["id"], r["headers"]["jobhook-replay"]) for r in rig.receiver.wait(5)[3:]) == [("t1", "2"), ("t2", "1")]
    code, output, errors = hook.command("resend", "--since", "1h", "--dry-run")
    assert code == 1 and "2 would be sent" in output and "1 another record counts" in output


def test_a_time_and_an_origin_choose_and_old_events_do_not_expire(rig):
    now = int(time.time() * 1000)
    hook = rig.jobhook().start()
    rig.publish(*[event(task, rig.receiver.url("ok", origin), timestamp=now - age * 3600000) for task, origin, age in (("here", 0, 2), ("there", 1, 2), ("new", 1, 0))])
    delivered(rig, 3)
    hook.stop()
    hook = rig.jobhook(JOBHOOK_MAX_EVENT_AGE="10m").start()
    origin = rig.receiver.url("", 1)[:-1]
    code, output, errors = hook.command("resend", "--since", "3h", "--until", "1h", "--origin", origin, "--state", "delivered", "--wait")
    assert code == 0 and "1 resent" in output and "1 delivered" in output, output + errors
    assert rig.receiver.wait(4)[-1]["id"] == "there"
    code, output, _ = hook.command("resend", "--since", "3h", "--state", "dead")
    assert code == 0 and output.startswith("0 resent")


def test_resend_delivers_what_a_destroyed_retry_topic_held(make_rig):
    rig = make_rig(delays="100ms,1h")
    hook = rig.jobhook().start()
    rig.publish(*[event(f"t{i}", rig.receiver.url("500x2,ok")) for i in range(40)], event("fine", rig.receiver.url("ok")))
    wait_for(lambda: sum(rig.kafka.end_offsets(f"{rig.topic}.retry.1h").values()) == 40, 30, "all wait for their third attempt")
    rig.wait_no_lag(topics=[rig.topic, f"{rig.topic}.retry.100ms"])
    hook.stop()
    admin = rig.kafka.admin()
    (future,) = admin.delete_topics([f"{rig.topic}.retry.1h"]).values()
    future.result(20)
    wait_for(lambda: f"{rig.topic}.retry.1h" not in rig.kafka.topic_names(), 20, "it is gone")
    rig.kafka.create_topics([f"{rig.topic}.retry.1h"], 4)
    hook = rig.jobhook().start()
    code, output, errors = hook.command("resend", "--since", "1h", "--state", "scheduled", "--wait")
    assert code == 0 and "40 resent" in output and "40 delivered" in output, output + errors
    requests = rig.receiver.wait(40 * 3 + 1)
    assert len(requests) == 40 * 3 + 1 and len(rig.receiver.of("fine")) == 1


WRONG = [
    ([], 2, "which events?"), (["t1", "--since", "1h"], 2, "goes with no filter"), (["--since", "1h", "--state", "lost"], 2, "delivered, scheduled or dead"),
    (["nobody"], 1, "nothing is known of this task"), (["--since", "1h", "--reason", "expired"], 2, "--help"), (["--rate", "0", "t"], 2, "--rate wants")]


def test_wrong_requests_say_what_is_wanted(rig):
    for arguments, code, why in WRONG:
        got, _, errors = rig.jobhook().command("resend", *arguments)
        assert got == code and why in errors, arguments


@pytest.mark.same_everywhere
def test_what_cannot_be_resent_says_why(rig):
    hook = rig.jobhook().start()
    rig.publish(event("poll-only"), record(b"{", b"broken"), event("slow", rig.receiver.url("slow3000"), partition=0))
    rig.receiver.wait(1)
    known = wait_for(lambda: [k for k in rig.redis.client().keys() if k.endswith(b":poll-only")], 20, "the task is known")
    rig.redis.client().delete(*known)
    code, output, errors = hook.command("resend", "--since", "1h", "--dry-run")
    assert code == 1 and "the event has no webhook_url" in output and "the event breaks the rules" in output and "is being delivered right now" in output
    delivered(rig, 1)
    rig.redis.client().flushall()
    code, output, _ = hook.command("resend", "--since", "1h", "--task", "slow", "--dry-run")
    assert code == 1 and "nothing is known of the task (any more)" in output
    code, output, _ = hook.command("resend", "--since", "1h", "--task", "slow", "--force", "--wait")
    assert code == 0 and "1 delivered" in output
