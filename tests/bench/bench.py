"""The benchmarks behind tests/bench/run.sh: what a delivery costs, beside a bare libcurl program and wrk, and what an idle jobhook costs.

Everything runs on this machine and nothing is pinned, so that only figures of the same run may be compared. Receiver, broker and Redis are
not counted. Each case prints a table and writes .build/bench/CASE.json."""
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import harness  # noqa: E402

PROGRAMS = os.path.join(harness.BUILD, "tests")
RESULTS = os.path.join(harness.PROJECT, ".build", "bench")
EVENTS = int(os.environ.get("BENCH_EVENTS", "200000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
PARTITIONS = 4
WRK_SECONDS = 5
PAYLOAD_BYTES = 230
TICK_S = 1 / os.sysconf("SC_CLK_TCK")

WRK_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = %s
"""


def body():
    """The body that load and bare make, here once for wrk."""
    members = ('"task_id":"bench-00000000","status":"completed","task_type":"find_email","result":{"email":"ada.lovelace@example.com",'
               '"confidence":0.97,"sources":["https://example.com/team","https://example.org/about"],"verified":true,"n":1234}')
    text = "{" + members + "}"
    assert len(text) == PAYLOAD_BYTES
    return text


def program(name):
    return os.path.join(PROGRAMS, name)


def cpu_s(pid):
    """User and system time that the process has used."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


class FastReceiver(harness.Process):
    def __init__(self, folder, *arguments):
        super().__init__(folder, "fast-receiver")
        self.spawn([program("receiver"), "--port", "0", *arguments], stdout=subprocess.PIPE)
        self.ports = self.process.stdout.readline().decode().split()
        assert self.ports, "the receiver did not start:\n" + self.log()

    def url(self):
        return f"http://127.0.0.1:{self.ports[0]}/hook"


class Bench:
    """Kafka, Redis and a receiver for all cases of a run."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.kafka = harness.Kafka(folder)

    def start(self):
        self.kafka.start()
        self.redis = harness.Redis(self.folder).start("--appendonly", "no")
        self.receiver = FastReceiver(self.folder)
        self.processes += [self.redis, self.receiver]

    def stop(self):
        for process in self.processes:
            process.kill()
        self.kafka.stop()

    def create_topics(self, topic):
        delays = ["1s", "2s", "4s", "8s", "16s", "1m", "5m"]
        self.kafka.create_topics([topic, topic + ".dlq"] + [f"{topic}.retry.{d}" for d in delays], PARTITIONS)

    def jobhook(self, topic, group):
        hook = harness.Jobhook(self.folder, "jobhook-" + group, {"JOBHOOK_KAFKA_BROKERS": self.kafka.brokers, "JOBHOOK_TOPIC": topic,
                                                                 "JOBHOOK_GROUP": group, "JOBHOOK_REDIS_URL": self.redis.url})
        self.processes.append(hook)
        return hook


def run_json(*command):
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=600, check=True)
    return json.loads(result.stdout)


# --------------------------------------------------------------------------------------------------------------------------- delivery

def deliver(bench, topic, group):
    """Runs jobhook over the whole topic; (CPU µs of a delivery, deliveries a second). Its start and its log lines are included."""
    hook = bench.jobhook(topic, group)
    started = time.monotonic()
    hook.start(ready=False)
    hook.wait_ready()
    first = time.monotonic()
    harness.wait_for(lambda: hook.settled("delivered") >= EVENTS, 600, f"{EVENTS} deliveries", pause_s=0.1)
    ended, cpu = time.monotonic(), cpu_s(hook.process.pid)
    memory = hook.memory_kib()
    delivered, deferred = hook.settled("delivered"), hook.settled("deferred")
    hook.stop(40)
    os.unlink(hook.log_path)
    assert delivered == EVENTS, f"{delivered} deliveries of {EVENTS} events"
    return {"us": cpu * 1e6 / EVENTS, "rate": EVENTS / (ended - first), "seconds": ended - started, "rss_mib": memory / 1024, "deferred": deferred}


def bare(bench):
    result = run_json(program("bare"), bench.receiver.url(), str(EVENTS))
    assert result["failed"] == 0 and result["posts"] == EVENTS, result
    return {"us": result["cpu_us_per_post"], "rate": result["posts"] / result["seconds"]}


def wrk(bench):
    script = os.path.join(bench.folder, "post.lua")
    with open(script, "w") as f:
        f.write(WRK_SCRIPT % ("[==[" + body() + "]==]"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(["wrk", "-t1", "-c64", f"-d{WRK_SECONDS}s", "-s", script, bench.receiver.url()], stdout=subprocess.PIPE, text=True,
                            timeout=60, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    posts = int(re.search(r"(\d+) requests in", result.stdout).group(1))
    assert "Non-2xx" not in result.stdout and "Socket errors" not in result.stdout, result.stdout
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"us": cpu * 1e6 / posts, "rate": posts / WRK_SECONDS}


def median(rounds, name, figure):
    return statistics.median(r[name][figure] for r in rounds)


def case_delivery(bench):
    topic = "bench.delivery"
    bench.create_topics(topic)
    loaded = run_json(program("load"), bench.kafka.brokers, topic, str(EVENTS), bench.receiver.url())
    print(f"{EVENTS} events with bodies of {PAYLOAD_BYTES} bytes written in {loaded['seconds']} s; {ROUNDS} rounds", flush=True)
    rounds = []
    for number in range(ROUNDS):
        rounds.append({"jobhook": deliver(bench, topic, f"bench-{number}"), "bare libcurl": bare(bench), "wrk": wrk(bench)})
        print(f"round {number + 1}: " + ", ".join(f"{name} {r['us']:.1f} µs" for name, r in rounds[-1].items()), flush=True)
    names = list(rounds[0])
    us = {name: median(rounds, name, "us") for name in names}
    print(f"\n{'one keep-alive host, 64 in flight':36}{'CPU µs per POST':>16}{'POSTs/s':>10}{'of bare libcurl':>17}")
    for name in names:
        print(f"{name:36}{us[name]:16.1f}{median(rounds, name, 'rate'):10.0f}{us[name] / us['bare libcurl']:16.2f}×")
    ratio = us["jobhook"] / us["bare libcurl"]
    print(f"\njobhook / bare libcurl: {ratio:.2f}   resident memory at the end: {median(rounds, 'jobhook', 'rss_mib'):.0f} MiB   "
          f"deferred on the way: {median(rounds, 'jobhook', 'deferred'):.0f}")
    return {"events": EVENTS, "payload_bytes": PAYLOAD_BYTES, "rounds": rounds, "median_us": us, "ratio": ratio}


# ------------------------------------------------------------------------------------------------------------------------------- idle

IDLE_SECONDS = 20


def idle_round(bench, topic, group):
    hook = bench.jobhook(topic, group)
    started = time.monotonic()
    hook.start(ready=False)
    harness.wait_for(lambda: hook.get("/healthz")[0] == 200, 30, "/healthz", pause_s=0.002)
    healthy = time.monotonic() - started
    harness.wait_for(lambda: hook.get("/readyz")[0] == 200, 30, "/readyz", pause_s=0.005)
    ready = time.monotonic() - started
    time.sleep(5)  # the group settles
    before = cpu_s(hook.process.pid)
    time.sleep(IDLE_SECONDS)
    cpu = cpu_s(hook.process.pid) - before
    memory = hook.memory_kib()
    hook.stop(40)
    return {"healthy_ms": healthy * 1000, "ready_ms": ready * 1000, "cpu_percent": cpu * 100 / IDLE_SECONDS, "rss_mib": memory / 1024}


def case_idle(bench):
    topic = "bench.idle"
    bench.create_topics(topic)
    rounds = [idle_round(bench, topic, f"idle-{number}") for number in range(ROUNDS)]
    medians = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    print(f"\n{'idle, 4 partitions of 9 topics':50}")
    print(f"{'start until /healthz answers':50}{medians['healthy_ms']:8.0f} ms")
    print(f"{'start until /readyz is 200 (group joined)':50}{medians['ready_ms']:8.0f} ms")
    print(f"{'resident memory':50}{medians['rss_mib']:8.1f} MiB")
    print(f"{f'CPU over {IDLE_SECONDS} s':50}{medians['cpu_percent']:8.2f} %")
    return {"rounds": rounds, "median": medians}


CASES = {"delivery": case_delivery, "idle": case_idle}


def main(names):
    unknown = [name for name in names if name not in CASES]
    if unknown:
        print(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}", file=sys.stderr)
        return 2
    os.makedirs(RESULTS, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="jobhook-bench.")
    bench = Bench(folder)
    try:
        bench.start()
        for name in names or CASES:
            print(f"== {name}", flush=True)
            result = CASES[name](bench)
            path = os.path.join(RESULTS, name + ".json")
            with open(path, "w") as f:
                json.dump(result, f, indent=1)
            print(json.dumps(result.get("median_us") or result.get("median")))
    finally:
        bench.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
