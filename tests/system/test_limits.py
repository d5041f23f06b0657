"""Intake stops by itself at the limits, and the membership in the group survives that."""
import time

from harness import event, wait_for


def test_a_hanging_receiver_fills_the_slots_and_nothing_more(make_rig):
    rig = make_rig(partitions=2, delays="100ms")
    hook = rig.jobhook(JOBHOOK_MAX_IN_FLIGHT=10, JOBHOOK_MAX_HELD_BYTES="1MiB", JOBHOOK_MAX_EVENT_BYTES="64KiB", JOBHOOK_PREFETCH_BYTES="4MiB",
                       JOBHOOK_ATTEMPT_TIMEOUT="9s", KAFKA_SESSION_TIMEOUT_MS=6000, KAFKA_MAX_POLL_INTERVAL_MS=7000).start()
    idle_kib = hook.memory_kib()
    records = [event(f"t{i}", rig.receiver.url("hang,ok" if i < 10 else "ok", origin=int(i < 10)), raw='{"a":"%s"}' % ("x" * 30000)) for i in range(1000)]
    rig.publish(*records)
    until = time.monotonic() + 8
    while time.monotonic() < until:
        assert hook.metric("jobhook_in_flight") <= 10
        assert hook.metric("jobhook_held_bytes") <= 1.2 * (1 << 20)
        time.sleep(0.2)
    assert hook.metric("jobhook_partitions_assigned") > 0
    rig.receiver.wait(1010, seconds=60)
    rig.wait_no_lag(60)
    assert len(rig.receiver.by_task()) == 1000 and rig.dead() == []
    assert hook.memory_kib() < idle_kib + 80 * 1024
    assert "max.poll" not in hook.log().lower()


def test_a_single_slot_still_delivers_everything(make_rig):
    rig = make_rig(partitions=4, delays="50ms,50ms")
    rig.jobhook(JOBHOOK_MAX_IN_FLIGHT=1, JOBHOOK_ENDPOINT_MAX_IN_FLIGHT=1, JOBHOOK_ORIGIN_MAX_CONNECTIONS=1).start()
    rig.publish(*[event(f"t{i}", rig.receiver.url("ok" if i % 3 else "500,ok")) for i in range(300)])
    rig.receiver.wait(400, seconds=60)
    rig.wait_no_lag(30)
    assert len(rig.receiver.requests()) == 400


def test_retries_and_first_attempts_do_not_wait_for_each_other(make_rig):
    rig = make_rig(partitions=4, delays="1s")
    rig.jobhook(JOBHOOK_MAX_IN_FLIGHT=20).start()
    rig.publish(*[event(f"r{i}", rig.receiver.url("500,ok/r")) for i in range(20)])
    rig.receiver.wait(20)
    # A backlog of first attempts worth many seconds of every slot; the retries must come through it at their time.
    rig.publish(*[event(f"b{i}", rig.receiver.url("slow100/b", origin=1)) for i in range(2000)])
    wait_for(lambda: sum(r["id"].startswith("r") for r in rig.receiver.requests()) == 40, 9, "the retries")
    assert sum(r["id"].startswith("b") for r in rig.receiver.requests()) < 2000
    rig.receiver.wait(2040, seconds=60)


def test_a_large_backlog_costs_no_more_memory_than_the_limits(make_rig):
    rig = make_rig(partitions=4)
    text = '{"a":"%s"}' % ("x" * 1000)
    rig.publish(*[event(f"t{i}", rig.receiver.url("slow200"), raw=text) for i in range(60000)], **{"linger.ms": 20})
    hook = rig.jobhook(JOBHOOK_MAX_IN_FLIGHT=50, JOBHOOK_MAX_HELD_BYTES="2MiB", JOBHOOK_MAX_EVENT_BYTES="1MiB", JOBHOOK_PREFETCH_BYTES="8MiB").start()
    rig.receiver.wait(1000, seconds=30)
    # prefetch × about 1.5 and one fetch for each partition, held events, the program itself
    assert hook.memory_kib() < 150 * 1024, hook.memory_kib()
    assert hook.stop(40) == 0
