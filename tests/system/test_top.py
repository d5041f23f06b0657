"""jobhook top on a terminal (a pty) and elsewhere."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import urllib.error
import urllib.request

import harness
from harness import event


class Screen:
    """A pty with the program on it; what it wrote so far."""

    def __init__(self, tool, *arguments, columns=100, rows=30, **settings):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {**tool.environment(), "TERM": "xterm", **settings}
        self.process = subprocess.Popen([harness.BINARY, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=tool.folder,
                                        start_new_session=True)
        self.before = termios.tcgetattr(slave)
        self.master, self.slave, self.output = master, slave, ""

    def wait(self, text, seconds=30):
        until = time.monotonic() + seconds
        while text not in self.output:
            assert time.monotonic() < until, f"waited in vain for {text!r}:\n{self.output[-2000:]}"
            if select.select([self.master], [], [], 0.2)[0]:
                self.output += os.read(self.master, 65536).decode()
        return self

    def keys(self, text):
        self.output = ""
        os.write(self.master, text.encode())
        return self

    def end(self):
        code = self.process.wait(20)
        while select.select([self.master], [], [], 0.2)[0]:
            self.output += os.read(self.master, 65536).decode()
        restored = termios.tcgetattr(self.slave)
        os.close(self.master)
        os.close(self.slave)
        assert restored[3] & (termios.ICANON | termios.ECHO), "the terminal is as it was"
        return code


def test_top_watches_copies_and_takes_keys(rig):
    one, two = rig.jobhook().start(), rig.jobhook().start()
    screen = Screen(one, "top", one.http, two.http, "127.0.0.1:1", "--interval", "200ms")
    screen.wait("jobhook top, 3 copies").wait("Kafka 2 of 3, Redis 2 of 3").wait("nobody answers there")
    rig.publish(*[event(f"t{i}", rig.receiver.url("ok")) for i in range(300)])
    screen.wait("/s 2xx").keys("l").wait("by lag").keys("e").wait("by events").wait("\x1b[1m")  # in pieces, as the terminal hands it over
    assert "\x1b[?1049h" not in screen.output
    assert screen.keys("q").end() == 0 and screen.output.endswith("\x1b[?25h\x1b[?1049l")
    screen = Screen(one, "top", "--interval", "100ms", columns=40, rows=12, NO_COLOR="1")
    screen.wait("jobhook top, 1 copy").wait("COPY")
    frames = screen.output.split("\x1b[H")[1:]
    for line in frames[0].replace("\x1b[K", "").replace("\x1b[J", "").split("\r\n"):
        assert len(line) <= 40, line
    assert max(f.count("\r\n") for f in frames) <= 11 and "\x1b[1m" not in screen.output
    screen.process.send_signal(signal.SIGTERM)
    assert screen.end() == 0


def test_top_prints_plainly_where_there_is_no_terminal(rig):
    hook = rig.jobhook().start()
    code, output, errors = hook.command("top", "--interval", "100ms")
    assert (code, errors) == (0, "") and "\x1b" not in output and output.count("jobhook top, 1 copy") == 1
    for label in ("events", "sending", "outcomes", "latency", "lag", "up", "COPY"):
        assert re.search(rf"^{label} ", output, re.MULTILINE), label
    code, output, _ = hook.command("top", hook.http, "--interval", "100ms", "--count", "3")
    assert code == 0 and output.count("jobhook top, 1 copy") == 3
    code, _, errors = hook.command("top", "127.0.0.1:1", "--interval", "100ms")
    assert code == 1 and "nobody answers there" in errors
    code, _, errors = hook.command("top", rig.receiver.addresses[0], "--interval", "100ms")
    assert code == 1 and "the answer" in errors
    for wrong in (["--interval", "1ms"], ["--count", "0"], ["nohost"], ["http://x:1"]):
        assert hook.command("top", *wrong)[0] == 2, wrong


def test_the_worst_endpoints_are_shown_to_whoever_has_the_token(rig):
    token, (port,) = "t" * 40, harness.free_ports(1)
    hook = rig.jobhook(JOBHOOK_API_TOKENS=token, JOBHOOK_API_LISTEN=f"127.0.0.1:{port}", JOBHOOK_WORKERS="2").start()
    bad, worse = rig.receiver.url("500,ok/bad?secret=1"), rig.receiver.url("502/worse")
    rig.publish(*[event(f"a{i}", bad) for i in range(3)], *[event(f"b{i}", worse) for i in range(6)], event("fine", rig.receiver.url("ok")))
    rig.wait_dead(6)

    def get(headers):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/endpoints", headers=headers)
        try:
            with harness.NO_PROXY.open(request, timeout=10) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as problem:
            return problem.code
    rows = [line.split("\t") for line in get({"Authorization": "Bearer " + token}).splitlines()]
    assert rows[0] == ["failed", "deferred", "last_error", "seconds_ago", "rests_seconds", "endpoint"]
    assert [(r[0], r[2], r[4], r[5]) for r in rows[1:]] == [("24", "http_502", "0", worse), ("3", "http_500", "0", bad.split("?")[0])]
    assert get({}) == 401
    code, output, _ = hook.command("top", "--interval", "100ms")
    assert code == 0 and re.search(rf"^ +24 +0  http_502 +\d+ s +-  {re.escape(worse)}$", output, re.MULTILINE), output
    code, output, _ = hook.command("top", "--interval", "100ms", JOBHOOK_API_TOKENS="x" * 40)
    assert code == 0 and f"not of 127.0.0.1:{port}: the answer is 401" in output


def test_endpoints_that_rest_are_shown_so_and_any_column_orders_them(rig):
    token, (port,) = "t" * 40, harness.free_ports(1)
    hook = rig.jobhook(JOBHOOK_API_TOKENS=token, JOBHOOK_API_LISTEN=f"127.0.0.1:{port}").start()
    rests, fails = rig.receiver.url("429r300/rests"), rig.receiver.url("500/fails", 1)
    rig.publish(event("rests", rests), *[event(f"fails{i}", fails) for i in range(30)])
    rig.wait_dead(30)
    for columns in (100, 40):
        screen = Screen(hook, "top", "--interval", "200ms", columns=columns).wait(fails[-20:]).wait(rests[-20:])
        assert screen.output.index(fails[-20:]) < screen.output.index(rests[-20:]), "the worst is first"
        screen.keys("r").wait("by rest").wait(fails[-20:])
        assert screen.output.index(rests[-20:]) < screen.output.index(fails[-20:]), "the one that rests is first"
        assert re.search(r"[12]\d\d s  http" if columns == 100 else r"rests [12]\d\d s", screen.output), screen.output
        for key, name in (("f", "failed"), ("d", "deferred"), ("a", "last trouble"), ("w", "trouble")):
            screen.keys(key).wait("by " + name)
        lines = screen.output.replace("\x1b[K", "").replace("\x1b[J", "").replace("\x1b[H", "\r\n").replace("\x1b[1m", "").replace("\x1b[0m", "").split("\r\n")
        assert max(map(len, lines)) <= columns
        assert screen.keys("q").end() == 0
