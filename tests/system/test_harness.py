"""The harness itself: what the other system tests rely on, proved without jobhook."""
import threading
import urllib.error
import urllib.request

import pytest

import harness

pytestmark = pytest.mark.same_everywhere


def test_kafka_gives_back_key_value_headers_and_timestamp_as_written(rig):
    rig.publish(harness.record(b"v", b"k", [("a", b"1"), ("n", None)], partition=2, timestamp=1700000000000), harness.record(b"", None, partition=2))
    first, second = rig.kafka.read(rig.topic)
    assert (first.key, first.value, first.header_list, first.timestamp_ms) == (b"k", b"v", [("a", b"1"), ("n", None)], 1700000000000)
    assert (second.key, second.value, second.header_list) == (None, b"", [])


def test_lag_counts_what_a_group_has_not_committed(rig):
    rig.publish(*[harness.record(b"x") for _ in range(7)])
    assert rig.kafka.lag(rig.group, rig.topic) == 7


def test_aborted_transactions_are_not_read(rig):
    producer = rig.kafka.producer(**{"transactional.id": rig.topic})
    producer.init_transactions(30)
    for value, end in ((b"no", producer.abort_transaction), (b"yes", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(rig.topic, value)
        producer.flush(20)
        end(20)
    assert [r.value for r in rig.kafka.read(rig.topic)] == [b"yes"]


def test_redis_comes_back_with_its_data_after_kill(rig):
    rig.redis.client().set("a", "1")
    rig.redis.kill()
    assert not rig.redis.answers()
    rig.redis.start()
    assert rig.redis.client().get("a") == b"1"


def test_receiver_follows_the_script_of_the_path_for_each_task(rig):
    def post(path, task):
        request = urllib.request.Request(rig.receiver.url(path), data=b"{}", headers={"webhook-id": task})
        try:
            return harness.NO_PROXY.open(request, timeout=5).status
        except urllib.error.HTTPError as answer:
            return answer.code
    assert [post("500x2,ok/x", "a") for _ in range(4)] == [500, 500, 200, 200]
    assert post("500x2,ok/x", "b") == 500
    requests = rig.receiver.wait(5)
    assert [(r["id"], r["nth"], r["step"]) for r in requests] == [("a", 1, "500"), ("a", 2, "500"), ("a", 3, "ok"), ("a", 4, "ok"), ("b", 1, "500")]
    assert [r["mono"] for r in requests] == sorted(r["mono"] for r in requests)
    assert requests[0]["body"] == "{}"


def test_receiver_keeps_a_slow_answer_from_others(rig):
    threads = [threading.Thread(target=lambda: harness.NO_PROXY.open(rig.receiver.url("slow300"), b"{}", timeout=5).read()) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    requests = rig.receiver.wait(20)
    assert requests[-1]["mono"] - requests[0]["mono"] < 3


def test_three_nodes_survive_the_loss_of_one(folder):
    cluster = harness.Kafka(folder, nodes=3)
    try:
        cluster.start()
        cluster.create_topics(["t"], 1, min_insync_replicas=2)
        cluster.nodes[2].kill()
        cluster.produce("t", [harness.record(b"v")], acks="all")
        cluster.nodes[2].start()
        cluster.wait_ready()
        assert [r.value for r in cluster.read("t")] == [b"v"]
    finally:
        cluster.stop()
