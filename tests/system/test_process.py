"""The process: hardened by its build, with nothing to lose while it runs, and content with nothing: nobody, no capabilities, a read-only root."""
import os
import pwd
import re
import shutil
import subprocess

import confluent_kafka
import pytest

import harness
from harness import wait_for

TOPIC = "jobs.completed"
TOPICS = [TOPIC, TOPIC + ".dlq"] + [f"{TOPIC}.retry.{delay}" for delay in ("100ms", "1m")]
X86_64 = os.uname().machine == "x86_64"


# ------------------------------------------------------------------------------------------------------------------------ the file

def readelf(*options):
    result = subprocess.run(["readelf", "-W", *options, harness.BINARY], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=True)
    return result.stdout


@pytest.fixture(scope="module")
def release():
    """These are promises about the release build: those for tests have sanitizers, which bring their own."""
    cache = os.path.join(harness.BUILD, "CMakeCache.txt")
    with open(cache, encoding="utf-8") as file:
        settings = dict(re.findall(r"^(\w+):\w+=(.*)$", file.read(), re.MULTILINE))
    if settings.get("CMAKE_BUILD_TYPE") != "Release" or settings.get("JOBHOOK_SANITIZE"):
        pytest.skip("not a release build: JOBHOOK_BUILD names another one")


def test_the_program_lies_at_a_random_address(release):
    assert re.search(r"^\s*Type:\s+DYN\b", readelf("--file-header"), re.MULTILINE)
    assert re.search(r"\(FLAGS_1\).*\bPIE\b", readelf("--dynamic"))


def test_the_table_of_functions_is_read_only_when_main_begins(release):
    assert "GNU_RELRO" in readelf("--program-headers")
    assert re.search(r"\(FLAGS_1\).*\bNOW\b", readelf("--dynamic"))


def test_no_memory_is_both_writable_and_executable(release):
    headers = readelf("--program-headers")
    flags = re.findall(r"^\s+(\w+)\s+0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([RWE ]{3})", headers, re.MULTILINE)
    assert ("GNU_STACK", "RW ") in flags, headers
    assert not [name for name, flag in flags if "W" in flag and "E" in flag]
    assert "TEXTREL" not in readelf("--dynamic")


def test_stack_and_copies_are_checked(release):
    symbols = readelf("--dyn-syms")
    assert "__stack_chk_fail" in symbols
    assert len(set(re.findall(r"__\w+_chk\b", symbols))) >= 4


@pytest.mark.skipif(not X86_64, reason="of this processor only")
def test_functions_begin_where_jumps_may_land(release):
    code = subprocess.run(["objdump", "--disassemble=main", "--no-show-raw-insn", harness.BINARY], capture_output=True, text=True, timeout=60, check=True)
    assert re.search(r"<main>:\n\s+\w+:\s+endbr64", code.stdout)


def test_libraries_come_from_the_systems_folders_only(release):
    assert not re.search(r"\((RPATH|RUNPATH)\)", readelf("--dynamic"))


# --------------------------------------------------------------------------------------------------------------- the running process

class Broker(harness.Process):
    """Kafka enough for one event: tests/system/broker.c."""

    def start(self):
        self.spawn([os.path.join(harness.BUILD, "tests", "broker"), *(f"{topic}=1" for topic in TOPICS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.brokers = self.process.stdout.readline().decode().strip()
        assert self.brokers, "the broker did not start:\n" + self.log()
        return self

    def publish(self, value):
        producer = confluent_kafka.Producer({"bootstrap.servers": self.brokers})
        producer.produce(TOPIC, value)
        assert producer.flush(20) == 0


class Confined(harness.Jobhook):
    """jobhook behind other programs that end in exec: the process stays the one that was started. The binary lies where anybody may run it."""

    def __init__(self, folder, settings, prefix):
        super().__init__(folder, "jobhook", settings)
        self.prefix = prefix
        self.binary = shutil.copy(harness.BINARY, os.path.join(folder, "jobhook"))

    def start(self, ready=True):
        self.spawn([*self.prefix, self.binary, "run"], self.environment())
        if ready:
            self.wait_ready()
        return self


@pytest.fixture
def start(folder):
    """start(prefix): jobhook with a Redis, a broker and a receiver of its own, behind the command `prefix`."""
    os.chmod(folder, 0o711)
    neighbours = [harness.Redis(folder).start(), Broker(folder, "broker").start(), harness.Receiver(folder).start()]
    redis, broker, receiver = neighbours
    os.chmod(redis.socket_path, 0o777)

    def begin(prefix=()):
        settings = {"JOBHOOK_KAFKA_BROKERS": broker.brokers, "JOBHOOK_REDIS_URL": redis.url, "JOBHOOK_RETRY_DELAYS": "100ms", "JOBHOOK_DEFER_DELAYS": "1m"}
        neighbours.insert(0, Confined(folder, settings, prefix))
        return neighbours[0].start(), broker, receiver
    yield begin
    for process in neighbours:
        process.kill()


def status_of(hook):
    with open(f"/proc/{hook.process.pid}/status", encoding="utf-8") as file:
        return dict(re.findall(r"^(\w+):\t(.*)$", file.read(), re.MULTILINE))


def test_it_gives_up_dumps_privileges_and_open_files_by_itself(start):
    hook, _, _ = start(("prlimit", "--core=unlimited:unlimited") if os.geteuid() == 0 else ())
    status = status_of(hook)
    with open(f"/proc/{hook.process.pid}/limits", encoding="utf-8") as file:
        assert re.search(r"^Max core file size\s+0\s+0\s", file.read(), re.MULTILINE)
    assert status["NoNewPrivs"] == "1" and status["Umask"] == "0077"
    assert ("started as root" in hook.log()) == (os.geteuid() == 0)
    assert "core dumps" not in hook.log() and "no_new_privs" not in hook.log()
    assert hook.stop() == 0


NOBODY = pwd.getpwnam("nobody")
AS_NOBODY = ("setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
READ_ONLY = ("unshare", "--mount", "sh", "-c", 'mount --make-rprivate / && mount -o bind,remount,ro / && ! mkdir "$0" 2>/dev/null && exec "$@"', "/new")


def runs(*command):
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become nobody")
@pytest.mark.parametrize("around", [(), READ_ONLY], ids=["writable_root", "read_only_root"])
def test_nobody_without_capabilities_delivers(around, start):
    if around and not runs(*around, "true"):
        pytest.skip("no mount namespace with a root of its own can be made here, as in a chroot")
    hook, broker, receiver = start((*around, *AS_NOBODY))
    broker.publish(harness.event("confined", receiver.url("503,ok"))["value"])
    receiver.wait(2)
    wait_for(lambda: hook.settled("delivered") == 1, 20, "the event is delivered, after a retry through Kafka")

    status = status_of(hook)
    assert status["Uid"].split() == [str(NOBODY.pw_uid)] * 4
    assert all(int(status[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
    # A process that may not be dumped is root's in /proc, whoever runs it: others of the same user cannot look inside.
    assert os.stat(f"/proc/{hook.process.pid}/environ").st_uid == 0
    assert not runs(*AS_NOBODY, "cat", f"/proc/{hook.process.pid}/environ")
    # It can still look at itself.
    assert hook.metric("process_open_fds") > 3 and hook.metric("process_resident_memory_bytes") > 0
    assert "started as root" not in hook.log()
    assert hook.stop() == 0
