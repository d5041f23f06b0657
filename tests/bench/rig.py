"""The benchmark's neighbours and measuring tools: Kafka, Redis, receivers, jobhook, and what the kernel says about a process.

Everything runs on this machine and nothing is pinned, so that only figures of the same run may be compared."""
import json
import os
import statistics
import subprocess
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import harness  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = os.path.join(harness.BUILD, "tests")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PARTITIONS = 4
# The broker as Kafka's own scripts start it, its logs looked after at the usual pace: the tests' starts sooner, but costs three times as much.
BROKER_JVM = ("-server", "-Xmx1g", "-Xms1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35")
BROKER = {"log.retention.check.interval.ms": 300000, "log.cleaner.backoff.ms": 15000}
WARM_UP_S, WARM_UP_RATE, WARM_UPS = 10, 1000, 8
DELAYS = ("1s", "2s", "4s", "8s", "16s", "1m", "5m")


def program(name):
    return os.path.join(PROGRAMS, name)


def run_json(*command, seconds=900, **more):
    """The JSON that a program prints as its last line."""
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, timeout=seconds, check=True, **more)
    return json.loads(result.stdout.strip().splitlines()[-1])


def stat_of(path):
    """The fields of such a file in /proc behind the name, which may hold anything."""
    with open(path) as f:
        return f.read().rpartition(")")[2].split()


def used_ticks(fields):
    return int(fields[11]) + int(fields[12])


def cpu_s(pid):
    """User and system time that the process has used."""
    return used_ticks(stat_of(f"/proc/{pid}/stat")) * TICK_S


def urgent_cpu_s(pid):
    """The same of the threads that are not niced, so without what answers polls."""
    threads = [stat_of(f"/proc/{pid}/task/{thread}/stat") for thread in os.listdir(f"/proc/{pid}/task")]
    return sum(used_ticks(fields) for fields in threads if int(fields[16]) <= 0) * TICK_S


def memory_mib(pid, name="VmRSS"):
    """VmRSS now, or VmHWM, the most so far."""
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith(name)).split()[1]) / 1024


def median(rounds, figure):
    return statistics.median(r[figure] for r in rounds)


class FastReceiver(harness.Process):
    """tests/bench/receiver.c on all of 127.0.0.0/8."""

    def __init__(self, folder, *arguments):
        super().__init__(folder, "receiver-" + uuid.uuid4().hex[:8])
        self.spawn([program("receiver"), *map(str, arguments)], stdout=subprocess.PIPE)
        port = self.process.stdout.readline().decode().strip()
        assert port, "the receiver did not start:\n" + self.log()
        self.port = int(port)

    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    def end(self):
        """What it counted and saw."""
        self.process.terminate()
        output, _ = self.process.communicate(timeout=60)
        return json.loads(output)


class Hook(harness.Jobhook):
    """jobhook, perhaps another build of it, whose costs are looked at."""

    def wait_settled(self, count, results=("delivered",), seconds=900):
        """Waits until so many events have that result; asks seldom, because being asked costs, too: open descriptors are counted one by one."""
        def settled():
            assert self.alive, f"jobhook ended with {self.process.returncode}:\n{self.log()[-3000:]}"
            metrics = self.metrics()
            return sum(metrics.get('jobhook_events_settled_total{result="%s"}' % result, 0) for result in results) >= count
        harness.wait_for(settled, seconds, f"{count} events {'/'.join(results)}", pause_s=1)

    def cost(self, count):
        """What it has used since its start, its start and its log lines included, shared out among so many events."""
        pid = self.process.pid
        return {"us": cpu_s(pid) * 1e6 / count, "peak_mib": memory_mib(pid, "VmHWM"), "rss_mib": memory_mib(pid),
                "deferred": self.settled("deferred")}

    def end(self):
        self.stop(60)
        os.unlink(self.log_path)


class Rig:
    """Kafka, Redis and a receiver for all cases of a run."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.kafka = harness.Kafka(folder, more=BROKER, jvm=BROKER_JVM)

    def start(self):
        self.kafka.start()
        self.redis = harness.Redis(self.folder).start("--appendonly", "no")
        self.processes.append(self.redis)
        self.receiver = self.start_receiver()
        return self

    def warm_up(self):
        """Java compiles the broker while it runs: at first it needs all its time for that, and its clients wait. Until it costs no less than before."""
        topic, least = self.create_topics("warm"), None
        hook = self.hook(topic).start()
        for number in range(1, WARM_UPS + 1):
            started = cpu_s(self.kafka.nodes[0].process.pid)
            assert self.start_load(topic, WARM_UP_RATE * WARM_UP_S, self.receiver.port, rate=WARM_UP_RATE).wait(WARM_UP_S + 60) == 0, "load failed"
            cost = cpu_s(self.kafka.nodes[0].process.pid) - started
            if number > WARM_UPS / 2 and cost > 0.9 * least:
                break
            least = min(cost, least or cost)
        hook.end()
        print(f"the broker is warm after {number * WARM_UP_S} s: {100 * cost / WARM_UP_S:.0f} % of a core at {WARM_UP_RATE} events/s", flush=True)

    def stop(self):
        for process in self.processes:
            process.kill()
        self.kafka.stop()

    def start_receiver(self, *arguments):
        receiver = FastReceiver(self.folder, *arguments)
        self.processes.append(receiver)
        return receiver

    def create_topics(self, name, partitions=PARTITIONS, delays=DELAYS):
        """A topic and its family, with a name of their own."""
        topic = f"bench.{name}.{uuid.uuid4().hex[:6]}"
        names = [topic, topic + ".dlq"] + [f"{topic}.retry.{delay}" for delay in delays]
        for at in range(0, len(names), 3):  # a single broker takes its time over hundreds of partitions
            self.kafka.create_topics(names[at:at + 3], partitions)
        return topic

    def load(self, topic, count, port=None, **options):
        """Fills the topic; see load.c for the options."""
        more = [part for name, value in options.items() for part in ("--" + name.replace("_", "-"), value)]
        return run_json(program("load"), "--brokers", self.kafka.brokers, "--topic", topic, "--count", count, "--port", port or self.receiver.port,
                        *more)

    def start_load(self, topic, count, port, **options):
        """The same beside what follows; `wait()` it."""
        more = [str(part) for name, value in options.items() for part in ("--" + name.replace("_", "-"), value)]
        return subprocess.Popen([program("load"), "--brokers", self.kafka.brokers, "--topic", topic, "--count", str(count), "--port", str(port), *more],
                                stdout=subprocess.DEVNULL)

    def hook(self, topic, group=None, binary=harness.BINARY, **settings):
        """A jobhook that is not started yet."""
        group = group or "g" + uuid.uuid4().hex[:8]
        base = {"JOBHOOK_KAFKA_BROKERS": self.kafka.brokers, "JOBHOOK_TOPIC": topic, "JOBHOOK_GROUP": group, "JOBHOOK_REDIS_URL": self.redis.url}
        hook = Hook(self.folder, "jobhook-" + uuid.uuid4().hex[:8], {**base, **settings})
        hook.binary = binary
        self.processes.append(hook)
        return hook

    def forget_tasks(self):
        self.redis.client().flushall()

    def run_through(self, topic, count, results=("delivered",), **settings):
        """A fresh jobhook over the whole topic: what one event cost."""
        hook = self.hook(topic, **settings).start(ready=False)
        hook.wait_ready(60)
        started = time.monotonic()
        hook.wait_settled(count, results)
        cost = {**hook.cost(count), "rate": count / (time.monotonic() - started)}
        hook.end()
        return cost


class Fleet:
    """Copies of one group."""

    def __init__(self, bench, topic, **settings):
        self.bench, self.topic, self.settings, self.copies, self.group = bench, topic, settings, [], f"fleet.{topic}"

    def grow(self, count=1):
        fresh = [self.bench.hook(self.topic, self.group, **self.settings).start(ready=False) for _ in range(count)]
        for hook in fresh:
            hook.wait_ready(120)
        self.copies += fresh

    def shrink(self, count=1):
        """The oldest go."""
        leaving, self.copies = self.copies[:count], self.copies[count:]
        for hook in leaving:
            hook.signal(harness.signal.SIGTERM)
        for hook in leaving:
            assert hook.process.wait(60) == 0, "a copy did not drain"
            os.unlink(hook.log_path)
