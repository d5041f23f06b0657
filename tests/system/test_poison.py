"""Events that crash the program: each is found by careful reading (consumer/careful.h) and dead-lettered unparsed, the events around it are delivered,
and nobody who merely was near is blamed. The crashes are real ones of a test build, which runs in a restart loop as Kubernetes would run it."""
import collections
import os
import threading
import time

import pytest

import harness
from harness import event, record, wait_for

pytestmark = pytest.mark.same_everywhere

BINARY = os.environ.get("JOBHOOK_FAULTS_BINARY", os.path.join(harness.PROJECT, ".build", "asan", "jobhook"))
MARKER = b"jobhook-test-crash-"
QUICK = {"JOBHOOK_ATTEMPT_TIMEOUT": "2s", "JOBHOOK_LEASE_MARGIN": "1s", "KAFKA_SESSION_TIMEOUT_MS": "6000", "KAFKA_HEARTBEAT_INTERVAL_MS": "500"}


class RestartLoop:
    """Starts jobhook again whenever it ends, until stopped. With an instance id it need not wait for its dead predecessor's session to end."""

    def __init__(self, rig, instance_id="one", **settings):
        self.hook = rig.jobhook(**QUICK, KAFKA_GROUP_INSTANCE_ID=instance_id, **settings)
        self.statuses, self.stopping = [], False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping and len(self.statuses) < 60:
            self.hook.spawn([BINARY, "run"], self.hook.environment())
            self.statuses.append(self.hook.process.wait())
            time.sleep(0.2)

    @property
    def crashes(self):
        return len(self.statuses)

    def stop(self):
        self.stopping = True
        status = self.hook.stop(40)
        self.thread.join(10)
        return status


def holds(rig):
    """What was not given back: parts of the key (topic, partition, and of records offset and timestamp) → weights."""
    client = rig.redis.client()
    keys = [key for key in client.scan_iter("*") if b"\x01hold\x01" in key]
    return {tuple(key.split(b"\x01")[2:]): [int(w) for name, w in client.hgetall(key).items() if name != b"at"] for key in keys}


def poison(name, url, place="parsing", **more):
    return event(name, url, raw='{"x":"%s%s"}' % (MARKER.decode(), place), **more)


def retry_headers(rig):
    now = str(int(time.time() * 1000)).encode()
    return [("jobhook-attempt", b"2"), ("jobhook-epoch", b"0"), ("jobhook-due-ms", now), ("jobhook-first-ms", now),
            ("jobhook-origin", f"{rig.topic}/0/77".encode()), ("mine", b"kept")]


def assert_condemned(rig, poisons):
    """`poisons`: place → record. Exactly these are dead letters, and as they were."""
    letters = {letter.headers["jobhook-origin"]: letter for letter in rig.wait_dead(len(poisons), seconds=5)}
    assert set(letters) == set(poisons)
    assert len(rig.dead()) == len(poisons)
    for place, sent in poisons.items():
        letter = letters[place]
        assert (letter.key, letter.value, letter.headers["jobhook-reason"]) == (sent["key"], sent["value"], "crashed"), place
        own = [(name, value) for name, value in letter.header_list if not name.startswith("jobhook-")]
        assert own == [(name, value) for name, value in sent["headers"] or [] if not name.startswith("jobhook-")], place


@pytest.mark.parametrize("workers", [1, 2])
def test_poison_on_several_partitions_is_isolated_and_its_neighbours_are_delivered(make_rig, workers):
    """Also when the partitions are shared by two workers: a crash ends both, so that one record is in the hands of the whole process."""
    rig = make_rig(partitions=4)
    url = rig.receiver.url("ok")
    records = [poison("p0", url, partition=0), event("g0", url, partition=0),
               *[event(f"g1-{i}", url, partition=1) for i in range(5)], poison("p1", url, partition=1, headers=[("mine", b"kept")]),
               record(MARKER + b"parsing is not even JSON", b"p2", partition=1), *[event(f"g1-{i}", url, partition=1) for i in range(5, 8)],
               *[event(f"g2-{i}", url, partition=2) for i in range(8)], event("g3", rig.receiver.url("500,ok"), partition=3)]
    poisons = {"%s/%d/%d" % (rig.topic, *place): r for r, place in zip(records, rig.publish(*records)) if MARKER in r["value"]}
    late = poison("p3", url, partition=2, headers=retry_headers(rig))
    (place,) = rig.kafka.produce(rig.topic + ".retry.100ms", [late])
    poisons["%s.retry.100ms/%d/%d" % (rig.topic, *place)] = late
    goods = [r["key"].decode() for r in records if MARKER not in r["value"]]

    loop = RestartLoop(rig, JOBHOOK_WORKERS=workers)
    wait_for(lambda: sum(rig.kafka.end_offsets(rig.dlq).values()) >= len(poisons), 150, "the dead letters", pause_s=0.5)
    rig.wait_no_lag(40)
    # Three crashes alone each, and before that two at the same offset that bring their partition into doubt; the retry topic's may be read later.
    assert loop.crashes <= 3 * len(poisons) + 4, loop.statuses
    assert_condemned(rig, poisons)
    requests = rig.receiver.by_task()
    assert set(requests) == set(goods)
    extra = sum(len(seen) for seen in requests.values()) - len(goods) - 1  # one is answered 500 first
    assert extra <= loop.crashes

    # Ordinary running again, without another crash.
    crashes = loop.crashes
    wait_for(lambda: loop.hook.metric("jobhook_partitions_careful") == 0, 20, "no partition is read carefully")
    assert loop.hook.metric('jobhook_dead_letters_total{reason="crashed"}') >= 1
    rig.publish(*[event(f"after{i}", url) for i in range(200)])
    wait_for(lambda: sum(name.startswith("after") for name in rig.receiver.by_task()) == 200, 20, "the events after")
    rig.wait_no_lag()
    assert loop.crashes == crashes
    assert loop.stop() == 0
    counts = collections.Counter(r["id"] for r in rig.receiver.requests())
    assert all(counts[f"after{i}"] == 1 for i in range(200))


def test_poison_that_crashes_after_its_claim_is_isolated(make_rig):
    """Every restart finds it BUSY until the dead holder's lease has ended; only then does it crash the program again."""
    rig = make_rig(partitions=1)
    url = rig.receiver.url("ok")
    records = [event("before", url), poison("p", url, "composing"), event("after", url)]
    places = rig.publish(*records)
    loop = RestartLoop(rig)
    wait_for(lambda: sum(rig.kafka.end_offsets(rig.dlq).values()) >= 1, 120, "the dead letter", pause_s=0.5)
    rig.wait_no_lag(40)
    assert loop.crashes <= 5, loop.statuses
    assert_condemned(rig, {"%s/%d/%d" % (rig.topic, *places[1]): records[1]})
    assert set(rig.receiver.by_task()) == {"before", "after"}
    assert loop.stop() == 0


def test_two_copies_are_not_enough_to_hide_a_poison(make_rig):
    """It moves from copy to copy, and each rebalance lets the survivor give its partitions back in order."""
    rig = make_rig(partitions=4)
    url = rig.receiver.url("ok")
    records = [event(f"g{i}", url, partition=i % 4) for i in range(8)]
    records.insert(5, poison("p", url, partition=1))
    places = rig.publish(*records)
    loops = [RestartLoop(rig, None) for _ in range(2)]
    wait_for(lambda: sum(rig.kafka.end_offsets(rig.dlq).values()) >= 1, 150, "the dead letter", pause_s=0.5)
    rig.wait_no_lag(60)
    assert sum(loop.crashes for loop in loops) <= 8, [loop.statuses for loop in loops]
    assert_condemned(rig, {"%s/%d/%d" % (rig.topic, *places[5]): records[5]})
    assert set(rig.receiver.by_task()) == {f"g{i}" for i in range(8)}
    assert [loop.stop() for loop in loops] == [0, 0]


def test_kills_do_not_make_a_slow_event_guilty(make_rig):
    rig = make_rig(partitions=1)
    rig.publish(event("slow", rig.receiver.url("hang,ok")), event("next", rig.receiver.url("ok")))
    settings = {**QUICK, "JOBHOOK_ATTEMPT_TIMEOUT": "20s", "JOBHOOK_LEASE_MARGIN": "10s", "KAFKA_GROUP_INSTANCE_ID": "one"}
    for life in range(5):
        hook = rig.jobhook(**settings).start()
        # The partition is taken up; from the third life on the record is alone, and has been waiting for a while when the kill comes.
        wait_for(lambda: len(holds(rig).get((rig.topic.encode(), b"0"), [])) == life + 1, 30, "the partition is noted")
        rig.receiver.wait(1)
        if life >= 2:
            wait_for(lambda: [w for place, w in holds(rig).items() if len(place) == 4] == [[1] * (life - 1)], 30, "the record's death would weigh little")
            assert hook.metric("jobhook_partitions_careful") == 1
        hook.kill()
    rig.jobhook(**settings).start()
    wait_for(lambda: set(rig.receiver.by_task()) == {"slow", "next"} and len(rig.receiver.of("slow")) >= 2, 60, "both delivered")
    rig.wait_no_lag(30)
    assert rig.dead() == []


def test_ends_in_order_are_no_crashes(make_rig):
    """SIGTERM while the first event is still under way, again and again at the same offset."""
    rig = make_rig(partitions=1)
    rig.publish(event("slow", rig.receiver.url("hang,ok")))
    settings = {**QUICK, "JOBHOOK_ATTEMPT_TIMEOUT": "20s", "JOBHOOK_LEASE_MARGIN": "10s", "JOBHOOK_DRAIN_TIMEOUT": "500ms"}
    for _ in range(4):
        hook = rig.jobhook(**settings).start()
        wait_for(lambda: holds(rig), 20, "the partition is noted")
        assert hook.metric("jobhook_partitions_careful") == 0
        hook.stop(20)
        assert holds(rig) == {}
        assert "processes died" not in hook.log()
    assert rig.kafka.lag(rig.group, rig.topic) == 1


def test_ordinary_running_asks_redis_once_for_each_partition(make_rig):
    rig = make_rig(partitions=2)
    count = 500
    hook = rig.jobhook().start()
    rig.publish(*[event(f"t{i}", rig.receiver.url("ok"), partition=i % 2) for i in range(count)])
    rig.receiver.wait(count)
    rig.wait_no_lag()
    # A claim and a settlement for each event, one hold for each partition; deferrals under load aside, which ask for more.
    expected = 2 * (count + hook.settled("deferred")) + 2
    assert hook.metric("jobhook_redis_commands_total") <= expected + 2 * hook.metric("jobhook_claims_busy_total")


def test_the_release_build_has_no_places_to_crash_at():
    with open(harness.BINARY, "rb") as f:
        assert MARKER not in f.read()
    with open(BINARY, "rb") as f:
        assert MARKER in f.read()
