"""The receivers that deploy/receivers offers for copying: what they accept, what they refuse, and that they work on each event once."""
import http.client
import json
import os
import re
import socket
import subprocess
import threading
import time

import pytest

import harness
from harness import body, wait_for
from receivers import Example

pytestmark = pytest.mark.same_everywhere

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PAIR = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
LANGUAGES = ["python", "node", "go", "c"]


@pytest.fixture
def make_example(folder):
    examples = []

    def make(language, secrets=SECRET):
        examples.append(Example(folder, language, secrets))
        return examples[-1].start()
    yield make
    for example in examples:
        example.kill()


def sign(task, content, key=SECRET, at=None):
    """The three headers, by `jobhook sign`."""
    result = subprocess.run([harness.BINARY, "sign", "--id", task, "--timestamp", str(int(time.time()) if at is None else at)], input=content.encode(),
                            env={"JOBHOOK_SIGNING_KEYS": key}, capture_output=True, timeout=20, check=True)
    return dict(line.split(": ", 1) for line in result.stdout.decode().splitlines())


def post(example, headers, content, method="POST"):
    """The status; 0 when the connection was closed without one."""
    connection = http.client.HTTPConnection("127.0.0.1", example.port, timeout=20)
    try:
        connection.request(method, "/in", content.encode() if isinstance(content, str) else content, headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def wait_done(example, tasks):
    wait_for(lambda: len(example.done()) >= len(tasks), 20, f"work on {tasks}")
    assert example.done() == tasks


@pytest.mark.parametrize("language", LANGUAGES)
def test_works_on_each_event_that_was_asked_for_once(make_example, language):
    example = make_example(language)
    example.ask("t1", "t2", "ünïcode/1")
    for task, webhook_id in (("t1", "t1"), ("t2", "t2"), ("ünïcode/1", "msg_1")):
        content = body(task, raw='{"name":"Žofie 李 😀","id":' + "9" * 5000 + "}")
        for _ in range(3):
            assert post(example, sign(webhook_id, content), content) == 204
    wait_done(example, ["t1", "t2", "ünïcode/1"])
    failed = body("t1", status="failed", raw='"no"')
    assert post(example, sign("t1", failed), failed) == 204  # the same webhook-id, whatever the body
    time.sleep(0.3)
    assert example.done() == ["t1", "t2", "ünïcode/1"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_refuses_what_was_not_asked_for_until_it_was(make_example, language):
    example = make_example(language)
    content = body("t1")
    assert post(example, sign("t1", content), content) == 404
    example.ask("t1")
    assert post(example, sign("t1", content), content) == 204
    wait_done(example, ["t1"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_refuses_when_one_byte_changed(make_example, language):
    example = make_example(language)
    example.ask("t1")
    content = body("t1")
    headers = sign("t1", content)
    for index in range(0, len(content), 7):
        changed = bytearray(content.encode())
        changed[index] ^= 1
        assert post(example, headers, bytes(changed)) == 401, index
    for name, value in headers.items():
        for index in range(0, len(value), 5):
            flipped = chr(ord(value[index]) ^ 1)
            changed = {**headers, name: value[:index] + flipped + value[index + 1:]}
            assert post(example, changed, content) in (400, 401), (name, index, flipped)
    for missing in headers:
        assert post(example, {name: value for name, value in headers.items() if name != missing}, content) in (400, 401)
    assert example.alive and example.done() == []
    assert post(example, headers, content) == 204


@pytest.mark.parametrize("language", LANGUAGES)
def test_refuses_other_secrets_and_other_times(make_example, language):
    example = make_example(language)
    example.ask("t1")
    content, now = body("t1"), int(time.time())
    assert post(example, sign("t1", content, key=OTHER_SECRET), content) == 401
    for away in (-310, 310, -10**9):
        assert post(example, sign("t1", content, at=now + away), content) == 401
    for away in (-290, 290):
        assert post(example, sign("t1", content, at=now + away), content) == 204


@pytest.mark.parametrize("language", LANGUAGES)
def test_accepts_old_and_new_secrets_while_they_change(make_example, language):
    example = make_example(language, SECRET + " " + OTHER_SECRET)
    example.ask("t1", "t2", "t3", "t4")
    for task, key in (("t1", SECRET), ("t2", OTHER_SECRET), ("t3", OTHER_SECRET + " " + SECRET), ("t4", PAIR + " " + SECRET)):
        content = body(task)
        assert post(example, sign(task, content, key=key), content) == 204, task
    wait_done(example, ["t1", "t2", "t3", "t4"])


@pytest.mark.parametrize("language", ["node", "go", "c"])  # Python's own library has no Ed25519
def test_accepts_ed25519_signatures(make_example, language):
    example = make_example(language, PUBLIC)
    example.ask("t1", "t2")
    for task, key, status in (("t1", PAIR, 204), ("t2", SECRET + " " + PAIR, 204), ("t1", SECRET, 401)):
        content = body(task)
        assert post(example, sign(task, content, key=key), content) == status
    content = body("t1")
    headers = sign("t1", content, key=PAIR)
    for index in range(0, len(content), 9):
        changed = bytearray(content.encode())
        changed[index] ^= 1
        assert post(example, headers, bytes(changed)) == 401
    for index in range(4, len(headers["webhook-signature"]), 9):
        value = headers["webhook-signature"]
        changed = {**headers, "webhook-signature": value[:index] + ("A" if value[index] != "A" else "B") + value[index + 1:]}
        assert post(example, changed, content) == 401


@pytest.mark.parametrize("language", LANGUAGES)
def test_remembers_what_it_accepted_when_it_is_killed(make_example, language):
    example = make_example(language)
    example.ask("t1", "t2")
    for task in ("t1", "t2"):
        content = body(task)
        assert post(example, sign(task, content), content) == 204
    wait_done(example, ["t1", "t2"])
    example.kill()
    example.state_file("done", "t2").unlink(missing_ok=True)  # as if it had died in the middle of its work (it writes the file after the line)
    example.start()
    wait_done(example, ["t2"])
    content = body("t1")
    assert post(example, sign("t1", content), content) == 204
    time.sleep(0.3)
    assert example.done() == ["t2"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_puts_up_with_nonsense(make_example, language):
    example = make_example(language)
    example.ask("t1", "../../../escape")
    for content in ("", "[]", "null", '"t1"', "{}", '{"task_id":""}', '{"task_id":1}', '{"task_id":null}', '{"task_id":["t1"]}', "{", "\x00"):
        assert post(example, sign("t1", content), content) in (400, 404), content
    content = body("t1")
    headers = sign("t1", content)
    for odd in ("", "../x", "a.b", "a/b", "x" * 65, "a b", "é"):
        assert post(example, {**headers, "webhook-id": odd.encode("latin-1")}, content) == 400, odd
    for odd in ("", ",", "v1", "v1,", "v1,,", " " * 500, "v1,=", "v1,é", "v1a," + "A" * 86 + "==", "v1," * 1000):
        assert post(example, {**headers, "webhook-signature": odd.encode("latin-1")}, content) in (400, 401), odd
    for odd in ("", "-1", "1e9", "0x10", "9" * 400, "٣"):
        assert post(example, {**headers, "webhook-timestamp": odd.encode("utf-8")}, content) in (400, 401), odd
    assert post(example, headers, None, method="GET") in (405, 501)
    assert post(example, headers, content, method="PUT") in (405, 501)
    assert post(example, headers, b"x" * (17 << 20)) in (413, 0)  # it may close before all of it is sent
    assert post(example, headers, content) == 204
    wait_done(example, ["t1"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_does_not_start_without_good_secrets(folder, language):
    example = Example(folder, language, "")
    for secrets in ("", "w", "whsec_", "whsec_%", "whsec_c2VjcmV0", PAIR):
        environment = {"WEBHOOK_SECRETS": secrets, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        result = subprocess.run([*example.command, "127.0.0.1:0", example.state], env=environment, capture_output=True, timeout=20)
        assert result.returncode != 0, secrets


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_others_while_one_is_silent(make_example, language):
    example = make_example(language)
    example.ask("t1")
    silent = [http.client.HTTPConnection("127.0.0.1", example.port, timeout=20) for _ in range(5)]
    for connection in silent:
        connection.putrequest("POST", "/in")
        connection.putheader("content-length", "100")
        connection.endheaders(b"{")
    content = body("t1")
    began = time.monotonic()
    assert post(example, sign("t1", content), content) == 204
    assert time.monotonic() - began < 5
    for connection in silent:
        connection.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_works_on_what_it_has_but_could_not_confirm(folder, language):
    """The disk fails between the event's file and the answer: it comes again, and must not be taken for one that was worked on."""
    example = Example(folder, language, SECRET)
    if os.geteuid() == 0:  # who may read any folder cannot be refused one
        example.command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *example.command]
    example.start()
    try:
        example.ask("t1")
        content = body("t1")
        example.state_file("inbox").chmod(0o300)
        assert post(example, sign("t1", content), content) == 503
        assert example.state_file("inbox", "t1").read_bytes() == content.encode()
        assert post(example, sign("t1", content), content) == 503
        example.state_file("inbox").chmod(0o700)
        assert post(example, sign("t1", content), content) == 204
        wait_done(example, ["t1"])
    finally:
        example.kill()


@pytest.mark.parametrize("language", LANGUAGES)
def test_goes_on_or_ends_when_work_cannot_be_done(make_example, language):
    """Never that it accepts events and nobody works on them."""
    example = make_example(language)
    example.ask("t1", "t2")
    for content in ('{"task_id":"t1"}', body("t2")):
        assert post(example, sign(json.loads(content)["task_id"], content), content) in (204, 0)
    wait_for(lambda: not example.alive or "t2" in example.done(), 20, "work on the next event, or the end")


@pytest.mark.parametrize("language", LANGUAGES)
def test_lets_as_many_connections_wait_as_jobhook_opens_at_once(make_example, language):
    example = make_example(language)
    example.pause()
    waiting = [socket.create_connection(("127.0.0.1", example.port), timeout=20) for _ in range(64)]
    example.resume()
    for connection in waiting:
        connection.close()


@pytest.mark.parametrize("framing", ["Content-Length: 0\r\nContent-Length: {size}", "Transfer-Encoding: chunked\r\nContent-Length: 5"])
def test_the_receiver_in_python_finds_no_second_request_in_a_body(make_example, framing):
    """The other three leave it to their libraries where a body ends."""
    example = make_example("python")
    example.ask("t1")
    content = body("t1")
    hidden = b"POST /in HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sign("t1", content).items()).encode()
    hidden += f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n{content}".encode()
    with socket.create_connection(("127.0.0.1", example.port), timeout=20) as connection:
        head = "POST /in HTTP/1.1\r\nHost: x\r\n" + framing.format(size=len(hidden)) + "\r\n\r\n"
        connection.sendall(head.encode() + (b"0\r\n\r\n" if "chunked" in framing else b"") + hidden)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 411 and answer.read() == b"" and connection.recv(1) == b""


def drip(port, closed):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        connection.settimeout(0.2)
        for _ in range(300):
            try:
                connection.sendall(b"x")
                if re.match(rb"HTTP/1.1 4|$", connection.recv(100)):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            return
    closed.append(port)


def test_waits_for_no_body_that_drips(make_example):
    """All four at the same time: each waits for ten seconds."""
    closed = []
    ports = [make_example(language).port for language in LANGUAGES]
    threads = [threading.Thread(target=drip, args=(port, closed)) for port in ports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(closed) == sorted(ports)


def test_the_journal_of_accepted_events_holds_their_bytes(make_example):
    """The four keep the same files, so that one may take over from another."""
    for language in LANGUAGES:
        example = make_example(language)
        example.ask("t1")
        content = body("t1", raw=r'{"n":1e400,"s":"\u00e9\/"}')
        assert post(example, sign("t1", content), content) == 204
        wait_done(example, ["t1"])
        assert example.state_file("inbox", "t1").read_bytes() == content.encode()
        assert json.loads(content)["task_id"] == "t1"
