"""What /metrics and the log say is true: lag, what waits and why, what is up, when certificates end. A real Prometheus reads it."""
import json
import os
import signal
import subprocess
import time
import urllib.parse

import harness
from harness import event, free_ports, wait_for

SMALL = {"JOBHOOK_MAX_IN_FLIGHT": 16, "JOBHOOK_PREFETCH_BYTES": "1MiB"}


def total(numbers, family, *parts):
    return sum(v for name, v in numbers.items() if name.startswith("jobhook_" + family + "{") and all(p in name for p in parts))


def balance(numbers):
    """What was taken, less what is over, less what is held: 0 but for the moment between two counters."""
    return (total(numbers, "events_total") - total(numbers, "events_settled_total") - numbers["jobhook_events_dropped_total"]
            - total(numbers, "held_events"))


def events(rig, count, path, padding=0):
    return [event(f"{path.replace('/', '-')}-{i}", rig.receiver.url(f"{path}/{i % 40}"), raw='{"x":"%s"}' % ("x" * padding)) for i in range(count)]


def test_what_is_held_adds_up_to_what_was_taken(rig):
    hook = rig.jobhook(JOBHOOK_MAX_IN_FLIGHT=200).start()
    rig.publish(*events(rig, 4000, "slow100"), *events(rig, 400, "500x1,ok"), *events(rig, 20, "404"))
    samples = []
    while total(hook.metrics(), "events_settled_total", "delivered") < 4400:
        samples.append(balance(hook.metrics()))
        time.sleep(0.05)
        assert len(samples) < 2000
    assert samples.count(0) > len(samples) / 4, samples  # the loop sleeps most of the time
    assert max(map(abs, samples)) <= 1000, samples
    wait_for(lambda: total(hook.metrics(), "dead_letters_total") == 20, 30, "dead letters")
    wait_for(lambda: balance(hook.metrics()) == 0 == total(hook.metrics(), "held_events"), 10, "nothing is held any more")
    numbers = hook.metrics()
    assert total(numbers, "events_settled_total", "dead") == total(numbers, "dead_letters_total") == len(rig.dead())


def test_what_is_waited_for_is_named(make_rig):
    rig = make_rig(delays="30s")
    hook = rig.jobhook(JOBHOOK_ENDPOINT_MAX_IN_FLIGHT=2, JOBHOOK_ATTEMPT_TIMEOUT="60s").start()
    rig.publish(*[event(f"hang-{i}", rig.receiver.url("hang/one")) for i in range(5)])
    held = 'jobhook_held_events{waiting_for="%s"}'
    wait_for(lambda: hook.metric(held % "answer") == 2 and hook.metric(held % "slot") == 3, 20, "two at work, three wait for them")
    rig.redis.pause()
    rig.publish(*events(rig, 7, "ok"))
    wait_for(lambda: hook.metric(held % "redis") == 7, 20, "seven wait for Redis")
    numbers = hook.metrics()
    assert balance(numbers) == 0 and total(numbers, "held_events") == 12 and numbers["jobhook_redis_up"] == 0
    rig.redis.resume()
    rig.receiver.kill()


def test_lag_is_the_brokers_word_also_when_nothing_is_fetched(make_rig):
    """librdkafka alone would go on saying what the last fetch said: with full queues there is none."""
    rig = make_rig(partitions=1)
    hook = rig.jobhook(**SMALL).start()
    lag = 'jobhook_consumer_lag{topic="%s",partition="0"}' % rig.topic
    wait_for(lambda: hook.metrics().get(lag) == 0, 20, "no lag, and that is known")
    rig.redis.kill()
    rig.publish(*events(rig, 5000, "ok", 400))
    wait_for(lambda: hook.metric(lag) == 5000, 20, "the lag of the first half")
    rig.publish(*events(rig, 5000, "204", 400))
    wait_for(lambda: hook.metric(lag) == 10000, 20, "the lag of both")
    rig.redis.start()
    wait_for(lambda: hook.metric(lag) == 0, 60, "none again")


def test_retries_are_due_or_not(make_rig):
    rig = make_rig(partitions=1, delays="6s,40s")
    hook = rig.jobhook(**SMALL).start()

    def records():
        numbers = hook.metrics()
        return {f"{delay} {state}": number for delay in ("6s", "40s") for state in ("due", "not_due")
                if (number := numbers.get(f'jobhook_retry_records{{delay="{delay}",state="{state}"}}')) != 0}
    rig.publish(*events(rig, 300, "500"))
    wait_for(lambda: records() == {"6s not_due": 300}, 20, "all wait for their time")
    rig.redis.kill()  # they become due, and all but some stay in Kafka
    wait_for(lambda: records() == {"6s due": 300}, 30, "all are due")
    rig.redis.start()
    wait_for(lambda: records() == {"40s not_due": 300}, 60, "all wait for the next time")


def test_kafka_is_up_or_not(rig):
    hook = rig.jobhook().start()
    wait_for(lambda: hook.metric("jobhook_kafka_up") == 1, 10, "it is up")
    rig.kafka.nodes[0].pause()
    try:
        wait_for(lambda: hook.metrics()["jobhook_kafka_up"] == 0, 30, "it is not")
    finally:
        rig.kafka.nodes[0].resume()
    wait_for(lambda: hook.metrics()["jobhook_kafka_up"] == 1, 30, "it is again")


def test_the_log_level_changes_while_it_runs(rig):
    hook = rig.jobhook().start()

    def lines(message):
        return [json.loads(line) for line in hook.log().splitlines() if json.loads(line)["message"] == message]

    hook.signal(signal.SIGUSR1)
    wait_for(lambda: lines("the log level changes"), 10, "the level changes")
    rig.publish(event("loud", rig.receiver.url("ok")))
    wait_for(lambda: lines("settled"), 20, "it settled")
    steps = [(s["from"], s["to"]) for s in lines("step") if s["task_id"] == "loud"]
    assert steps == [("taken", "claiming"), ("claiming", "waiting"), ("waiting", "posting"), ("posting", "recording"), ("recording", "released")]
    hook.signal(signal.SIGUSR1)
    wait_for(lambda: len(lines("the log level changes")) == 2, 10, "and back")
    rig.publish(event("quiet", rig.receiver.url("ok")))
    wait_for(lambda: len(lines("settled")) == 2, 20, "it settled")
    assert all(s["task_id"] == "loud" for s in lines("step"))


def test_tracestate_is_passed_on_when_asked(rig):
    headers = [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("tracestate", b"inside=1")]
    hook = rig.jobhook().start()
    rig.publish(event("shy", rig.receiver.url("ok"), headers=headers))
    rig.receiver.wait(1)
    hook.stop(40)
    rig.jobhook(JOBHOOK_PASS_TRACESTATE="true").start()
    rig.publish(event("open", rig.receiver.url("ok"), headers=headers))
    rig.receiver.wait(2)
    shy, open_ = rig.receiver.of("shy")[0]["headers"], rig.receiver.of("open")[0]["headers"]
    assert "traceparent" in shy and "tracestate" not in shy and open_["tracestate"] == "inside=1"


# ---------------------------------------------------------------------------------------------------------------------- Prometheus

class Prometheus(harness.Process):
    def __init__(self, folder, target):
        super().__init__(folder, "prometheus")
        (port,) = free_ports(1)
        self.address, self.config = f"127.0.0.1:{port}", os.path.join(folder, "prometheus.yml")
        with open(self.config, "w") as f:
            json.dump({"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
                       "scrape_configs": [{"job_name": "jobhook", "static_configs": [{"targets": [target]}]}]}, f)  # JSON is YAML
        self.spawn(["prometheus", "--config.file=" + self.config, "--storage.tsdb.path=" + os.path.join(folder, "tsdb"),
                    "--web.listen-address=" + self.address, "--log.level=warn"])

    def ask(self, query):
        """{labels without the name: value}, or {} when it does not answer (yet)."""
        try:
            with harness.NO_PROXY.open(f"http://{self.address}/api/v1/query?" + urllib.parse.urlencode({"query": query}), timeout=5) as answer:
                result = json.load(answer)["data"]["result"]
        except OSError:
            return {}
        return {tuple(sorted(v for k, v in r["metric"].items() if k not in ("__name__", "job", "instance"))): float(r["value"][1]) for r in result}


def certificate(folder, name, days):
    path = os.path.join(folder, name)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days), "-subj", "/CN=" + name,
                    "-keyout", path + ".key", "-out", path + ".pem"], check=True, capture_output=True)
    return path


def test_prometheus_reads_it_all(rig, folder):
    short, long = certificate(folder, "short", 3), certificate(folder, "long", 300)
    bundle = os.path.join(folder, "bundle.pem")
    with open(bundle, "w") as f:
        f.writelines(open(p + ".pem").read() for p in (long, short, long))
    hook = rig.jobhook(JOBHOOK_CLIENT_CERT=long + ".pem", JOBHOOK_CLIENT_KEY=long + ".key", JOBHOOK_CA_FILE=bundle).start()
    rig.publish(*events(rig, 50, "ok"))
    rig.receiver.wait(50)
    checked = subprocess.run(["promtool", "check", "metrics"], input=hook.get("/metrics")[1], text=True, capture_output=True)
    assert checked.returncode == 0 and checked.stderr + checked.stdout == "", checked
    prometheus = Prometheus(folder, hook.http)
    try:
        wait_for(lambda: prometheus.ask("jobhook_events_settled_total").get(("delivered",)) == 50, 40, "Prometheus knows of 50 deliveries", pause_s=0.3)
        assert prometheus.ask("up") == {(): 1}
        known = prometheus.ask("(jobhook_certificate_expiry_timestamp_seconds - time()) / 86400")
        assert {name: round(days) for name, days in known.items()} == {("JOBHOOK_CLIENT_CERT",): 300, ("JOBHOOK_CA_FILE",): 3}
        quantile = prometheus.ask("histogram_quantile(0.5, sum by (le) (jobhook_attempt_duration_seconds_bucket))")
        assert 0 < quantile[()] < 10
        assert prometheus.ask("scrape_samples_scraped")[()] < 2000
    finally:
        prometheus.kill()
    lines = [json.loads(line) for line in hook.log().splitlines() if "about to expire" in line]
    assert [(line["setting"], line["days_left"]) for line in lines] in ([("JOBHOOK_CA_FILE", 2)], [("JOBHOOK_CA_FILE", 3)])
