"""The receiver of the soak: it follows the path's script by the attempt's number, and knows who signed."""
import base64
import hashlib
import hmac
import os
import socket
import subprocess

import pytest

import harness

KEYS = [b"a" * 24, b"b" * 25, b"c" * 32]


class Scribe(harness.Process):
    def __init__(self, folder):
        super().__init__(folder, "scribe")
        self.journal = os.path.join(folder, "scribe.journal")
        keys = [part for key in KEYS for part in ("--key", "whsec_" + base64.b64encode(key).decode())]
        self.spawn([os.path.join(harness.BUILD, "tests", "scribe"), "--journal", self.journal, *keys], stdout=subprocess.PIPE)
        host, port = self.process.stdout.readline().decode().rsplit(":", 1)
        self.address = host, int(port)

    def connect(self):
        connection = socket.create_connection(self.address)
        connection.settimeout(10)
        return connection

    def lines(self):
        """Of the journal, once it has ended; times left out."""
        assert self.stop() == 0
        with open(self.journal) as f:
            return [line.rstrip("\n").split("\t")[2:] for line in f]


@pytest.fixture
def scribe(folder):
    process = Scribe(folder)
    yield process
    process.kill()


def request(path, attempt=1, body=b"{}", key=KEYS[0], task="t"):
    signature = base64.b64encode(hmac.new(key, b"%s.77." % task.encode() + body, hashlib.sha256).digest()).decode()
    head = (f"POST {path} HTTP/1.1\r\nHost: h\r\nwebhook-id: {task}\r\nwebhook-timestamp: 77\r\nwebhook-signature: v1,{signature}\r\n"
            f"jobhook-attempt: {attempt}\r\nContent-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


def status(connection):
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        more = connection.recv(1)
        if not more:
            return None
        answer += more
    return int(answer.split()[1])


def test_the_attempt_chooses_the_step(scribe):
    connection = scribe.connect()
    for path, attempt, expected in (("/ok/x", 1, 200), ("/500x2,ok/x", 1, 500), ("/500x2,ok/x", 2, 500), ("/500x2,ok/x", 3, 200), ("/500x2,ok/x", 9, 200),
                                    ("/429r1,204", 1, 429), ("/429r1,204", 2, 204), ("/302", 5, 302), ("/slow50,404", 1, 200)):
        connection.sendall(request(path, attempt))
        assert status(connection) == expected, (path, attempt)
    assert [(line[1], line[2], line[5]) for line in scribe.lines()][1:4] == [("1", "500", "/500x2,ok/x"), ("2", "500", "/500x2,ok/x"), ("3", "200", "/500x2,ok/x")]


def test_signers_and_bodies_are_told_apart(scribe):
    connection = scribe.connect()
    for i, body in enumerate((b"{}", b"x" * 300_000, b"")):
        connection.sendall(request("/ok", body=body, key=KEYS[i], task=f"t{i}"))
        assert status(connection) == 200
    connection.sendall(request("/ok", key=b"another"))
    assert status(connection) == 200
    sha = [hashlib.sha256(body).hexdigest()[:16] for body in (b"{}", b"x" * 300_000, b"", b"{}")]
    assert [(line[0], line[3], line[4]) for line in scribe.lines()] == [("t0", "0", sha[0]), ("t1", "1", sha[1]), ("t2", "2", sha[2]), ("t", "-1", sha[3])]


def test_whoever_gets_no_answer_is_written_down_without_a_status(scribe):
    for path in ("/close", "/reset"):
        connection = scribe.connect()
        connection.sendall(request(path))
        try:
            assert status(connection) is None
        except ConnectionResetError:
            assert path == "/reset"
    for path in ("/hang", "/slow100"):  # both clients go before an answer
        connection = scribe.connect()
        connection.sendall(request(path))
        connection.close()
    last = scribe.connect()
    last.sendall(request("/slow300"))
    assert status(last) == 200
    assert sorted((line[2], line[5]) for line in scribe.lines()) == [("0", "/close"), ("0", "/hang"), ("0", "/reset"), ("0", "/slow100"), ("200", "/slow300")]


def test_requests_that_come_together_are_answered_in_order_and_counted(scribe):
    connection = scribe.connect()
    connection.sendall(request("/ok") + request("/404") + request("/slow20") + request("/204") + b"GET /count HTTP/1.1\r\n\r\n")
    assert [status(connection) for _ in range(5)] == [200, 404, 200, 204, 200]
    assert connection.recv(1000) == b'{"requests":4,"delivered":3}'
