"""Copies that are replaced, killed, frozen, that come and go: together they deliver each event, and only a kill may double what was being sent."""
import collections
import time

from faults import QUICK, assert_each_once, load
from harness import wait_for

MOST_SENT = {"JOBHOOK_MAX_IN_FLIGHT": 50}


def steadily(rig, count, path="slow50"):
    """Publishes in small lots: step(i) writes the next one, until `count` events were written."""
    state = {"next": 0}

    def step(lot):
        size = min(lot, count - state["next"])
        if size > 0:
            rig.publish(*load(rig, size, path, start=state["next"]))
        state["next"] += size
        return state["next"] >= count
    return step


def everything(rig, count, extra=0, seconds=90):
    wait_for(lambda: len(rig.receiver.by_task()) == count, seconds, f"{count} tasks", pause_s=0.2)
    rig.wait_no_lag(60)
    assert_each_once(rig, count, extra)
    assert rig.dead() == []


def test_a_rolling_restart_of_three_under_load_doubles_nothing(make_rig):
    rig, count = make_rig(partitions=6), 3000
    publish = steadily(rig, count)
    copies = [rig.jobhook(**QUICK).start() for _ in range(3)]
    publish(600)
    for i in range(3):
        rig.receiver.wait(300 * (i + 1), seconds=60)
        assert copies[i].stop(40) == 0
        publish(600)
        copies[i] = rig.jobhook(**QUICK).start()
        publish(200)
    publish(count)
    everything(rig, count)


def test_copies_that_join_and_leave_every_two_seconds_double_nothing(make_rig):
    rig, count = make_rig(partitions=6), 2400
    publish = steadily(rig, count)
    running = collections.deque([rig.jobhook(**QUICK).start()])
    for i in range(6):
        publish(300)
        started = time.monotonic()
        if i % 2 == 0:
            running.append(rig.jobhook(**QUICK).start(ready=False))
        else:
            assert running.popleft().stop(40) == 0
        time.sleep(max(0, 2 - (time.monotonic() - started)))
    publish(count)
    everything(rig, count)


def test_a_storm_of_kills_doubles_only_what_was_being_sent(make_rig):
    rig, count, kills = make_rig(partitions=6), 2500, 6
    publish = steadily(rig, count)
    survivor = rig.jobhook(**QUICK, **MOST_SENT).start()
    for i in range(kills):
        publish(350)
        victim = rig.jobhook(**QUICK, **MOST_SENT).start(ready=False)
        time.sleep(1.5)
        if i == kills // 2:
            victim, survivor = survivor, victim
        victim.kill()
    publish(count)
    everything(rig, count, extra=kills * MOST_SENT["JOBHOOK_MAX_IN_FLIGHT"])


def test_a_copy_frozen_beyond_its_lease_wakes_up_as_a_zombie(make_rig):
    """Frozen in the middle of sending: its claims run out, another copy sends again, and what the zombie then says harms nothing."""
    rig, count = make_rig(partitions=4), 800
    zombie = rig.jobhook(**QUICK, **MOST_SENT).start()
    rig.publish(*load(rig, count // 2, "slow200"))
    rig.receiver.wait(60)
    zombie.pause()
    frozen = time.monotonic()
    rig.jobhook(**QUICK, **MOST_SENT).start(ready=False)
    wait_for(lambda: len(rig.receiver.by_task()) == count // 2, 60, "the other copy's deliveries")
    time.sleep(max(0, 6 - (time.monotonic() - frozen)))  # QUICK's lease is 5 s
    zombie.resume()
    rig.publish(*load(rig, count // 2, "slow200", start=count // 2))
    everything(rig, count, extra=MOST_SENT["JOBHOOK_MAX_IN_FLIGHT"])
    assert zombie.alive
