"""What the tests about faults share: settings that let them wait little, load, the count of what was lost and doubled, a proxy in front of Redis,
and the library that steps clocks and refuses memory."""
import ctypes
import mmap
import os
import socket
import struct
import threading
import time

import harness
from harness import event, preloaded, wait_for

HOUR_S = 3600

# Short enough for a test, long enough for a busy machine.
QUICK = {"JOBHOOK_ATTEMPT_TIMEOUT": "3s", "JOBHOOK_LEASE_MARGIN": "2s", "KAFKA_SESSION_TIMEOUT_MS": "6000", "KAFKA_HEARTBEAT_INTERVAL_MS": "500"}


def load(rig, count, path="slow50", start=0):
    return [event(f"t{i}", rig.receiver.url(f"{path}/{i % 20}")) for i in range(start, start + count)]


def assert_each_once(rig, count, extra=0):
    tasks = rig.receiver.by_task()
    assert len(tasks) == count, f"{count - len(tasks)} tasks were not delivered"
    more = {task: len(requests) for task, requests in tasks.items() if len(requests) > 1}
    assert sum(more.values()) - len(more) <= extra, f"sent more than once: {more}"


def doubled(rig):
    """How many POSTs were made again: the same attempt of the same task."""
    attempts = [(r["id"], r["headers"]["jobhook-attempt"]) for r in rig.receiver.requests()]
    return len(attempts) - len(set(attempts))


def answered_ok(rig):
    """The tasks that had the last answer of a script that ends in success, here always the second."""
    return {r["id"] for r in rig.receiver.requests() if r["nth"] >= 2}


class RedisProxy:
    """A TCP proxy that can be told to keep replies to itself, to break off in the middle of one, or to lead elsewhere."""

    def __init__(self, target):
        self.target = target  # (host, port)
        self.silent = False
        self.cut_next = False
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target, 5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self.connections.append((client, server))
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def pump(self, source, sink, replies):
        try:
            while data := source.recv(65536):
                if replies and self.silent:
                    continue
                if replies and self.cut_next and len(data) > 1:
                    self.cut_next = False
                    sink.sendall(data[:len(data) // 2])
                    sink.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing sends a reset
                    break
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RD)
            except OSError:
                pass
            s.close()

    def lead_to(self, target):
        self.target = target
        self.hang_up()

    def hang_up(self):
        for pair in self.connections:
            for s in pair:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.connections.clear()

    def close(self):
        self.listener.close()
        self.hang_up()


class Shim:
    """LD_PRELOAD for one process (tests/system/shim.c): its clock stepped, its n-th allocation from now refused; both while it runs."""

    def __init__(self, folder, name, memory=True):
        library = preloaded(folder, "shim", *(["-DSHIM_MEMORY"] if memory else []))
        self.path = os.path.join(folder, name + ".shim")
        with open(self.path, "wb") as f:
            f.write(bytes(16))
        self.file = open(self.path, "r+b")
        self.memory = mmap.mmap(self.file.fileno(), 16)
        self.values = (ctypes.c_int64 * 2).from_buffer(self.memory)
        self.environment = {"LD_PRELOAD": library, "SHIM_FILE": self.path}

    def step_clock(self, seconds):
        self.values[0] = int(seconds * 1_000_000_000)

    def refuse_allocation(self, number):
        """The number-th from now; 0: none."""
        self.values[1] = number

    @property
    def refused(self):
        return self.values[1] < 0


def set_exactly(hook, settings):
    """With these and nothing that the harness would pass on."""
    hook.settings.update(settings)
    hook.environment = lambda: {**{n: str(v) for n, v in hook.settings.items() if v is not None}, "PATH": os.environ["PATH"]}


def start_with_shim(rig, hook, name):
    shim = Shim(rig.folder, name)
    set_exactly(hook, shim.environment)
    return shim


def retried(rig, count, delay_s=1.0):
    """Each task had two attempts, the second not before its delay by a clock that nobody stepped."""
    wait_for(lambda: sum(r["nth"] == 2 for r in rig.receiver.requests()) == count, 40, f"{count} retries")
    rig.wait_no_lag(30)
    assert doubled(rig) == 0 and len(rig.receiver.requests()) == 2 * count and rig.dead() == []
    for first, second in rig.receiver.by_task().values():
        assert second["mono"] - first["mono"] >= delay_s - 0.005


def cpu_seconds(process):
    with open(f"/proc/{process.process.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ends_within(process, seconds):
    """Waits for the end of a process that was told to end; (exit status, seconds it took)."""
    start = time.monotonic()
    wait_for(lambda: not process.alive, seconds, f"{process.name} ends")
    return process.process.returncode, time.monotonic() - start
