"""The neighbours of jobhook as objects: a real Kafka (KRaft, one or three nodes), Redis, the scripted receiver, and jobhook itself.

Everything listens on free ports of 127.0.0.1 (Redis on a unix socket) and works in the folder that it is given. Whoever starts a thing
stops it; every wait has an end. The Kafka client is confluent_kafka, so that jobhook is not judged by code of its own."""
import fcntl
import glob
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

import confluent_kafka
import confluent_kafka.admin
import redis as redis_client

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("JOBHOOK_BUILD", os.path.join(PROJECT, ".build", "release"))
BINARY = os.path.join(BUILD, "jobhook")
JARS = os.path.join(PROJECT, ".cache", "kafka")
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def is_free(port):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_ports(count):
    """Below those that Linux gives to outgoing connections, one of which would take it before it is used."""
    ports = [port for port in random.SystemRandom().sample(range(10000, 32768), 100 + count) if is_free(port)]
    assert len(ports) >= count
    return ports[:count]


def wait_for(condition, seconds, what, pause_s=0.05):
    """The first true value of condition(); fails after that time, naming what was waited for."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(pause_s)


def preloaded(folder, name, *options):
    """tests/system/<name>.c as a library for LD_PRELOAD."""
    library = os.path.join(folder, name + "".join(options) + ".so")
    if not os.path.exists(library):
        source = os.path.join(HERE, name + ".c")
        subprocess.run([shutil.which("cc") or "gcc", "-O2", "-shared", "-fPIC", *options, "-o", library, source, "-ldl"], check=True, timeout=60)
    return library


class Process:
    """A child with its output in a file."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.log_path = os.path.join(folder, name + ".log")
        self.process = None

    def spawn(self, command, environment=None, **more):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, **{"stdout": log, "stderr": log, "stdin": subprocess.DEVNULL, **more}, env=environment,
                                            cwd=self.folder, start_new_session=True)

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.alive:
            self.process.send_signal(number)

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """kill -9, and gone when this returns."""
        if self.process:
            self.signal(signal.SIGKILL)
            self.process.wait(20)

    def stop(self, seconds=20):
        """SIGTERM; the exit status. A process that does not end is killed, and that is a failure."""
        if not self.process:
            return None
        self.resume()
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {seconds} s of SIGTERM")

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()


# ---------------------------------------------------------------------------------------------------------------------------- Kafka

def fetch_jars():
    """Copies Kafka's jars to .cache/kafka, once for all runs."""
    os.makedirs(os.path.dirname(JARS), exist_ok=True)
    with open(JARS + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if glob.glob(JARS + "/kafka_2.13-*.jar"):
            return
        shutil.rmtree(JARS, ignore_errors=True)
        fresh = JARS + ".fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        command = ["mvn", "-q", "-B", "-f", os.path.join(HERE, "kafka", "pom.xml"), "dependency:copy-dependencies", "-DoutputDirectory=" + fresh]
        for last in (False, False, True):  # a registry may fail once
            result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
            if result.returncode == 0:
                os.rename(fresh, JARS)
                return
            if last:
                raise RuntimeError("Maven could not fetch Kafka:\n" + result.stdout[-3000:])


def kafka_release():
    """ "4.1" of 4.1.0: that of the jars."""
    (jar,) = glob.glob(JARS + "/kafka_2.13-*.jar")
    return ".".join(jar.rsplit("-", 1)[1].split(".")[:2])


QUICK_TO_START = ("-Xmx512m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class Node(Process):
    def __init__(self, folder, number, client_port, controller_port, jvm):
        super().__init__(folder, f"kafka{number}")
        self.number, self.client_port, self.controller_port, self.jvm = number, client_port, controller_port, jvm

    def java(self, main, *arguments):
        return ["java", *self.jvm, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", JARS + "/*", main, *arguments]

    def start(self):
        self.spawn(self.java("kafka.Kafka", self.properties))

    def format(self, cluster_id, quorum, replication, more, users):
        self.properties = os.path.join(self.folder, self.name + ".properties")
        lines = {"process.roles": "broker,controller", "node.id": self.number, "controller.quorum.voters": quorum,
                 "listeners": f"PLAINTEXT://127.0.0.1:{self.client_port},CONTROLLER://127.0.0.1:{self.controller_port}",
                 "controller.listener.names": "CONTROLLER", "log.dirs": os.path.join(self.folder, self.name),
                 "auto.create.topics.enable": "false", "group.initial.rebalance.delay.ms": 0,
                 "offsets.topic.replication.factor": replication, "offsets.topic.num.partitions": 4,
                 "transaction.state.log.replication.factor": replication, "transaction.state.log.num.partitions": 2,
                 "transaction.state.log.min.isr": min(2, replication), "replica.fetch.max.bytes": 64 << 20,
                 "log.retention.check.interval.ms": 500, "log.initial.task.delay.ms": 500,
                 "log.cleaner.backoff.ms": 200, "log.cleaner.dedupe.buffer.size": 8 << 20, "num.network.threads": 2, "num.io.threads": 4}
        for name, value in more.items():  # listeners come on top
            lines[name] = f"{lines[name]},{value}" if name == "listeners" else value
        with open(self.properties, "w") as f:
            f.writelines(f"{name}={value}\n" for name, value in lines.items())
        scram = [word for name, password in users.items() for word in ("--add-scram", f"SCRAM-SHA-256=[name={name},password={password}]")]
        subprocess.run(self.java("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", self.properties, *scram), check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)


class Kafka:
    def __init__(self, folder, nodes=1, more={}, users={}, jvm=QUICK_TO_START):
        """`more`: further properties of every node; `users`: SCRAM logins with their passwords; `jvm`: Java's options."""
        fetch_jars()
        ports = free_ports(2 * nodes)
        self.nodes = [Node(folder, i + 1, ports[2 * i], ports[2 * i + 1], jvm) for i in range(nodes)]
        self.brokers = ",".join(f"127.0.0.1:{n.client_port}" for n in self.nodes)
        quorum = ",".join(f"{n.number}@127.0.0.1:{n.controller_port}" for n in self.nodes)
        self.replication = min(3, nodes)
        for node in self.nodes:
            node.format("4L6g3nShT-eMCtK--X86sw", quorum, self.replication, more, users)

    def start(self):
        for node in self.nodes:
            node.start()
        self.wait_ready()
        return self

    def wait_ready(self, seconds=60):
        def all_there():
            try:
                return len(self.admin().list_topics(timeout=2).brokers) == len(self.nodes)
            except confluent_kafka.KafkaException:
                return False
        wait_for(all_there, seconds, "Kafka's nodes answer")

    def stop(self):
        for node in self.nodes:
            node.signal(signal.SIGCONT)
            node.kill()  # its data goes, too: no reason to wait for an orderly end

    def admin(self):
        return confluent_kafka.admin.AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})

    def create_topics(self, names, partitions, **config):
        texts = {name.replace("_", "."): str(value) for name, value in config.items()}
        new = [confluent_kafka.admin.NewTopic(n, partitions, self.replication, config=texts) for n in names]
        admin = self.admin()
        for future in admin.create_topics(new, operation_timeout=60, request_timeout=90).values():
            future.result(100)
        # Created is not yet seen: a consumer that starts at once would miss some of them until it asks again.
        wait_for(lambda: set(names) <= set(admin.list_topics(timeout=10).topics), 20, "the topics are seen", pause_s=0.02)

    def topic_names(self):
        return sorted(self.admin().list_topics(timeout=10).topics)

    def topic_config(self, topic):
        resource = confluent_kafka.admin.ConfigResource(confluent_kafka.admin.ConfigResource.Type.TOPIC, topic)
        admin = self.admin()
        (future,) = admin.describe_configs([resource]).values()
        return {name: entry.value for name, entry in future.result(20).items()}

    def producer(self, **config):
        return confluent_kafka.Producer({"bootstrap.servers": self.brokers, "log_level": 0, "message.max.bytes": 64 << 20, "linger.ms": 5,
                                         **{name.replace("_", "."): value for name, value in config.items()}})

    def produce(self, topic, records, **config):
        """Writes records (see `record`) and returns their (partition, offset) in order, once all are acknowledged."""
        producer = self.producer(**config)
        places = [None] * len(records)
        for i, r in enumerate(records):
            def on_delivery(error, message, i=i):
                places[i] = error or (message.partition(), message.offset())
            while True:
                try:
                    producer.produce(topic, r["value"], r["key"], headers=r["headers"], on_delivery=on_delivery,
                                     **{name: r[name] for name in ("partition", "timestamp") if r[name] is not None})
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        assert producer.flush(60) == 0, "not everything was acknowledged"
        for place in places:
            assert isinstance(place, tuple), f"not written: {place}"
        return places

    def consumer(self, group=None):
        return confluent_kafka.Consumer({"bootstrap.servers": self.brokers, "group.id": group or "look-" + uuid.uuid4().hex, "enable.auto.commit": False,
                                         "enable.partition.eof": True, "auto.offset.reset": "earliest", "isolation.level": "read_committed",
                                         "fetch.message.max.bytes": 16 << 20, "fetch.max.bytes": 128 << 20, "message.max.bytes": 64 << 20, "log_level": 0})

    def partitions(self, topic):
        return sorted(self.admin().list_topics(topic, timeout=10).topics[topic].partitions)

    def read(self, topic):
        """All records that the topic holds now, partition by partition."""
        consumer = self.consumer()
        records, left = [], set(self.partitions(topic))
        consumer.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in left])
        until = time.monotonic() + 30
        while left and time.monotonic() < until:
            for m in consumer.consume(1000, 0.5):
                if m.error() and m.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    left.discard(m.partition())
                elif m.error():
                    raise AssertionError(str(m.error()))
                else:
                    records.append(Record(m))
        consumer.close()
        assert not left, f"{topic}: partitions {left} did not end"
        return sorted(records, key=lambda r: (r.partition, r.offset))

    def end_offsets(self, topic):
        consumer = self.consumer()
        try:
            for last in (False, False, True):  # a new topic's leader may still be moving
                try:
                    return {p: consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, p), timeout=10)[1] for p in self.partitions(topic)}
                except confluent_kafka.KafkaException:
                    if last:
                        raise
                    time.sleep(0.3)
        finally:
            consumer.close()

    def committed(self, group, topic):
        consumer = self.consumer(group)
        asked = [confluent_kafka.TopicPartition(topic, p) for p in self.partitions(topic)]
        answer = {t.partition: t.offset for t in consumer.committed(asked, timeout=20)}
        consumer.close()
        return answer

    def lag(self, group, topic):
        committed = self.committed(group, topic)
        return sum(end - max(0, committed[p]) for p, end in self.end_offsets(topic).items())


class Record:
    def __init__(self, message):
        self.topic, self.partition, self.offset = message.topic(), message.partition(), message.offset()
        self.key, self.value = message.key(), message.value()
        self.header_list = message.headers() or []
        self.headers = {name: value.decode("utf-8", "replace") if value is not None else None for name, value in self.header_list}
        self.timestamp_ms = message.timestamp()[1]


def record(value, key=None, headers=None, partition=None, timestamp=None):
    return {"value": value, "key": key, "headers": headers, "partition": partition, "timestamp": timestamp}


# ------------------------------------------------------------------------------------------------------------------- Redis, receiver

class Redis(Process):
    def __init__(self, folder):
        super().__init__(folder, "redis")
        self.socket_path = os.path.join(folder, "redis.sock")
        (self.port,) = free_ports(1)
        self.url = "unix://" + self.socket_path

    def start(self, *options):
        server = shutil.which(os.environ.get("JOBHOOK_TEST_REDIS", "redis-server"))
        if not server:  # redis-tools has the server's program under another name
            server = os.path.join(self.folder, "redis-server")
            if not os.path.lexists(server):
                os.symlink(shutil.which("redis-check-rdb"), server)
        self.spawn([server, "--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", self.socket_path, "--save", "", "--appendonly", "yes",
                    "--dir", self.folder, "--maxmemory-policy", "noeviction", *options])
        wait_for(self.answers, 10, "Redis answers")
        return self

    def client(self):
        return redis_client.Redis(unix_socket_path=self.socket_path, socket_timeout=5)

    def answers(self):
        try:
            return self.client().ping()
        except redis_client.RedisError:
            return False


class Receiver(Process):
    """Listens on several addresses, so that endpoints of one test can be different origins; keeps its ports when it starts again."""

    def __init__(self, folder, name="receiver", bodies=True, addresses=2, certificate=None):
        super().__init__(folder, name)
        self.certificate = certificate  # the path of a PEM file with key and certificate: speaks TLS
        self.journal_path = os.path.join(folder, name + ".journal")
        self.bodies = bodies
        self.addresses = [f"127.0.0.{i + 1}:0" for i in range(addresses)]
        self.entries, self.position = [], 0

    def start(self):
        command = [sys.executable, os.path.join(HERE, "receiver.py"), "--journal", self.journal_path] + (["--bodies"] if self.bodies else [])
        for address in self.addresses:
            command += ["--listen", address]
        if self.certificate:
            command += ["--cert", self.certificate, "--key", self.certificate]
        self.spawn(command, stdout=subprocess.PIPE)
        self.addresses = [self.process.stdout.readline().decode().strip() for _ in self.addresses]
        assert all(self.addresses), "the receiver did not start:\n" + self.log()
        return self

    def url(self, path, origin=0):
        return f"{'https' if self.certificate else 'http'}://{self.addresses[origin]}/{path}"

    def requests(self):
        """Every request so far, in the order of arrival."""
        if os.path.exists(self.journal_path):
            with open(self.journal_path, "rb") as f:
                f.seek(self.position)
                data = f.read()
            data = data[:data.rfind(b"\n") + 1]
            self.position += len(data)
            self.entries += [json.loads(line) for line in data.splitlines()]
        return self.entries

    def by_task(self):
        tasks = {}
        for entry in self.requests():
            tasks.setdefault(entry["id"], []).append(entry)
        return tasks

    def of(self, webhook_id):
        return self.by_task().get(webhook_id, [])

    def wait(self, count, seconds=20):
        wait_for(lambda: len(self.requests()) >= count, seconds, f"{count} requests at the receiver (there were %d)" % len(self.entries))
        return self.entries


# -------------------------------------------------------------------------------------------------------------------------- jobhook

class Jobhook(Process):
    binary = BINARY  # or another build of it

    def __init__(self, folder, name, settings):
        super().__init__(folder, name)
        self.http = f"127.0.0.1:{free_ports(1)[0]}"
        self.settings = {"JOBHOOK_HTTP_LISTEN": self.http, "JOBHOOK_API_LISTEN": "127.0.0.1:0", "JOBHOOK_EGRESS_ALLOW": "127.0.0.0/8", **settings}

    def environment(self):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS") if name in os.environ}
        return {**kept, **{name: str(value) for name, value in self.settings.items() if value is not None}}

    def start(self, ready=True):
        self.spawn([self.binary, "run"], self.environment())
        if ready:
            self.wait_ready()
        return self

    def command(self, *arguments, seconds=60, **settings):
        """Runs another command of the program with the same settings: (exit status, output, errors)."""
        environment = {**self.environment(), **settings}
        result = subprocess.run([self.binary, *arguments], env=environment, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL,
                                cwd=self.folder)
        return result.returncode, result.stdout, result.stderr

    def get(self, path):
        """(status, text); status 0 when nothing answers."""
        try:
            with NO_PROXY.open(f"http://{self.http}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as problem:
            return problem.code, problem.read().decode()
        except OSError as problem:
            return 0, str(problem)

    def wait_log(self, *texts):
        """Waits until the log has all of these: a thread of its own writes it, so that what is seen elsewhere may be there before its line."""
        wait_for(lambda: all(text in self.log() for text in texts), 10, f"the log's words {texts}")

    def wait_ready(self, seconds=30):
        def ready():
            assert self.alive, f"jobhook ended with {self.process.returncode}:\n{self.log()[-3000:]}"
            return self.get("/readyz")[0] == 200
        wait_for(ready, seconds, "/readyz answers 200")

    def metrics(self):
        """{'jobhook_attempts_total{outcome="…"}': value} from /metrics."""
        status, text = self.get("/metrics")
        assert status == 200, f"/metrics: {status} {text}"
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def metric(self, name):
        return self.metrics().get(name, 0)

    def settled(self, result):
        return self.metric('jobhook_events_settled_total{result="%s"}' % result)

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


class Rig:
    """What one test works with: a topic family of its own on the shared broker, a Redis, a receiver, any number of jobhooks."""

    def __init__(self, folder, kafka, partitions=4, delays="100ms,200ms,400ms", topics=True, origins=2, **topic_config):
        self.folder, self.kafka, self.delays = folder, kafka, delays
        self.defers = "2s,4s"  # short: on a busy machine an endpoint may look overloaded, and the test should not wait a minute for that
        self.topic = "jobs." + uuid.uuid4().hex[:8]
        self.group = "group." + self.topic
        self.redis = Redis(folder).start()
        self.receiver = Receiver(folder, addresses=origins).start()
        self.jobhooks = []
        self.partitions = partitions
        if topics:
            kafka.create_topics(self.all_topics(), partitions, **topic_config)

    @property
    def dlq(self):
        return self.topic + ".dlq"

    def all_topics(self, delays=None):
        waits = (delays or self.delays).split(",") + self.defers.split(",")
        return [self.topic, self.dlq] + [f"{self.topic}.retry.{d}" for d in dict.fromkeys(waits)]

    def jobhook(self, **settings):
        """A jobhook that is not started yet. None as a value leaves a setting out."""
        name = f"jobhook{len(self.jobhooks) + 1}"
        base = {"JOBHOOK_KAFKA_BROKERS": self.kafka.brokers, "JOBHOOK_TOPIC": self.topic, "JOBHOOK_GROUP": self.group,
                "JOBHOOK_REDIS_URL": self.redis.url, "JOBHOOK_RETRY_DELAYS": self.delays, "JOBHOOK_DEFER_DELAYS": self.defers}
        self.jobhooks.append(Jobhook(self.folder, name, {**base, **settings}))
        return self.jobhooks[-1]

    def publish(self, *records, **config):
        return self.kafka.produce(self.topic, list(records), **config)

    def dead(self):
        return self.kafka.read(self.dlq)

    def wait_dead(self, count, seconds=20):
        """Waits for that many dead letters, by Kafka's own offsets."""
        wait_for(lambda: sum(self.kafka.end_offsets(self.dlq).values()) >= count, seconds, f"{count} dead letters", pause_s=0.2)
        return self.dead()

    def wait_no_lag(self, seconds=20, topics=None):
        """Waits until the group has committed everything: each event found its next home."""
        names = [t for t in topics or self.all_topics() if t != self.dlq]
        def lags():
            return {t: lag for t in names if (lag := self.kafka.lag(self.group, t))}
        try:
            wait_for(lambda: not lags(), seconds, "no lag", pause_s=0.3)
        except AssertionError:
            raise AssertionError(f"lag stays: {lags()}") from None

    def close(self):
        problems = []
        for process in self.jobhooks:
            try:
                process.stop(40)
            except AssertionError as problem:
                problems.append(str(problem))
        for process in (self.receiver, self.redis):
            process.kill()
        return problems


# --------------------------------------------------------------------------------------------------------------------------- events

def event(task_id, url=None, status="completed", task_type="find_email", raw='{"email":"ada@example.com"}', **more):
    """A record with an event whose `result` or `error` is `raw`, byte for byte."""
    members = [f'"task_id":{json.dumps(task_id)}', f'"status":{json.dumps(status)}', f'"task_type":{json.dumps(task_type)}']
    if raw is not None:
        members.append(f'"{"result" if status == "completed" else "error"}":{raw}')
    if url is not None:
        members.append(f'"webhook_url":{json.dumps(url)}')
    return record(("{" + ",".join(members) + "}").encode(), **{"key": task_id.encode(), **more})


def body(task_id, status="completed", task_type="find_email", raw='{"email":"ada@example.com"}'):
    """What the receiver must get for event(…)."""
    name = "result" if status == "completed" else "error"
    return f'{{"task_id":{json.dumps(task_id)},"status":{json.dumps(status)},"task_type":{json.dumps(task_type)},"{name}":{raw}}}'
