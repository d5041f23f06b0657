"""What a delivery costs: F1 and F2 (one endpoint, 10,000 endpoints), F8 (Go and Node), F3 (fresh HTTPS), F4 (10,000 in flight), F9 (replays) and
F11 (Redis). In each round every side runs once, so that what drifts on the machine hits all of them."""
import os
import time

import references
import rig

MANY_HOSTS = 10000
EVENTS_EACH = 8  # at least: a host's first event opens its connection, which costs several times a POST


def show(number, sides):
    print(f"round {number + 1}: " + ", ".join(f"{name} {side['us']:.1f} µs" for name, side in sides.items()), flush=True)


def ratio(rounds, side, other):
    """The median of the rounds' ratios, not the ratio of medians: both sides of one ratio ran next to each other."""
    return rig.statistics.median(r[side]["us"] / r[other]["us"] for r in rounds)


def table(rounds, title):
    print(f"\n{title:34}{'CPU µs each':>14}{'per second':>12}")
    for name in rounds[0]:
        sides = [r[name] for r in rounds]
        print(f"{name:34}{rig.median(sides, 'us'):14.1f}{rig.median(sides, 'rate'):12.0f}")


def case_delivery(bench, size):
    """F1, F2, F8 and the previous commit."""
    one, many = bench.create_topics("one"), bench.create_topics("many")
    many_events = max(size.events, EVENTS_EACH * MANY_HOSTS)
    bench.load(one, size.events)
    bench.load(many, many_events, hosts=MANY_HOSTS)
    previous = references.previous_binary()
    rounds = []
    for number in range(size.rounds):
        bench.forget_tasks()
        sides = {"jobhook": bench.run_through(one, size.events), "bare libcurl": references.bare(bench, size.events), "wrk": references.wrk(bench)}
        if previous:
            sides["previous commit"] = bench.run_through(one, size.events, binary=previous)
        sides["Go worker"] = references.go(bench, one, size.events)
        sides["Node worker"] = references.node(bench, one, size.events)
        sides["jobhook, 10,000 endpoints"] = bench.run_through(many, many_events)
        sides["Go worker, 10,000 endpoints"] = references.go(bench, many, many_events)
        sides["Node worker, 10,000 endpoints"] = references.node(bench, many, many_events)
        rounds.append(sides)
        show(number, sides)
    table(rounds, "one keep-alive endpoint, 64 at once")
    jobhook, many_hosts = [r["jobhook"] for r in rounds], "10,000 endpoints"
    print(f"jobhook's memory at most: {rig.median(jobhook, 'peak_mib'):.0f} MiB; deferred on the way: {rig.median(jobhook, 'deferred'):.0f}")
    figures = {"F1": [ratio(rounds, "jobhook", "bare libcurl")], "F2": [ratio(rounds, f"jobhook, {many_hosts}", "jobhook")],
               "F8": [ratio(rounds, "Go worker", "jobhook"), ratio(rounds, "Node worker", "jobhook")],
               "F8 10k": [ratio(rounds, f"Go worker, {many_hosts}", f"jobhook, {many_hosts}"),
                          ratio(rounds, f"Node worker, {many_hosts}", f"jobhook, {many_hosts}")]}
    sides = {name: {"us": rig.median([r[name] for r in rounds], "us"), "rate": rig.median([r[name] for r in rounds], "rate")} for name in rounds[0]}
    return {"events": size.events, "many_events": many_events, "rounds": rounds, "sides": sides, "figures": figures}


def case_claims(bench, size):
    """What safety costs: the same program with claims that are granted without a word to Redis."""
    topic = bench.create_topics("claims")
    bench.load(topic, size.events)
    rounds = []
    for number in range(size.rounds):
        bench.forget_tasks()
        rounds.append({"jobhook": bench.run_through(topic, size.events),
                       "without claims": bench.run_through(topic, size.events, binary=rig.program("unclaimed"))})
        show(number, rounds[-1])
    table(rounds, "one keep-alive endpoint, 64 at once")
    return {"events": size.events, "rounds": rounds, "figures": {"claims": [ratio(rounds, "jobhook", "without claims")]}}


def run_shared(bench, count, processes, **settings):
    """So many jobhooks of one group share a load that begins when all of them have joined: what one delivery cost, all their time added up."""
    topic = bench.create_topics("scale", partitions=8)
    fleet = rig.Fleet(bench, topic, **settings)
    fleet.grow(processes)
    time.sleep(5)  # the last of them has moved the others' partitions

    def used_s():
        return sum(rig.cpu_s(hook.process.pid) for hook in fleet.copies)

    def settled(result):
        return sum(hook.settled(result) for hook in fleet.copies)
    before, started = used_s(), time.monotonic()
    bench.load(topic, count)
    rig.harness.wait_for(lambda: settled("delivered") >= count, 900, f"{count} deliveries", pause_s=1)
    took_s = time.monotonic() - started
    cost = {"us": (used_s() - before) * 1e6 / count, "rate": count / took_s, "deferred": settled("deferred")}
    fleet.shrink(processes)
    return cost


def case_scale(bench, size):
    """Whether a delivery costs the same with more workers and more processes."""
    rounds = []
    for number in range(size.rounds):
        bench.forget_tasks()
        rounds.append({"1 process": run_shared(bench, size.events, 1), "2 workers": run_shared(bench, size.events, 1, JOBHOOK_WORKERS=2),
                       "8 processes": run_shared(bench, size.events, 8)})
        show(number, rounds[-1])
    table(rounds, "one group, 8 partitions")
    return {"events": size.events, "rounds": rounds,
            "figures": {"scale": [ratio(rounds, "2 workers", "1 process"), ratio(rounds, "8 processes", "1 process")]}}


def case_https(bench, size):
    """F3: every POST has a connection of its own, to a receiver whose sessions can be resumed, and to one that shakes hands in full each time."""
    count = max(5000, size.events // 20)
    receivers, sides = [], {}
    for name, options in (("resumed", []), ("full", ["--full"])):
        ca = os.path.join(bench.folder, f"ca-{name}.pem")
        receiver = rig.harness.Process(bench.folder, f"tls-receiver-{name}")
        receiver.spawn([references.go_program("tls"), ca, *options], stdout=rig.subprocess.PIPE)
        bench.processes.append(receiver)
        receivers.append(receiver)
        topic = bench.create_topics(f"https-{name}")
        sides[name] = topic, ca
        rig.run_json(rig.program("load"), "--brokers", bench.kafka.brokers, "--topic", topic, "--count", count,
                     "--port", int(receiver.process.stdout.readline()), "--https")
    rounds = []
    for number in range(size.rounds):
        rounds.append({})
        for name, (topic, ca) in sides.items():
            bench.forget_tasks()
            rounds[-1][name] = bench.run_through(topic, count, JOBHOOK_CA_FILE=ca)
        show(number, rounds[-1])
    for receiver in receivers:
        receiver.kill()
    return {"events": count, "rounds": rounds,
            "figures": {figure: [rig.median([r[name] for r in rounds], "us")] for figure, name in (("F3", "resumed"), ("F3 full", "full"))}}


def case_slow(bench, size):
    """F4: 10,000 POSTs in flight, each answered after two seconds, beside deliveries that are answered at once."""
    count = max(50000, size.events // 2)
    receiver = bench.start_receiver("--delay", 2000)
    slow, quick = bench.create_topics("slow"), bench.create_topics("quick")
    bench.load(slow, count, receiver.port, hosts=MANY_HOSTS)
    bench.load(quick, size.events)
    rounds = []
    for number in range(size.rounds):
        bench.forget_tasks()
        sides = {"10,000 in flight": bench.run_through(slow, count, JOBHOOK_MAX_IN_FLIGHT=MANY_HOSTS), "quick": bench.run_through(quick, size.events)}
        rounds.append(sides)
        show(number, sides)
    receiver.kill()
    megabytes = rig.median([r["10,000 in flight"] for r in rounds], "peak_mib") * 1.048576
    return {"events": count, "rounds": rounds, "figures": {"F4": [megabytes, ratio(rounds, "10,000 in flight", "quick")]}}


def case_replay(bench, size):
    """F9 and F11: tasks with ids of 36 bytes are delivered, Redis weighed, and the same events read again by other groups."""
    topic = bench.create_topics("replay")
    count = max(100000, size.events)  # a skip costs so little that the start would show
    bench.load(topic, count, id_bytes=36)
    first = bench.create_topics("first")
    bench.load(first, 1000)
    bench.run_through(first, 1000)  # the scripts and the connections' buffers are no task's
    bench.forget_tasks()
    before = bench.redis.client().info("memory")["used_memory"]
    bench.run_through(topic, count, JOBHOOK_REDIS_PREFIX="jobhook:jobhook:")
    time.sleep(1)  # a table that grows is two tables for a while
    task_bytes = (bench.redis.client().info("memory")["used_memory"] - before) / count
    rounds = []
    for number in range(size.rounds):
        rounds.append({"skip": bench.run_through(topic, count, ("skipped",), JOBHOOK_REDIS_PREFIX="jobhook:jobhook:")})
        show(number, rounds[-1])
    skips = 1e6 / rig.median([r["skip"] for r in rounds], "us")
    return {"events": count, "rounds": rounds, "figures": {"F9": [skips], "F11": [task_bytes]}}
