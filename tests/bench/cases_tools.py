"""What the operator's tools take: dead letters listed and replayed, tasks polled. Rates by the clock, so only a quiet machine shows the tools alone."""
import os
import re
import subprocess
import time

import rig
from rig import harness

TOKEN = "t" * 40
POLL_CONNECTIONS, POLL_THREADS = 32, 2
POLLED = 20000  # more payloads of 2 KB than the cache keeps
RESULT = '{"text":"' + "x" * 1900 + '"}'


def fill_letters(bench, topic, count):
    """Dead letters as jobhook writes them: nobody listens at their URL, and nothing is known of their tasks."""
    now_ms = str(int(time.time() * 1000))
    fixed = [("jobhook-attempt", "6"), ("jobhook-epoch", "0"), ("jobhook-due-ms", now_ms), ("jobhook-first-ms", now_ms), ("jobhook-error", "http_503"),
             ("jobhook-reason", "exhausted")]
    for at in range(0, count, 50000):
        letters = []
        for n in range(at, min(at + 50000, count)):
            headers = fixed + [("jobhook-origin", f"{topic}/{n % rig.PARTITIONS}/{n}")]
            event = harness.event(f"letter-{n:010d}", f"http://127.0.0.1:1/{n % 10}", headers=headers)
            letters.append({**event, "partition": n % rig.PARTITIONS})
        bench.kafka.produce(topic + ".dlq", letters, linger_ms=20)


def run(hook, *arguments, first_byte=False):
    """Seconds, CPU, most memory, and when the first byte came."""
    output, errors = (open(os.path.join(hook.folder, "tool." + name), "wb+") for name in ("out", "err"))
    started, first_s, peak_mib, ended = time.monotonic(), None, 0, 0
    pid = subprocess.Popen([hook.binary, *arguments], env=hook.environment(), cwd=hook.folder, stdout=output, stderr=errors).pid
    while not ended:
        if first_byte and first_s is None and os.fstat(output.fileno()).st_size > 0:
            first_s = time.monotonic() - started
        time.sleep(0.005 if first_byte and first_s is None else 0.05)
        try:
            peak_mib = max(peak_mib, rig.memory_mib(pid, "VmHWM"))  # what rusage says begins with this interpreter's
        except StopIteration:
            pass  # it has ended
        ended, status, used = os.wait4(pid, os.WNOHANG)
    seconds = time.monotonic() - started
    errors.seek(0)
    assert status == 0, errors.read()[-2000:]
    output.seek(0)
    return {"s": seconds, "cpu_s": used.ru_utime + used.ru_stime, "peak_mib": peak_mib, "first_s": first_s, "lines": output.read().count(b"\n")}


def letters_round(bench, hook, count):
    sides = {}
    for name, options in {"list --json": ["--json"], "list": [], "list --summary": ["--summary"]}.items():
        sides[name] = run(hook, "dlq", "list", *options, first_byte=True)
        assert name.endswith("summary") or sides[name]["lines"] >= count
    bench.forget_tasks()
    sides["replay"] = run(hook, "dlq", "replay", "--all")
    assert sum(bench.kafka.end_offsets(hook.settings["JOBHOOK_TOPIC"] + ".retry.1s").values()) % count == 0
    for name, side in sides.items():
        side["rate"] = count / side["s"]
        print(f"{name:16}{side['rate']:12,.0f} /s by the clock{count / side['cpu_s']:12,.0f} by CPU{side['peak_mib']:8.0f} MiB"
              + (f"   first after {side['first_s'] * 1000:.0f} ms" if side["first_s"] else ""), flush=True)
    return sides


def case_letters(bench, size):
    """Dead letters: listed and replayed; BENCH_LETTERS of them."""
    count = int(os.environ.get("BENCH_LETTERS", str(size.events)))
    topic = bench.create_topics("letters")
    fill_letters(bench, topic, count)
    hook = bench.hook(topic)
    rounds = [letters_round(bench, hook, count) for _ in range(min(size.rounds, 3))]

    def middle(name, figure):
        return rig.statistics.median(r[name][figure] for r in rounds)
    return {"letters": count, "rounds": rounds,
            "figures": {"letters": [min(middle(n, "rate") for n in ("list", "list --json")), middle("list", "first_s") * 1000, middle("list", "peak_mib")],
                        "letters replayed": [middle("replay", "rate"), middle("replay", "peak_mib")]}}


WRK = """local i, n = 0, %d
request = function() i = (i + 7919) %% n; return wrk.format("GET", "/job-status/" .. %s) end"""


def poll(bench, hook, address, task, seconds):
    """wrk over kept connections; `task`: a Lua expression of i."""
    script = os.path.join(bench.folder, "poll.lua")
    with open(script, "w") as f:
        f.write(WRK % (POLLED, task))
    before = rig.cpu_s(hook.process.pid)
    result = subprocess.run(["wrk", "-t", str(POLL_THREADS), "-c", str(POLL_CONNECTIONS), "-d", str(seconds), "--latency", "-s", script,
                             "-H", f"Authorization: Bearer {TOKEN}", f"http://{address}"], capture_output=True, text=True, timeout=seconds + 60, check=True)
    used = rig.cpu_s(hook.process.pid) - before
    count = int(re.search(r"(\d+) requests in", result.stdout).group(1))
    scale = {"us": 0.001, "ms": 1, "s": 1000}
    p50, p99 = (float(m[0]) * scale[m[1]] for m in (re.search(rf"{q}%\s+([\d.]+)(us|ms|s)", result.stdout).groups() for q in (50, 99)))
    return {"rate": count / seconds, "p50_ms": p50, "p99_ms": p99, "cpu_us": used * 1e6 / count, "per_core": count / used}


def polls_round(bench, hook, address, size):
    known, sides = '("poll-%08d"):format(i)', {}
    for name, task in {"read back": known, "cached": '"poll-00000001"', "unknown": '"never-" .. i'}.items():
        sides[name] = poll(bench, hook, address, task, size.seconds)
        side = sides[name]
        print(f"{name:12}{side['rate']:10,.0f} /s{side['per_core']:12,.0f} by CPU{side['cpu_us']:10.0f} µs CPU   p50 {side['p50_ms']:.1f} ms   "
              f"p99 {side['p99_ms']:.1f} ms", flush=True)
    return sides


def case_polls(bench, size):
    """/job-status: results of 2 KB that are read back from Kafka, one from the cache, tasks that are not known."""
    topic = bench.create_topics("polls", partitions=12)
    bench.kafka.produce(topic, [{**harness.event(f"poll-{n:08d}", raw=RESULT), "partition": n % 12} for n in range(POLLED)], linger_ms=20)
    address = f"127.0.0.1:{harness.free_ports(1)[0]}"
    hook = bench.hook(topic, JOBHOOK_API_LISTEN=address, JOBHOOK_API_TOKENS=TOKEN).start()
    hook.wait_settled(POLLED, ("nothing_to_send",))
    rounds = [polls_round(bench, hook, address, size) for _ in range(size.rounds)]
    hook.end()

    def middle(name, figure):
        return rig.statistics.median(r[name][figure] for r in rounds)
    return {"rounds": rounds, "figures": {"polls": [middle("read back", "p50_ms"), middle("read back", "p99_ms"), middle("read back", "per_core")],
                                          "polls unknown": [middle("unknown", "rate")]}}
