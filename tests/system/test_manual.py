"""The manual page, the completions and every --help: about the same commands and options, and readable."""
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time

import pytest

import harness

DEPLOY = os.path.join(harness.PROJECT, "deploy")


def run(*arguments, **more):
    return subprocess.run([harness.BINARY, *arguments], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, **more)


def commands_in(text):
    return re.findall(r"^  ([a-z-]+) +\S", text, re.MULTILINE)


COMMANDS = [[c] for c in commands_in(run("help").stdout)] if os.path.exists(harness.BINARY) else []
COMMANDS += [[group, c] for group in ("dlq", "topics") for c in commands_in(run(group, "--help").stdout)] if COMMANDS else []


def options_of(command):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", run(*command, "--help").stdout.split("\nexample")[0])) - {"--help"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_helps_and_has_examples(command):
    result = run(*command, "--help")
    assert result.returncode == 0 and result.stderr == "" and result.stdout.startswith("usage: jobhook " + command[0])
    assert max(map(len, result.stdout.splitlines())) <= 160 and "\033" not in result.stdout
    wrong = run(*command, "--no-such-option")
    assert wrong.returncode == 2 and wrong.stderr and not wrong.stdout


def test_the_manual_page_names_every_command_and_every_option():
    with open(os.path.join(DEPLOY, "jobhook.1")) as f:
        page = f.read().replace("\\-", "-")
    for command in COMMANDS:
        assert re.search(rf"^\.B[RI]? .*jobhook {re.escape(' '.join(command))}\b", page, re.MULTILINE), command
        for option in options_of(command):
            assert option in page, (command, option)


@pytest.mark.skipif(not shutil.which("man"), reason="no man here")
def test_the_manual_page_is_typeset_without_a_warning():
    result = subprocess.run(["man", "--warnings", "-l", os.path.join(DEPLOY, "jobhook.1")], capture_output=True, text=True, timeout=60,
                            env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
    assert result.returncode == 0 and result.stderr == "" and "NAME" in result.stdout


def complete(*words):
    """What bash offers for the last word."""
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _jobhook; printf "%s\\n" "${COMPREPLY[@]}"'
    result = subprocess.run(["bash", "-c", script, "-", os.path.join(DEPLOY, "jobhook.bash"), harness.BINARY, *words], capture_output=True, text=True, timeout=60)
    assert result.stderr == ""
    return set(result.stdout.split())


def test_bash_completes_commands_options_and_values():
    assert complete("") == {c[0] for c in COMMANDS if len(c) == 1}
    assert complete("re") >= {"resend", "reindex"} and complete("dlq", "") >= {"list", "show", "replay", "purge"}
    for command in (["dlq", "replay"], ["dlq", "list"], ["resend"], ["publish"], ["send"], ["reindex"], ["dlq", "purge"], ["topics", "acls"]):
        assert complete(*command, "--") >= options_of(command), command
    assert complete("dlq", "list", "--reason", "inv") == {"invalid_event", "invalid_headers"}
    assert complete("resend", "--state", "") == {"delivered", "scheduled", "dead"}


class Zsh:
    """An interactive zsh on a pty that has our completion and no settings of anybody."""

    def __init__(self, folder):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 200, 200, 0, 0))
        shutil.copy(os.path.join(DEPLOY, "_jobhook"), folder)
        environment = {"PATH": os.path.dirname(harness.BINARY) + ":/usr/bin:/bin", "TERM": "dumb", "HOME": folder, "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(["zsh", "-f", "-i"], stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=folder, start_new_session=True)
        os.close(slave)
        self.output = ""
        self.type("fpath=($HOME $fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=10000; bindkey '^I' complete-word; print -r -- ready-$((1 + 1))\n")
        self.wait("ready-2")

    def type(self, text):
        os.write(self.master, text.encode())

    def wait(self, *parts, seconds=30):
        until = time.monotonic() + seconds
        while not all(part in self.output for part in parts):
            assert time.monotonic() < until, f"waited in vain for {parts}: {self.output!r}"
            if select.select([self.master], [], [], 0.2)[0]:
                self.output += os.read(self.master, 65536).decode(errors="replace")

    def complete(self, line, *expected):
        """Types the line and a tab into an empty line, and waits for what is offered or inserted."""
        self.type("\x15")  # what is there is gone
        self.output = ""
        self.type(line + "\t")
        self.wait(*expected)

    def end(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh here")
def test_zsh_completes_commands_options_and_values(folder):
    zsh = Zsh(folder)
    try:
        zsh.complete("jobhook ", *(f"{c[0]} " for c in COMMANDS if len(c) == 1))
        zsh.complete("jobhook dlq rep", "lay ")  # what is missing
        for command in (["dlq", "replay"], ["resend"], ["send"], ["topics", "acls"]):
            zsh.complete(f"jobhook {' '.join(command)} --", *options_of(command))
        zsh.complete("jobhook dlq replay --", "--since        -- died then or later")
        zsh.complete("jobhook dlq list --reason ", "invalid_event", "invalid_headers", "endpoint_down")
        zsh.complete("jobhook resend --state ", "delivered", "scheduled", "dead")
    finally:
        zsh.end()
