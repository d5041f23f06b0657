"""When things happen: F5 (latency), F6 (retries), F7 (one bad endpoint among a hundred). The receiver's own clock measures (sightings.h)."""
import socket
import time

import rig
from namespace import with_resolver

HOSTS = 100
RATE = 1000
F6_RATE = 300


def watched(bench, topic, seconds, port, settings={}, **options):
    """Loads at RATE for so long, with jobhook running beside it; jobhook is left running."""
    hook = bench.hook(topic, **settings).start()
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

class Nobody:
    """Nobody listens at the port."""
    settings = {}

    def __init__(self, bench):
        del bench
        self.load = {"bad_port": rig.harness.free_ports(1)[0]}

    def end(self):
        pass


class Receiver(Nobody):
    def __init__(self, bench, *arguments):
        self.process = bench.start_receiver(*arguments)
        self.load = {"bad_port": self.process.port}

    def end(self):
        self.process.kill()


class SilentNameServer(Nobody):
    """The endpoint has a name, and the name server takes questions and never answers. Needs root, for port 53."""
    ADDRESS = "127.53.0.1"

    def __init__(self, bench):
        super().__init__(bench)
        self.load["bad_host"] = "hooks.bench.example"
        self.settings = with_resolver(bench.folder, f"nameserver {self.ADDRESS}\n")
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.ADDRESS, 53))

    def end(self):
        self.socket.close()


# The bad endpoint: who it is, with which of the receiver's arguments, and how many of ten events it gets.
TROUBLES = {
    "F7": (Receiver, ("--delay", 3600000), 1),
    "F7 refused": (Nobody, (), 1),
    "F7 429": (Receiver, ("--status", 429, "--retry-after", 30), 1),
    "F7 drip": (Receiver, ("--delay", 1000, "--drip"), 1),
    "F7 names": (SilentNameServer, (), 1),
    "F7 hog": (Receiver, ("--delay", 9000), 9),
}


def others(bench, seconds, kind, arguments, tenths):
    """The others' latency and rate while one endpoint, of that kind, gets so many tenths of the events."""
    good, bad = bench.start_receiver("--look"), kind(bench, *arguments)
    hook = watched(bench, bench.create_topics("neighbour"), seconds, good.port, bad.settings, bad_tenths=tenths, **bad.load)
    time.sleep(1)  # whoever arrives later was held up
    hook.kill()
    bad.end()
    seen = good.end()
    expected = RATE * seconds * (10 - tenths) // 10
    return {"p99_ms": seen["latency"]["p99_us"] / 1000, "share": seen["latency"]["count"] / expected, "rate": (seen["latency"]["count"] - 1) / seen["seconds"]}


def case_neighbour(bench, size):
    """F7: each trouble beside the same load with a good endpoint in the bad one's place."""
    rounds = []
    for number in range(size.rounds):
        fair = {tenths: others(bench, size.seconds, Receiver, (), tenths) for tenths in {tenths for *_, tenths in TROUBLES.values()}}
        sides = {}
        for name, (kind, arguments, tenths) in TROUBLES.items():
            seen = others(bench, size.seconds, kind, arguments, tenths)
            without = fair[tenths]
            sides[name] = {"p99_ms": seen["p99_ms"], "without_p99_ms": without["p99_ms"], "p99_ratio": seen["p99_ms"] / without["p99_ms"],
                           "rate_percent": 100 * min(seen["share"] / without["share"], seen["rate"] / without["rate"])}
        rounds.append(sides)
        print(f"round {number + 1}: " + "; ".join(f"{name}: p99 {s['p99_ms']:.1f} of {s['without_p99_ms']:.1f} ms, rate {s['rate_percent']:.1f} %"
                                                  for name, s in sides.items()), flush=True)
    figures = {name: [rig.median([r[name] for r in rounds], "p99_ratio"), rig.median([r[name] for r in rounds], "rate_percent")] for name in TROUBLES}
    return {"rounds": rounds, "figures": figures}
