"""The receivers that verify signatures, as objects: the four of deploy/receivers, and a Node program with two npm libraries."""
import fcntl
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys

from harness import HERE, PROJECT, Process, wait_for

EXAMPLES = os.path.join(PROJECT, "deploy", "receivers")
CACHE = os.path.join(PROJECT, ".cache")


def fetch_packages():
    """npm's two verifiers in .cache/node, as the lock file has them, once for all runs."""
    folder = os.path.join(CACHE, "node")
    wanted = os.path.join(HERE, "node", "package-lock.json")
    os.makedirs(folder, exist_ok=True)
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = os.path.join(folder, "done")
        if os.path.exists(done) and open(done).read() == open(wanted).read():
            return folder
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(HERE, "node", name), folder)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        for last in (False, False, True):  # a registry may fail once
            result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
            if result.returncode == 0:
                shutil.copy(wanted, done)
                return folder
            if last:
                raise RuntimeError("npm could not fetch the verifiers:\n" + result.stdout[-3000:])


def build(language):
    """The command that runs the example in that language; C and Go are compiled first, once for each change of their sources."""
    if language == "python":
        return [sys.executable, os.path.join(EXAMPLES, "receiver.py")]
    if language == "node":
        return ["node", os.path.join(EXAMPLES, "receiver.mjs")]
    sources = {"c": [os.path.join(EXAMPLES, "receiver.c"), *glob.glob(os.path.join(PROJECT, "delivery", "verifier.[ch]"))],
               "go": [os.path.join(EXAMPLES, "receiver.go")]}[language]
    program = os.path.join(PROJECT, ".build", "receivers", "receiver-" + language)
    os.makedirs(os.path.dirname(program), exist_ok=True)
    with open(program + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(program) or os.path.getmtime(program) < max(map(os.path.getmtime, sources)):
            compile_to(program, language)
    return [program]


def compile_to(program, language):
    if language == "c":
        command = ["gcc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-I.", "-o", program,
                   "deploy/receivers/receiver.c", "delivery/verifier.c", "-lmicrohttpd", "-lyajl", "-lcrypto", "-lpthread"]
    else:
        command = ["go", "build", "-o", program, "deploy/receivers/receiver.go"]
    more = {"GOCACHE": os.path.join(CACHE, "go-build"), "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
    subprocess.run(command, cwd=PROJECT, env={**os.environ, **more}, check=True, timeout=600)


class Listening(Process):
    """A program that prints "listening …:PORT" first."""

    def begin(self, command, environment):
        self.spawn(command, {**os.environ, **environment}, stdout=open(self.log_path, "ab"))
        line = wait_for(lambda: self.alive and next((line for line in self.log().splitlines() if line.startswith("listening")), None), 20,
                        f"{self.name} listens")
        self.port = int(line.replace(":", " ").split()[-1])
        return self

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}/{path}"


class Example(Listening):
    """One of deploy/receivers in a folder of its own."""

    def __init__(self, folder, language, secrets):
        super().__init__(folder, "example-" + language)
        self.command, self.secrets = build(language), secrets
        self.state = os.path.join(folder, "state-" + language)
        os.makedirs(self.state)
        self.ask()

    def start(self):
        if os.path.exists(self.log_path):
            os.rename(self.log_path, self.log_path + ".before")
        return self.begin([*self.command, "127.0.0.1:0", self.state], {"WEBHOOK_SECRETS": self.secrets})

    def ask(self, *tasks):
        with open(os.path.join(self.state, "asked.txt"), "a") as file:
            file.writelines(task + "\n" for task in tasks)

    def state_file(self, *names):
        return pathlib.Path(self.state, *names)

    def done(self):
        """The tasks that it worked on since it was started, in order."""
        return [line.split()[1] for line in self.log().splitlines() if line.startswith("done ")]


class NodeVerifiers(Listening):
    """`secrets`: path → secret. See node/receiver.mjs for what its posts hold."""

    def __init__(self, folder, secrets, port=0):
        super().__init__(folder, "node")
        self.secrets, self.port = secrets, port

    def start(self):
        command = ["node", os.path.join(HERE, "node", "receiver.mjs"), f"127.0.0.1:{self.port}", fetch_packages()]
        return self.begin(command, {"SECRETS": json.dumps(self.secrets)})

    def posts(self):
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def wait(self, count, seconds=20):
        wait_for(lambda: len(self.posts()) >= count, seconds, f"{count} POSTs at the Node receiver")
        return self.posts()
