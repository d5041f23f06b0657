"""Curves: CPU of a delivery and memory while one thing grows. BENCH_FULL=1 goes to the ends that take long (20 minutes); without it each curve stops
earlier."""
import os
import resource

import rig

FULL = os.environ.get("BENCH_FULL", "") not in ("", "0")


def upto(*points, full=()):
    return points + (full if FULL else ())


def through(bench, topic, count, results=("delivered",), **settings):
    bench.forget_tasks()
    return bench.run_through(topic, count, results, **settings)


def grow_endpoints(bench, hosts):
    topic, count = bench.create_topics("endpoints"), max(30000, hosts)
    bench.load(topic, count, hosts=hosts)
    return through(bench, topic, count)


FLOW = 2000  # events a second
DESCRIPTORS, DESCRIPTORS_APART = resource.getrlimit(resource.RLIMIT_NOFILE)[1], 512  # a connection takes one


def grow_in_flight(bench, slots):
    """Answers come late enough for so many to be under way while FLOW events a second are delivered."""
    topic, count, delay_ms = bench.create_topics("flight"), 40000, 1000 * slots // FLOW
    receiver = bench.start_receiver("--delay", delay_ms)
    bench.load(topic, count, receiver.port, hosts=max(1, slots // 2))
    cost = through(bench, topic, count, JOBHOOK_MAX_IN_FLIGHT=slots, JOBHOOK_ATTEMPT_TIMEOUT="30s")
    receiver.kill()
    return cost


def grow_partitions(bench, partitions):
    topic, count = bench.create_topics("partitions", partitions), 30000
    bench.load(topic, count)
    return through(bench, topic, count)


def grow_payload(bench, body_bytes):
    topic, count = bench.create_topics("payload"), max(300, min(30000, 300 * 1000 * 1000 // body_bytes))
    bench.load(topic, count, body_bytes=body_bytes)
    return through(bench, topic, count)


def grow_failing(bench, percent):
    """So many of a hundred events get a 500 six times; the schedule is short, so that its waits do not count."""
    topic, count = bench.create_topics("failing", delays=("100ms", "200ms", "300ms", "400ms", "500ms", "1m", "5m")), 30000
    receiver = bench.start_receiver("--status", 500)
    bench.load(topic, count, hosts=100, bad_port=receiver.port, bad_tenths=percent // 10)
    cost = through(bench, topic, count, ("delivered", "dead"), JOBHOOK_RETRY_DELAYS="100ms,200ms,300ms,400ms,500ms")
    receiver.kill()
    return cost


def grow_backlog(bench, count):
    topic = bench.create_topics("backlog")
    bench.load(topic, count)
    return through(bench, topic, count)


def grow_waiting(bench, waiting):
    """Deliveries while so many other events wait in a retry topic that is not due."""
    import cases_waiting
    delays = cases_waiting.LONG_DELAYS
    topic, count = bench.create_topics("waiting", delays=delays + ("1m", "5m")), 30000
    if waiting > 0:
        cases_waiting.fill_retry_topics(bench, topic, waiting)
    bench.load(topic, count)
    return through(bench, topic, count, JOBHOOK_RETRY_DELAYS=",".join(delays))


# What grows, how a point of it is measured, and the points.
CURVES = (
    ("endpoints", grow_endpoints, upto(10, 100, 1000, 10000, full=(100000,))),
    ("in flight", grow_in_flight, upto(10, 100, 1000, 5000, full=(10000, min(20000, DESCRIPTORS - DESCRIPTORS_APART)))),
    ("partitions of each topic", grow_partitions, upto(1, 10, 60, full=(200, 600))),
    ("bytes of the body", grow_payload, upto(230, 2000, 20000, 200000, full=(1000000,))),
    ("per cent that fail", grow_failing, upto(0, 10, 20, 50)),
    ("backlog", grow_backlog, upto(10000, 100000, full=(1000000,))),
    ("waiting in retry topics", grow_waiting, upto(0, 100000, full=(1000000,))),
)


def case_growth(bench, size):
    del size  # each point is one run: a curve shows by itself what is noise
    points = {}
    for axis, measure, values in CURVES:
        points[axis] = []
        for value in values:
            cost = measure(bench, value)
            points[axis].append({"at": f"{value:,}", **cost})
            print(f"{axis:26}{value:>10,}{cost['us']:10.1f} µs{cost['peak_mib']:8.0f} MiB at most", flush=True)
    return {"full": FULL, "points": points, "figures": {}}
