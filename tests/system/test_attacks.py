"""Ways to make it lose, double, alter or hasten an event that no list of faults names. Each did harm once, or would have if it had not been thought of."""
import contextlib
import os
import shutil
import time

import confluent_kafka.admin
import pytest

import harness
from faults import HOUR_S, QUICK, assert_each_once, doubled, ends_within, load, retried, set_exactly, start_with_shim
from harness import event, preloaded, wait_for


# ------------------------------------------------------------------------------------------------ clocks nobody has told the worker of

@pytest.mark.same_everywhere
@pytest.mark.parametrize("wrong_s", [HOUR_S, -HOUR_S])
def test_a_worker_that_starts_with_a_wrong_clock_sends_no_waiting_retry_early(make_rig, wrong_s):
    """Its first record is a retry that waits: nothing has told it Redis's time yet but the answer to the very first question."""
    rig = make_rig(delays="8s")
    hook = rig.jobhook(**QUICK).start()
    rig.publish(*load(rig, 20, "500,ok"))
    wait_for(lambda: hook.settled("scheduled") == 20, 20, "all wait for their retry")
    assert hook.stop() == 0
    hook = rig.jobhook(**QUICK)
    start_with_shim(rig, hook, "wrong").step_clock(wrong_s)
    hook.start()
    retried(rig, 20, 8.0)


# ------------------------------------------------------------------------------------------------------------ Kafka loses its own tail

@pytest.fixture
def one_partition(folder, own_kafka):
    rig = harness.Rig(folder, own_kafka, partitions=1)
    yield rig
    assert rig.close() == []


@contextlib.contextmanager
def disk_of(rig):
    """The folder of the topic's only partition, while the node is away."""
    node = rig.kafka.nodes[0]
    assert node.stop(40) in (0, 143)
    yield os.path.join(node.folder, node.name, rig.topic + "-0")
    node.start()
    rig.kafka.wait_ready()


def wait_gone_back(hook, rig, offset):
    """Before anything is written: that would be passed over as soon as it reached the old place, if nobody was there to read it earlier."""
    assert sum(rig.kafka.end_offsets(rig.topic).values()) == offset
    wait_for(lambda: rig.kafka.committed(rig.group, rig.topic)[0] == offset, 150, "that the group goes back")
    assert "the group goes back" in hook.log()


def test_a_topic_that_lost_its_end_takes_the_groups_place_back_with_it(one_partition):
    """An unclean election: the log ends before the offset that the group has committed. What is written there afterwards must not be passed over,
    not even when the copy that noticed dies before it came up to the old place again."""
    rig = one_partition
    hook = rig.jobhook(**QUICK).start()
    rig.publish(*load(rig, 20, "ok"))
    rig.receiver.wait(20)
    rig.wait_no_lag()
    with disk_of(rig) as log:
        kept = shutil.copytree(log, os.path.join(rig.folder, "kept"))
    rig.publish(*load(rig, 30, "ok", start=20))
    rig.receiver.wait(50, seconds=40)
    rig.wait_no_lag()
    assert rig.kafka.committed(rig.group, rig.topic)[0] == 50
    with disk_of(rig) as log:
        shutil.rmtree(log)
        shutil.copytree(kept, log)
    wait_gone_back(hook, rig, 20)
    rig.publish(event("held", rig.receiver.url("slow2000")), *load(rig, 9, "ok", start=50))
    rig.receiver.wait(59, seconds=30)
    hook.kill()
    rig.publish(*load(rig, 40, "ok", start=60))
    rig.jobhook(**QUICK).start()
    wait_for(lambda: len(rig.receiver.by_task()) == 50 + 10 + 40, 60, "every event")
    rig.wait_no_lag(30)
    assert_each_once(rig, 100, extra=1)


@pytest.mark.same_everywhere
def test_a_topic_that_lost_everything_takes_the_groups_place_back_at_once(one_partition):
    """A broker whose disk was replaced: there is no record by which a copy that stays in the group could notice, only the partition's end."""
    rig = one_partition
    hook = rig.jobhook(**QUICK | {"KAFKA_SESSION_TIMEOUT_MS": "45000"}).start()
    rig.publish(*load(rig, 20, "ok"))
    rig.receiver.wait(20)
    rig.wait_no_lag()
    with disk_of(rig) as log:
        shutil.rmtree(log)
    wait_gone_back(hook, rig, 0)
    rig.publish(*load(rig, 30, "ok", start=20))
    rig.receiver.wait(50, seconds=40)
    rig.wait_no_lag()
    assert_each_once(rig, 50)


def test_a_group_that_was_refused_the_way_back_is_asked_again(make_rig):
    """Its place stays beyond the log's end meanwhile: whatever is written before it would be passed over by the next copy."""
    rig = make_rig(partitions=1)
    rig.publish(*load(rig, 20, "ok"))
    group = rig.kafka.consumer(rig.group)
    group.commit(offsets=[confluent_kafka.TopicPartition(rig.topic, 0, 50)], asynchronous=False)
    group.close()
    hook = rig.jobhook(**QUICK)
    set_exactly(hook, {"LD_PRELOAD": preloaded(rig.folder, "refused_commit")})
    hook.start()
    rig.receiver.wait(20)
    wait_for(lambda: rig.kafka.committed(rig.group, rig.topic)[0] == 20, 30, "that the group goes back")
    hook.wait_log("the group goes back", "a commit failed", "OFFSET_METADATA_TOO_LARGE")
    assert_each_once(rig, 20)


# ----------------------------------------------------------------------------------------------------------------------- odd records

def test_an_event_with_all_the_headers_it_may_have_survives_its_retries(rig):
    headers = [(f"h{i}", b"v") for i in range(256)]
    rig.jobhook(**QUICK).start()
    rig.publish(event("many", rig.receiver.url("500,500,ok"), headers=headers))
    rig.receiver.wait(3)
    rig.wait_no_lag()
    assert rig.dead() == [] and doubled(rig) == 0


# ------------------------------------------------------------------------------------------------ two versions that share a Redis

def test_a_verdict_that_only_another_version_knows_buries_the_event_and_nobody_else(make_rig):
    """A newer copy may record a reason to die that an older one has no name for, and die itself before the letter was written."""
    rig = make_rig(partitions=1)
    hook = rig.jobhook(**QUICK, JOBHOOK_MAX_IN_FLIGHT=1).start()
    rig.publish(*[event(f"t{i}", rig.receiver.url("hang,ok")) for i in range(3)])
    rig.receiver.wait(1)
    hook.kill()
    client = rig.redis.client()
    (key,) = [k for k in client.keys() if k.endswith(b":t0")]
    record = bytearray(client.get(key))
    assert record[1] == 1 and record[2] == 1  # leased, C(1)
    client.set(key, bytes([1, 0, 2]) + record[3:14] + bytes([77]) + record[15:35] + bytes(8))  # F(1), and then 77
    rig.jobhook(**QUICK).start()
    (letter,) = rig.wait_dead(1, 40)
    assert letter.key == key.rsplit(b":")[-1] and letter.headers["jobhook-reason"] == "exhausted" and "another version" in letter.headers["jobhook-detail"]
    wait_for(lambda: len([r for r in rig.receiver.requests() if r["nth"] == 2]) == 2, 40, "the others")
    rig.wait_no_lag()


# ----------------------------------------------------------------------------------------------------------- what would stand still for ever

def test_a_copy_whose_name_in_the_group_was_taken_ends_instead_of_standing_still(rig):
    first = rig.jobhook(**QUICK, KAFKA_GROUP_INSTANCE_ID="same").start()
    rig.publish(*load(rig, 20, "ok"))
    rig.receiver.wait(20)
    rig.jobhook(**QUICK, KAFKA_GROUP_INSTANCE_ID="same").start(ready=False)
    assert ends_within(first, 60)[0] == 1
    assert "cannot go on" in first.log()
    rig.publish(*load(rig, 20, "ok", start=20))
    rig.receiver.wait(40, seconds=40)
    rig.wait_no_lag()
    assert_each_once(rig, 40)


# --------------------------------------------------------------------------------------------------------- topics that do not match

def test_retry_topics_with_fewer_partitions_and_an_input_topic_that_grows(make_rig):
    rig = make_rig(partitions=4, topics=False)
    rig.kafka.create_topics([rig.topic, rig.dlq], 4)
    rig.kafka.create_topics([t for t in rig.all_topics() if ".retry." in t], 1)
    rig.jobhook(**QUICK, KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS=1000).start()
    rig.publish(*load(rig, 40, "500,500,ok"))
    rig.receiver.wait(120, seconds=40)
    admin = rig.kafka.admin()
    for future in admin.create_partitions([confluent_kafka.admin.NewPartitions(rig.topic, 8)]).values():
        future.result(20)
    rig.publish(*[event(f"n{i}", rig.receiver.url("500,ok"), partition=4 + i % 4) for i in range(40)])
    rig.receiver.wait(200, seconds=60)
    rig.wait_no_lag(30)
    assert len(rig.receiver.requests()) == 200 and doubled(rig) == 0 and rig.dead() == []


# --------------------------------------------------------------------------------------------------- one customer has all of the intake

def test_a_dead_customer_whose_events_fill_the_intake_stops_nobody_else(make_rig):
    """Twelve origins that connected and refuse now look like a broken way out, and nobody else's events are read any more: others are asked without."""
    rig = make_rig(partitions=1, delays="1s,1s")
    customer = harness.Receiver(rig.folder, "customer")
    customer.addresses = [f"127.9.0.{i + 1}:0" for i in range(12)]
    customer.start()
    hook = rig.jobhook(JOBHOOK_MAX_IN_FLIGHT=4).start()
    rig.publish(event("before", rig.receiver.url("ok")), *[event(f"c{i}", customer.url("ok", origin=i)) for i in range(12)])
    customer.wait(12)
    rig.receiver.wait(1)
    customer.kill()
    rig.publish(*[event(f"lost{i}", customer.url("ok", origin=i % 12)) for i in range(300)], event("after", rig.receiver.url("ok")))
    rig.receiver.wait(2, seconds=60)
    wait_for(lambda: len(rig.dead()) == 300, 60, "that the others are given up")
    assert hook.metric("jobhook_egress_up") == 1 and len(rig.receiver.requests()) == 2
