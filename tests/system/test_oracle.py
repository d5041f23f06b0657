"""The oracle is judged, too: journals that contain each crime, and journals in which a fault explains what would be one. No server is needed."""
import hashlib
import json
import os
import subprocess
import sys

import pytest

import oracle

HERE = os.path.dirname(os.path.abspath(__file__))
SETTINGS = {"what": "settings", "retry_ms": [1000, 2000], "timeout_ms": 3000, "margin_ms": 2000, "redis_wait_ms": 8000}
SECOND = 1_000_000


class Story:
    """Events t1, t2 … published at second 1, and what the receiver saw of them, at times in seconds."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.published, self.received, self.faults, self.topics = [], [], [SETTINGS], []
        self.offset = 0

    @staticmethod
    def body(task, content="body"):
        return f"{content} of {task}".encode()

    def publish(self, task, path="/ok/a", content="body", acked=True, at=1.0, headers=()):
        value = self.body(task, content)
        body = "-" if path == "malformed" else hashlib.sha256(value).hexdigest()[:16]
        place = (0, self.offset) if acked else (0, -1)
        record = oracle.fingerprint(task.encode(), value, headers)
        self.published.append([task, *place, int(at * SECOND), body, record, "-" if path in ("malformed", "nothing") else path])
        self.record("jobs", task, self.offset, content, headers=[(n, v.decode()) for n, v in headers])
        self.offset += 1
        return self

    def record(self, topic, task, offset, content="body", headers=()):
        self.topics.append({"topic": topic, "partition": 0, "offset": offset, "key": task, "value": self.body(task, content).decode(),
                            "headers": list(headers)})
        return self

    def letter(self, task, reason="exhausted", attempt=3, content="body", origin="jobs/0/0", headers=()):
        own = [("jobhook-reason", reason), ("jobhook-attempt", str(attempt)), ("jobhook-origin", origin)]
        return self.record("jobs.dlq", task, len(self.topics), content, [*headers, *own])

    def post(self, task, at, attempt=1, status=200, copy=0, path="/ok/a", content="body", took=0.001):
        answered = int((at + took) * SECOND) if status else 0
        sha = hashlib.sha256(self.body(task, content)).hexdigest()[:16]
        self.received.append([int(at * SECOND), answered, task, attempt, status, copy, sha, path])
        return self

    def fault(self, what, begin, end, **more):
        self.faults.append({"what": what, "from": begin, "to": end, **more})
        return self

    def lag(self, topic, records):
        self.topics.append({"lag": {topic: records}})
        return self

    def write(self, name, lines):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.writelines((json.dumps(x) if isinstance(x, dict) else "\t".join(map(str, x))) + "\n" for x in lines)
        return path

    def judge(self, *arguments):
        command = [sys.executable, os.path.join(HERE, "oracle.py"), "--published", self.write("published", self.published),
                   "--received", self.write("received", self.received), "--faults", self.write("faults", self.faults),
                   "--topics", self.write("topics", self.topics), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    def verdict(self):
        result = self.judge("--json")
        assert result.stderr == ""
        verdict = json.loads(result.stdout)
        assert result.returncode == (0 if verdict["ok"] else 1)
        assert verdict["ok"] == (not any(verdict["crimes"].values()))
        return verdict

    def crimes(self):
        return {name: number for name, number in self.verdict()["crimes"].items() if number}

    def allowed(self):
        verdict = self.verdict()
        assert verdict["ok"], verdict["examples"]
        return verdict["doubled_allowed"]


@pytest.fixture
def story(tmp_path):
    return Story(tmp_path)


def failing(story, path="/500,ok/a"):
    """t: its first attempt at second 1 fails."""
    return story.publish("t", path).post("t", 1, status=500, path=path)


# --- innocent ---

def test_everything_delivered_once_is_no_crime(story):
    for i in range(50):
        story.publish(f"t{i}").post(f"t{i}", 2 + i)
    verdict = story.verdict()
    assert verdict["ok"] and verdict["counts"]["delivered"] == verdict["counts"]["events"] == 50
    assert verdict["doubled_allowed"] == {} and verdict["latency_ms"]["p50"] > 0


def test_retries_in_time_a_dead_letter_and_nothing_to_send_are_no_crimes(story):
    failing(story).post("t", 2.001, attempt=2, path="/500,ok/a")
    story.publish("dead", "/500/a")
    for attempt, at in ((1, 1), (2, 2.1), (3, 4.2)):
        story.post("dead", at, attempt, 500, path="/500/a")
    story.letter("dead", origin="jobs/0/1")
    story.publish("nothing", "nothing").publish("bad", "malformed").letter("bad", "invalid_event", 1, origin="jobs/0/3")
    verdict = story.verdict()
    assert verdict["ok"], verdict["examples"]
    assert verdict["letters"] == {"exhausted": 1, "invalid_event": 1} and verdict["counts"]["nothing_to_send"] == 1


def test_an_event_published_twice_and_sent_once_is_no_crime(story):
    story.publish("t").publish("t").post("t", 2)
    assert story.crimes() == {} and story.verdict()["counts"]["published_twice"] == 1


def test_two_events_under_one_id_are_one_delivery_and_one_conflict(story):
    story.publish("t").publish("t", content="other").post("t", 2)
    assert story.crimes() == {"lost": 1}
    story.letter("t", "task_id_conflict", 1, content="other", origin="jobs/0/1")
    assert story.crimes() == {}


def test_headers_of_the_producer_are_part_of_a_record_and_jobhooks_are_not(story):
    story.publish("t", "/500/a", headers=[("traceparent", b"00-ab")])
    for attempt, at in ((1, 1), (2, 2.1), (3, 4.2)):
        story.post("t", at, attempt, 500, path="/500/a")
    story.letter("t", headers=[("traceparent", "00-ab")])
    assert story.crimes() == {}


def test_what_nobody_acknowledged_and_no_topic_holds_was_never_there(story):
    story.publish("t", acked=False)
    story.topics.clear()
    assert story.crimes() == {} and story.verdict()["counts"]["unacknowledged"] == 1


# --- crimes ---

def test_lost(story):
    story.publish("t")
    assert story.crimes() == {"lost": 1}
    assert "t (/ok/a" in story.judge().stdout


def test_lost_though_it_was_tried(story):
    failing(story)
    assert story.crimes() == {"lost": 1}


def test_lost_though_only_the_topic_knows_that_it_was_published(story):
    story.publish("t", acked=False)
    assert story.crimes() == {"lost": 1}


def test_lost_malformed(story):
    story.publish("t", "malformed")
    assert story.crimes() == {"lost": 1}


def test_doubled_without_a_fault(story):
    story.publish("t").post("t", 1).post("t", 7)
    assert story.crimes() == {"doubled": 1}


def test_doubled_by_an_attempt_after_a_2xx(story):
    story.publish("t").post("t", 1).post("t", 7, attempt=2)
    assert story.crimes() == {"doubled": 1}


def test_early(story):
    failing(story).post("t", 1.990, attempt=2, path="/500,ok/a")
    assert story.crimes() == {"early": 1}


def test_early_after_an_attempt_that_nobody_saw(story):
    failing(story, "/500x2,ok/a").post("t", 3.5, attempt=3, path="/500x2,ok/a")
    assert story.crimes() == {"early": 1}


@pytest.mark.parametrize("post", [{"content": "other"}, {"path": "/ok/b"}, {"copy": -1}, {"attempt": 0}, {"attempt": 4}], ids=str)
def test_altered_request(story, post):
    story.publish("t").post("t", 1).publish("u").post("u", 1, **post)
    assert story.crimes()["altered"] == 1


def test_altered_is_a_request_for_a_task_that_nobody_published(story):
    story.publish("t").post("t", 1).post("u", 1)
    assert story.crimes() == {"altered": 1}


def test_altered_is_a_request_where_nothing_was_to_be_sent(story):
    story.publish("t", "nothing").post("t", 1)
    assert story.crimes() == {"altered": 1}


@pytest.mark.parametrize("letter", [{"content": "other"}, {"headers": [("x", "y")]}, {"origin": "jobs/0/1"}, {"origin": "?"}, {"attempt": 7}], ids=str)
def test_altered_dead_letter(story, letter):
    story.publish("t", "/500/a").letter("t", **letter)
    for attempt, at in ((1, 1), (2, 2.1), (3, 4.2)):
        story.post("t", at, attempt, 500, path="/500/a")
    assert story.crimes()["altered"] == 1


def test_altered_retry_record(story):
    failing(story).post("t", 2.1, attempt=2, path="/500,ok/a")
    story.record("jobs.retry.1s", "t", 0, headers=[("jobhook-attempt", "2"), ("jobhook-origin", "jobs/0/0")])
    assert story.crimes() == {}
    story.record("jobs.retry.1s", "t", 1, "other", headers=[("jobhook-attempt", "2"), ("jobhook-origin", "jobs/0/0")])
    assert story.crimes() == {"altered": 1}


@pytest.mark.parametrize("path, reason", [("/500,ok/a", "exhausted"), ("/500/a", "endpoint_down"), ("/ok/a", "task_id_conflict"), ("malformed", "exhausted")])
def test_wrong_dead_letter(story, path, reason):
    story.publish("t", path).letter("t", reason)
    assert story.crimes() == {"wrong": 1}


def test_wrong_is_a_dead_letter_for_what_was_delivered(story):
    failing(story).post("t", 2.1, attempt=2, path="/500,ok/a").letter("t")
    assert story.crimes() == {"wrong": 1}


def test_an_event_at_which_three_copies_died_may_look_guilty(story):
    story.publish("t").letter("t", "crashed", 1)
    assert story.crimes() == {"wrong": 1}
    for at in (2, 10, 20):
        story.fault("kill", at, at + 0.1, copy=0)
    assert story.crimes() == {}


def test_undone(story):
    story.publish("t").post("t", 1).lag("jobs.retry.1s", 2).lag("jobs", 0)
    assert story.crimes() == {"undone": 1}


def test_died(story):
    story.publish("t").post("t", 1).fault("died", 5, 5, copy=1, status=-11)
    assert story.crimes() == {"died": 1}


# --- what a fault allows, and what it does not ---

def test_a_kill_allows_what_the_killed_copy_was_sending(story):
    story.publish("t").post("t", 1, copy=1).post("t", 7).fault("kill", 1.0, 1.1, copy=1)
    assert story.allowed() == {"crash": 1}


def test_a_kill_allows_what_the_receiver_read_a_moment_later(story):
    story.publish("t").post("t", 1, copy=1).post("t", 7).fault("kill", 0.8, 0.9, copy=1)
    assert story.allowed() == {"crash": 1}


@pytest.mark.parametrize("copy, begin", [(0, 1.0), (1, 0.5), (1, 5), (1, 8)], ids=["another copy", "before it", "long recorded", "after the second"])
def test_a_kill_allows_nothing_else(story, copy, begin):
    story.publish("t").post("t", 1, copy=1).post("t", 7).fault("kill", begin, begin + 0.1, copy=copy)
    assert story.crimes() == {"doubled": 1}


def test_a_kill_while_redis_was_away_finds_results_unrecorded(story):
    story.publish("t").post("t", 1, copy=1).post("t", 12).fault("redis_away", 0.9, 1.7).fault("kill", 3.4, 3.5, copy=1)
    assert story.allowed() == {"crash_later": 1}


def test_each_further_one_needs_a_fault_of_its_own(story):
    story.publish("t").post("t", 1).post("t", 7).post("t", 13).fault("kill", 1, 1.1, copy=0)
    assert story.verdict()["doubled_allowed"] == {"crash": 1} and story.crimes() == {"doubled": 1}


def test_a_kill_does_not_allow_the_next_attempt_after_a_2xx(story):
    story.publish("t").post("t", 1).post("t", 7, attempt=2).fault("kill", 1, 1.1, copy=0)
    assert story.crimes() == {"doubled": 1}


def test_a_sleep_beyond_the_lease_allows_another_owner(story):
    story.publish("t").post("t", 1, copy=1).post("t", 7).fault("freeze", 1.5, 9, copy=1)
    assert story.allowed() == {"lease": 1}


def test_a_sleep_does_not_allow_one_before_the_lease_can_have_ended(story):
    story.publish("t").post("t", 1, copy=1).post("t", 1.6).fault("freeze", 1.5, 9, copy=1)
    assert story.crimes() == {"doubled": 1}


def test_one_that_wakes_up_may_send_what_it_held(story):
    story.publish("t").post("t", 7, copy=0).post("t", 9.5, copy=1).fault("freeze", 1, 9.4, copy=1)
    assert story.allowed() == {"zombie": 1}
    story.faults[-1]["to"] = 5
    assert story.crimes() == {"doubled": 1}


def test_an_answer_that_came_in_the_sleep_may_be_taken_for_none(story):
    story.publish("t").post("t", 1, copy=1).post("t", 9, attempt=2).fault("freeze", 0.9, 7, copy=1)
    assert story.allowed() == {"unseen": 1}


def test_a_redis_that_forgot_allows_what_it_forgot(story):
    story.publish("t").post("t", 1).post("t", 9).fault("redis_lost", 5, 6, since=None)
    assert story.allowed() == {"rollback": 1}


def test_a_redis_that_fell_back_still_knows_what_came_before_the_copy(story):
    story.publish("t").post("t", 1).post("t", 60).fault("redis_lost", 50, 51, since=40)
    assert story.crimes() == {"doubled": 1}
    story.faults[-1]["since"] = 2
    assert story.allowed() == {"rollback": 1}


def test_redis_away_for_long_leaves_results_unrecorded(story):
    story.publish("t").post("t", 1).post("t", 20).fault("redis_away", 1, 7)
    assert story.allowed() == {"unrecorded": 1}
    story.faults[-1]["to"] = 4  # a copy may notice that it is back three seconds later
    assert story.allowed() == {"unrecorded": 1}
    story.faults[-1]["to"] = 1.2
    assert story.crimes() == {"doubled": 1}


def test_a_lease_may_end_before_redis_is_back_to_hear_of_the_failure(story):
    path = "/hang,ok/a"
    story.publish("t", path).post("t", 1, status=0, path=path).post("t", 6.2, path=path, copy=1).fault("redis_away", 3.5, 5)
    assert story.allowed() == {"unrecorded": 1}
    story.faults.pop()
    assert story.crimes() == {"doubled": 1}


def test_redis_away_beyond_the_wait_allows_posts_without_claims(story):
    story.publish("t").post("t", 12, copy=0).post("t", 12.5, copy=1).fault("redis_away", 3, 13)
    assert story.allowed() == {"unrecorded": 1}


def test_a_last_attempt_whose_answer_was_slept_through_may_end_in_a_dead_letter(story):
    path = "/500x2,ok/a"
    failing(story, path).post("t", 2.1, 2, 500, path=path).post("t", 4.2, 3, path=path, copy=1).letter("t").fault("freeze", 4.1, 9, copy=1)
    assert story.crimes() == {}


def test_without_signers_the_fault_of_any_copy_counts(story):
    story.publish("t").post("t", 1, copy="-").post("t", 7, copy="-").fault("kill", 1.0, 1.1, copy=1)
    assert story.allowed() == {"crash": 1}


# --- journals of the other receiver, and many events ---

def test_the_journal_of_the_scripted_receiver_is_read_too(story):
    story.publish("t", "/500,ok/a")
    for attempt, at, step in ((1, 1.0, "500"), (2, 1.9, "ok")):
        story.received.append({"mono": at, "wall": 0, "id": "t", "path": "/500,ok/a", "step": step, "nth": attempt, "headers": {"jobhook-attempt": str(attempt)},
                               "sha256": hashlib.sha256(story.body("t")).hexdigest()})
    assert story.crimes() == {"early": 1}


def test_a_hundred_thousand_events_with_one_crime_of_each_kind(story):
    for i in range(100_000):
        story.published.append([f"t{i}", 0, i, SECOND, f"{i:016x}", f"{i:016x}", "/ok/a"])
        story.received.append([2 * SECOND + i, 2 * SECOND + i, f"t{i}", 1, 200, 0, f"{i:016x}", "/ok/a"])
    del story.received[77]
    story.received.append(story.received[500])
    story.received[600][7] = "/ok/b"
    story.received[700][3] = 2
    story.received.append([SECOND, SECOND, *story.received[700][2:]])
    story.received[-1][3:5] = 1, 500
    story.received[700][0] = story.received[700][1] = 2 * SECOND - 20_000
    assert story.crimes() == {"lost": 1, "doubled": 1, "altered": 1, "early": 1}
