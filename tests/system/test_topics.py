"""What Kafka can hold: codecs, headers, empty values, transactions, compaction, topics that come later or move."""
import time

import pytest

from harness import event, record, wait_for


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_batches_are_read(rig, codec):
    rig.jobhook().start()
    rig.publish(*[event(f"t{i}", rig.receiver.url("ok")) for i in range(200)], **{"compression.type": codec, "linger.ms": 50})
    rig.receiver.wait(200)
    rig.wait_no_lag()
    assert len(rig.receiver.requests()) == 200


def test_a_backlog_is_read_from_its_beginning(rig):
    rig.publish(*[event(f"t{i}", rig.receiver.url("ok")) for i in range(500)])
    rig.jobhook().start()
    rig.receiver.wait(500)
    rig.wait_no_lag()
    assert len(rig.receiver.by_task()) == len(rig.receiver.requests()) == 500


def test_only_committed_transactions_are_delivered_and_markers_are_no_lag(make_rig):
    rig = make_rig(partitions=1)
    hook = rig.jobhook().start()
    producer = rig.kafka.producer(**{"transactional.id": rig.topic})
    producer.init_transactions(30)
    for task, end in (("no", producer.abort_transaction), ("yes", producer.commit_transaction), ("neither", producer.abort_transaction)):
        producer.begin_transaction()
        e = event(task, rig.receiver.url("ok"))
        producer.produce(rig.topic, e["value"], e["key"])
        producer.flush(20)
        end(20)
    rig.receiver.wait(1)
    rig.wait_no_lag(30)
    assert [r["id"] for r in rig.receiver.requests()] == ["yes"]
    wait_for(lambda: sum(v for n, v in hook.metrics().items() if n.startswith("jobhook_consumer_lag{")) == 0, 20, "the metric says so, too")


def test_an_open_transaction_holds_back_only_what_follows_it(make_rig):
    rig = make_rig(partitions=1)
    rig.jobhook().start()
    rig.publish(event("before", rig.receiver.url("ok")))
    rig.receiver.wait(1)
    producer = rig.kafka.producer(**{"transactional.id": rig.topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    e = event("inside", rig.receiver.url("ok"))
    producer.produce(rig.topic, e["value"], e["key"])
    producer.flush(20)
    rig.publish(event("behind", rig.receiver.url("ok")))
    time.sleep(1)
    assert len(rig.receiver.requests()) == 1
    producer.commit_transaction(20)
    rig.receiver.wait(3)
    rig.wait_no_lag(30)


def test_a_compacted_topic_with_gaps_is_read_to_its_end(make_rig):
    rig = make_rig(topics=False)
    rig.kafka.create_topics([rig.topic], 1, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.01, max_compaction_lag_ms=100)
    rig.kafka.create_topics(rig.all_topics()[1:], 1)
    for i in range(5):  # the same keys again and again, in segments that the cleaner may touch
        rig.publish(*[event(f"t{k}", rig.receiver.url("ok"), raw='{"round":%d}' % i, key=b"key%d" % k) for k in range(20)])
        time.sleep(0.3)
    rig.publish(event("last", rig.receiver.url("ok")))
    wait_for(lambda: len(rig.kafka.read(rig.topic)) <= 41, 60, "the cleaner removes old rounds", pause_s=1)
    left = rig.kafka.read(rig.topic)
    rig.jobhook().start()
    rig.receiver.wait(21)
    rig.wait_no_lag()
    conflicts = len(left) - 21  # of a key's rounds the first that is left wins, the others are different events under its id
    assert len(rig.receiver.requests()) == 21 and len(rig.dead()) == conflicts


def test_topics_that_are_missing_at_start_are_waited_for(make_rig):
    rig = make_rig(topics=False)
    hook = rig.jobhook().start(ready=False)
    time.sleep(3)
    assert hook.alive and hook.get("/readyz")[0] == 503
    hook.wait_log(rig.topic)
    rig.kafka.create_topics(rig.all_topics(), 2)
    rig.publish(event("t", rig.receiver.url("500,ok")))
    rig.receiver.wait(2, seconds=60)
    wait_for(lambda: hook.get("/readyz")[0] == 200, 20, "ready")


def test_topics_create_makes_what_run_needs_and_says_what_differs(make_rig):
    rig = make_rig(topics=False, delays="1s,2s,60s")
    hook = rig.jobhook(JOBHOOK_DEFER_DELAYS="1m,5m")
    status, output, errors = hook.command("topics", "create", "--partitions", "3", "--replication", "1")
    assert status == 0, output + errors
    expected = [rig.topic, rig.dlq] + [f"{rig.topic}.retry.{d}" for d in ("1s", "2s", "1m", "5m")]
    assert [t for t in rig.kafka.topic_names() if t.startswith(rig.topic)] == sorted(expected)
    for topic in expected:
        assert rig.kafka.partitions(topic) == [0, 1, 2], topic
    day_ms = 24 * 3600 * 1000
    configs = {topic: rig.kafka.topic_config(topic) for topic in expected}
    assert configs[rig.topic + ".retry.1s"]["retention.ms"] == str(7 * day_ms)
    assert configs[rig.dlq]["retention.ms"] == str(30 * day_ms)
    for topic in expected[1:]:
        assert int(configs[topic]["max.message.bytes"]) >= int(configs[rig.topic]["max.message.bytes"]) + 65536, topic
        assert configs[topic]["cleanup.policy"] == "delete"
    again = hook.command("topics", "create", "--partitions", "3", "--replication", "1")
    assert again[0] == 0, again
    other = hook.command("topics", "create", "--partitions", "6", "--replication", "1")
    assert rig.topic in other[1] + other[2] and "3" in other[1] + other[2] and "6" in other[1] + other[2]
    assert rig.kafka.partitions(rig.topic) == [0, 1, 2]
    hook.start()
    rig.publish(event("t", rig.receiver.url("500,ok")))
    rig.receiver.wait(2)


def test_topics_create_says_when_no_broker_answers(make_rig):
    rig = make_rig(topics=False)
    hook = rig.jobhook(JOBHOOK_KAFKA_BROKERS="127.0.0.1:1")
    status, _, errors = hook.command("topics", "create", seconds=90)
    assert status == 1 and "127.0.0.1:1" in errors


def test_empty_partitions_and_many_of_them_are_no_trouble(make_rig):
    rig = make_rig(partitions=40, delays="100ms")
    rig.jobhook().start()
    rig.publish(*[event(f"t{i}", rig.receiver.url("500,ok"), partition=i % 40) for i in range(400)])
    rig.receiver.wait(800, seconds=40)
    rig.wait_no_lag(30)
    assert len(rig.receiver.requests()) == 800


def test_headers_and_timestamps_of_any_kind_pass(rig):
    rig.jobhook().start()
    headers = [(f"h{i}", b"x" * i) for i in range(100)] + [("", b"no name"), ("null", None), ("ünïcode", b"\x00\xff")]
    sent = event("t", rig.receiver.url("500"), headers=headers)
    rig.publish(sent)
    (letter,) = rig.wait_dead(1)
    assert [h for h in letter.header_list if not h[0].startswith("jobhook-")] == headers
    rig.publish(record(None, b"tombstone"))
    rig.wait_dead(2)
