"""When things happen: F5 (latency), F6 (retries), F7 (one bad endpoint among a hundred). The receiver's own clock measures (sightings.h)."""
import time

import rig

HOSTS = 100
RATE = 1000
F6_RATE = 300


def watched(bench, topic, seconds, port, **options):
    """Loads at RATE for so long, with jobhook running beside it; jobhook is left running."""
    hook = bench.hook(topic).start()
    time.sleep(1)  # the group has settled
    load = bench.start_load(topic, RATE * seconds, port, rate=RATE, hosts=HOSTS, **options)
    assert load.wait(seconds + 60) == 0, "load failed"
    return hook


def case_latency(bench, size):
    """F5: 1,000 events a second for a hundred endpoints, one by one."""
    rounds = []
    for number in range(size.rounds):
        receiver, topic = bench.start_receiver("--look"), bench.create_topics("latency")
        hook = watched(bench, topic, size.seconds, receiver.port)
        hook.wait_settled(RATE * size.seconds)
        hook.end()
        seen = receiver.end()["latency"]
        rounds.append({"p50_ms": seen["p50_us"] / 1000, "p99_ms": seen["p99_us"] / 1000, "max_ms": seen["max_us"] / 1000})
        print(f"round {number + 1}: p50 {rounds[-1]['p50_ms']:.2f} ms, p99 {rounds[-1]['p99_ms']:.2f} ms, at most {rounds[-1]['max_ms']:.1f} ms", flush=True)
    return {"rounds": rounds, "figures": {"F5": [rig.median(rounds, "p50_ms"), rig.median(rounds, "p99_ms")]}}


def case_retries(bench, size):
    """F6: every attempt fails with 500, so each event is attempted six times, 1 to 16 s apart."""
    rounds, count = [], F6_RATE * size.seconds
    for number in range(size.rounds):
        receiver, topic = bench.start_receiver("--look", "--status", 500), bench.create_topics("retries")
        hook = bench.hook(topic).start()
        load = bench.start_load(topic, count, receiver.port, rate=F6_RATE, hosts=HOSTS)
        assert load.wait(size.seconds + 60) == 0, "load failed"
        hook.wait_settled(count, ("dead",))
        hook.end()
        seen = receiver.end()
        late = seen["lateness"]
        assert late["count"] >= count * 5 * 0.99, f"only {late['count']} retries were seen whole"
        rounds.append({"p99_ms": late["p99_us"] / 1000, "max_ms": late["max_us"] / 1000, "early": seen["early"], "earliest_ms": late["min_us"] / 1000,
                       "retries": late["count"]})
        print(f"round {number + 1}: {late['count']} retries, p99 {rounds[-1]['p99_ms']:.1f} ms late, at most {rounds[-1]['max_ms']:.1f} ms, "
              f"{seen['early']} early (the earliest {rounds[-1]['earliest_ms']:.1f} ms after its time)", flush=True)
    return {"rounds": rounds, "figures": {"F6": [rig.median(rounds, "p99_ms"), max(r["early"] for r in rounds)]}}


# ------------------------------------------------------------------------------------------------------------- one bad among a hundred

# What the bad endpoint does: the receiver's arguments (None: nobody listens), and how many of ten events it gets.
TROUBLES = {
    "F7": (("--delay", 3600000), 1),
    "F7 refused": (None, 1),
    "F7 429": (("--status", 429, "--retry-after", 30), 1),
    "F7 drip": (("--delay", 1000, "--drip"), 1),
    "F7 hog": (("--delay", 9000), 9),
}


def closed_port():
    return rig.harness.free_ports(1)[0]


def others(bench, seconds, bad, tenths):
    """The others' latency and rate while one endpoint gets so many tenths of the events; `bad`: the arguments of its receiver."""
    good = bench.start_receiver("--look")
    other = None if bad is None else bench.start_receiver(*bad)
    hook = watched(bench, bench.create_topics("neighbour"), seconds, good.port, bad_port=other.port if other else closed_port(), bad_tenths=tenths)
    time.sleep(1)  # whoever arrives later was held up
    hook.kill()
    for process in (other,) if other else ():
        process.kill()
    seen = good.end()
    expected = RATE * seconds * (10 - tenths) // 10
    return {"p99_ms": seen["latency"]["p99_us"] / 1000, "share": seen["latency"]["count"] / expected, "rate": (seen["latency"]["count"] - 1) / seen["seconds"]}


def case_neighbour(bench, size):
    """F7: each trouble beside the same load with a good endpoint in the bad one's place."""
    rounds = []
    for number in range(size.rounds):
        fair = {tenths: others(bench, size.seconds, (), tenths) for tenths in {tenths for _, tenths in TROUBLES.values()}}
        sides = {}
        for name, (bad, tenths) in TROUBLES.items():
            seen = others(bench, size.seconds, bad, tenths)
            without = fair[tenths]
            sides[name] = {"p99_ms": seen["p99_ms"], "without_p99_ms": without["p99_ms"], "p99_ratio": seen["p99_ms"] / without["p99_ms"],
                           "rate_percent": 100 * min(seen["share"] / without["share"], seen["rate"] / without["rate"])}
        rounds.append(sides)
        print(f"round {number + 1}: " + "; ".join(f"{name}: p99 {s['p99_ms']:.1f} of {s['without_p99_ms']:.1f} ms, rate {s['rate_percent']:.1f} %"
                                                  for name, s in sides.items()), flush=True)
    figures = {name: [rig.median([r[name] for r in rounds], "p99_ratio"), rig.median([r[name] for r in rounds], "rate_percent")] for name in TROUBLES}
    return {"rounds": rounds, "figures": figures}
