#!/usr/bin/python3
"""Chaos: several copies of jobhook over a real Kafka and a real Redis, load with a journal, a receiver with a journal, and faults at random.

    chaos.py [--events N] [--seed N] [--copies N] [--nodes 1|3] [--folder DIR] ...

What is published and which fault comes next, after which pause and for how long, is drawn from the seed; how far the load has come by then is
the machine's affair. Three lanes make faults at the same time: one of copies (SIGKILL, all at once, SIGTERM one after the other, SIGTERM twice,
SIGSTOP beyond session timeout and lease, a guest that joins and leaves), one of Redis (killed and back, back empty, back with an old copy of its
data, stopped, connections cut, flushed), one of Kafka (a node killed and back, stopped). When everything is published the faults stop, what is left
drains, and the oracle judges; its verdict is the exit status."""
import argparse
import base64
import collections
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
import oracle  # noqa: E402

ORIGINS = 12
CUSTOMERS = 40  # of each script
OUTSTANDING_MAX = 30_000  # published, and not delivered yet: the producer waits

# script of the path → weight. Some customers' first attempts all hang or are put off: their endpoints rest, and their events are deferred.
SCRIPTS = {"ok": 8400, "slow20": 200, "slow200": 100, "slow1000": 20, "500,ok": 400, "500x2,ok": 100, "503,ok": 50, "404,ok": 50, "302,ok": 30,
           "reset,ok": 100, "close,ok": 100, "hang,ok": 6, "429r1,ok": 20, "500": 40, "500x3,204": 40, "nothing": 80, "malformed": 10}
PUBLISHED_TWICE, CONFLICTING, LARGE, WITH_HEADERS = 0.01, 0.001, 0.004, 0.05


class Journal:
    """Faults, one JSON object a line, each when it is over."""

    def __init__(self, path):
        self.path, self.lock = path, threading.Lock()
        self.file = open(path, "w", buffering=1)
        self.count = collections.Counter()

    def write(self, **fault):
        with self.lock:
            self.file.write(json.dumps(fault) + "\n")
            if "from" in fault:
                self.count[fault.get("how") or fault["what"]] += 1

    def fault(self, what, began, how=None, **more):
        self.write(what=what, how=how or what, **{"from": began, "to": time.monotonic(), **more})


# ------------------------------------------------------------------------------------------------------------------------------ load

class Load(threading.Thread):
    """Publishes the events, at most `rate` a second and OUTSTANDING_MAX ahead of the receiver, and writes down what was acknowledged."""

    def __init__(self, chaos):
        super().__init__(daemon=True)
        self.chaos, self.options = chaos, chaos.options
        self.random = random.Random(f"load {self.options.seed}")
        self.journal = open(chaos.file("published.journal"), "w", buffering=1 << 16)
        self.producer = chaos.kafka.producer(enable_idempotence=True, acks="all", queue_buffering_max_messages=50_000, linger_ms=20,
                                             message_timeout_ms=3_600_000)
        self.events = self.acked = 0
        self.problem = None
        self.twice = collections.deque()
        self.names, self.weights = list(SCRIPTS), list(SCRIPTS.values())

    def url(self, script):
        if script == "nothing":
            return None
        customer = self.random.randrange(CUSTOMERS)
        return self.chaos.addresses[customer % len(self.chaos.addresses)], f"/{script}/customer-{customer}"

    def event(self, number, content):
        """(key, value, headers), what the receiver must get, and the path."""
        task, script = f"task-{self.options.seed}-{number:07d}", self.random.choices(self.names, self.weights)[0]
        size = self.random.randrange(10_000, 200_000) if self.random.random() < LARGE else self.random.randrange(20, 200)
        raw = '{"%s":"%s","n":1e400,"big":123456789012345678901}' % (content, "x" * size)
        headers = [("traceparent", b"00-%032x-%016x-01" % (number + 1, number + 1)), ("raw", b"\xff\x00")] \
            if self.random.random() < WITH_HEADERS else []
        if script == "malformed":
            return (task.encode(), b"{" + raw.encode(), headers), None, "-"
        failed = number % 10 == 9
        target = self.url(script)
        made = harness.event(task, target and "http://%s%s" % target, status="failed" if failed else "completed",
                             raw=json.dumps(raw) if failed else raw)
        body = harness.body(task, status="failed" if failed else "completed", raw=json.dumps(raw) if failed else raw)
        return (made["key"], made["value"], headers), body.encode(), target[1] if target else "-"

    def send(self, made):
        (key, value, headers), body, path = made
        sha = hashlib.sha256(body).hexdigest()[:16] if body else "-"
        line = (key.decode(), sha, oracle.fingerprint(key, value, headers), path)

        def acknowledged(error, message):
            place = (-1, -1) if error else (message.partition(), message.offset())
            self.acked += not error
            self.journal.write("%s\t%d\t%d\t%d\t%s\t%s\t%s\n" % (line[0], *place, time.monotonic_ns() // 1000, *line[1:]))
        while True:
            try:
                self.producer.produce(self.chaos.topic, value, key, headers=headers, on_delivery=acknowledged)
                break
            except BufferError:
                self.producer.poll(0.2)
        self.producer.poll(0)

    def publish(self, number):
        made = self.event(number, "result")
        self.send(made)
        self.events += 1
        chance = self.random.random()
        if chance < PUBLISHED_TWICE:
            self.twice.append((number + self.random.randrange(1, 3000), made))
        elif chance < PUBLISHED_TWICE + CONFLICTING and made[1] is not None:
            self.twice.append((number + self.random.randrange(1, 3000), self.event(number, "other")))
        while self.twice and self.twice[0][0] <= number:
            self.send(self.twice.popleft()[1])

    def run(self):
        try:
            began = time.monotonic()
            for number in range(self.options.events):
                while number >= (time.monotonic() - began) * self.options.rate or self.events - self.chaos.delivered > OUTSTANDING_MAX:
                    self.producer.poll(0.02)
                self.publish(number)
            for _, made in self.twice:
                self.send(made)
            left = self.producer.flush(300)
            if left:
                self.problem = f"{left} events were not acknowledged"
        except Exception as problem:  # a thread of its own: the main one must hear of it
            self.problem = repr(problem)
        finally:
            self.journal.close()


# ------------------------------------------------------------------------------------------------------------------------ neighbours

class Scribe(harness.Process):
    def __init__(self, folder, journal, keys):
        super().__init__(folder, "scribe")
        self.journal, self.keys = journal, keys

    def start(self):
        command = [os.path.join(harness.BUILD, "tests", "scribe"), "--journal", self.journal]
        for key in self.keys:
            command += ["--key", key]
        for i in range(ORIGINS):
            command += ["--listen", f"127.0.0.{i + 1}:0"]
        self.spawn(command, stdout=subprocess.PIPE)
        self.addresses = [self.process.stdout.readline().decode().strip() for _ in range(ORIGINS)]
        assert all(self.addresses), "scribe did not start:\n" + self.log()
        return self.addresses

    def counts(self):
        with harness.NO_PROXY.open(f"http://{self.addresses[0]}/count", timeout=10) as answer:
            return json.loads(answer.read())


class Redis(harness.Redis):
    """appendfsync no: every write reaches the file before it is answered, so that a kill alone loses nothing."""

    def start(self, *options):
        try:
            super().start("--appendfsync", "no", *options)
        except AssertionError:  # still loading
            harness.wait_for(self.answers, 60, "Redis answers")
        return self

    @property
    def data(self):
        return os.path.join(self.folder, "appendonlydir")

    def save(self, to):
        """A copy of its data, taken while it stands still."""
        shutil.rmtree(to, ignore_errors=True)
        self.pause()
        try:
            shutil.copytree(self.data, to)
        finally:
            self.resume()


# ------------------------------------------------------------------------------------------------------------------------------ chaos

class Lane(threading.Thread):
    """Makes its faults one after another until it is told to stop; each leaves everything as it found it."""

    def __init__(self, chaos, name, pause_s, faults):
        super().__init__(daemon=True)
        self.chaos, self.name, self.pause_s = chaos, name, pause_s
        self.random = random.Random(f"{name} {chaos.options.seed}")
        self.faults = [getattr(self, f) for f, weight in faults for _ in range(weight)]
        self.problem = None

    def run(self):
        try:
            while not self.chaos.calm.wait(self.random.uniform(*self.pause_s)):
                self.random.choice(self.faults)()
        except Exception as problem:
            self.problem = f"{self.name}: {problem!r}"

    def sleep(self, least_s, most_s):
        """Cut short when the faults are to stop; the draws stay the same."""
        self.chaos.calm.wait(self.random.uniform(least_s, most_s))


class Copies(Lane):
    def __init__(self, chaos):
        super().__init__(chaos, "copies", (1, 6), [("kill_one", 5), ("kill_all", 1), ("roll", 2), ("term_twice", 1), ("sleep_short", 2), ("sleep_long", 3),
                                                   ("guest", 3)])

    def pick(self):
        return self.random.randrange(self.chaos.options.copies)

    def kill(self, number, how):
        began = time.monotonic()
        self.chaos.copies[number].kill()
        self.chaos.journal.fault("kill", began, how, copy=number)

    def kill_one(self):
        number = self.pick()
        self.kill(number, "SIGKILL")
        self.sleep(0, 3)
        self.chaos.start_copy(number)

    def kill_all(self):
        for number in range(self.chaos.options.copies):
            self.kill(number, "SIGKILL of all")
        self.sleep(0, 2)
        for number in range(self.chaos.options.copies):
            self.chaos.start_copy(number)

    def roll(self):
        for number in range(self.chaos.options.copies):
            self.chaos.stop_copy(number, "SIGTERM")
            self.chaos.start_copy(number)
            self.sleep(0.5, 2)

    def term_twice(self):
        number = self.pick()
        copy = self.chaos.copies[number]
        copy.signal(signal.SIGTERM)
        self.sleep(0.05, 0.5)
        began = time.monotonic()
        copy.signal(signal.SIGTERM)
        copy.process.wait(20)
        self.chaos.journal.fault("kill", began, "SIGTERM twice", copy=number)
        self.chaos.start_copy(number)

    def freeze(self, least_s, most_s, how):
        number, began = self.pick(), time.monotonic()
        self.chaos.copies[number].pause()
        self.sleep(least_s, most_s)
        self.chaos.copies[number].resume()
        self.chaos.journal.fault("freeze", began, how, copy=number)

    def sleep_short(self):
        self.freeze(0.3, 2.5, "SIGSTOP")

    def sleep_long(self):
        longest_s = max(self.chaos.options.session_s, self.chaos.lease_s)
        self.freeze(longest_s + 1, longest_s + 6, "SIGSTOP beyond the lease")

    def guest(self):
        """Partitions move to it, and back."""
        number, began = self.chaos.options.copies, time.monotonic()
        self.chaos.start_copy(number)
        self.sleep(3, 12)
        self.chaos.stop_copy(number, None)
        self.chaos.journal.fault("guest", began, "copy came and left")


class RedisLane(Lane):
    def __init__(self, chaos):
        super().__init__(chaos, "redis", (3, 12), [("restart", 3), ("lose", 1), ("flush", 1), ("fall_back", 2), ("stop_short", 2), ("stop_long", 1), ("cut", 3)])
        self.redis = chaos.redis

    def restart(self, how="redis killed and back", between=lambda: None, since=None, lost=False):
        began = time.monotonic()
        self.redis.kill()
        self.sleep(0.1, 3)
        between()
        self.redis.start()
        if lost:
            self.chaos.journal.write(what="redis_lost", since=since, **{"from": began, "to": time.monotonic()}, how=how)
            how = "redis away meanwhile"
        self.chaos.journal.fault("redis_away", began, how)

    def lose(self):
        self.restart("redis killed and back empty", lambda: shutil.rmtree(self.redis.data), lost=True)

    def flush(self):
        began = time.monotonic()
        client = self.redis.client()
        client.flushall()
        client.script_flush()
        self.chaos.journal.fault("redis_lost", began, "redis flushed", since=None)

    def fall_back(self):
        saved, since = self.chaos.file("redis.saved"), time.monotonic()
        self.redis.save(saved)
        self.chaos.journal.fault("redis_away", since, "redis copied")
        self.sleep(3, 20)

        def put_back():
            shutil.rmtree(self.redis.data)
            shutil.move(saved, self.redis.data)
        self.restart("redis back with an old copy", put_back, since=since, lost=True)

    def stop(self, least_s, most_s, how):
        began = time.monotonic()
        self.redis.pause()
        self.sleep(least_s, most_s)
        self.redis.resume()
        harness.wait_for(self.redis.answers, 60, "Redis answers")
        self.chaos.journal.fault("redis_away", began, how)

    def stop_short(self):
        self.stop(0.3, 4, "redis SIGSTOP")

    def stop_long(self):
        wait_s = self.chaos.options.redis_wait_s
        self.stop(wait_s, wait_s + 5, "redis SIGSTOP beyond the wait")

    def cut(self):
        began = time.monotonic()
        self.redis.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.chaos.journal.fault("redis_cut", began, "redis connections cut")


class KafkaLane(Lane):
    def __init__(self, chaos):
        super().__init__(chaos, "kafka", chaos.options.kafka_pause_s, [("restart", 2), ("stop", 1)])

    def pick(self):
        return self.random.choice(self.chaos.kafka.nodes)

    def restart(self):
        node, began = self.pick(), time.monotonic()
        node.kill()
        self.sleep(0, 4)
        node.start()
        self.chaos.kafka.wait_ready(120)
        self.chaos.journal.fault("kafka_away", began, "kafka node killed and back")

    def stop(self):
        node, began = self.pick(), time.monotonic()
        node.pause()
        self.sleep(1, 12)
        node.resume()
        self.chaos.kafka.wait_ready(120)
        self.chaos.journal.fault("kafka_away", began, "kafka node SIGSTOP")


class Chaos:
    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.topic, self.group = "jobs.completed", "jobhook"
        self.lease_s = options.timeout_s + options.margin_s
        self.journal = Journal(self.file("faults.journal"))
        self.calm = threading.Event()
        self.delivered = self.requests = 0
        keys = random.Random(f"keys {options.seed}")
        self.keys = ["whsec_" + base64.b64encode(keys.randbytes(32)).decode() for _ in range(options.copies + 1)]  # the last is the guest's
        self.kafka = harness.Kafka(folder, options.nodes)
        self.redis = Redis(folder)
        self.scribe = Scribe(folder, self.file("received.journal"), self.keys)
        self.copies, self.expected, self.lock = [], set(), threading.Lock()

    def file(self, name):
        return os.path.join(self.folder, name)

    def start(self):
        options = self.options
        self.kafka.start()
        self.redis.start()
        self.addresses = self.scribe.start()
        topics = [self.topic, self.topic + ".dlq"] + [f"{self.topic}.retry.{d}" for d in dict.fromkeys([*options.delays.split(","), *options.defers.split(",")])]
        self.kafka.create_topics(topics, options.partitions, min_insync_replicas=min(2, options.nodes))
        settings = {"JOBHOOK_KAFKA_BROKERS": self.kafka.brokers, "JOBHOOK_TOPIC": self.topic, "JOBHOOK_GROUP": self.group,
                    "JOBHOOK_REDIS_URL": self.redis.url, "JOBHOOK_RETRY_DELAYS": options.delays, "JOBHOOK_DEFER_DELAYS": options.defers,
                    "JOBHOOK_ATTEMPT_TIMEOUT": f"{options.timeout_s}s", "JOBHOOK_LEASE_MARGIN": f"{options.margin_s}s",
                    "JOBHOOK_REDIS_WAIT": f"{options.redis_wait_s}s", "JOBHOOK_MAX_IN_FLIGHT": 256, "JOBHOOK_WORKERS": options.workers,
                    "JOBHOOK_LOG_LEVEL": options.log_level, "KAFKA_SESSION_TIMEOUT_MS": options.session_s * 1000, "KAFKA_HEARTBEAT_INTERVAL_MS": 500}
        self.journal.write(what="settings", seed=options.seed, events=options.events, retry_ms=[delay_ms(d) for d in options.delays.split(",")],
                           timeout_ms=options.timeout_s * 1000, margin_ms=options.margin_s * 1000, redis_wait_ms=options.redis_wait_s * 1000)
        self.copies = [harness.Jobhook(self.folder, f"jobhook{n}", {**settings, "JOBHOOK_SIGNING_KEYS": key}) for n, key in enumerate(self.keys)]
        for number in range(options.copies):
            self.start_copy(number)
        harness.wait_for(lambda: all(c.get("/readyz")[0] == 200 for c in self.copies[:-1]), 90, "the copies are ready")

    # --- copies: started and stopped by one lane only; whatever else ends is a crime ---

    def start_copy(self, number):
        with self.lock:
            self.copies[number].start(ready=False)
            self.expected.add(number)
        self.journal.write(what="start", copy=number, at=time.monotonic(), pid=self.copies[number].process.pid)

    def stop_copy(self, number, how):
        """SIGTERM. One that leaves work undone has ended like one that was killed."""
        began = time.monotonic()
        with self.lock:
            self.expected.discard(number)
        status = self.copies[number].stop(60)
        if status != 0:
            self.journal.fault("kill", began, "SIGTERM, not drained", copy=number, status=status)
        elif how:
            self.journal.fault("term", began, how, copy=number)

    def look_for_deaths(self):
        for number in list(self.expected):
            status = self.copies[number].process.poll()
            if status not in (None, -signal.SIGKILL, 0, 1) or (status in (0, 1) and self.calm.is_set()):
                self.expected.discard(number)
                self.journal.fault("died", time.monotonic() - 1, copy=number, status=status)

    # --- the run ---

    def progress(self, load, began):
        counts = self.scribe.counts()
        self.requests, self.delivered = counts["requests"], counts["delivered"]
        now = time.monotonic()
        if now - self.told >= self.options.tell_s:
            self.told = now
            faults = sum(self.journal.count.values())
            print(f"{now - began:7.0f} s  published {load.acked:>9,}  POSTs {self.requests:>9,}  2xx {self.delivered:>9,}  faults {faults:>5,}", flush=True)

    def run(self):
        load, lanes = Load(self), [Copies(self), RedisLane(self), KafkaLane(self)]
        began = self.told = time.monotonic()
        load.start()
        for lane in lanes:
            lane.start()
        while load.is_alive() and not any(lane.problem for lane in lanes):
            self.progress(load, began)
            self.look_for_deaths()
            load.join(0.2)
        self.calm.set()
        for lane in lanes:
            lane.join(240)
        problems = [lane.problem or f"{lane.name} does not end" for lane in lanes if lane.problem or lane.is_alive()]
        assert not problems and not load.problem, (problems, load.problem)
        self.drain(load, began)

    def drain(self, load, began):
        """Faults are over: what is left must be done in a known time."""
        print(f"{time.monotonic() - began:7.0f} s  all published, the faults are over", flush=True)
        topics = [t for t in self.kafka.topic_names() if t == self.topic or t.startswith(self.topic + ".retry.")]
        until = time.monotonic() + self.options.drain_s
        while time.monotonic() < until:
            self.progress(load, began)
            self.look_for_deaths()
            if not any(self.kafka.lag(self.group, t) for t in topics):
                break
            time.sleep(1)
        self.seconds = time.monotonic() - began

    def stop(self):
        for number, copy in enumerate(self.copies):
            copy.resume()
            if copy.alive:
                self.stop_copy(number, None)
        self.scribe.stop()

    def judge(self, *arguments):
        command = [sys.executable, os.path.join(harness.HERE, "oracle.py"), "--published", self.file("published.journal"), "--received",
                   self.file("received.journal"), "--faults", self.file("faults.journal"), "--kafka", self.kafka.brokers, self.topic, self.group, *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=1800)

    def close(self):
        for copy in self.copies:
            copy.kill()
        self.scribe.kill()
        self.redis.kill()
        self.kafka.stop()


def delay_ms(text):
    return int(text[:-2]) if text.endswith("ms") else int(text[:-1]) * 1000


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=800, help="events a second at most")
    parser.add_argument("--copies", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1, help="event loops in each copy")
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 3))
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--delays", default="1s,2s,4s,8s,16s")
    parser.add_argument("--defers", default="3s,6s")
    parser.add_argument("--timeout-s", type=int, default=3)
    parser.add_argument("--margin-s", type=int, default=2)
    parser.add_argument("--session-s", type=int, default=6)
    parser.add_argument("--redis-wait-s", type=int, default=8)
    parser.add_argument("--kafka-pause-s", type=lambda text: tuple(map(float, text.split(","))), default=(20, 60), metavar="LEAST,MOST")
    parser.add_argument("--drain-s", type=int, default=300)
    parser.add_argument("--tell-s", type=float, default=10)
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--folder", help="is kept; else one under /tmp that is kept when something was found")
    return parser.parse_args(arguments)


def run(folder, options):
    """The verdict, and whether its journals are worth keeping."""
    chaos = Chaos(folder, options)
    try:
        chaos.start()
        try:
            chaos.run()
        finally:
            chaos.calm.set()
            chaos.stop()
        return chaos.judge("--json"), chaos
    finally:
        chaos.close()


def main():
    options = parse(sys.argv[1:])
    folder = os.path.abspath(options.folder) if options.folder else tempfile.mkdtemp(prefix="jobhook-chaos.")
    os.makedirs(folder, exist_ok=True)
    print(f"chaos: {options.events:,} events, seed {options.seed}, {options.copies} copies, {options.nodes} Kafka node(s); journals in {folder}", flush=True)
    result, chaos = run(folder, options)
    if not result.stdout:
        return 1
    oracle.show(json.loads(result.stdout))
    print(f"{chaos.seconds:.0f} s; again: tests/soak.sh {options.events} {options.seed}")
    if result.returncode == 0 and not options.folder:
        shutil.rmtree(folder)
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
