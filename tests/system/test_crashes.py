"""One cell of the crash matrix for every place that the program names (consumer/base/crash.h), against a real Kafka and a real Redis: the process is
killed there, started again, and the oracle counts. The whole matrix runs in the simulated world: tests/flow/test_crashes.c."""
import collections
import concurrent.futures
import os
import signal
import subprocess
import tempfile

import pytest

import harness
from harness import event

# A test build: .build/asan has the places to crash at, release builds have none.
BINARY = os.environ.get("JOBHOOK_FAULTS_BINARY", os.path.join(harness.PROJECT, ".build", "asan", "jobhook"))

AT_SIGTERM = ["draining", "drained", "revoked", "left"]
PLACES = {  # place: the passing at which it is killed
    "consumed": 3, "stored": 2, "committed": 1,
    "before claiming": 3, "issued claiming": 3, "before waiting": 2, "issued waiting": 2, "before posting": 2, "issued posting": 2,
    "before failing": 2, "issued failing": 2, "before publishing": 2, "issued publishing": 2,
    "before recording delivered": 2, "issued recording delivered": 2, "before released delivered": 2, "issued released delivered": 2,
    "before recording scheduled": 2, "issued recording scheduled": 2, "before released scheduled": 2, "issued released scheduled": 2,
    "before recording dead": 1, "issued recording dead": 1, "before released dead": 1, "issued released dead": 1,
    "before recording deferred": 1, "issued recording deferred": 1, "before released deferred": 1, "issued released deferred": 1,
    "before recording nothing_to_send": 1, "before released nothing_to_send": 1, "before released skipped": 1,
    **{place: 1 for place in AT_SIGTERM},
}
SETTINGS = {"JOBHOOK_ATTEMPT_TIMEOUT": "1s", "JOBHOOK_LEASE_MARGIN": "1s", "KAFKA_SESSION_TIMEOUT_MS": "6000", "KAFKA_HEARTBEAT_INTERVAL_MS": "500",
            "JOBHOOK_MAX_IN_FLIGHT": "1", "JOBHOOK_ENDPOINT_MAX_IN_FLIGHT": "1", "JOBHOOK_ORIGIN_MAX_CONNECTIONS": "1", "JOBHOOK_LOG_LEVEL": "debug"}
ATTEMPTS = 3  # two delays


def events_of(rig):
    """Every fate: at once, retried, exhausted, deferred behind a Retry-After, nothing to send, published twice."""
    url = rig.receiver.url
    plain = [event("ok1", url("ok/1")), event("twice", url("ok/2")), event("again", url("500,ok/3")), event("dead", url("500/4")), event("nothing")]
    limited = [event(f"limited{i}", url("429r1,ok/5", origin=1)) for i in range(4)]
    return plain + limited + [event("twice", url("ok/2")), event("ok2", url("ok/6"))]


def run_until_killed(rig, place, passing):
    hook = rig.jobhook(CRASH_AT=f"{place}:{passing}", **SETTINGS)
    hook.spawn([BINARY, "run"], hook.environment())
    if place in AT_SIGTERM:
        hook.wait_ready()
        rig.receiver.wait(1)
        hook.signal(signal.SIGTERM)
    status = hook.process.wait(60)
    assert status == -signal.SIGKILL, f"{place}: not passed {passing} times, ended with {status}\n{hook.log()[-2000:]}"


def judge(rig, place):
    tasks, dead = rig.receiver.by_task(), collections.Counter(r.key for r in rig.dead())
    sent = {name: 1 for name in ("ok1", "twice", "ok2")} | {"again": 2, "dead": ATTEMPTS} | {f"limited{i}": 1 for i in range(4)}
    doubles = 0
    for name, attempts in sent.items():
        seen = collections.Counter(r["headers"]["jobhook-attempt"] for r in tasks.get(name, []))
        assert seen, f"{place}: {name} is lost"
        # The receiver counts requests, so a doubled first one may already get the second answer.
        assert len(seen) <= ATTEMPTS and sum(seen.values()) >= attempts, f"{place}: {name} had the attempts {dict(seen)}"
        doubled = sum(count - 1 for count in seen.values())
        assert doubled <= 1, f"{place}: {name} was doubled more often than it crashed: {dict(seen)}"
        doubles += doubled
    assert set(dead) == {b"dead"}, f"{place}: dead letters {dead}"
    # One POST at a time: beside the one that is being sent, a crash can catch the one before it, whose 2xx Redis has not got yet because what a turn of
    # the loop writes goes out together at its end. A dead letter can be written twice, its claim absorbs nothing after it.
    assert doubles <= 2, f"{place}: {doubles} attempts were sent twice"
    assert dead[b"dead"] <= 2


def cell(kafka, place, passing):
    with tempfile.TemporaryDirectory(prefix="jobhook-crash.") as folder:
        rig = harness.Rig(folder, kafka, partitions=2, delays="200ms,400ms")
        try:
            rig.publish(*events_of(rig))
            run_until_killed(rig, place, passing)
            after = rig.jobhook(**SETTINGS)
            after.spawn([BINARY, "run"], after.environment())
            after.wait_ready(60)
            rig.wait_no_lag(90)
            judge(rig, place)
        finally:
            problems = rig.close()
        assert not problems, f"{place}: {problems}"


@pytest.mark.same_everywhere
def test_a_kill_at_every_place_loses_nothing_and_doubles_only_what_was_being_sent(kafka):
    assert subprocess.run([BINARY, "version"], capture_output=True).returncode == 0
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        cells = {pool.submit(cell, kafka, place, passing): place for place, passing in PLACES.items()}
        problems = [f"{cells[done]}: {done.exception()}" for done in concurrent.futures.as_completed(cells) if done.exception()]
    assert not problems, "\n\n".join(problems)
