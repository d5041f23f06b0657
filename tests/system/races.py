#!/usr/bin/python3
"""races.py [EVENTS]: jobhook as it is, built with ThreadSanitizer (JOBHOOK_BUILD, .build/tsan) and run with two workers for a moment, against
librdkafka's mock broker, a Redis and a receiver: events that succeed, fail and are retried, metrics that are read meanwhile, keys that change,
SIGTERM. Ends with 1 when a race was reported or anything did not go as it should.

Not a test of pytest, because it needs neither a real broker nor the other build. What the libraries do among themselves is not looked at: they are
not instrumented."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import threading

os.environ.setdefault("JOBHOOK_BUILD", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".build", "tsan"))
os.environ["TSAN_OPTIONS"] = "ignore_noninstrumented_modules=1 exitcode=66 second_deadlock_stack=1 " + os.environ.get("TSAN_OPTIONS", "")

import harness  # noqa: E402
from harness import event, wait_for  # noqa: E402

KEYS = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
DELAYS, DEFERS = "100ms,200ms", "1s"


class MockKafka(harness.Kafka):
    """librdkafka's mock cluster in a process of its own: starts at once, keeps little."""

    def __init__(self, folder, topics, partitions):
        self.broker = harness.Process(folder, "broker")
        self.broker.spawn([os.path.join(harness.BUILD, "tests", "broker"), *[f"{t}={partitions}" for t in topics]], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE)
        self.brokers = self.broker.process.stdout.readline().decode().strip()
        assert self.brokers, "the broker did not start:\n" + self.broker.log()

    def stop(self):
        self.broker.kill()


def write_keys(path, keys):
    with open(path + ".new", "w") as f:
        f.write(keys)
    os.rename(path + ".new", path)


def scrape(hook, over):
    while not over.wait(0.05):
        for path in ("/metrics", "/readyz", "/healthz"):
            hook.get(path)


def exercise(folder, count):
    topic = "jobs.races"
    topics = [topic, topic + ".dlq", *[f"{topic}.retry.{d}" for d in f"{DELAYS},{DEFERS}".split(",")]]
    kafka = MockKafka(folder, topics, 4)
    redis, receiver = harness.Redis(folder).start(), harness.Receiver(folder).start()
    keys = os.path.join(folder, "keys")
    write_keys(keys, KEYS[0])
    hook = harness.Jobhook(folder, "jobhook", {
        "JOBHOOK_KAFKA_BROKERS": kafka.brokers, "JOBHOOK_TOPIC": topic, "JOBHOOK_REDIS_URL": redis.url, "JOBHOOK_RETRY_DELAYS": DELAYS,
        "JOBHOOK_DEFER_DELAYS": DEFERS, "JOBHOOK_WORKERS": 2, "JOBHOOK_SIGNING_KEYS_FILE": keys, "JOBHOOK_LOG_LEVEL": "debug"})
    over = threading.Event()
    scraper = threading.Thread(target=scrape, args=(hook, over))
    try:
        hook.start(ready=False)
        hook.wait_ready(60)
        scraper.start()
        paths = ["ok", "500,ok", "500", "reset,ok"]
        kafka.produce(topic, [event(f"t{i}", receiver.url(f"{paths[i % 4]}/{i % 7}")) for i in range(count)])
        wait_for(lambda: len(receiver.by_task()) >= count // 2, 120, "half of the events")
        write_keys(keys, " ".join(KEYS))
        wait_for(lambda: len(receiver.by_task()) == count, 120, "all events")
        wait_for(lambda: hook.settled("delivered") + hook.settled("dead") >= count, 120, "all settled", pause_s=0.2)
        wait_for(lambda: "read again" in hook.log(), 60, "the new keys are read")
        status = hook.stop(60)
    finally:
        over.set()
        hook.kill()
        scraper.join(30) if scraper.is_alive() else None
        for neighbour in (receiver, redis, kafka.broker):
            neighbour.kill()
    reports = hook.log().count("WARNING: ThreadSanitizer")
    print(f"{count} events, {len(receiver.requests())} requests, exit status {status}, {reports} reports")
    return 0 if status == 0 and reports == 0 else 1


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    folder = tempfile.mkdtemp(prefix="jobhook-races.")
    failed = 1
    try:
        failed = exercise(folder, count)
    finally:
        if failed:
            for path in glob.glob(os.path.join(folder, "*.log")):
                with open(path, errors="replace") as f:
                    print(os.path.basename(path), "".join(line for line in f if not line.startswith('{"time"'))[:20000], sep=":\n")
        shutil.rmtree(folder, ignore_errors=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
