"""SIGTERM, or a terminal that closes: jobhook finishes or gives back, settles, commits and leaves, and nothing that hangs can hold it beyond the deadline."""
import signal
import time

import pytest

import harness
from faults import QUICK, assert_each_once, ends_within, load
from harness import event, wait_for

DRAIN_S = 2
# After the drain at most 10 s go to committing, leaving the group and closing (LEAVE_MS in consumer/service.c), then a second to the log's last lines.
LEAVE_S = 11 + 1


@pytest.fixture
def own_rig(folder, own_kafka):
    rig = harness.Rig(folder, own_kafka)
    yield rig
    rig.redis.resume()
    own_kafka.nodes[0].resume()
    assert rig.close() == []


def settings(**more):
    return {**QUICK, "JOBHOOK_DRAIN_TIMEOUT": f"{DRAIN_S}s", **more}


def finish_and_count(rig, count, extra):
    rig.jobhook(**QUICK).start(ready=False)
    rig.receiver.wait(count, seconds=40)
    wait_for(lambda: len(rig.receiver.by_task()) == count, 40, "every task")
    rig.wait_no_lag(60)
    assert_each_once(rig, count, extra)


def test_an_idle_copy_leaves_the_group_at_once(rig):
    first = rig.jobhook(KAFKA_SESSION_TIMEOUT_MS=45000).start()
    wait_for(lambda: first.metric("jobhook_partitions_assigned") > 0, 20, "an assignment")
    first.signal(signal.SIGTERM)
    status, _ = ends_within(first, 8)
    assert status == 0
    second = rig.jobhook(KAFKA_SESSION_TIMEOUT_MS=45000).start()
    # Had the first one not left, its session would have kept the partitions for 45 s.
    wait_for(lambda: second.metric("jobhook_partitions_assigned") > 0, 20, "the successor's assignment")
    rig.publish(event("t", rig.receiver.url("ok")))
    rig.receiver.wait(1)


def test_attempts_that_outlast_the_drain_are_cut_off_and_made_again(rig):
    count = 4  # what a window lets go at once before anything was answered (WINDOW_START)
    hook = rig.jobhook(**settings(JOBHOOK_ATTEMPT_TIMEOUT="6s", JOBHOOK_LEASE_MARGIN="1s")).start()
    rig.publish(*[event(f"t{i}", rig.receiver.url("hang,ok")) for i in range(count)])
    rig.receiver.wait(count)
    hook.signal(signal.SIGTERM)
    status, seconds = ends_within(hook, DRAIN_S + LEAVE_S)
    assert status == 1 and seconds > DRAIN_S - 0.5
    assert "not everything settled in time" in hook.log()
    rig.jobhook(**QUICK).start()
    rig.receiver.wait(2 * count, seconds=40)
    rig.wait_no_lag(30)
    assert_each_once(rig, count, extra=count)


def test_sigterm_gives_back_what_was_not_sent(rig):
    """One slot, a slow answer, a hundred events behind it: they are released at once, and the successor need not wait for their leases."""
    hook = rig.jobhook(JOBHOOK_MAX_IN_FLIGHT=4, JOBHOOK_ATTEMPT_TIMEOUT="10s", JOBHOOK_LEASE_MARGIN="30s").start()
    rig.publish(*load(rig, 100, "slow300"))
    rig.receiver.wait(8)
    hook.signal(signal.SIGTERM)
    status, _ = ends_within(hook, 10)
    assert status == 0
    rig.jobhook().start()
    rig.receiver.wait(100, seconds=25)  # the lease is 40 s
    rig.wait_no_lag()
    assert_each_once(rig, 100)


def test_a_frozen_kafka_cannot_hold_the_process(own_rig):
    rig = own_rig
    hook = rig.jobhook(**settings(JOBHOOK_MAX_IN_FLIGHT=20)).start()
    rig.publish(*load(rig, 300))
    rig.receiver.wait(100)
    rig.kafka.nodes[0].pause()
    time.sleep(0.3)
    hook.signal(signal.SIGTERM)
    ends_within(hook, DRAIN_S + LEAVE_S)
    rig.kafka.nodes[0].resume()
    finish_and_count(rig, 300, extra=0)  # what was delivered is known to Redis


def test_a_frozen_redis_cannot_hold_the_process(rig):
    hook = rig.jobhook(**settings(JOBHOOK_MAX_IN_FLIGHT=20)).start()
    rig.publish(*load(rig, 300, "slow200"))
    rig.receiver.wait(40)
    rig.redis.pause()
    time.sleep(0.3)
    hook.signal(signal.SIGTERM)
    try:
        ends_within(hook, DRAIN_S + LEAVE_S)
    finally:
        rig.redis.resume()
    finish_and_count(rig, 300, extra=20)  # those whose 2xx could not be recorded


@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_drains_it_and_nohup_keeps_it(rig, ignored):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        hook = rig.jobhook(**settings(JOBHOOK_DRAIN_TIMEOUT="10s")).start()
    finally:
        signal.signal(signal.SIGHUP, before)
    rig.publish(*load(rig, 4, "slow500"))
    rig.receiver.wait(4)
    for _ in range(2):  # a shell's that ends, and the kernel's
        hook.signal(signal.SIGHUP)
        time.sleep(0.05)
    if ignored:
        rig.publish(*load(rig, 4, "ok", start=4))
        rig.receiver.wait(8)
        hook.signal(signal.SIGTERM)
    status, _ = ends_within(hook, 10 + LEAVE_S)
    assert status == 0
    rig.wait_no_lag()
    assert_each_once(rig, 8 if ignored else 4)


def test_frozen_neighbours_and_a_second_sigterm_end_it_at_once(own_rig):
    rig = own_rig
    hook = rig.jobhook(**settings(JOBHOOK_DRAIN_TIMEOUT="30s", JOBHOOK_MAX_IN_FLIGHT=20)).start()
    rig.publish(*load(rig, 200, "slow200"))
    rig.receiver.wait(40)
    rig.redis.pause()
    rig.kafka.nodes[0].pause()
    hook.signal(signal.SIGTERM)
    time.sleep(1)
    assert hook.alive
    hook.signal(signal.SIGTERM)
    status, _ = ends_within(hook, 3)
    assert status == 1
    rig.redis.resume()
    rig.kafka.nodes[0].resume()
    finish_and_count(rig, 200, extra=20)


def test_sigterm_while_no_neighbour_answers_at_start(own_rig):
    rig = own_rig
    rig.redis.pause()
    rig.kafka.nodes[0].pause()
    hook = rig.jobhook(**settings()).start(ready=False)
    wait_for(lambda: hook.get("/healthz")[0] == 200, 10, "/healthz")
    hook.signal(signal.SIGTERM)
    status, _ = ends_within(hook, DRAIN_S + LEAVE_S)
    assert status in (0, 1)
