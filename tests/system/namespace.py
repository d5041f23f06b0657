"""A network of its own, with no way out, in which every address there is leads back to a listener of the test: whatever a program in it dials is
seen, and nothing leaves the machine. Needs root (or user namespaces)."""
import ctypes
import os
import select
import socket
import struct
import subprocess
import threading

from harness import preloaded

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def with_resolver(folder, resolver):
    """The environment of a program that reads `resolver` in place of /etc/resolv.conf."""
    path = os.path.join(folder, "resolv.conf")
    with open(path, "w") as file:
        file.write(resolver)
    return {"LD_PRELOAD": preloaded(folder, "resolver"), "RESOLVER_FILE": path}


class Namespace:
    def __init__(self):
        script = ("ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 dev lo && echo up && exec sleep 1000000")
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.why_not = None if (line := self.holder.stdout.readline().strip()) == "up" else line or "unshare is not permitted"
        self.path = f"/proc/{self.holder.pid}/ns/net"
        self.sockets, self.threads, self.ending = [], [], False

    def close(self):
        self.ending = True
        self.holder.kill()
        self.holder.wait()
        for one in self.threads:
            one.join(5)
        for one in self.sockets:
            one.close()

    def command(self, folder, resolver, *command):
        """What to start so that the command runs in here, and reads `resolver` in place of /etc/resolv.conf."""
        environment = [f"{name}={value}" for name, value in with_resolver(folder, resolver).items()]
        return ["nsenter", "--net=" + self.path, "env", *environment, *command]

    def socket(self, family, kind, address):
        """A bound socket of this network."""
        made = []

        def make():
            with open(self.path) as file:  # of this thread only
                assert LIBC.setns(file.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            one = socket.socket(family, kind)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            made.append(one)
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        self.sockets += made
        return made[0]

    def serve(self, function, *arguments):
        self.threads.append(threading.Thread(target=function, args=arguments, daemon=True))
        self.threads[-1].start()

    def listen(self, family, address, on_connection):
        listener = self.socket(family, socket.SOCK_STREAM, address)
        listener.listen(256)
        listener.settimeout(0.2)

        def accept():
            while not self.ending:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    continue
                on_connection(connection)
        self.serve(accept)

    def forward(self, port):
        """127.0.0.1:port in here leads to the same outside."""
        def on_connection(inner):
            outer = socket.create_connection(("127.0.0.1", port))
            self.serve(splice, inner, outer)
        self.listen(socket.AF_INET, ("127.0.0.1", port), on_connection)


def splice(one, other):
    partner = {one: other, other: one}
    while True:
        for ready in select.select([one, other], [], [])[0]:
            try:
                data = ready.recv(65536)
                partner[ready].sendall(data)
            except OSError:
                data = b""
            if not data:
                one.close()
                other.close()
                return


class Names:
    """A name server at port 53 of the namespace. names: name → the answers to successive lookups, each a list of addresses; the last one stays."""

    def __init__(self, namespace, names, host="127.0.0.1"):
        self.names, self.asked, self.lookups, self.silent = names, set(), {}, False
        self.namespace = namespace
        self.udp = namespace.socket(socket.AF_INET, socket.SOCK_DGRAM, (host, 53))
        self.udp.settimeout(0.2)
        namespace.serve(self.run)

    def run(self):
        while not self.namespace.ending:
            try:
                query, address = self.udp.recvfrom(4096)
            except OSError:
                continue
            answer = self.answer(query)
            if not self.silent:
                self.udp.sendto(answer, address)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
            at += query[at] + 1
        kind, = struct.unpack_from("!H", query, at + 1)
        name, question = ".".join(labels), query[12:at + 5]
        self.asked.add(name)
        turns = self.names.get(name)
        if turns is None:
            return query[:2] + struct.pack("!HHHHH", 0x8183, 1, 0, 0, 0) + question
        turn = self.lookups.get((name, kind), 0)
        self.lookups[name, kind] = turn + 1
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        packed = [socket.inet_pton(family, a) for a in turns[min(turn, len(turns) - 1)] if family is not None and (":" in a) == (kind == 28)]
        records = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(p)) + p for p in packed)
        return query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(packed), 0, 0) + question + records
