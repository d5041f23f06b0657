#!/usr/bin/python3
"""A webhook receiver whose URLs say how it behaves. Standard library only: the demo uses it, too.

    receiver.py [--listen HOST:PORT]... [--journal FILE] [--bodies] [--cert FILE --key FILE]

The first segment of the path is a script: one step for each attempt of a task (counted by webhook-id), separated by commas; the last step
goes on for ever. The rest of the path is free, so that tests can name as many endpoints as they like:

    /ok/customer-7          200 every time             /500x2,ok/customer-8     500 twice, then 200
    /hang,reset,204         no answer; a reset; 204    /429r5,ok                Retry-After: 5

    ok, 200 … 599       that status; NNNrS adds Retry-After: S; 3xx adds a Location that leads to /ok
    slowMS              200 after that time            hang      never an answer
    close               closes without an answer       reset     resets the connection
    drip                200, header bytes so slow that they do not end within a minute
    dripbody            200 at once, a body of one byte every 100 ms for a minute
    cutbody             200, promises 1000 bytes of body, sends 10, closes
    bigBYTES            200 with a body of that size   chunkBYTES   the same, chunked
    garbage             something that is not HTTP     bye       200, then closes the connection

The journal has one JSON object a line for each request that arrived whole: when its first byte came (`mono`: CLOCK_MONOTONIC, `wall`: unix time),
`id` (webhook-id), `path`, `step`, `nth` (1 = this id's first request), `connection`, `headers` (names in small letters), `bytes`, `sha256`,
and with --bodies `body`. The addresses are printed, one a line, once it listens."""
import argparse
import asyncio
import hashlib
import json
import re
import signal
import socket
import ssl
import struct
import sys
import time

REASONS = {200: "OK", 204: "No Content", 302: "Found", 400: "Bad Request", 404: "Not Found", 410: "Gone", 429: "Too Many Requests",
           500: "Internal Server Error", 503: "Service Unavailable"}
STATUS = re.compile(r"(\d{3})(?:r(\d+))?$")
NUMBERED = re.compile(r"(slow|big|chunk)(\d+)$")


def read_script(path, known={}):
    """The steps that a path asks for: '/500x2,ok/x' gives ['500', '500', 'ok']."""
    text = path.split("?", 1)[0].split("/", 2)[1]
    if text not in known:
        steps = []
        for part in text.split(","):
            step, times, count = part.partition("x")
            steps += [step] * (int(count) if times and count.isdigit() else 1)
        known[text] = steps
    return known[text]


class Journal:
    """Collects lines and writes them in one go, at the latest 20 ms later."""

    def __init__(self, path):
        self.file = open(path, "a", buffering=1 << 20) if path else None
        self.scheduled = False

    def add(self, entry):
        if not self.file:
            return
        self.file.write(json.dumps(entry, separators=(",", ":")) + "\n")
        if not self.scheduled:
            self.scheduled = True
            asyncio.get_running_loop().call_later(0.02, self.flush)

    def flush(self):
        self.scheduled = False
        self.file.flush()


class Connection(asyncio.Protocol):
    count = 0

    def __init__(self, receiver):
        self.receiver = receiver
        self.data = bytearray()
        self.head_end = -1
        self.busy = False  # a step is still answering: what follows on the connection waits
        Connection.count += 1
        self.number = Connection.count

    def connection_made(self, transport):
        self.transport = transport
        sock = transport.get_extra_info("socket")
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        if not self.data:
            self.began = (time.monotonic(), time.time())
        self.data += data
        self.work()

    def work(self):
        while not self.busy and self.data:
            if self.head_end < 0:
                self.head_end = self.data.find(b"\r\n\r\n")
                if self.head_end < 0:
                    return
                self.read_head()
            body_start = self.head_end + 4
            if len(self.data) < body_start + self.body_bytes:
                return
            body = bytes(self.data[body_start:body_start + self.body_bytes])
            del self.data[:body_start + self.body_bytes]
            self.head_end = -1
            self.take(body)

    def read_head(self):
        lines = self.data[:self.head_end].decode("latin-1").split("\r\n")
        self.method, self.path, _ = lines[0].split(" ", 2)
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self.body_bytes = int(self.headers.get("content-length", "0"))

    def take(self, body):
        seen = self.receiver.seen
        task = self.headers.get("webhook-id", "")
        nth = seen[task] = seen.get(task, 0) + 1
        steps = read_script(self.path)
        step = steps[min(nth, len(steps)) - 1]
        entry = {"mono": self.began[0], "wall": self.began[1], "id": task, "method": self.method, "path": self.path, "step": step, "nth": nth,
                 "connection": self.number, "headers": self.headers, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        if self.receiver.bodies:
            entry["body"] = body.decode("utf-8", "surrogateescape")
        self.receiver.journal.add(entry)
        self.began = (time.monotonic(), time.time())
        self.answer(step)

    def answer(self, step):
        numbered = NUMBERED.match(step)
        status = STATUS.match("200" if step == "ok" else step)
        if status:
            self.send_status(int(status[1]), status[2])
        elif numbered:
            getattr(self, "step_" + numbered[1])(int(numbered[2]))
        elif hasattr(self, "step_" + step):
            getattr(self, "step_" + step)()
        else:
            self.send_status(404, None)

    def send_status(self, status, retry_after):
        body = b"" if status == 204 else b'{"received":true}' if status < 300 else b'{"problem":"as scripted"}'
        more = f"Retry-After: {retry_after}\r\n" if retry_after else ""
        if 300 <= status < 400:
            more += "Location: /ok\r\n"
        if status != 204:
            more += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(f"HTTP/1.1 {status} {REASONS.get(status, 'As Scripted')}\r\n{more}\r\n".encode() + body)

    def step_slow(self, delay_ms):
        self.busy = True
        asyncio.get_running_loop().call_later(delay_ms / 1000, self.finish_slow)

    def finish_slow(self):
        self.busy = False
        if not self.transport.is_closing():
            self.send_status(200, None)
            self.work()

    def step_hang(self):
        self.busy = True

    def step_close(self):
        self.transport.close()

    def step_reset(self):
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def step_garbage(self):
        self.transport.write(b"\x00\x01 this is not HTTP\r\n\r\n")
        self.transport.close()

    def step_bye(self):
        self.transport.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        self.transport.close()

    def step_cutbody(self):
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789")
        self.transport.close()

    def step_big(self, size):
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)

    def step_chunk(self, size):
        self.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n")

    def step_drip(self):
        self.busy = True
        self.drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000, 0.5)

    def step_dripbody(self):
        self.busy = True
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n")
        self.drip(b"x" * 600, 0.1)

    def drip(self, rest, pause_s):
        if self.transport.is_closing() or not rest:
            self.busy = False
            return
        self.transport.write(rest[:1])
        asyncio.get_running_loop().call_later(pause_s, self.drip, rest[1:], pause_s)


class Receiver:
    def __init__(self, options):
        self.seen = {}
        self.bodies = options.bodies
        self.journal = Journal(options.journal)
        self.tls = None
        if options.cert:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(options.cert, options.key)

    async def serve(self, addresses):
        loop = asyncio.get_running_loop()
        for address in addresses:
            host, _, port = address.rpartition(":")
            server = await loop.create_server(lambda: Connection(self), host.strip("[]"), int(port), ssl=self.tls, backlog=4096)
            print("%s:%d" % (host, server.sockets[0].getsockname()[1]), flush=True)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await stop.wait()
        if self.journal.file:
            self.journal.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", action="append", help="HOST:PORT, port 0 for a free one (default 127.0.0.1:0)")
    parser.add_argument("--journal", help="file to append one JSON line per request to")
    parser.add_argument("--bodies", action="store_true", help="keep bodies in the journal")
    parser.add_argument("--cert"), parser.add_argument("--key")
    options = parser.parse_args()
    asyncio.run(Receiver(options).serve(options.listen or ["127.0.0.1:0"]))


if __name__ == "__main__":
    sys.exit(main())
