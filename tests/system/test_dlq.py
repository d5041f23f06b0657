"""Dead letters as an operator meets them: listed, shown, exported, replayed, interrupted, purged."""
import csv
import io
import json
import os
import signal
import stat
import subprocess
import time

import pytest

import harness
from harness import event, record, wait_for

# A test build: .build/asan has the places to crash at, release builds have none.
FAULTS_BINARY = os.environ.get("JOBHOOK_FAULTS_BINARY", os.path.join(harness.PROJECT, ".build", "asan", "jobhook"))
HEADERS = {"jobhook-attempt": "6", "jobhook-epoch": "0", "jobhook-due-ms": "1", "jobhook-first-ms": "1760000000000",
           "jobhook-error": "http_503", "jobhook-reason": "exhausted"}


def letter(rig, task, url="http://127.0.0.1:1/x", partition=0, origin=None, value=None, **changes):
    """A dead letter as jobhook writes it; changes: attempt=…, reason=… replace headers, None leaves one out."""
    e = event(task, url)
    headers = {**HEADERS, "jobhook-origin": origin or f"{rig.topic}/{partition}/0", **{"jobhook-" + n: v for n, v in changes.items()}}
    return record(e["value"] if value is None else value, e["key"], [(n, v.encode()) for n, v in headers.items() if v is not None], partition)


def put(rig, *letters):
    return rig.kafka.produce(rig.dlq, list(letters))


def rows(output):
    return [json.loads(line) for line in output.splitlines()]


def died(rig, hook, tasks, path="500"):
    """Publishes events that die, and waits for their letters."""
    rig.publish(*[event(t, rig.receiver.url(path)) for t in tasks])
    rig.wait_dead(len(tasks), 60)


# ---- list ----


def test_letters_are_listed_filtered_and_counted(rig):
    put(rig, letter(rig, "t1"), letter(rig, "t2", reason="endpoint_down", error="timeout", partition=1),
        letter(rig, "t3", "https://hooks.example.com/a?b", error="http_500"), letter(rig, "t4", "https://hooks.example.com/b", epoch="2"))
    tool = rig.jobhook()

    def tasks(*options):
        code, output, errors = tool.command("dlq", "list", "--json", *options)
        assert (code, errors) == (0, "")
        return sorted(r["task_id"] for r in rows(output))
    assert tasks() == ["t1", "t2", "t3", "t4"]
    assert tasks("--reason", "endpoint_down") == ["t2"]
    assert tasks("--error", "http_5*") == ["t1", "t3", "t4"]
    assert tasks("--error", "http_500", "--error", "timeout") == ["t2", "t3"]
    assert tasks("--origin", "https://hooks.example.com") == ["t3", "t4"]
    assert tasks("--type", "find_email", "--task", "t4") == ["t4"]
    assert tasks("--type", "qa") == []
    assert tasks("--since", "1h") == ["t1", "t2", "t3", "t4"] and tasks("--until", "1h") == []
    assert tasks("--at", "1/0") == ["t2"]
    assert len(tasks("--limit", "2")) == 2
    code, output, _ = tool.command("dlq", "list", "--summary")
    assert code == 0 and output.startswith("4 dead letters, from ")
    for line in ("3  exhausted", "1  endpoint_down", "2  http_503", "2  https://hooks.example.com", "2  http://127.0.0.1:1"):
        assert f" {line}\n" in output, line
    code, output, _ = tool.command("dlq", "list")
    assert output.splitlines()[0].split() == ["TIME", "AT", "REASON", "ERROR", "TRIES", "EPOCH", "TYPE", "ORIGIN", "TASK"]
    assert len(output.splitlines()) == 5
    (row,) = [r for r in rows(tool.command("dlq", "list", "--json", "--task", "t4")[1])]
    assert (row["attempt"], row["epoch"], row["reason"], row["url"]) == (6, 2, "exhausted", "https://hooks.example.com/b")
    assert row["event"] == {"topic": rig.topic, "partition": 0, "offset": 0}


def test_csv_is_read_back_by_a_library_and_holds_no_formula(rig):
    put(rig, letter(rig, '=cmd|"x",1'), letter(rig, "plain, with a comma"))
    code, output, _ = rig.jobhook().command("dlq", "list", "--csv")
    table = list(csv.DictReader(io.StringIO(output)))
    assert code == 0 and [r["task_id"] for r in table] == ['\'=cmd|"x",1', "plain, with a comma"]
    assert table[0]["at"] == "0/0" and table[0]["reason"] == "exhausted"


HOSTILE = [
    record(None, None), record(b"", b""), record(b"{", b"k"), record(b"\x1b[2J\x1b]0;x\x07", b"\x1b[31m\r\n", [("\x1b[2Jname", b"\x1b[2J"), ("n", None)]),
    record(b"\xff\xfe", b"\xff", [("jobhook-attempt", b"1")]),
    record(b"{}", b"k", [(n, v.encode()) for n, v in {**HEADERS, "jobhook-origin": "a/0/0", "jobhook-attempt": "many"}.items()]),
    record(b"{}", b"k", [(n, v.encode()) for n, v in {**HEADERS, "jobhook-origin": "a/0/0", "jobhook-reason": ""}.items()]),
    record(b"x" * 100000, b"k", [("h", b"y" * 5000)] * 50),
]


@pytest.mark.same_everywhere
def test_records_that_nobody_can_read_are_honest_rows(rig):
    rig.kafka.produce(rig.dlq, [{**r, "partition": 0} for r in HOSTILE])
    evil = letter(rig, "evil\u202e\u0007".replace("\u0007", ""), "http://127.0.0.1:1/\x1b[2J", partition=1, reason="\x1b[31mexhausted")
    put(rig, evil)
    tool = rig.jobhook()
    code, output, errors = tool.command("dlq", "list", "--json")
    found = rows(output)
    assert (code, errors) == (0, "") and len(found) == len(HOSTILE) + 1
    assert all(r["unreadable"] for r in found if r["partition"] == 0)
    for form in ([], ["--csv"], ["--summary"]):
        code, output, _ = tool.command("dlq", "list", *form)
        assert code == 0 and "unreadable" in output
        assert not [c for c in output if (ord(c) < 32 and c != "\n") or c in "\x7f\u202e"], form
    assert len(rows(tool.command("dlq", "list", "--json", "--reason", "unreadable")[1])) == len(HOSTILE)
    for offset in range(len(HOSTILE)):
        code, output, _ = tool.command("dlq", "show", f"0/{offset}")
        assert code == 0 and "unreadable" in output
        assert not [c for c in output if ord(c) < 32 and c != "\n"]
    code, output, _ = tool.command("dlq", "replay", "--all", "--dry-run")
    assert code == 1 and output.count("refused: its headers cannot be read") == len(HOSTILE)


def test_a_narrow_terminal_gets_three_lines_for_each_letter(rig):
    put(rig, letter(rig, "a-task-with-a-name-that-is-longer-than-forty-columns", "https://hooks.example.com/x"))
    tool = rig.jobhook()
    script = f"stty cols 40 rows 20; exec {harness.BINARY} dlq list"
    result = subprocess.run(["script", "-qec", script, "/dev/null"], env={**tool.environment(), "TERM": "xterm"}, stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, timeout=60)
    lines = result.stdout.replace("\r", "").rstrip("\n").split("\n")
    assert result.returncode == 0 and len(lines) == 3 and max(map(len, lines)) <= 40
    assert lines[0].startswith("0/0 exhausted http_503") and lines[1].endswith("…")


def test_a_selection_travels_by_a_file_that_only_its_owner_reads(rig, folder):
    put(rig, letter(rig, "t1"), letter(rig, "t2", reason="expired"), letter(rig, "t3"))
    tool, path = rig.jobhook(), os.path.join(folder, "selection")
    code, output, errors = tool.command("dlq", "list", "--reason", "exhausted", "--export", path)
    assert (code, output) == (0, "") and "2 letters exported" in errors
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600 and not os.path.exists(path + ".partial")
    assert [r["task_id"] for r in rows(tool.command("dlq", "list", "--json", "--import", path)[1])] == ["t1", "t3"]
    code, _, errors = tool.command("dlq", "list", "--export", path)
    assert code == 1 and "exists already" in errors
    code, output, _ = tool.command("dlq", "list", "--reason", "exhausted", "--summary", "--export", path + "-2")
    assert code == 0 and output.startswith("2 dead letters") and open(path + "-2").read() == open(path).read()
    lines = open(path).read().splitlines()
    with open(path, "w") as f:
        f.write("\n".join(lines[:2] + lines[3:]) + "\n")  # an operator takes one out
    assert [r["task_id"] for r in rows(tool.command("dlq", "list", "--json", "--import", path)[1])] == ["t3"]
    with open(path, "w") as f:
        f.write(lines[0] + "\n0/0 1\n0/2 " + lines[3].split()[1] + " t3\n")  # another record's timestamp: the topic was made anew
    assert [r["task_id"] for r in rows(tool.command("dlq", "list", "--json", "--import", path)[1])] == ["t3"]
    code, output, _ = tool.command("dlq", "replay", "--import", path, "--dry-run")
    assert code == 1 and "1 not found" in output
    tool.binary = FAULTS_BINARY  # with sanitizers
    for content, why in (("", "is empty"), ("x\n", "its first line is another"), (lines[0] + "\nx\n", "line 2 is not"),
                         ("# jobhook selection of other.dlq\n", "not that of JOBHOOK_TOPIC")):
        with open(path, "w") as f:
            f.write(content)
        code, _, errors = tool.command("dlq", "list", "--import", path)
        assert code != 0 and why in errors and "Sanitizer" not in errors, content


WRONG_FILTERS = [
    (["--reason", "tired"], "no such reason"), (["--error", "HTTP 503"], "an error class is made of"), (["--origin", "hooks.example.com"], "an origin is scheme"),
    (["--since", "yesterday"], "what is taken is"), (["--at", "3"], "a place is PARTITION/OFFSET"), (["--at", "99/0"], "no partition 99"),
    (["--limit", "0"], "a number from 1"), (["--task", ""], "must not be empty"), (["t1"], "takes no arguments but options"), (["--tsak", "x"], "--help")]


def test_wrong_filters_say_what_is_allowed(rig):
    put(rig, letter(rig, "t1"))
    for options, why in WRONG_FILTERS:
        code, output, errors = rig.jobhook().command("dlq", "list", *options)
        assert code in (1, 2) and output == "" and why in errors, options


def test_a_topic_that_is_not_there_is_said(rig):
    code, _, errors = rig.jobhook(JOBHOOK_TOPIC="nothing.here").command("dlq", "list")
    assert code == 1 and "there is no topic nothing.here.dlq" in errors


# ---- show ----


def test_show_tells_the_history_the_state_and_the_cure(rig):
    hook = rig.jobhook().start()
    died(rig, hook, ["t1"])
    (dead,) = rig.dead()
    code, output, errors = hook.command("dlq", "show", f"{dead.partition}/{dead.offset}")
    assert (code, errors) == (0, "")
    for part in ("task          t1\n", "reason        exhausted\n", "last error    http_500\n", "attempt 4 of epoch 0 was the last", "now           dead (epoch 0)\n",
                 "  jobhook-origin: ", '"webhook_url"', "cure          The receiver refused or failed every attempt. Once it works again: jobhook dlq replay."):
        assert part in output, part
    code, raw, _ = hook.command("dlq", "show", f"{dead.partition}/{dead.offset}", "--raw")
    assert raw.encode() == dead.value
    code, _, errors = hook.command("dlq", "show", f"{dead.partition}/{dead.offset + 7}")
    assert code == 1 and "no such letter there" in errors
    assert hook.command("dlq", "show")[0] == 2


# ---- replay ----


def test_replay_delivers_each_once_more_and_not_twice(rig):
    hook = rig.jobhook().start()
    died(rig, hook, ["t1", "t2", "t3"], "500x4,ok")
    attempts = len(rig.receiver.requests())
    code, output, _ = hook.command("dlq", "replay", "--all", "--dry-run")
    assert code == 0 and output.count("attempt 1 of epoch 1, to http://") == 3 and "3 would be sent again" in output
    time.sleep(0.3)
    assert len(rig.receiver.requests()) == attempts
    code, output, errors = hook.command("dlq", "replay", "--all", "--wait")
    assert code == 0 and "3 replayed, by " in output and "3 delivered, 0 dead again" in output, errors
    again = rig.receiver.wait(attempts + 3)[attempts:]
    assert sorted(r["id"] for r in again) == ["t1", "t2", "t3"]
    assert {r["headers"].get("jobhook-replay") for r in again} == {"1"}
    code, output, errors = hook.command("dlq", "replay", "--all")
    assert code == 1 and "3 refused: 3 already replayed" in output and errors.count("(its successor is delivered (epoch 1))") == 3
    code, output, _ = hook.command("dlq", "replay", "--task", "t2", "--force", "--wait")
    assert code == 0 and "1 delivered" in output
    last = rig.receiver.wait(attempts + 4)[-1]
    assert (last["id"], last["headers"]["jobhook-replay"], len(rig.receiver.requests())) == ("t2", "2", attempts + 4)
    assert not [n for n in os.listdir(rig.folder) if n.endswith(".checkpoint")]


@pytest.mark.same_everywhere
@pytest.mark.parametrize("place, forced", [("again-planned:1", False), ("again-sent:3", False), ("again-sent:3", True), ("again-acked:1", True)])
def test_an_interrupted_replay_goes_on_and_doubles_nothing(rig, place, forced, monkeypatch):
    hook = rig.jobhook().start()
    tasks = [f"t{i}" for i in range(8)]
    died(rig, hook, tasks, "500x4,ok")
    before = len(rig.receiver.requests())
    options = ["dlq", "replay", "--all", "--checkpoint", os.path.join(rig.folder, "cp")] + (["--force"] if forced else [])
    with monkeypatch.context() as patched:
        patched.setattr(hook, "binary", FAULTS_BINARY)
        assert hook.command(*options, CRASH_AT=place)[0] == -signal.SIGKILL
    code, output, errors = hook.command(*options, "--wait")
    assert "goes on where a run was interrupted" in errors
    assert code == 0 and "8 replayed, by " in output, output + errors
    rig.wait_no_lag()
    again = rig.receiver.wait(before + 8)[before:]
    assert sorted(r["id"] for r in again) == tasks and {r["headers"]["jobhook-replay"] for r in again} == {"1"}
    assert "8 delivered, 0 dead again" in output
    assert not os.path.exists(os.path.join(rig.folder, "cp")) and not os.path.exists(os.path.join(rig.folder, "cp.sent"))


@pytest.mark.same_everywhere
def test_a_replay_that_is_killed_goes_on_and_doubles_nothing(rig):
    hook = rig.jobhook().start()
    tasks = [f"t{i}" for i in range(120)]
    died(rig, hook, tasks, "500x4,ok")
    before = len(rig.receiver.requests())
    options = ["dlq", "replay", "--all", "--rate", "40"]
    run = subprocess.Popen([harness.BINARY, *options], env=hook.environment(), cwd=rig.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rig.receiver.wait(before + 50)
    run.kill()
    run.wait()
    # The rate is no part of what is asked for, and what was sent before the interruption is waited for, too.
    code, output, errors = hook.command("dlq", "replay", "--all", "--rate", "41", "--wait")
    assert code == 0 and "120 replayed" in output and "goes on" in errors and "120 delivered, 0 dead again" in output, output + errors
    assert not [n for n in os.listdir(rig.folder) if ".checkpoint" in n]
    rig.receiver.wait(before + 120)
    rig.wait_no_lag()
    assert len(rig.receiver.requests()) == before + 120


def test_an_interrupt_ends_behind_the_batch_in_hand(rig):
    put(rig, *[letter(rig, f"t{i}", partition=i % 4) for i in range(60)])
    tool = rig.jobhook()
    run = subprocess.Popen([harness.BINARY, "dlq", "replay", "--all", "--rate", "10"], env=tool.environment(), cwd=rig.folder, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
    wait_for(lambda: sum(rig.kafka.end_offsets(f"{rig.topic}.retry.100ms").values()) > 0, 30, "the first is sent")
    run.send_signal(signal.SIGINT)
    output, errors = run.communicate(timeout=30)
    assert run.returncode == 1 and "not finished: the same command goes on from here" in errors
    done = sum(rig.kafka.end_offsets(f"{rig.topic}.retry.100ms").values())
    assert f"{done} replayed" in output and 0 < done < 60 and done % 10 == 0
    code, output, errors = tool.command("dlq", "replay", "--all")
    assert code == 0 and "60 replayed" in output and f"({done} of them before the interruption)" in output
    assert sum(rig.kafka.end_offsets(f"{rig.topic}.retry.100ms").values()) == 60


def test_a_damaged_or_foreign_checkpoint_is_refused(rig):
    put(rig, *[letter(rig, f"t{i}") for i in range(30)])
    tool, path = rig.jobhook(), os.path.join(rig.folder, "cp")
    options = ["dlq", "replay", "--reason", "exhausted", "--checkpoint", path]
    run = subprocess.Popen([harness.BINARY, *options, "--rate", "5"], env=tool.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 0, 30, "a checkpoint")
    code, _, errors = tool.command(*options)
    assert code == 1 and "another run is using this checkpoint" in errors
    run.kill()
    run.wait()
    whole = open(path, "rb").read()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    for content in (whole[:-1], whole[:len(whole) // 2], whole.replace(b"left 0", b"left 1"), b"\0" * 100):
        with open(path, "wb") as f:
            f.write(content)
        code, _, errors = tool.command(*options)
        assert code == 1 and "is no checkpoint, or only a part of one" in errors
    with open(path, "wb") as f:
        f.write(whole)
    code, _, errors = tool.command("dlq", "replay", "--reason", "expired", "--checkpoint", path)
    assert code == 1 and "a run with other options" in errors
    assert tool.command(*options)[0] == 0 and sum(rig.kafka.end_offsets(f"{rig.topic}.retry.100ms").values()) == 30
    with open(path + "-3.sent", "w") as f:
        f.write("somebody's")
    code, _, errors = tool.command(*options, "--force", "--checkpoint", path + "-3")
    assert code == 1 and "is no file of this run" in errors and open(path + "-3.sent").read() == "somebody's"
    code, _, errors = tool.command(*options[:-1], "/nowhere/cp")
    assert code == 1 and "No such file or directory" in errors


def test_what_may_not_be_replayed_says_why_and_what_to_do(rig):
    hook = rig.jobhook(JOBHOOK_EGRESS_ALLOW="127.0.0.0/8").start()
    ok = rig.receiver.url("ok")
    rig.publish(event("done", ok))
    rig.receiver.wait(1)
    rig.wait_no_lag()
    put(rig, letter(rig, "clash", ok, reason="task_id_conflict"), letter(rig, "done", ok), letter(rig, "broken", value=b"{"),
        letter(rig, "cut", **{"cut-from-bytes": "99"}), letter(rig, "bad", ok, reason="invalid_headers"), letter(rig, "fine", ok))
    code, output, errors = hook.command("dlq", "replay", "--all", "--dry-run")
    for part in ("another event has this task id", "was delivered after all", "the event breaks the rules", "only the beginning of the event",
                 "which attempt it was is not known", "fine  → "):
        assert part in output, part
    assert code == 1 and "1 would be sent again" in output and "5 refused: " in output
    code, output, _ = hook.command("dlq", "replay", "--all", "--force", "--wait")
    assert code == 1 and "4 replayed" in output and "4 delivered" in output and "2 refused" in output
    rig.receiver.wait(5)
    assert sorted(r["id"] for r in rig.receiver.requests()) == ["bad", "clash", "done", "done", "fine"]


def test_a_receiver_that_moved_gets_its_letters_at_the_new_place(rig):
    hook = rig.jobhook().start()
    died(rig, hook, ["t1"], "500/old?q=1")
    old, new = (rig.receiver.url("", origin)[:-1] for origin in (0, 1))
    code, output, _ = hook.command("dlq", "replay", "--all", "--rewrite-url", f"{old}/500={new}/ok", "--dry-run")
    assert code == 0 and f"to {new}/ok/old?q=1\n" in output
    assert hook.command("dlq", "replay", "--all", "--rewrite-url", f"{old}/500={new}/ok", "--wait")[0] == 0
    assert rig.receiver.wait(5)[-1]["path"] == "/ok/old?q=1"
    code, output, _ = hook.command("dlq", "replay", "--all", "--force", "--rewrite-url", f"{old}=http://10.0.0.1", "--dry-run")
    assert code == 1 and "its URL may not be called" in output
    for wrong in ("x", "http://a.example", "=http://b.example", "ftp://a.example=http://b.example", "http://a.example=http://"):
        code, _, errors = hook.command("dlq", "replay", "--all", "--rewrite-url", wrong)
        assert code == 2 and "wants OLD=NEW" in errors, wrong


@pytest.mark.same_everywhere
def test_replay_wants_to_know_which_and_where(rig):
    tool = rig.jobhook()
    code, _, errors = tool.command("dlq", "replay")
    assert code == 2 and "which letters? --all is every one there is" in errors
    assert tool.command("dlq", "replay", "--all", "--task", "t")[0] == 2
    code, output, _ = tool.command("dlq", "replay", "--all")
    assert code == 0 and output.startswith("0 replayed")
    put(rig, letter(rig, "t1"))
    rig.redis.kill()
    code, _, errors = tool.command("dlq", "replay", "--all")
    assert code == 1 and "Redis does not answer" in errors
    code, _, errors = rig.jobhook(JOBHOOK_RETRY_DELAYS="7s").command("dlq", "replay", "--all")
    assert code == 1 and f"{rig.topic}.retry.7s: there is no such topic: jobhook topics create" in errors


# ---- purge ----


def test_purge_deletes_what_died_before_a_moment(rig):
    now = int(time.time() * 1000)
    old = [{**letter(rig, f"old{i}", partition=i % 2), "timestamp": now - 3 * 86400000} for i in range(6)]
    put(rig, *old, *[{**letter(rig, f"new{i}", partition=i % 3), "timestamp": now} for i in range(3)])
    tool = rig.jobhook()
    code, output, _ = tool.command("dlq", "purge", "--before", "1d")
    assert code == 0 and "would delete 6 offsets" in output and "--yes does it" in output
    assert len(rig.dead()) == 9
    code, output, errors = tool.command("dlq", "purge", "--before", "1d", "--yes")
    assert code == 0 and "deleted 6 offsets" in output, errors
    assert sorted(r.key for r in rig.dead()) == [b"new0", b"new1", b"new2"]
    for options, why in ((["--before", "soon"], "--before is so long ago"), ([], "before when?")):
        code, _, errors = tool.command("dlq", "purge", *options)
        assert code == 2 and why in errors


# ---- the whole story ----


@pytest.mark.same_everywhere
def test_a_receiver_dies_and_returns_and_one_replay_delivers_everything_once(make_rig):
    count = 10000
    rig = make_rig(delays="50ms,60ms")
    hook = rig.jobhook(JOBHOOK_ATTEMPT_TIMEOUT="5s").start()
    urls = [rig.receiver.url(f"ok/{i}", i % 2) for i in range(4)]
    rig.receiver.kill()
    rig.publish(*[event(f"task-{i}", urls[i % 4]) for i in range(count)])
    wait_for(lambda: sum(rig.kafka.end_offsets(rig.dlq).values()) >= count, 120, "all are dead", pause_s=0.5)
    wait_for(lambda: hook.metric('jobhook_dead_letters_total{reason="exhausted"}') == count, 30, "the count that an alert goes by")
    rig.receiver.start()
    code, output, _ = hook.command("dlq", "list", "--summary")
    assert code == 0 and output.startswith("10,000 dead letters")
    code, output, errors = hook.command("dlq", "replay", "--all", "--wait", seconds=180)
    assert code == 0 and "10,000 replayed" in output and "10,000 delivered, 0 dead again" in output, output + errors
    rig.wait_no_lag(60)
    requests = rig.receiver.wait(count, 60)
    assert len(requests) == count and len(rig.receiver.by_task()) == count
