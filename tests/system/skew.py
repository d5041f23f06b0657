"""Two versions in one group, as in every rolling update and every rollback: each reads what the other wrote, into Redis and into retry topics, and
what a copy leaves behind the other version takes over. JOBHOOK_OTHER names the other version's program; tests/system/skew.sh builds it."""
import os
import random

import harness
from faults import QUICK
from harness import event, wait_for

OTHER = os.environ["JOBHOOK_OTHER"]
PATHS = ("ok", "500,ok", "500x2,ok", "slow50", "503,500,ok")
COUNT = 400


def publish(rig, number):
    """A lot of events, each with its own number of attempts; the last few of them die."""
    chosen = random.Random(number)
    events = [event(f"t{number}-{i}", rig.receiver.url(chosen.choice(PATHS))) for i in range(COUNT)]
    rig.publish(*events, *[event(f"dead{number}-{i}", rig.receiver.url("500")) for i in range(5)])


def copy_of(rig, binary):
    hook = rig.jobhook(**QUICK)
    hook.binary = binary
    return hook.start()


def assert_exact(rig, lots):
    attempts = [(r["id"], r["headers"]["jobhook-attempt"]) for r in rig.receiver.requests()]
    assert len(attempts) == len(set(attempts)), "an attempt was made twice"
    wanted = {f"t{lot}-{i}" for lot in range(lots) for i in range(COUNT)} | {f"dead{lot}-{i}" for lot in range(lots) for i in range(5)}
    assert {task for task, _ in attempts} == wanted
    assert {r.key.decode() for r in rig.dead()} == {task for task in wanted if task.startswith("dead")}
    assert {r.headers["jobhook-reason"] for r in rig.dead()} == {"exhausted"}


def test_two_versions_deliver_side_by_side_and_take_over_from_each_other(make_rig):
    rig = make_rig(partitions=6)
    old, new = copy_of(rig, OTHER), copy_of(rig, harness.BINARY)
    publish(rig, 0)
    rig.receiver.wait(100, seconds=60)
    assert old.stop(40) == 0  # the update ends
    publish(rig, 1)
    rig.receiver.wait(COUNT + 100, seconds=60)
    old = copy_of(rig, OTHER)  # and is taken back
    assert new.stop(40) == 0
    publish(rig, 2)
    rig.wait_dead(15, 90)
    rig.wait_no_lag(60)
    wait_for(lambda: len(rig.receiver.by_task()) == 3 * (COUNT + 5), 60, "every task was attempted", 0.3)
    assert_exact(rig, 3)
    for hook in (old, new):  # what one version wrote the other one shows
        code, output, errors = hook.command("dlq", "list", "--summary", "--json")
        assert code == 0 and "exhausted" in output, errors
        for task in ("t0-0", "t1-0", "t2-0"):
            code, output, errors = hook.command("status", task, "--json")
            assert code == 0 and '"delivered"' in output, (hook.binary, task, output, errors)
