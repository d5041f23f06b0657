"""Kafka's nodes killed, frozen, too few; topics deleted, too small, compacted, truncated; transactions aborted: no event is lost."""
import json
import os
import time

import confluent_kafka
import confluent_kafka.admin
import pytest

import harness
from faults import QUICK, assert_each_once, doubled, load
from harness import event, wait_for

RETRIED = "500,slow20"


# ------------------------------------------------------------------------------------------------------------------ three nodes

@pytest.fixture
def three_nodes(tmp_path):
    cluster = harness.Kafka(str(tmp_path), nodes=3)
    yield cluster.start()
    cluster.stop()


def on_the_cluster(scenario, cluster, folder):
    """Runs it with topics, Redis and receiver of its own, all nodes in sync, and leaves the nodes running."""
    os.mkdir(folder)
    rig = harness.Rig(folder, cluster, partitions=3, min_insync_replicas=2)
    try:
        in_sync_again(cluster, rig.all_topics())
        scenario(rig)
    finally:
        for node in cluster.nodes:
            node.resume()
            if not node.alive:
                node.start()
        cluster.wait_ready()
        problems = rig.close()
    assert not problems, problems


def leaders(kafka, topic):
    return [p.leader for p in kafka.admin().list_topics(topic, timeout=10).topics[topic].partitions.values()]


def node_that_leads(kafka, topic):
    """The node that leads most of the topic's partitions."""
    numbers = leaders(kafka, topic)
    busiest = max(set(numbers), key=numbers.count)
    return next(n for n in kafka.nodes if n.number == busiest)


def in_sync_again(kafka, names, seconds=60):
    def all_there():
        try:
            topics = kafka.admin().list_topics(timeout=5).topics
            return all(len(p.isrs) == 3 and p.leader > 0 for name in names for p in topics[name].partitions.values())
        except (confluent_kafka.KafkaException, KeyError):
            return False
    wait_for(all_there, seconds, "all replicas in sync", pause_s=0.3)


def retried_once(rig, count, seconds=90):
    """Every task had exactly its two attempts."""
    wait_for(lambda: sum(r["nth"] >= 2 for r in rig.receiver.requests()) >= count, seconds, f"{count} retries", pause_s=0.2)
    rig.wait_no_lag(60)
    assert len(rig.receiver.by_task()) == count
    assert doubled(rig) == 0 and len(rig.receiver.requests()) == 2 * count
    assert rig.dead() == []


def the_leader_killed_under_load(rig):
    count = 1000
    hook = rig.jobhook(**QUICK).start()
    rig.publish(*load(rig, count, RETRIED))
    rig.receiver.wait(count // 2, seconds=30)
    node = node_that_leads(rig.kafka, rig.topic)
    node.kill()
    wait_for(lambda: node.number not in leaders(rig.kafka, rig.topic), 40, "other leaders", pause_s=0.3)
    retried_once(rig, count)
    assert hook.alive


def retries_wait_while_their_topic_has_too_few_replicas(rig):
    count = 300
    hook = rig.jobhook(**QUICK).start()
    alter(rig.kafka, rig.topic + ".retry.100ms", min_insync_replicas=3)
    node = next(n for n in rig.kafka.nodes if n is not node_that_leads(rig.kafka, rig.topic))
    node.kill()
    rig.publish(*load(rig, count, RETRIED))
    wait_for(lambda: hook.metric("jobhook_produce_retries_total") > 0, 90, "a record that is not taken", pause_s=0.2)
    wait_for(lambda: "kafka did not take a record, trying again" in hook.log(), 5, "the log says so")
    assert hook.metric('jobhook_held_events{waiting_for="kafka"}') > 0
    assert all(r["nth"] == 1 for r in rig.receiver.requests())
    node.start()
    retried_once(rig, count)


def a_broker_frozen_beyond_the_session_timeout(rig):
    count = 1000
    hook = rig.jobhook(**QUICK).start()
    rig.publish(*load(rig, count, RETRIED))
    rig.receiver.wait(count // 4, seconds=30)
    node = node_that_leads(rig.kafka, rig.topic)
    node.pause()
    time.sleep(8)  # QUICK's session timeout is 6 s
    assert hook.alive and hook.get("/healthz")[0] == 200
    node.resume()
    retried_once(rig, count)


def two_of_three_nodes_and_then_all_go_and_come_back(rig):
    count = 1000
    hook = rig.jobhook(**QUICK).start()
    rig.publish(*load(rig, count, RETRIED))
    rig.receiver.wait(count // 4, seconds=30)
    for node in rig.kafka.nodes[1:]:
        node.kill()
    time.sleep(2)
    assert hook.alive and hook.get("/healthz")[0] == 200
    rig.kafka.nodes[0].kill()
    for node in rig.kafka.nodes:
        node.start()
    rig.kafka.wait_ready(90)
    retried_once(rig, count, 120)


@pytest.mark.same_everywhere
def test_a_cluster_of_three_loses_nodes_and_no_event(folder, three_nodes):
    """One test, because a cluster takes long to start."""
    for scenario in (the_leader_killed_under_load, retries_wait_while_their_topic_has_too_few_replicas, a_broker_frozen_beyond_the_session_timeout,
                     two_of_three_nodes_and_then_all_go_and_come_back):
        on_the_cluster(scenario, three_nodes, os.path.join(folder, scenario.__name__))


# ---------------------------------------------------------------------------------------------------------------- what topics do

def alter(kafka, topic, **config):
    """Changes these settings of a topic and keeps its others."""
    now = {n: v for n, v in kafka.topic_config(topic).items() if n in ("min.insync.replicas", "cleanup.policy", "segment.ms")}
    now.update({name.replace("_", "."): str(value) for name, value in config.items()})
    resource = confluent_kafka.admin.ConfigResource(confluent_kafka.admin.ConfigResource.Type.TOPIC, topic, set_config=now)
    admin = kafka.admin()  # kept until the answer is there
    for future in admin.alter_configs([resource]).values():
        future.result(20)


def delete_topic(kafka, topic):
    admin = kafka.admin()
    for future in admin.delete_topics([topic], operation_timeout=20).values():
        future.result(30)
    wait_for(lambda: topic not in kafka.topic_names(), 20, f"{topic} is gone")


def test_a_retry_topic_deleted_while_records_wait_in_it(make_rig):
    rig = make_rig(delays="6s")
    retry = rig.topic + ".retry.6s"
    # A short drain: librdkafka 2.0.2 does not destroy a consumer whose topic went away, and the end of the process has to be forced.
    hook = rig.jobhook(**QUICK, JOBHOOK_DRAIN_TIMEOUT="1s", KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS=1000).start()
    gone = load(rig, 20, "500,ok")
    places = rig.publish(*gone)
    wait_for(lambda: hook.settled("scheduled") == 20, 20, "all wait for their retry")
    wait_for(lambda: sum(v for n, v in hook.metrics().items() if n.startswith("jobhook_consumer_lag") and retry in n) == 20, 20,
             "the ends of the logs are known")
    delete_topic(rig.kafka, retry)
    wait_for(lambda: retry in hook.log(), 30, "the log names the topic")
    rig.publish(*load(rig, 20, "500,ok", start=20))
    wait_for(lambda: hook.metric("jobhook_produce_retries_total") > 0, 30, "a record that no topic takes", pause_s=0.2)
    wait_for(lambda: "kafka did not take a record, trying again" in hook.log(), 5, "the cure in the log")
    wait_for(lambda: hook.metric("jobhook_records_overtaken_total") == 20, 10, "the count of those that went with the topic")
    hook.wait_log("a topic was deleted with records in it")
    time.sleep(6)
    assert hook.alive and all(r["nth"] == 1 for r in rig.receiver.requests())
    rig.kafka.create_topics([retry], rig.partitions)
    wait_for(lambda: sum(r["nth"] == 2 for r in rig.receiver.requests()) == 20, 60, "the retries that were held", pause_s=0.2)
    # Those that went with the topic: Redis says that they wait for their retry, so only a new epoch, as a resend would write it, is not skipped.
    now = b"%d" % (time.time() * 1000)
    rig.kafka.produce(retry, [{**r, "headers": [("jobhook-attempt", b"1"), ("jobhook-epoch", b"1"), ("jobhook-due-ms", now), ("jobhook-first-ms", now),
                                                ("jobhook-origin", f"{rig.topic}/{places[i][0]}/{places[i][1]}".encode())]} for i, r in enumerate(gone)])
    wait_for(lambda: sum(r["nth"] == 2 for r in rig.receiver.requests()) == 40, 60, "the rest", pause_s=0.2)
    rig.wait_no_lag(30)
    assert doubled(rig) == 20  # attempt 1 of the new epoch
    assert rig.dead() == []


def big(rig, task, script, size):
    return event(task, rig.receiver.url(script), raw='{"text":"%s"}' % ("x" * size))


def test_records_too_large_for_the_retry_topic_become_dead_letters(rig):
    alter(rig.kafka, rig.topic + ".retry.100ms", max_message_bytes=20000)
    rig.jobhook(**QUICK).start()
    rig.publish(*[big(rig, f"big{i}", "500", 50000) for i in range(5)], *load(rig, 20, "500,ok"))
    dead = rig.wait_dead(5)
    wait_for(lambda: sum(r["nth"] == 2 for r in rig.receiver.requests()) == 20, 30, "the small ones")
    rig.wait_no_lag()
    assert sorted(r.key for r in dead) == sorted(b"big%d" % i for i in range(5))
    assert {r.headers["jobhook-reason"] for r in dead} == {"too_large"}
    assert all(len(r.value) > 50000 for r in dead)
    assert len(rig.receiver.requests()) == 5 + 40


def test_dead_letters_too_large_for_their_topic_are_shortened_and_point_at_the_event(rig):
    alter(rig.kafka, rig.dlq, max_message_bytes=20000)
    hook = rig.jobhook(**QUICK).start()
    places = rig.publish(*[big(rig, f"big{i}", "500", 50000) for i in range(5)], *load(rig, 20, "500,ok"))
    dead = rig.wait_dead(5)
    rig.wait_no_lag()
    assert sorted(r.key for r in dead) == sorted(b"big%d" % i for i in range(5))
    for letter in dead:
        partition, offset = places[int(letter.key[3:])]
        assert letter.headers["jobhook-origin"] == f"{rig.topic}/{partition}/{offset}"
        assert letter.headers["jobhook-reason"] == "exhausted" and len(letter.value) < 20000
    hook.wait_log("is shortened")
    assert len(rig.receiver.requests()) == 5 * 4 + 40


def transaction(kafka, topic, records, commit):
    producer = kafka.producer(transactional_id="t." + topic, **{"linger.ms": 0})
    producer.init_transactions(30)
    producer.begin_transaction()
    for r in records:
        producer.produce(topic, r["value"], r["key"])
    producer.flush(20)
    if commit:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def test_aborted_transactions_are_never_sent_and_never_in_the_way(make_rig):
    rig = make_rig(partitions=2)
    rig.jobhook(**QUICK).start()
    for round_number in range(3):
        start = 100 * round_number
        transaction(rig.kafka, rig.topic, load(rig, 20, "ok", start=start), commit=True)
        transaction(rig.kafka, rig.topic, load(rig, 20, "ok", start=start + 50), commit=False)
    rig.receiver.wait(60)
    rig.wait_no_lag()  # the last offsets hold only markers and aborted records
    time.sleep(0.5)
    assert {int(t[1:]) % 100 < 20 for t in rig.receiver.by_task()} == {True}
    assert_each_once(rig, 60)


def test_gaps_left_by_compaction_are_no_loss_and_no_obstacle(make_rig):
    rig = make_rig(partitions=1, cleanup_policy="compact", segment_ms=200, min_cleanable_dirty_ratio=0.01, min_compaction_lag_ms=0)
    same = [event("same", rig.receiver.url("ok"), raw='{"version":%d}' % i) for i in range(200)]
    rig.publish(*[r for i in range(200) for r in (same[i], event(f"t{i}", rig.receiver.url("ok")))])
    time.sleep(0.3)
    rig.publish(event("roll1", rig.receiver.url("ok")))
    time.sleep(0.3)
    rig.publish(event("roll2", rig.receiver.url("ok")))
    wait_for(lambda: len(rig.kafka.read(rig.topic)) < 300, 30, "the compaction", pause_s=0.5)
    left = rig.kafka.read(rig.topic)
    assert left[-1].offset > len(left)
    hook = rig.jobhook(**QUICK).start()
    rig.receiver.wait(202, seconds=30)
    rig.wait_no_lag()
    tasks = rig.receiver.by_task()
    assert {t for t in tasks if t != "same"} == {f"t{i}" for i in range(200)} | {"roll1", "roll2"}
    assert len(tasks["same"]) == 1 and hook.metric("jobhook_records_overtaken_total") == 0


def retention_overtakes(rig):
    """Everything that is closed goes: retention of a millisecond until the log start has moved, then no longer."""
    before = start_of(rig.kafka, rig.topic)
    alter(rig.kafka, rig.topic, retention_ms=1, segment_ms=100)
    wait_for(lambda: start_of(rig.kafka, rig.topic) > before, 60, "retention", pause_s=0.5)
    alter(rig.kafka, rig.topic, retention_ms=604800000)
    return start_of(rig.kafka, rig.topic)


def start_of(kafka, topic):
    consumer = kafka.consumer()
    try:
        return consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, 0), timeout=10)[0]
    finally:
        consumer.close()


def test_retention_that_overtakes_a_stopped_consumer_is_counted_loudly(make_rig):
    rig = make_rig(partitions=1)
    hook = rig.jobhook(**QUICK).start()
    rig.publish(*load(rig, 100, "ok"))
    rig.receiver.wait(100)
    rig.wait_no_lag()
    assert hook.stop() == 0
    rig.publish(*load(rig, 50, "ok", start=100))
    time.sleep(0.5)
    start = retention_overtakes(rig)
    rig.publish(*load(rig, 30, "ok", start=200))
    hook = rig.jobhook(**QUICK).start()
    wait_for(lambda: "t229" in rig.receiver.by_task(), 30, "what is left")
    rig.wait_no_lag()
    lost = min(start, 150) - 100
    assert lost == 50
    wait_for(lambda: hook.metric("jobhook_records_overtaken_total") == lost, 10, "the count of records that went unread")
    wait_for(lambda: "records were deleted before they were read" in hook.log(), 10, "the log's line about it")  # written by a thread of its own
    assert_each_once(rig, 130)
