"""What the operator's tools take: dead letters listed and replayed, tasks polled. Rates by the clock, so only a quiet machine shows the tools alone."""
import os
import re
import subprocess
import time

import rig
from cases_time import HOSTS, RATE
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


WRK = """local i, n, pause_ms = 0, %d, %d
request = function() i = (i + 7919) %% n; return wrk.format("GET", "/job-status/" .. %s) end
if pause_ms > 0 then delay = function() return pause_ms end end
done = function(summary) io.write(summary.errors.status .. " of " .. summary.requests .. " refused\\n") end"""


def start_polls(bench, address, task, seconds, connections, pause_ms=0):
    """wrk over kept connections, which pause between two requests; `task`: a Lua expression of i."""
    script = os.path.join(bench.folder, "poll.lua")
    with open(script, "w") as f:
        f.write(WRK % (POLLED, pause_ms, task))
    return subprocess.Popen(["wrk", "-t", str(min(POLL_THREADS, connections)), "-c", str(connections), "-d", str(seconds), "--latency", "-s", script,
                             "-H", f"Authorization: Bearer {TOKEN}", f"http://{address}"], stdout=subprocess.PIPE, text=True)


def end_polls(wrk, seconds):
    output, _ = wrk.communicate(timeout=seconds + 60)
    assert wrk.returncode == 0, output
    refused, count = map(int, re.search(r"(\d+) of (\d+) refused", output).groups())
    scale = {"us": 0.001, "ms": 1, "s": 1000}
    p50, p99 = (float(m[0]) * scale[m[1]] for m in (re.search(rf"{q}%\s+([\d.]+)(us|ms|s)", output).groups() for q in (50, 99)))
    return {"count": count, "refused": refused, "rate": count / seconds, "p50_ms": p50, "p99_ms": p99}


def poll(bench, hook, address, task, seconds, connections=POLL_CONNECTIONS):
    """With nothing to deliver meanwhile, so that all of its CPU is the polls'."""
    before = rig.cpu_s(hook.process.pid)
    seen = end_polls(start_polls(bench, address, task, seconds, connections), seconds)
    used = rig.cpu_s(hook.process.pid) - before
    return {**seen, "cpu_us": used * 1e6 / seen["count"], "per_core": seen["count"] / used}


KNOWN, NEVER = '("poll-%08d"):format(i)', '"never-" .. i'


def fill_polled(bench):
    topic = bench.create_topics("polls", partitions=12)
    bench.kafka.produce(topic, [{**harness.event(f"poll-{n:08d}", raw=RESULT), "partition": n % 12} for n in range(POLLED)], linger_ms=20)
    return topic


def polled_hook(bench, topic):
    address = f"127.0.0.1:{harness.free_ports(1)[0]}"
    hook = bench.hook(topic, JOBHOOK_API_LISTEN=address, JOBHOOK_API_TOKENS=TOKEN).start()
    hook.wait_settled(POLLED, ("nothing_to_send",))
    return hook, address


def polls_round(bench, hook, address, size):
    sides = {}
    for name, task, connections in (("read back", KNOWN, 1), ("at once", KNOWN, POLL_CONNECTIONS), ("cached", '"poll-00000001"', POLL_CONNECTIONS),
                                    ("unknown", NEVER, POLL_CONNECTIONS)):
        sides[name] = side = poll(bench, hook, address, task, size.seconds, connections)
        print(f"{name:10}{connections:3} at a time{side['rate']:10,.0f} /s{side['per_core']:10,.0f} by CPU{side['cpu_us']:8.0f} µs CPU   "
              f"p50 {side['p50_ms']:.1f} ms   p99 {side['p99_ms']:.1f} ms", flush=True)
    return sides


STATUS_TASKS = 20


def status_ms(hook):
    """Of `jobhook status`, from its start to its end."""
    times = []
    for number in range(STATUS_TASKS):
        started = time.monotonic()
        code, output, errors = hook.command("status", f"poll-{number:08d}")
        times.append(1000 * (time.monotonic() - started))
        assert code == 0 and "nothing_to_send" in output, output + errors
    print(f"jobhook status: {rig.statistics.median(times):.0f} ms, at most {max(times):.0f} ms", flush=True)
    return rig.statistics.median(times)


def case_polls(bench, size):
    """/job-status: results of 2 KB that are read back from Kafka, one from the cache, tasks that are not known; and `jobhook status`."""
    hook, address = polled_hook(bench, fill_polled(bench))
    rounds = [polls_round(bench, hook, address, size) for _ in range(size.rounds)]
    status = status_ms(hook)
    hook.end()

    def middle(name, figure):
        return rig.statistics.median(r[name][figure] for r in rounds)
    return {"rounds": rounds, "figures": {"polls": [middle("read back", "p50_ms"), middle("read back", "p99_ms"), middle("at once", "per_core")],
                                          "polls unknown": [middle("unknown", "rate")], "status": [status]}}


# What runs beside the deliveries: a Lua expression for wrk, how many at a time, and the pause of each.
BESIDE = {"some read back": (KNOWN, 4, 20), "a storm": (NEVER, POLL_CONNECTIONS, 1)}


def beside_polls(bench, seconds, polls=None, elsewhere=False):
    """Latency and CPU of deliveries at RATE beside these polls: of the copy that delivers, or of one that has nothing to do with it."""
    receiver, topic = bench.start_receiver("--look"), fill_polled(bench)
    hook, address = polled_hook(bench, topic)
    other, other_address = polled_hook(bench, fill_polled(bench))
    wrk = start_polls(bench, other_address if elsewhere else address, polls[0], seconds, *polls[1:]) if polls else None
    before, count = rig.urgent_cpu_s(hook.process.pid), RATE * seconds
    assert bench.start_load(topic, count, receiver.port, rate=RATE, hosts=HOSTS).wait(seconds + 60) == 0, "load failed"
    polled = end_polls(wrk, seconds) if wrk else {"count": 0, "refused": 0, "rate": 0}
    hook.wait_settled(count)
    used_us = (rig.urgent_cpu_s(hook.process.pid) - before) * 1e6
    hook.end()
    other.end()
    seen = receiver.end()["latency"]
    return {"p50_ms": seen["p50_us"] / 1000, "p99_ms": seen["p99_us"] / 1000, "cpu_us": used_us / count, "polls": polled}


def polled_round(bench, seconds):
    sides = {"alone": beside_polls(bench, seconds)}
    for name, polls in BESIDE.items():
        sides[name] = beside_polls(bench, seconds, polls)
        sides[name + ", elsewhere"] = beside_polls(bench, seconds, polls, elsewhere=True)
    for name, s in sides.items():
        print(f"{name:26}p50 {s['p50_ms']:6.2f} ms   p99 {s['p99_ms']:6.1f} ms{s['cpu_us']:7.0f} µs CPU{s['polls']['rate']:10,.0f} polls/s", flush=True)
    return sides


def case_polled(bench, size):
    """Deliveries one by one while results are polled: none; some, and as many as wrk can ask for, of this copy and of one that delivers nothing. The
    second shows what the machine is short of when it also has to answer polls; between the two lies what polls do to the copy that they ask."""
    rounds = [polled_round(bench, size.seconds) for _ in range(size.rounds)]

    def ratios(name, to):
        return [rig.statistics.median(r[name][figure] / r[to][figure] for r in rounds) for figure in ("p50_ms", "cpu_us")]
    figures = {}
    for name in BESIDE:
        figures[f"polled, {name}"] = ratios(name, name + ", elsewhere")
        figures[f"polled, {name}, ÷ none"] = ratios(name, "alone")
    return {"rounds": rounds, "figures": figures}
