"""What jobhook signs, judged by others: npm's standardwebhooks and svix, the receivers of deploy/receivers, and jobhook's own verifier."""
import os
import re
import time

import pytest

from harness import event, free_ports, wait_for
from receivers import Example, NodeVerifiers

OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
EXACT = ['{"email":"ada@example.com"}', '{"n":1e400,"big":123456789012345678901234567890}', r'{"s":"\u0041\/\n\"\\ \ud83d\ude00"}', '{"name":"Žofie 李 😀"}', "{}"]
VALID = {"standardwebhooks": True, "svix": True}
INVALID = {"standardwebhooks": False, "svix": False}


@pytest.fixture
def make_node(folder):
    nodes = []

    def make(secrets, port=0):
        nodes.append(NodeVerifiers(folder, secrets, port))
        return nodes[-1].start()
    yield make
    for node in nodes:
        node.kill()


def versions(signature):
    return [entry.split(",")[0] for entry in signature.split(" ")]


# ---- npm's libraries ----


def test_every_post_is_valid_for_two_foreign_libraries_and_invalid_when_a_byte_changes(rig, make_node):
    node = make_node({"/in": OLD})
    rig.jobhook(JOBHOOK_SIGNING_KEYS=OLD).start()
    tasks = {f"t{i}": raw for i, raw in enumerate(EXACT)} | {"odd task/ü": "{}", "x" * 100: "{}"}
    rig.publish(*[event(task, node.url("in?token=1"), raw=raw) for task, raw in tasks.items()])
    rig.publish(event("bad", node.url("in"), status="failed", raw=r'"no \u2013 credit"'))
    posts = node.wait(len(tasks) + 1)
    assert len(posts) == len(tasks) + 1
    for post in posts:
        assert post["valid"] == VALID, post
        for tampered in post["tampered"].values():
            assert tampered["asked"] > 100 and tampered["accepted"] == 0, post
        assert abs(int(post["timestamp"]) - time.time()) < 60
        assert versions(post["signature"]) == ["v1"]


def test_every_attempt_has_a_time_and_a_signature_of_its_own(make_rig, make_node):
    node = make_node({"/500x2/in": OLD})
    rig = make_rig(delays="1100ms,1200ms")
    rig.jobhook(JOBHOOK_SIGNING_KEYS=OLD).start()
    rig.publish(event("t", node.url("500x2/in")))
    posts = node.wait(3)
    assert [post["attempt"] for post in posts] == ["1", "2", "3"] and {post["id"] for post in posts} == {"t"}
    first, second, third = (int(post["timestamp"]) for post in posts)
    assert first < second < third
    assert len({post["signature"] for post in posts}) == 3
    assert all(post["valid"] == VALID for post in posts)


def test_receivers_with_an_old_or_a_new_secret_both_accept_while_keys_change(rig, make_node):
    node = make_node({"/old": OLD, "/new": NEW, "/wrong": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"})
    rig.jobhook(JOBHOOK_SIGNING_KEYS=f"{NEW} {PAIR} {OLD}").start()
    rig.publish(*[event(path, node.url(path)) for path in ("old", "new", "wrong")])
    for post in node.wait(3):
        assert versions(post["signature"]) == ["v1", "v1a", "v1"]
        assert post["valid"] == (INVALID if post["id"] == "wrong" else VALID)


@pytest.mark.parametrize("scope", ["origin", "url"])
def test_each_receiver_has_a_secret_of_its_own(rig, make_node, scope):
    hook = rig.jobhook(JOBHOOK_SIGNING_KEYS=OLD, JOBHOOK_SIGNING_SCOPE=scope)
    (port,) = free_ports(1)
    secrets = {}
    for path in ("/one", "/two"):
        status, output, errors = hook.command("secret", f"HTTP://127.0.0.1:{port}{path}?x=1")
        assert (status, errors) == (0, "")
        secrets[path] = output.strip()
    assert (secrets["/one"] == secrets["/two"]) == (scope == "origin") and OLD not in secrets.values()
    node = make_node({**secrets, "/master": OLD}, port)
    hook.start()
    rig.publish(*[event(path, node.url(path + "?y=2")) for path in ("one", "two", "master")])
    for post in node.wait(3):
        assert post["valid"] == (INVALID if post["id"] == "master" else VALID), post


# ---- the receivers that are offered for copying ----


@pytest.mark.parametrize("language", ["python", "node", "go", "c"])
def test_the_receivers_in_deploy_accept_what_jobhook_sends(rig, folder, language):
    tasks = [f"t{i}" for i in range(len(EXACT))] + ["odd/task:ü"]
    example = Example(folder, language, OLD if language == "python" else PUBLIC).start()
    example.ask(*tasks)
    try:
        hook = rig.jobhook(JOBHOOK_SIGNING_KEYS=f"{PAIR} {OLD}").start()
        rig.publish(*[event(task, example.url("in"), raw=raw) for task, raw in zip(tasks, EXACT + ["{}"])])
        rig.publish(event("nobody-asked", example.url("in")))
        wait_for(lambda: len(example.done()) == len(tasks), 20, "work on all tasks")
        assert sorted(example.done()) == sorted(tasks)
        wait_for(lambda: hook.settled("delivered") == len(tasks), 20, "their answers")
        wait_for(lambda: hook.metric('jobhook_attempts_total{outcome="4xx"}') >= 1, 20, "the answer to what nobody asked for")
    finally:
        example.kill()


# ---- jobhook's own verifier ----


def captured(request, body=None, **headers):
    lines = [f"{request['method']} {request['path']} HTTP/1.1"] + [f"{name}: {value}" for name, value in {**request["headers"], **headers}.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + (request["body"] if body is None else body)).encode()


def test_a_captured_post_is_judged_by_the_program_itself(rig, folder):
    hook = rig.jobhook(JOBHOOK_SIGNING_KEYS=f"{PAIR} {OLD}", JOBHOOK_SIGNING_SCOPE="url").start()
    url = rig.receiver.url("ok/in?x=1")
    rig.publish(event("t", url, raw='{"name":"Žofie"}'))
    (request,) = rig.receiver.wait(1)
    secret, public = hook.command("secret", url)[1], hook.command("secret", url, "--public")[1]
    assert public.strip() == PUBLIC
    path = os.path.join(folder, "request")

    def verify(content, key_file_content=None):
        with open(path, "wb") as file:
            file.write(content)
        arguments = ["--url", url]
        if key_file_content is not None:
            with open(path + ".keys", "w") as file:
                file.write(key_file_content)
            arguments = ["--key-file", path + ".keys"]
        return hook.command("verify", *arguments, path)[0]

    assert verify(captured(request)) == 0
    assert verify(captured(request), secret) == 0 and verify(captured(request), public) == 0 and verify(captured(request), NEW + " " + secret) == 0
    assert verify(captured(request), OLD) == 1 and verify(captured(request), NEW) == 1
    assert verify(captured(request, request["body"].replace("Žofie", "Zofie"))) == 1
    changed = str(int(request["headers"]["webhook-timestamp"]) + 1)
    assert verify(captured(request, **{"webhook-timestamp": changed})) == 1
    assert verify(captured(request, **{"webhook-id": "u"})) == 1


# ---- keys that change while the service runs ----


class Mounted:
    """A folder as Kubernetes mounts a Secret: the file is a link into a folder that is exchanged as a whole."""

    def __init__(self, folder):
        self.folder, self.version = os.path.join(folder, "mounted"), 0
        os.mkdir(self.folder)
        os.symlink("..data/keys", os.path.join(self.folder, "keys"))

    @property
    def file(self):
        return os.path.join(self.folder, "keys")

    def exchange(self, content):
        self.version += 1
        fresh = f"..{self.version}"
        os.mkdir(os.path.join(self.folder, fresh))
        with open(os.path.join(self.folder, fresh, "keys"), "w") as file:
            file.write(content)
        os.symlink(fresh, os.path.join(self.folder, "..data_tmp"))
        os.rename(os.path.join(self.folder, "..data_tmp"), os.path.join(self.folder, "..data"))


def test_keys_are_taken_from_their_file_when_it_changes_and_kept_when_it_is_bad(rig, folder, make_node):
    node = make_node({"/old": OLD, "/new": NEW})
    mounted = Mounted(folder)
    mounted.exchange(OLD + "\n")
    hook = rig.jobhook(JOBHOOK_SIGNING_KEYS_FILE=mounted.file, JOBHOOK_SIGNING_SCOPE="shared").start()
    sent = []

    def valid(path):
        """Whether the next POST to that path is valid there."""
        sent.append(f"t{len(sent)}")
        rig.publish(event(sent[-1], node.url(path)))
        return next(post for post in node.wait(len(sent)) if post["id"] == sent[-1])["valid"] == VALID

    assert valid("old") and hook.metric("jobhook_config_last_reload_successful") == 1
    mounted.exchange(f"{NEW} {OLD}\n")
    wait_for(lambda: "read again" in hook.log(), 10, "the new keys")
    assert valid("old") and valid("new")
    mounted.exchange("whsec_broken\n")
    wait_for(lambda: hook.metric("jobhook_config_last_reload_successful") == 0, 10, "the bad file is shown")
    hook.wait_log("is not taken", "key 1 is not base64")
    assert valid("old") and valid("new")
    mounted.exchange("")
    wait_for(lambda: "there is none" in hook.log(), 10, "the empty file is refused, too")
    assert valid("new")
    mounted.exchange(NEW)
    wait_for(lambda: hook.metric("jobhook_config_last_reload_successful") == 1, 10, "all is well again")
    assert valid("new") and not valid("old")
    assert "whsec_broken" not in hook.log() and OLD[6:] not in hook.log() and NEW[6:] not in hook.log()


def test_a_shared_key_is_warned_about_and_no_secret_is_seen(rig, folder):
    warning = "could forge events for the others"
    hook = rig.jobhook(JOBHOOK_SIGNING_KEYS=OLD).start()
    hook.wait_log(warning)
    try:
        with open(f"/proc/{hook.process.pid}/environ", "rb") as file:
            environment = file.read()
        assert b"JOBHOOK_SIGNING_KEYS=" in environment and OLD[6:].encode() not in environment
    except PermissionError:
        pass  # closed to everyone without CAP_SYS_PTRACE, and so to us (consumer/privileges.h)
    status, output, errors = hook.command("check")
    assert status == 0 and re.search(r"^JOBHOOK_SIGNING_KEYS=\*\*\* ", output, re.MULTILINE) and OLD[6:] not in output + errors
    assert hook.stop() == 0 and OLD[6:] not in hook.log()
    for settings in ({"JOBHOOK_SIGNING_KEYS": PAIR}, {"JOBHOOK_SIGNING_KEYS": OLD, "JOBHOOK_SIGNING_SCOPE": "origin"}, {}):
        hook = rig.jobhook(**settings).start()
        assert warning not in hook.log()
        assert hook.stop() == 0
