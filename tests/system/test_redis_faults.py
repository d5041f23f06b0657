"""Redis that dies, forgets, goes back in time, freezes, fills up, answers nonsense: every event is delivered, and a copy that lives on doubles none."""
import os
import shutil
import time

import pytest

import harness
from faults import QUICK, RedisProxy, assert_each_once, doubled, load
from harness import event, wait_for

COUNT = 1500
SNAPSHOTS = ("--appendonly", "no")
COMMAND_TIMEOUT_S = 2  # dedupe/redis.c: then the connection is given up


@pytest.fixture
def proxied(rig):
    """(rig, proxy, settings that lead jobhook through the proxy)"""
    proxy = RedisProxy(("127.0.0.1", rig.redis.port))
    yield rig, proxy, {**QUICK, "JOBHOOK_REDIS_URL": proxy.url}
    proxy.close()


def publish_half(rig, path="slow20"):
    """Half of the load, and then time until some of it is delivered."""
    rig.publish(*load(rig, COUNT // 2, path))
    rig.receiver.wait(COUNT // 5, seconds=30)


def publish_rest_and_count(rig, extra=0, path="slow20"):
    rig.publish(*load(rig, COUNT - COUNT // 2, path, start=COUNT // 2))
    wait_for(lambda: len(rig.receiver.by_task()) == COUNT, 60, "every task")
    rig.wait_no_lag(40)
    assert_each_once(rig, COUNT, extra)
    assert rig.dead() == []


def away_and_back(hook, seconds=20):
    wait_for(lambda: hook.metric("jobhook_redis_up") == 1, seconds, "redis_up")


def with_snapshots(rig):
    """Redis again, with snapshots in the place of a log of its writes."""
    rig.redis.kill()
    shutil.rmtree(os.path.join(rig.folder, "appendonlydir"))
    rig.redis.start(*SNAPSHOTS)


def test_redis_killed_under_load_and_started_with_what_it_had(rig):
    hook = rig.jobhook(**QUICK).start()
    publish_half(rig)
    rig.redis.kill()
    time.sleep(1)
    rig.redis.start()
    away_and_back(hook)
    publish_rest_and_count(rig)


def test_redis_killed_under_load_and_started_empty(rig):
    with_snapshots(rig)
    hook = rig.jobhook(**QUICK).start()
    publish_half(rig, "500,slow20")
    rig.redis.kill()
    rig.redis.start(*SNAPSHOTS)
    assert rig.redis.client().info("persistence")["rdb_last_load_keys_loaded"] == 0  # jobhook may be back already, and writing
    away_and_back(hook)
    rig.publish(*load(rig, COUNT - COUNT // 2, "500,slow20", start=COUNT // 2))
    wait_for(lambda: sum(r["nth"] == 2 for r in rig.receiver.requests()) == COUNT, 60, "every retry")
    rig.wait_no_lag(40)
    assert doubled(rig) == 0 and rig.dead() == []


def test_an_old_snapshot_restored_and_jobhook_killed(rig):
    """The worst of a rollback: whoever knew better is gone. At most what was read again is sent again."""
    with_snapshots(rig)
    hook = rig.jobhook(**QUICK, JOBHOOK_MAX_IN_FLIGHT=100).start()
    publish_half(rig)
    rig.redis.client().save()
    shutil.copy(os.path.join(rig.folder, "dump.rdb"), os.path.join(rig.folder, "old.rdb"))
    rig.receiver.wait(COUNT // 3, seconds=30)
    hook.kill()
    rig.redis.kill()
    uncommitted = rig.kafka.lag(rig.group, rig.topic)
    os.replace(os.path.join(rig.folder, "old.rdb"), os.path.join(rig.folder, "dump.rdb"))
    rig.redis.start(*SNAPSHOTS)
    rig.jobhook(**QUICK).start()
    publish_rest_and_count(rig, extra=uncommitted)


def test_a_replica_promoted_behind_its_primary(proxied):
    rig, proxy, settings = proxied
    folder = os.path.join(rig.folder, "replica")
    os.mkdir(folder)
    replica = harness.Redis(folder).start("--replicaof", "127.0.0.1", str(rig.redis.port), "--repl-diskless-sync-delay", "0")
    try:
        wait_for(lambda: replica.client().info("replication")["master_link_status"] == "up", 20, "replication")
        hook = rig.jobhook(**settings).start()
        publish_half(rig)
        replica.client().execute_command("REPLICAOF", "127.0.0.1", "1")  # keeps what it has, hears no more
        rig.receiver.wait(COUNT // 3, seconds=30)
        rig.redis.kill()
        replica.client().execute_command("REPLICAOF", "NO", "ONE")
        proxy.lead_to(("127.0.0.1", replica.port))
        away_and_back(hook)
        publish_rest_and_count(rig)
    finally:
        replica.kill()


def test_a_redis_that_freezes_and_goes_on(rig):
    hook = rig.jobhook(**QUICK).start()
    publish_half(rig)
    rig.redis.pause()
    wait_for(lambda: hook.metric("jobhook_redis_up") == 0, COMMAND_TIMEOUT_S + 8, "the freeze is seen")
    assert hook.get("/healthz")[0] == 200
    rig.redis.resume()
    away_and_back(hook)
    publish_rest_and_count(rig)


def test_a_redis_that_is_full(rig):
    hook = rig.jobhook(**QUICK).start()
    publish_half(rig)
    rig.redis.client().config_set("maxmemory", "1")
    rig.publish(*[event("full", rig.receiver.url("ok"))])
    wait_for(lambda: hook.metric("jobhook_redis_up") == 0, 20, "away")
    wait_for(lambda: "raise maxmemory" in hook.log(), 5, "the cure in the log")
    time.sleep(1)
    assert "full" not in rig.receiver.by_task()
    rig.redis.client().config_set("maxmemory", "0")
    away_and_back(hook)
    wait_for(lambda: "full" in rig.receiver.by_task(), 20, "the event that met it full")
    rig.publish(*load(rig, COUNT - COUNT // 2, start=COUNT // 2))
    wait_for(lambda: len(rig.receiver.by_task()) == COUNT + 1, 60, "every task")
    rig.wait_no_lag(40)
    assert_each_once(rig, COUNT + 1)


def test_a_redis_that_evicts_is_warned_about_and_loses_nothing(rig):
    client = rig.redis.client()
    client.config_set("maxmemory-policy", "allkeys-random")
    hook = rig.jobhook(**QUICK).start()
    wait_for(lambda: "set maxmemory-policy to noeviction" in hook.log(), 10, "the warning")
    publish_half(rig)
    client.config_set("maxmemory", client.info("memory")["used_memory"])
    publish_rest_and_count(rig)
    assert client.info("stats")["evicted_keys"] > 0


def test_a_primary_that_becomes_a_replica(rig):
    hook = rig.jobhook(**QUICK).start()
    publish_half(rig)
    rig.redis.client().execute_command("REPLICAOF", "127.0.0.1", "1")
    rig.publish(event("readonly", rig.receiver.url("ok")))
    wait_for(lambda: "it must name the primary" in hook.log(), 10, "the cure in the log")
    time.sleep(1)
    assert "readonly" not in rig.receiver.by_task()
    rig.redis.client().execute_command("REPLICAOF", "NO", "ONE")
    away_and_back(hook)
    wait_for(lambda: "readonly" in rig.receiver.by_task(), 20, "the event that met the replica")
    rig.publish(*load(rig, COUNT - COUNT // 2, start=COUNT // 2))
    wait_for(lambda: len(rig.receiver.by_task()) == COUNT + 1, 60, "every task")
    rig.wait_no_lag(40)
    assert_each_once(rig, COUNT + 1)


def is_loading(rig):
    try:
        return rig.redis.client().info("persistence")["loading"] == 1
    except harness.redis_client.RedisError:
        return False


def test_a_redis_that_is_loading(rig):
    with_snapshots(rig)
    pipe = rig.redis.client().pipeline()
    for i in range(4000):
        pipe.set(f"other:{i}", "x" * 100)
    pipe.execute()
    hook = rig.jobhook(**QUICK).start()
    publish_half(rig)
    rig.redis.client().save()
    rig.redis.kill()
    # A millisecond for each key, answering in between: LOADING for some seconds, as with a large dump.
    harness.Process.spawn(rig.redis, [shutil.which("redis-server") or os.path.join(rig.folder, "redis-server"), "--bind", "127.0.0.1", "--port",
                                      str(rig.redis.port), "--unixsocket", rig.redis.socket_path, "--save", "", *SNAPSHOTS, "--dir", rig.folder,
                                      "--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"])
    wait_for(lambda: is_loading(rig), 10, "Redis says that it is loading")
    rig.publish(event("early", rig.receiver.url("ok")))
    seen = 0
    while is_loading(rig):
        assert "early" not in rig.receiver.by_task() and hook.metric("jobhook_redis_up") == 0
        seen += 1
        time.sleep(0.3)
    assert seen > 3
    away_and_back(hook, 40)
    wait_for(lambda: "early" in rig.receiver.by_task(), 20, "the event that met it loading")
    rig.publish(*load(rig, COUNT - COUNT // 2, start=COUNT // 2))
    wait_for(lambda: len(rig.receiver.by_task()) == COUNT + 1, 60, "every task")
    rig.wait_no_lag(40)
    assert_each_once(rig, COUNT + 1)


def test_connections_reset_in_the_middle_of_a_reply(proxied):
    rig, proxy, settings = proxied
    hook = rig.jobhook(**settings).start()
    rig.publish(*load(rig, COUNT // 2))
    for i in range(5):
        rig.receiver.wait(100 * (i + 1), seconds=30)
        proxy.cut_next = True
        wait_for(lambda: not proxy.cut_next, 10, "a reply cut off")
        wait_for(lambda: hook.metric("jobhook_redis_reconnects_total") > i, 10, "a new connection")
    publish_rest_and_count(rig)


def test_replies_that_never_come_are_waited_for_with_wait(proxied):
    rig, proxy, settings = proxied
    hook = rig.jobhook(**settings, JOBHOOK_REDIS_DOWN="wait", JOBHOOK_REDIS_WAIT="1s").start()
    publish_half(rig)
    proxy.silent = True
    wait_for(lambda: hook.metric("jobhook_redis_up") == 0, COMMAND_TIMEOUT_S + 8, "the silence is heard")
    time.sleep(1)  # what was claimed before is sent
    sent = len(rig.receiver.requests())
    rig.publish(*load(rig, 50, start=COUNT // 2))
    time.sleep(3)
    assert len(rig.receiver.requests()) == sent and hook.get("/healthz")[0] == 200
    proxy.silent = False
    proxy.hang_up()
    away_and_back(hook)
    rig.publish(*load(rig, COUNT - COUNT // 2 - 50, start=COUNT // 2 + 50))
    wait_for(lambda: len(rig.receiver.by_task()) == COUNT, 60, "every task")
    rig.wait_no_lag(40)
    assert_each_once(rig, COUNT)


def test_replies_that_never_come_are_done_without_with_deliver(proxied):
    rig, proxy, settings = proxied
    hook = rig.jobhook(**settings, JOBHOOK_REDIS_WAIT="1s").start()
    publish_half(rig)
    proxy.silent = True
    rig.publish(*load(rig, COUNT - COUNT // 2, start=COUNT // 2))
    wait_for(lambda: len(rig.receiver.by_task()) == COUNT, 90, "every task")
    rig.wait_no_lag(60)
    assert hook.metric("jobhook_posts_unclaimed_total") > 0 and hook.metric("jobhook_settles_given_up_total") > 0
    assert_each_once(rig, COUNT)  # only two copies with the same event could double it
