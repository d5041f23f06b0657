"""What running it costs and disturbs: F12 (three copies replaced one after another), F13 (one copy, four, one again), F14 (a scrape), F15 (log and
metrics). Nothing may be lost or doubled by a copy that comes or goes as Kubernetes makes it: a new one is ready before an old one gets SIGTERM."""
import os
import re
import statistics
import subprocess
import time

import rig

HOSTS = 100
RATE = int(os.environ.get("BENCH_RATE", "2000"))  # less for a machine that cannot do that much even undisturbed
PARTITIONS = 12
SETTLE_S = 3  # between two changes: a rollout waits as long (minReadySeconds 5)


def roll(fleet):
    for _ in range(3):
        fleet.grow()
        time.sleep(SETTLE_S)
        fleet.shrink()


def scale(fleet):
    fleet.grow(3)
    time.sleep(2 * SETTLE_S)
    fleet.shrink(3)


def changed(bench, copies, change, seconds):
    """Latency, and what was lost and doubled, of events that are produced while the copies change."""
    receiver, topic = bench.start_receiver("--look"), bench.create_topics("copies", PARTITIONS)
    fleet, count = rig.Fleet(bench, topic), RATE * seconds
    fleet.grow(copies)
    time.sleep(SETTLE_S)
    load, started = bench.start_load(topic, count, receiver.port, rate=RATE, hosts=HOSTS), time.monotonic()
    time.sleep(1)
    change(fleet)
    took = time.monotonic() - started
    assert load.wait(seconds + 120) == 0, "load failed"
    rig.harness.wait_for(lambda: bench.kafka.lag(fleet.group, topic) == 0, 300, "all is delivered", pause_s=1)
    fleet.shrink(len(fleet.copies))
    seen = receiver.end()
    return {"lost": count - seen["tasks"], "doubled": seen["requests"] - seen["tasks"], "p50_ms": seen["latency"]["p50_us"] / 1000,
            "p99_ms": seen["latency"]["p99_us"] / 1000, "max_ms": seen["latency"]["max_us"] / 1000, "changed_for_s": took, "events": count}


def case_of(figure, copies, change, seconds):
    def case(bench, size):
        rounds = []
        for number in range(size.rounds):
            still = changed(bench, copies, lambda fleet: time.sleep(seconds / 2), seconds)
            seen = {**changed(bench, copies, change, seconds), "undisturbed_p99_ms": still["p99_ms"]}
            rounds.append(seen)
            print(f"round {number + 1}: {seen['events']} events at {RATE}/s, {seen['changed_for_s']:.0f} s of change: lost {seen['lost']}, doubled {seen['doubled']}, "
                  f"p50 {seen['p50_ms']:.1f} ms, p99 {seen['p99_ms']:.0f} ms (undisturbed {still['p99_ms']:.0f} ms), at most {seen['max_ms']:.0f} ms", flush=True)
        return {"rounds": rounds, "figures": {figure: [max(r["lost"] for r in rounds), max(r["doubled"] for r in rounds), rig.median(rounds, "p99_ms")]}}
    return case


case_rolling = case_of("F12", 3, roll, 20)
case_scaling = case_of("F13", 1, scale, 16)

# ---------------------------------------------------------------------------------------------------------------------------- scrape

SCRAPES = 100
LAG_TOPICS = 1 + len(rig.DELAYS)
SCRAPE_PARTITIONS = 600 // LAG_TOPICS


def case_scrape(bench, size):
    """F14: every partition has its series; asked again and again, as by a Prometheus in a hurry."""
    topic = bench.create_topics("scrape", SCRAPE_PARTITIONS)
    hook = bench.hook(topic).start(ready=False)
    hook.wait_ready(120)

    def shown():
        return sum(name.startswith("jobhook_consumer_lag{") for name in hook.metrics())
    rig.harness.wait_for(lambda: shown() == SCRAPE_PARTITIONS * LAG_TOPICS, 60, "every partition is shown")
    del size
    before, times, length = rig.cpu_s(hook.process.pid), [], 0
    for _ in range(SCRAPES):
        started = time.monotonic()
        status, text = hook.get("/metrics")
        times.append(1000 * (time.monotonic() - started))
        assert status == 200
        length = max(length, len(text))
    cpu_ms = 1000 * (rig.cpu_s(hook.process.pid) - before) / SCRAPES
    hook.end()
    seen = {"ms": statistics.median(times), "max_ms": max(times), "cpu_ms": cpu_ms, "kb": length / 1000, "partitions": SCRAPE_PARTITIONS * LAG_TOPICS}
    print(f"{seen['partitions']} partitions: {seen['kb']:.0f} KB in {seen['ms']:.1f} ms (at most {seen['max_ms']:.1f}), of them {cpu_ms:.2f} ms of its CPU", flush=True)
    return {"rounds": [seen], "figures": {"F14": [seen["ms"], seen["kb"]]}}

# ------------------------------------------------------------------------------------------------------------------- log and metrics

WATCHERS = ("report_log", "writer", "histogram_observe_us", "show_gauges")  # the log's line and its thread, what is counted (single additions are inlined)
FEW, MANY = 500, 2500


def instructions(bench, count):
    """(all, those inside of WATCHERS) of a whole run over so many events, by callgrind: user space only, the start included."""
    topic, out = bench.create_topics("watched"), os.path.join(bench.folder, f"callgrind.{count}")
    bench.load(topic, count, hosts=HOSTS)
    hook = bench.hook(topic)
    hook.spawn(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", rig.harness.BINARY, "run"], hook.environment())
    hook.wait_ready(300)
    hook.wait_settled(count)
    deferred = hook.settled("deferred")
    hook.stop(300)
    print(f"{count} events, {deferred:.0f} deferred on the way", flush=True)
    lines = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", out], capture_output=True, text=True, check=True, timeout=300).stdout
    total = int(re.search(r"^([\d,]+) \(100\.0%\)  PROGRAM TOTALS", lines, re.MULTILINE).group(1).replace(",", ""))
    inside = {name: 0 for name in WATCHERS}
    for number, name in re.findall(r"^ *([\d,]+) \([ \d.]+%\)  \S*?:(\w+)(?:'2)? \[", lines, re.MULTILINE):
        if name in inside:
            inside[name] = max(inside[name], int(number.replace(",", "")))
    return total, inside


def case_watching(bench, size):
    """F15: instructions of a delivery, and the share of them that goes into its log line and what is measured. Does not depend on the machine's load."""
    del size
    few, inside_few = instructions(bench, FEW)
    many, inside_many = instructions(bench, MANY)
    each = (many - few) / (MANY - FEW)
    parts = {name: 100 * (inside_many[name] - inside_few[name]) / (MANY - FEW) / each for name in WATCHERS}
    print(f"{each:,.0f} instructions for a delivery, of them " + ", ".join(f"{name} {share:.1f} %" for name, share in parts.items()), flush=True)
    return {"rounds": [{"instructions": each, **parts}], "figures": {"F15": [sum(parts.values())]}}
