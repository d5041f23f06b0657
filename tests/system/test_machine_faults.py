"""The machine under jobhook: a full disk, a log that nobody reads, no descriptors, clocks that are stepped, memory that is refused."""
import os
import resource
import signal
import subprocess
import time
import urllib.request

import pytest

import harness
from faults import HOUR_S, QUICK, Shim, assert_each_once, cpu_seconds, doubled, ends_within, load, retried, start_with_shim
from harness import event, wait_for

DRAIN_S = 25 + 12  # JOBHOOK_DRAIN_TIMEOUT, and see test_shutdown.py


def everything(rig, count, extra=0, seconds=60):
    wait_for(lambda: len(rig.receiver.by_task()) == count, seconds, f"{count} tasks")
    rig.wait_no_lag(30)
    assert_each_once(rig, count, extra)
    assert rig.dead() == []


# ---------------------------------------------------------------------------------------------------------------------------- the log

def test_a_full_disk_under_the_log_stops_no_delivery(rig):
    hook = rig.jobhook(JOBHOOK_LOG_LEVEL="debug")
    with open("/dev/full", "wb") as full:  # every write: no space left on device
        hook.spawn([harness.BINARY, "run"], hook.environment(), stdout=full)
    hook.wait_ready()
    rig.publish(*load(rig, 1000, "ok"))
    everything(rig, 1000)
    wait_for(lambda: hook.metric("jobhook_log_dropped_lines_total") >= 1000, 5, "the count of dropped lines")
    hook.signal(signal.SIGTERM)
    assert ends_within(hook, DRAIN_S)[0] == 0


def test_a_log_pipe_that_nobody_reads_stops_no_delivery(rig):
    hook = rig.jobhook(JOBHOOK_LOG_LEVEL="debug")
    hook.spawn([harness.BINARY, "run"], hook.environment(), stdout=subprocess.PIPE)
    hook.wait_ready()
    rig.publish(*load(rig, 12000, "ok"))  # more lines than a pipe and both buffers hold
    everything(rig, 12000)
    assert hook.metric("jobhook_log_dropped_lines_total") > 0
    hook.signal(signal.SIGTERM)
    assert ends_within(hook, DRAIN_S)[0] == 0
    hook.process.stdout.close()


# ------------------------------------------------------------------------------------------------------------------------ descriptors

def test_too_few_descriptors_are_refused_at_start_with_the_arithmetic(rig):
    hook = rig.jobhook(JOBHOOK_MAX_IN_FLIGHT=4096)
    hook.spawn([harness.BINARY, "run"], hook.environment(), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000)))
    assert hook.process.wait(10) == 1
    assert "too few file descriptors" in hook.log()
    for number in ("1000", "4096", "256", "4352"):
        assert number in hook.log(), number


def test_descriptors_that_run_out_slow_it_down_and_nothing_more(make_rig):
    rig, count, (port,), token = make_rig(partitions=4, origins=20), 400, harness.free_ports(1), "t" * 40
    hook = rig.jobhook(**QUICK, JOBHOOK_API_TOKENS=token, JOBHOOK_API_LISTEN=f"127.0.0.1:{port}").start()
    rig.publish(event("first", rig.receiver.url("ok")))
    rig.receiver.wait(1)
    used = max(int(name) for name in os.listdir(f"/proc/{hook.process.pid}/fd"))
    before = resource.prlimit(hook.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(hook.process.pid, resource.RLIMIT_NOFILE, (used + 4, before[1]))
    rig.publish(*[event(f"t{i}", rig.receiver.url(f"slow100/{i}", origin=i % 20)) for i in range(count)])
    busy = cpu_seconds(hook)
    time.sleep(5)
    busy = cpu_seconds(hook) - busy
    assert busy < 2.5, f"{busy} s of CPU in 5 s"
    assert hook.alive and rig.dead() == []
    hook.wait_log("no socket could be opened", "raise the limit of file descriptors")
    assert all(r["headers"]["jobhook-attempt"] == "1" for r in rig.receiver.requests())
    resource.prlimit(hook.process.pid, resource.RLIMIT_NOFILE, before)
    everything(rig, count + 1)
    assert hook.get("/healthz")[0] == 200
    request = urllib.request.Request(f"http://127.0.0.1:{port}/endpoints", headers={"Authorization": "Bearer " + token})
    with harness.NO_PROXY.open(request, timeout=10) as answer:  # no endpoint is to blame
        assert "\tlocal\t" not in answer.read().decode()


# ----------------------------------------------------------------------------------------------------------------------------- clocks

def stepping(rig, step, count=150):
    """Clocks go an hour forth, two back, and home, while events are on all their ways."""
    for i, seconds in enumerate((HOUR_S, -HOUR_S, 0)):
        lot = load(rig, count, "500,ok", start=i * count)
        rig.publish(*lot[:count // 2])
        rig.receiver.wait(2 * i * count + count // 2)
        step(seconds)
        rig.publish(*lot[count // 2:])
        retried(rig, (i + 1) * count)


@pytest.mark.same_everywhere
def test_the_wall_clock_of_a_worker_is_stepped(make_rig):
    rig = make_rig(delays="1s")
    hook = rig.jobhook(**QUICK)
    shim = start_with_shim(rig, hook, "worker")
    hook.start()
    stepping(rig, shim.step_clock)


def start_redis_with_shim(rig):
    shim = Shim(rig.folder, "redis", memory=False)
    rig.redis.kill()
    server = harness.shutil.which("redis-server") or os.path.join(rig.folder, "redis-server")
    rig.redis.spawn([server, "--port", "0", "--unixsocket", rig.redis.socket_path, "--save", "", "--dir", rig.folder],
                    {**os.environ, **shim.environment})
    wait_for(rig.redis.answers, 10, "Redis answers")
    return shim


@pytest.mark.same_everywhere
def test_the_clock_of_redis_is_stepped(make_rig):
    """Forth: records and leases run out, retries become due. Back: leases and due times lie an hour ahead, and nothing waits for that."""
    rig = make_rig(delays="1s")
    shim = start_redis_with_shim(rig)
    rig.jobhook(**QUICK, JOBHOOK_STATE_TTL="24h").start()
    count = 150
    for i, seconds in enumerate((HOUR_S, -HOUR_S, 0)):
        lot = load(rig, count, "500,ok", start=i * count)
        rig.publish(*lot[:count // 2])
        rig.receiver.wait(2 * i * count + count // 2)
        shim.step_clock(seconds)
        assert abs(rig.redis.client().time()[0] - time.time() - seconds) < 5
        rig.publish(*lot[count // 2:])
        wait_for(lambda: sum(r["nth"] == 2 for r in rig.receiver.requests()) == (i + 1) * count, 40, "the retries")
        rig.wait_no_lag(30)
    assert doubled(rig) == 0 and len(rig.receiver.requests()) == 6 * count and rig.dead() == []


@pytest.mark.same_everywhere
def test_a_claim_of_a_dead_copy_does_not_outlive_its_lease_when_redis_is_stepped_back(make_rig):
    rig = make_rig(partitions=2)
    shim = start_redis_with_shim(rig)
    shim.step_clock(HOUR_S)
    hook = rig.jobhook(**QUICK).start()
    rig.publish(*[event(f"t{i}", rig.receiver.url("hang,ok")) for i in range(10)])
    rig.receiver.wait(10)
    hook.kill()
    shim.step_clock(0)  # the claims end in an hour
    rig.jobhook(**QUICK).start()
    rig.receiver.wait(20, seconds=40)
    rig.wait_no_lag(20)
    assert_each_once(rig, 10, extra=10)


# ----------------------------------------------------------------------------------------------------------------------------- memory

CLEAN = (0, 1, -signal.SIGABRT)  # ended as told, refused, or gave up by a check of its own or of a library; a fault in memory is none of them


def allocations_at_start(rig):
    hook = rig.jobhook(**QUICK)
    shim = start_with_shim(rig, hook, "count")
    far = 1 << 40
    shim.refuse_allocation(far)
    hook.start()
    count = far - shim.values[1]
    assert hook.stop() == 0
    return count


def test_memory_refused_during_the_start_ends_it_cleanly(rig):
    count = allocations_at_start(rig)
    assert count > 1000
    numbers = sorted({1, 2, 3, 5, 8, 13, 21, 34} | {count * i // 24 for i in range(1, 24)})
    statuses = {}
    for number in numbers:
        hook = rig.jobhook(**QUICK, JOBHOOK_DRAIN_TIMEOUT="1s")
        shim = start_with_shim(rig, hook, f"start{number}")
        shim.refuse_allocation(number)
        hook.start(ready=False)
        wait_for(lambda: not hook.alive or hook.get("/readyz")[0] == 200, 30, f"allocation {number}: an end or readiness")
        if hook.alive:
            hook.signal(signal.SIGTERM)
        statuses[number] = hook.process.wait(20)
    bad = {number: status for number, status in statuses.items() if status not in CLEAN}
    assert not bad, f"of {count} allocations, those refused and how it ended: {bad}"


@pytest.mark.same_everywhere
def test_memory_refused_under_load_ends_cleanly_and_loses_nothing(make_rig):
    rig, count, rounds = make_rig(partitions=4), 1500, 12
    statuses = []
    for i in range(rounds):
        rig.publish(*load(rig, count // rounds, "500,slow20", start=i * (count // rounds)))
        hook = rig.jobhook(**QUICK, JOBHOOK_MAX_IN_FLIGHT=50)
        shim = start_with_shim(rig, hook, f"load{i}")
        hook.start()
        shim.refuse_allocation(1 + i * 331)
        wait_for(lambda: shim.refused or not hook.alive, 20, "a refusal")
        time.sleep(0.2)
        if hook.alive:
            hook.signal(signal.SIGTERM)
        statuses.append(hook.process.wait(40))
    rig.jobhook(**QUICK).start()
    total = rounds * (count // rounds)
    wait_for(lambda: len({r["id"] for r in rig.receiver.requests() if r["nth"] >= 2}) == total, 60, "every retry")
    rig.wait_no_lag(40)
    bad = {i: status for i, status in enumerate(statuses) if status not in CLEAN}
    assert not bad, f"in which round the worker ended how: {bad}"
    assert len(rig.receiver.by_task()) == total and rig.dead() == []
    assert doubled(rig) <= rounds * 50
