"""Five thousand events with mixed fates through the default schedule: each is delivered or dead-lettered as scripted, at its times, once."""
import collections
import random

import pytest

from harness import body, event

DELAYS = [1, 2, 4, 8, 16]
COUNT = 5000
ORIGINS = 12

# name, weight, script of the endpoint, requests, end
FATES = [
    ("at once", 700, "ok", 1, "delivered"), ("slowly", 30, "slow400", 1, "delivered"), ("fails once", 80, "500,ok", 2, "delivered"),
    ("fails twice", 50, "500x2,204", 3, "delivered"), ("three times", 25, "503,404,500,ok", 4, "delivered"), ("four times", 20, "500x4,ok", 5, "delivered"),
    ("at the last", 15, "500x5,ok", 6, "delivered"), ("never", 20, "500", 6, "exhausted"), ("reset, closed", 10, "reset,close,ok", 3, "delivered"),
    ("redirect", 10, "302,ok", 2, "delivered"), ("failed job", 20, "500,ok", 2, "delivered"), ("silent", 10, None, 0, "nothing"),
    ("malformed", 10, "ok", 0, "invalid_event"), ("blocked", 5, "ok", 0, "blocked_url"), ("doubled", 10, "ok", 1, "delivered"),
    ("conflict", 5, "ok", 1, "task_id_conflict"), ("gone", 5, "410", 1, "final_status"),
]


def script(rig):
    """(records, plan): plan is task -> (fate, body, value of its dead letter)."""
    chance = random.Random(4)
    records, plan = [], {}
    for i in range(COUNT):
        name, _, path, _, _ = fate = chance.choices(FATES, [f[1] for f in FATES])[0]
        task = f"task-{i}"
        url = rig.receiver.url(f"{path}/{i % 7}", origin=i % ORIGINS) if path else None
        status = "failed" if name == "failed job" else "completed"
        raw = '"no budget"' if status == "failed" else '{"n":%d,"text":"%s"}' % (i, "x" * chance.randrange(300))
        one = event(task, f"http://localhost/{i}" if name == "blocked" else url, status=status, raw=raw)
        letter = one["value"]
        if name == "malformed":
            one["value"] = letter = one["value"][:-1]
        records.append(one)
        if name == "doubled":
            records.append(one)
        if name == "conflict":  # the same key, so the same partition: the first of the two wins
            other = event(task, url, raw='{"other":%d}' % i)
            letter = other["value"]
            records.append(other)
        plan[task] = (fate, body(task, status=status, raw=raw), letter)
    return records, plan


@pytest.mark.same_everywhere
def test_five_thousand_events_end_as_scripted(make_rig):
    rig = make_rig(partitions=12, delays="1s,2s,4s,8s,16s", origins=ORIGINS)
    hooks = [rig.jobhook(JOBHOOK_FINAL_STATUSES="410").start() for _ in range(2)]
    records, plan = script(rig)
    for start in range(0, len(records), 500):
        rig.publish(*records[start:start + 500])
    requests = sum(fate[3] for fate, _, _ in plan.values())
    rig.receiver.wait(requests, seconds=90)
    rig.wait_no_lag(60)
    assert len(rig.receiver.requests()) == requests
    tasks = rig.receiver.by_task()
    letters = collections.defaultdict(list)
    for letter in rig.dead():
        letters[letter.key.decode()].append(letter)
    late = []
    for task, (fate, text, letter) in plan.items():
        name, _, path, count, end = fate
        seen = tasks.get(task, [])
        assert len(seen) == count, f"{task}: {name}"
        assert all(r["body"] == text for r in seen), f"{task}: {name}"
        assert [r["headers"]["jobhook-attempt"] for r in seen] == [str(n + 1) for n in range(count)], f"{task}: {name}"
        for a, b, delay in zip(seen, seen[1:], DELAYS):
            assert b["mono"] - a["mono"] >= delay - 0.002, f"{task}: {name}: early"
            late.append(b["mono"] - a["mono"] - delay)
        reasons = [r.headers["jobhook-reason"] for r in letters[task]]
        assert reasons == ([] if end in ("delivered", "nothing") else [end]), f"{task}: {name}"
        assert all(r.value == letter for r in letters[task]), f"{task}: {name}"
    late.sort()
    print(f"lateness of {len(late)} retries: median {late[len(late) // 2] * 1000:.0f} ms, 99 % {late[len(late) * 99 // 100] * 1000:.0f} ms, "
          f"most {late[-1] * 1000:.0f} ms")
    assert late[len(late) * 9 // 10] < 3
    results = collections.Counter()
    for hook in hooks:
        for result in ("delivered", "dead", "nothing_to_send", "skipped", "deferred"):
            results[result] += hook.settled(result)
    ends = collections.Counter(fate[4] for fate, _, _ in plan.values())
    assert results["delivered"] == ends["delivered"] + ends["task_id_conflict"]
    assert results["nothing_to_send"] == ends["nothing"]
    assert results["dead"] == sum(n for end, n in ends.items() if end not in ("delivered", "nothing"))
    assert results["deferred"] < COUNT / 20  # a burst may be more than an endpoint's window drains in time; it uses up no attempt
