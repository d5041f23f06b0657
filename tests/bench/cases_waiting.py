"""What waiting costs: `idle` (start, memory, CPU without work) and F10 (100,000 events in retry topics that are not due)."""
import time

import rig
from rig import harness

WAITING = 100000
LONG_DELAYS = ("1h", "2h", "3h", "4h", "5h")
SETTLE_S = 5


def watch(hook, seconds):
    """CPU in per cent of a core over so many seconds, and memory."""
    time.sleep(SETTLE_S)  # the group settles, what is read ahead is read
    before = rig.cpu_s(hook.process.pid)
    time.sleep(seconds)
    return {"cpu_percent": (rig.cpu_s(hook.process.pid) - before) * 100 / seconds, "rss_mib": rig.memory_mib(hook.process.pid)}


def idle_round(bench, topic, seconds):
    hook = bench.hook(topic)
    started = time.monotonic()
    hook.start(ready=False)
    harness.wait_for(lambda: hook.get("/healthz")[0] == 200, 30, "/healthz", pause_s=0.002)
    healthy = time.monotonic() - started
    harness.wait_for(lambda: hook.get("/readyz")[0] == 200, 30, "/readyz", pause_s=0.005)
    ready = time.monotonic() - started
    seen = watch(hook, seconds)
    hook.end()
    return {"healthy_ms": healthy * 1000, "ready_ms": ready * 1000, **seen}


def case_idle(bench, size):
    topic = bench.create_topics("idle")
    rounds = [idle_round(bench, topic, 2 * size.seconds) for _ in range(size.rounds)]
    medians = {name: rig.median(rounds, name) for name in rounds[0]}
    print(f"{'start until /healthz answers':50}{medians['healthy_ms']:8.0f} ms")
    print(f"{'start until /readyz is 200 (group joined)':50}{medians['ready_ms']:8.0f} ms")
    print(f"{'resident memory':50}{medians['rss_mib']:8.1f} MiB")
    print(f"{'CPU without work, 4 partitions of 9 topics':50}{medians['cpu_percent']:8.2f} % of a core")
    return {"rounds": rounds, "medians": medians, "figures": {}}


def fill_retry_topics(bench, topic, count):
    """`count` second attempts, spread over the long delays, due when the delay is over."""
    now_ms, url = int(time.time() * 1000), bench.receiver.url()
    for at, delay in enumerate(LONG_DELAYS):
        due_ms = now_ms + int(delay[:-1]) * 3600 * 1000
        headers = [("jobhook-attempt", "2"), ("jobhook-epoch", "0"), ("jobhook-due-ms", str(due_ms)), ("jobhook-first-ms", str(now_ms)),
                   ("jobhook-error", "http_503")]
        records = [harness.event(f"wait-{at}-{n:08d}", url, headers=headers + [("jobhook-origin", f"{topic}/{n % rig.PARTITIONS}/{n}")])
                   for n in range(count // len(LONG_DELAYS))]
        bench.kafka.produce(f"{topic}.retry.{delay}", records, linger_ms=20)


def case_waiting(bench, size):
    """F10: the same jobhook on empty retry topics and on full ones."""
    settings = {"JOBHOOK_RETRY_DELAYS": ",".join(LONG_DELAYS)}
    empty, full = (bench.create_topics(name, delays=LONG_DELAYS + ("1m", "5m")) for name in ("empty", "full"))
    fill_retry_topics(bench, full, WAITING)
    rounds = []
    for number in range(size.rounds):
        sides = {}
        for name, topic in (("empty", empty), ("full", full)):
            hook = bench.hook(topic, **settings).start()
            sides[name] = watch(hook, size.seconds)
            assert hook.settled("delivered") == 0, "what waits was delivered"
            hook.end()
        rounds.append({"more_mb": (sides["full"]["rss_mib"] - sides["empty"]["rss_mib"]) * 1.048576, "cpu_percent": sides["full"]["cpu_percent"], **sides})
        print(f"round {number + 1}: {rounds[-1]['more_mb']:.1f} MB more ({sides['full']['rss_mib']:.0f} MiB), {rounds[-1]['cpu_percent']:.2f} % of a core",
              flush=True)
    return {"events": WAITING, "rounds": rounds, "figures": {"F10": [rig.median(rounds, "more_mb"), rig.median(rounds, "cpu_percent")]}}
