"""JOBHOOK_WORKERS: several event loops in one process, each a member of the group of its own; seen from outside they are one jobhook."""
import os
import re
import signal

from faults import QUICK, assert_each_once, ends_within, load
from harness import event, wait_for

TWO = {**QUICK, "JOBHOOK_WORKERS": 2}


def cpu_ticks(hook, thread_name):
    """The CPU time of the threads of that name."""
    ticks, tasks = 0, f"/proc/{hook.process.pid}/task"
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/stat") as f:
            name, fields = re.match(r"\d+ \((.*)\) (.*)", f.read()).groups()
        if name == thread_name:
            ticks += int(fields.split()[11]) + int(fields.split()[12])
    return ticks


def balanced(hook, count):
    """Both workers have their share of the partitions."""
    def shared():
        lines = [line for line in hook.log().splitlines() if '"partitions assigned"' in line]
        last = {m.group(1): int(m.group(2)) for line in lines if (m := re.search(r'"worker":(\d+),"count":(\d+)', line))}
        return len(last) == 2 and sum(last.values()) == count and min(last.values()) == count // 2
    wait_for(shared, 30, "both workers have their share")


def test_two_workers_share_the_partitions_and_deliver_each_event_once(make_rig):
    rig, count = make_rig(partitions=4), 3000
    hook = rig.jobhook(**TWO, JOBHOOK_LOG_LEVEL="info").start()
    balanced(hook, 4 * (len(rig.all_topics()) - 1))
    rig.publish(*load(rig, count, "ok"), *[event(f"r{i}", rig.receiver.url("500,ok/r")) for i in range(40)])
    rig.receiver.wait(count + 80, seconds=60)
    rig.wait_no_lag(30)
    assert_each_once(rig, count + 40, extra=40)  # those that were answered 500 first
    assert min(cpu_ticks(hook, name) for name in ("worker-0", "worker-1")) > 0
    # Metrics and health are joined.
    def lags():
        shown = hook.metrics()
        return {name: value for name, value in shown.items() if name.startswith(f'jobhook_consumer_lag{{topic="{rig.topic}"')}
    wait_for(lambda: lags() == {f'jobhook_consumer_lag{{topic="{rig.topic}",partition="{p}"}}': 0 for p in range(4)}, 20, "each partition's lag once")
    metrics = hook.metrics()
    deferred = metrics['jobhook_events_settled_total{result="deferred"}']  # on a busy machine the receiver may look overloaded
    assert metrics['jobhook_events_settled_total{result="delivered"}'] == count + 40
    assert metrics['jobhook_events_total{source="input"}'] == count + 40 and metrics['jobhook_events_total{source="retry"}'] == 40 + deferred
    assert metrics["jobhook_delivery_latency_seconds_count"] == count + 40
    assert metrics["jobhook_partitions_assigned"] == 4 * (len(rig.all_topics()) - 1)
    assert (metrics["jobhook_in_flight"], metrics["jobhook_held_bytes"], metrics["jobhook_redis_up"], metrics["jobhook_kafka_up"]) == (0, 0, 1, 1)
    assert hook.get("/healthz") == (200, "ok\n")


def test_sigterm_drains_both(make_rig):
    rig, count = make_rig(partitions=4), 600
    hook = rig.jobhook(**TWO, JOBHOOK_MAX_IN_FLIGHT=40).start()
    balanced(hook, 4 * (len(rig.all_topics()) - 1))
    rig.publish(*load(rig, count, "slow200"))
    rig.receiver.wait(60)
    hook.signal(signal.SIGTERM)
    status, _ = ends_within(hook, 20)
    assert status == 0
    sent = len(rig.receiver.requests())
    assert hook.log().count('"draining"') == 2 and sent < count
    rig.jobhook(**TWO).start()
    rig.receiver.wait(count, seconds=40)
    rig.wait_no_lag(40)
    assert_each_once(rig, count)


def test_two_copies_of_an_event_in_two_workers_are_two_owners(make_rig):
    """The same event on two partitions, read by different workers at the same time: one POST, the other copy finds it claimed."""
    rig = make_rig(partitions=2)
    hook = rig.jobhook(**TWO).start()
    balanced(hook, 2 * (len(rig.all_topics()) - 1))
    copies = [event(f"t{i}", rig.receiver.url("slow1000"), partition=p) for i in range(40) for p in range(2)]
    rig.publish(*copies)
    rig.receiver.wait(40)
    rig.wait_no_lag(30)
    assert_each_once(rig, 40)
    metrics = hook.metrics()
    assert metrics['jobhook_events_settled_total{result="delivered"}'] == 40 and metrics['jobhook_events_settled_total{result="skipped"}'] == 40
    assert metrics["jobhook_claims_busy_total"] > 0


def test_a_worker_that_cannot_start_ends_the_process_in_order(rig, folder):
    """The CA file is read by each worker; the fault shows in the exit status, and nobody is left behind."""
    nonsense = os.path.join(folder, "nonsense.pem")
    with open(nonsense, "w") as f:
        f.write("this is no certificate\n")
    hook = rig.jobhook(**TWO, JOBHOOK_CA_FILE=nonsense).start(ready=False)
    status, _ = ends_within(hook, 20)
    assert status == 1
    assert "a worker has ended by itself" in hook.log() and '"ended"' in hook.log()


def test_new_signing_keys_reach_every_worker(make_rig, folder):
    rig, path = make_rig(partitions=2), os.path.join(folder, "keys")

    def write(keys):
        with open(path + ".new", "w") as f:
            f.write(keys)
        os.rename(path + ".new", path)
    write("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    hook = rig.jobhook(**TWO, JOBHOOK_SIGNING_KEYS_FILE=path).start()
    balanced(hook, 2 * (len(rig.all_topics()) - 1))
    write("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
    wait_for(lambda: "read again" in hook.log(), 10, "the new keys are read")
    rig.publish(*[event(f"t{i}", rig.receiver.url("ok"), partition=i % 2) for i in range(20)])
    for request in rig.receiver.wait(20):
        assert len(request["headers"]["webhook-signature"].split(" ")) == 2
