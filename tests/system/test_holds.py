"""JOBHOOK_HOLD_FILE: the operator stops deliveries to a URL prefix, and lets them go again."""
import os

import pytest

from faults import assert_each_once, ends_within
from harness import event, wait_for


@pytest.fixture
def hold_file(folder):
    """write(*rules) replaces the file as one; write.path."""
    path = os.path.join(folder, "holds")

    def write(*rules):
        with open(path + ".new", "w") as f:
            f.writelines(rule + "\n" for rule in rules)
        os.rename(path + ".new", path)
    write.path = path
    write("# nothing is held")
    return write


def in_force(hook, hold, dead):
    wait_for(lambda: (hook.metric('jobhook_hold_file_rules{action="hold"}'), hook.metric('jobhook_hold_file_rules{action="dead"}')) == (hold, dead), 15,
             "the file was read")


@pytest.mark.same_everywhere
def test_a_hold_defers_until_it_is_lifted_and_uses_up_no_attempt(rig, hold_file):
    held, other = rig.receiver.url("ok/held", origin=0), rig.receiver.url("ok/other", origin=0)
    hold_file(f"{rig.receiver.url('ok/held')} hold # ticket 7")
    hook = rig.jobhook(JOBHOOK_HOLD_FILE=hold_file.path, JOBHOOK_WORKERS=2).start()
    wait_for(lambda: '"deliveries are held by JOBHOOK_HOLD_FILE"' in hook.log(), 5, "the log says what is held")
    assert "ok/held" not in hook.log(), "by origin only: paths may hold secrets"
    rig.publish(*[event(f"h{i}", f"{held}/{i}") for i in range(20)], *[event(f"o{i}", f"{other}{i}") for i in range(20)])
    rig.receiver.wait(20)
    wait_for(lambda: hook.settled("deferred") >= 20, 20, "the held ones are put off")
    assert {r["id"][0] for r in rig.receiver.requests()} == {"o"}
    hold_file("# lifted")
    in_force(hook, 0, 0)
    rig.publish(event("new", held))
    wait_for(lambda: rig.receiver.of("new"), 20, "new events go at once")
    rig.receiver.wait(41, seconds=20)  # the others when they are due
    rig.wait_no_lag()
    assert_each_once(rig, 41)
    assert {r["headers"]["jobhook-attempt"] for r in rig.receiver.requests()} == {"1"} and rig.dead() == []


@pytest.mark.same_everywhere
def test_a_hold_reaches_what_is_queued_already(rig, hold_file):
    """One slot, and a queue behind it: what is being sent ends, the rest is put off."""
    hook = rig.jobhook(JOBHOOK_HOLD_FILE=hold_file.path, JOBHOOK_MAX_IN_FLIGHT=1, JOBHOOK_ATTEMPT_TIMEOUT="60s").start()
    rig.publish(*[event(f"t{i}", rig.receiver.url("slow3000")) for i in range(3)])
    rig.receiver.wait(1)
    hold_file(f"http://{rig.receiver.addresses[0]} hold")
    in_force(hook, 1, 0)
    wait_for(lambda: hook.settled("deferred") >= 2 and hook.settled("delivered") == 1, 20, "the queued ones are put off")
    assert len(rig.receiver.requests()) == 1
    hold_file("")
    rig.receiver.wait(3, seconds=30)
    rig.wait_no_lag()
    assert_each_once(rig, 3)


def test_dead_dead_letters_what_comes_and_what_was_put_off(rig, hold_file):
    url = rig.receiver.url("ok/gone")
    hold_file(f"{url} hold")
    hook = rig.jobhook(JOBHOOK_HOLD_FILE=hold_file.path).start()
    rig.publish(event("before", url))
    wait_for(lambda: hook.settled("deferred") >= 1, 20, "it is put off")
    hold_file(f"{url} dead")
    in_force(hook, 0, 1)
    rig.publish(event("after", url), event("other", rig.receiver.url("ok/gone2")))
    letters = rig.wait_dead(2)
    rig.wait_no_lag()
    assert {letter.key: (letter.headers["jobhook-reason"], letter.headers["jobhook-attempt"]) for letter in letters} == {
        b"before": ("held", "1"), b"after": ("held", "1")}
    assert all("JOBHOOK_HOLD_FILE" in letter.headers["jobhook-detail"] for letter in letters)
    assert [r["id"] for r in rig.receiver.requests()] == ["other"]
    assert hook.metric('jobhook_dead_letters_total{reason="held"}') == 2


def test_a_bad_file_is_refused_at_the_start_and_changes_nothing_later(rig, hold_file):
    url = rig.receiver.url("ok/held")
    hold_file(f"{url} hold", "https://a.example.com stop")
    hook = rig.jobhook(JOBHOOK_HOLD_FILE=hold_file.path)
    status, _, errors = hook.command("check")
    assert status == 1 and f'JOBHOOK_HOLD_FILE="{hold_file.path}": line 2: "stop" is neither hold nor dead' in errors
    hook.start(ready=False)
    assert ends_within(hook, 10)[0] == 1
    hold_file(f"{url} hold")
    hook = rig.jobhook(JOBHOOK_HOLD_FILE=hold_file.path).start()
    hold_file("ok/held hold")
    wait_for(lambda: hook.metric("jobhook_config_last_reload_successful") == 0, 15, "the bad file is noticed")
    wait_for(lambda: "line 1: the prefix must be a URL" in hook.log(), 5, "the log says what is wrong")
    rig.publish(event("t", url), event("other", rig.receiver.url("ok/other")))
    rig.receiver.wait(1)
    wait_for(lambda: hook.settled("deferred") >= 1, 20, "what was read before stays in use")
    os.remove(hold_file.path)
    wait_for(lambda: "No such file" in hook.log(), 15, "the missing file is noticed")
    assert hook.metric('jobhook_hold_file_rules{action="hold"}') == 1 and [r["id"] for r in rig.receiver.requests()] == ["other"]
    hold_file("")
    wait_for(lambda: hook.metric("jobhook_config_last_reload_successful") == 1, 15, "the file is in order again")
    rig.receiver.wait(2)
