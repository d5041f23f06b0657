#!/usr/bin/python3
"""The demo's director (deploy/demo.sh builds and calls it): starts the pieces, publishes, tells what happens, cleans up.

What is printed comes from outside jobhook: from the receiver's journal and from Kafka. Exits with 1 when something went otherwise than
announced. Standard library only."""
import collections
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

TOPIC = "jobs.completed"
DELAYS = [1, 2, 4, 8, 16]
TOPICS = [TOPIC] + [f"{TOPIC}.retry.{d}" for d in ("1s", "2s", "4s", "8s", "16s", "1m", "5m")] + [f"{TOPIC}.dlq"]
PATIENCE_S = 56
EARLY_S = 0.002  # clocks are read in ms

Event = collections.namedtuple("Event", "task_id kind failed path result story attempts end")


def bulk(what):
    leads = [{"lead": i, "name": f"Lead Number {i}", what: f"lead{i}@example.com", "confidence": 0.93, "notes": "lorem ipsum " * 220} for i in range(100)]
    return {"leads": leads, "found": 97, "credits": 12345678901234567890}


def script():
    """What is published, and what must come of it. `end` is delivered, dead or nothing."""
    rows = [
        ("find-email", "find_email", "ok", {"email": "ada@example.com", "confidence": 0.97}, "delivered at once", 1, "delivered"),
        ("find-phone", "find_phone", "ok", {"phone": "+44 20 7946 0000"}, "delivered at once", 1, "delivered"),
        ("find-email-bulk", "find_email_bulk", "ok", bulk("email"), "100 leads in one event", 1, "delivered"),
        ("find-phone-bulk", "find_phone_bulk", "503,ok", bulk("phone"), "100 leads, 503 once", 2, "delivered"),
        ("people-intelligence", "people_intelligence", "500x2,ok", {"person": "Ada"}, "endpoint fails twice", 3, "delivered"),
        ("company-intelligence", "company_intelligence", "reset,ok", {"company": "Engines Ltd"}, "connection reset once", 2, "delivered"),
        ("research-agent", "research_agent", "500", {"report": "…"}, "endpoint always fails", 6, "dead"),
        ("qa-agent", "qa_agent", "ok", {"answer": "yes", "tokens": 1.50, "tiny": 1e-7}, "delivered at once", 1, "delivered"),
        ("find-email-failed", "find_email", "ok", None, "the job itself failed", 1, "delivered"),
        ("research-agent-failed", "research_agent", "503x2,ok", None, "job failed, endpoint fails twice", 3, "delivered"),
        ("qa-agent-no-webhook", "qa_agent", None, {"answer": "no"}, "no webhook: only kept for polling", 0, "nothing"),
        ("find-phone-redirect", "find_phone", "302,204", {"phone": None}, "redirect is a failure; then 204", 2, "delivered"),
    ]
    return [Event(task, kind, result is None, path, result, story, attempts, end) for task, kind, path, result, story, attempts, end in rows]


def as_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Screen:
    """Colours only where somebody looks."""

    def __init__(self):
        self.live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.live else text

    def good(self, text): return self.paint("32", text)
    def bad(self, text): return self.paint("31", text)
    def dim(self, text): return self.paint("2", text)
    def bold(self, text): return self.paint("1", text)
    def say(self, text=""): print(text, flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Stage:
    """The processes and the folder they work in; close() ends and removes all of it."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.folder = tempfile.mkdtemp(prefix="jobhook-demo.")
        self.processes = []

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, name, command, environment=None, **more):
        log = open(self.path(name + ".log"), "ab")
        # A session of its own: Ctrl-C reaches only the director, which then ends the others in order.
        process = subprocess.Popen(command, stderr=log, env=environment, start_new_session=True, **{"stdout": log, **more})
        self.processes.append((name, process))
        return process

    def first_line(self, name, process, seconds=10):
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        line = process.stdout.readline().decode().strip() if ready else ""
        if not line:
            raise SystemExit(f"demo: {name} did not start:\n{self.tail(name)}")
        return line

    def tail(self, name):
        with open(self.path(name + ".log"), errors="replace") as f:
            return "".join(f.readlines()[-20:])

    def close(self):
        for name, process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(15 if name == "jobhook" else 5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []
        shutil.rmtree(self.folder, ignore_errors=True)


class Demo:
    def __init__(self, build, screen):
        self.stage = Stage(build)
        self.screen = screen
        self.events = {e.task_id: e for e in script()}
        self.seen = {task: [] for task in self.events}  # task -> journal entries
        self.dead = {}  # task -> (where, headers, value)
        self.mistakes = []

    def start_pieces(self):
        stage = self.stage
        redis = shutil.which("redis-server")
        if not redis:
            redis = stage.path("redis-server")  # the server is redis-tools' program under this name
            os.symlink(shutil.which("redis-check-rdb"), redis)
        self.redis_socket = stage.path("redis.sock")
        stage.start("redis", [redis, "--port", "0", "--unixsocket", self.redis_socket, "--save", "", "--dir", stage.folder, "--maxmemory-policy", "noeviction"])
        broker = stage.start("broker", [f"{stage.build}/tests/broker"] + [f"{t}=4" for t in TOPICS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        receiver = stage.start("receiver", ["/usr/bin/python3", "tests/system/receiver.py", "--bodies", "--journal", stage.path("journal")],
                               stdout=subprocess.PIPE)
        self.brokers = stage.first_line("broker", broker)
        self.receiver = stage.first_line("receiver", receiver)
        self.http = f"127.0.0.1:{free_port()}"
        self.environment = {"JOBHOOK_KAFKA_BROKERS": self.brokers, "JOBHOOK_REDIS_URL": f"unix://{self.redis_socket}",
                            "JOBHOOK_HTTP_LISTEN": self.http, "JOBHOOK_API_LISTEN": "127.0.0.1:0", "JOBHOOK_EGRESS_ALLOW": "127.0.0.0/8", "JOBHOOK_LOG_FORMAT": "text"}
        others = {name: value for name, value in os.environ.items() if not name.startswith(("JOBHOOK_", "KAFKA_"))}
        self.jobhook = stage.start("jobhook", [f"{stage.build}/jobhook", "run"], {**others, **self.environment})
        self.wait_until_ready()

    def get(self, path):
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{self.http}{path}", timeout=2) as answer:
                return answer.status, answer.read().decode()
        except OSError as problem:
            return getattr(problem, "code", 0), str(problem)

    def wait_until_ready(self):
        until = time.monotonic() + 20
        while self.get("/readyz")[0] != 200:
            if self.jobhook.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"demo: jobhook is not ready:\n{self.stage.tail('jobhook')}")
            time.sleep(0.05)

    def value_of(self, event):
        value = {"task_id": event.task_id, "status": "failed" if event.failed else "completed", "task_type": event.kind}
        value.update({"error": "no result within the budget"} if event.failed else {"result": event.result})
        if event.path:
            value["webhook_url"] = f"http://{self.receiver}/{event.path}/{event.task_id}"
        return value

    def publish(self):
        writer = self.stage.start("publish", [f"{self.stage.build}/tests/records", "write", self.brokers, TOPIC], stdin=subprocess.PIPE)
        self.began = time.time()
        for event in self.events.values():
            writer.stdin.write(f"{event.task_id}\t{as_json(self.value_of(event))}\n".encode())
            writer.stdin.flush()
            self.follow(0.15)
        writer.stdin.close()

    def follow(self, seconds):
        """Prints what the receiver saw during the next moment."""
        until = time.monotonic() + seconds
        while True:
            line = self.journal.readline()
            if line.endswith("\n"):
                self.tell(json.loads(line))
            elif time.monotonic() >= until:
                return
            else:
                self.journal.seek(self.journal.tell() - len(line.encode()))
                time.sleep(0.01)

    def tell(self, entry):
        screen, event = self.screen, self.events[entry["id"]]
        before = self.seen[event.task_id]
        before.append(entry)
        number = int(entry["headers"]["jobhook-attempt"])
        late = f"{entry['mono'] - before[-2]['mono']:5.2f} s later" if len(before) > 1 else ""
        step = entry["step"].replace("ok", "200")
        answer = screen.good(f"{step:>5}") if step.startswith("2") else screen.bad(f"{step:>5}")
        after = ""
        if not step.startswith("2"):
            after = screen.dim(f"  next in {DELAYS[number - 1]} s" if number <= len(DELAYS) else "  no retry left: dead letter")
        screen.say(f"  +{entry['wall'] - self.began:5.1f} s  {event.task_id:<22} attempt {number}  {late:>12}  answer {answer}{after}")
        self.check_body(event, entry)

    def check_body(self, event, entry):
        value = self.value_of(event)
        value.pop("webhook_url")
        if entry["body"] != as_json(value):
            self.mistakes.append(f"{event.task_id}: the body is not the event's payload")

    def read_dead_letters(self):
        output = subprocess.run([f"{self.stage.build}/tests/records", "read", self.brokers, f"{TOPIC}.dlq"], capture_output=True, text=True, timeout=30).stdout
        for line in output.splitlines():
            where, key, headers, value = line.split("\t", 3)
            self.dead[key] = (where, dict(h.split("=", 1) for h in headers.split(";")), value)

    def settled(self):
        return all(len(self.seen[e.task_id]) >= e.attempts for e in self.events.values())

    def buried(self):
        return all(event.task_id in self.dead for event in self.events.values() if event.end == "dead")

    def run(self):
        say = self.screen.say
        self.start_pieces()
        self.journal = open(self.stage.path("journal"))
        say(f"\n{self.screen.bold('jobhook')} reads {TOPIC} at {self.brokers} and POSTs to http://{self.receiver}. Publishing {len(self.events)} events:\n")
        self.publish()
        until = self.began + PATIENCE_S
        while not self.settled() and time.time() < until:
            self.follow(0.1)
        self.follow(0.5)
        self.read_dead_letters()
        while not self.buried() and time.time() < until:
            self.follow(0.5)
            self.read_dead_letters()
        self.show_table()
        self.show_dead_letters()
        self.show_metrics()

    def how_it_went(self, event):
        times = [e["mono"] for e in self.seen[event.task_id]]
        waits = [b - a for a, b in zip(times, times[1:])]
        ended = "dead" if event.task_id in self.dead else "delivered" if times else "nothing"
        if ended != event.end or len(times) != event.attempts:
            self.mistakes.append(f"{event.task_id}: {len(times)} attempts and {ended}, expected {event.attempts} and {event.end}")
        for wait, delay in zip(waits, DELAYS):
            if wait < delay - EARLY_S:
                self.mistakes.append(f"{event.task_id}: a retry came after {wait:.4f} s, not {delay} s")
        return ended, waits

    def show_table(self):
        screen = self.screen
        screen.say(f"\n  {'task':<22} {'kind':<21} {'event':>9}  {'attempts':>8}  {'waited (s)':<24} end")
        for event in self.events.values():
            ended, waits = self.how_it_went(event)
            size = f"{len(as_json(self.value_of(event)).encode()) / 1024:.1f} KiB"
            shown = {"delivered": screen.good("delivered"), "dead": screen.bad("dead letter"), "nothing": "nothing to send"}[ended]
            screen.say(f"  {event.task_id:<22} {event.kind:<21} {size:>9}  {len(self.seen[event.task_id]):>8}  "
                       f"{' '.join(f'{w:.2f}' for w in waits):<24} {shown}  {screen.dim(event.story)}")

    def show_dead_letters(self):
        for task, (where, headers, value) in self.dead.items():
            self.screen.say(f"\nThe dead letter lies in {TOPIC}.dlq, partition/offset {where}, key {task}, value and key as they were published:")
            self.screen.say("  " + value[:150])
            for name, content in headers.items():
                self.screen.say(f"  {name}: {content}")

    def show_metrics(self):
        self.screen.say("\nFrom /metrics:")
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(("jobhook_events_settled_total", "jobhook_attempts_total", "jobhook_dead_letters_total")) and not line.endswith(" 0"):
                self.screen.say("  " + line)

    def stay(self):
        settings = " ".join(f"{k}={v}" for k, v in self.environment.items())
        self.screen.say(f"""
Still running; Enter ends it. In another terminal, from the project's folder:
  curl http://{self.http}/metrics
  .build/release/tests/records read {self.brokers} {TOPIC}.dlq
  printf 'my-task\\t{{"task_id":"my-task","status":"failed","task_type":"t","error":"e","webhook_url":"http://{self.receiver}/500x2,ok"}}\\n' |
      .build/release/tests/records write {self.brokers} {TOPIC}
  tail -f {self.stage.path('jobhook.log')}
  redis-cli -s {self.redis_socket} keys '*'
  env {settings} .build/release/jobhook check""")
        sys.stdin.readline()


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    demo = Demo(sys.argv[1], Screen())
    try:
        demo.run()
        for mistake in demo.mistakes:
            print(demo.screen.bad(f"demo: otherwise than announced: {mistake}"))
        if "--stay" in sys.argv[2:]:
            demo.stay()
        else:
            print("\nTo look further: deploy/demo.sh --stay keeps it running and says how; README.md explains topics, headers and settings.")
    except KeyboardInterrupt:
        print("\ndemo: interrupted")
        return 130
    finally:
        demo.stage.close()
    return 1 if demo.mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
