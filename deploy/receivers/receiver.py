#!/usr/bin/python3
"""A receiver of jobhook's webhooks in Python, standard library only. Copy it; `was_asked_for` and `work` are yours to replace.

    WEBHOOK_SECRETS="whsec_…" receiver.py HOST:PORT FOLDER

FOLDER/asked.txt names the tasks that were asked for, one a line. FOLDER/inbox/ID is the event with that webhook-id, FOLDER/done/ID says that its
work is done. README.md beside this file says why it does what it does. (Python's library has no Ed25519: whpk_ keys need another one.)"""
import base64
import hashlib
import hmac
import json
import os
import queue
import re
import socket
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_S = 300
BODY_BYTES_MAX = 16 << 20
REQUEST_S = 10  # for a request to come and be answered, the wait for it included

SECRETS = []
FOLDER = ""
JOBS = queue.Queue()


# ---- yours ----


def was_asked_for(task_id):
    """The id that the API gave you when you asked for the job."""
    with open(os.path.join(FOLDER, "asked.txt"), encoding="utf-8") as file:
        return task_id != "" and task_id in file.read().split("\n")


def work(event):
    """Runs after the answer, in the order of arrival; once more if the process dies in the middle of it."""
    print("done", event["task_id"], event["status"], flush=True)


# ---- the signature (Standard Webhooks 1.0) ----


def read_secrets(text):
    secrets = []
    for word in text.split():
        secret = base64.b64decode(word.removeprefix("whsec_"), validate=True)
        if not word.startswith("whsec_") or not 24 <= len(secret) <= 64:
            raise ValueError("WEBHOOK_SECRETS: wants whsec_ secrets")
        secrets.append(secret)
    if not secrets:
        raise ValueError("WEBHOOK_SECRETS is empty")
    return secrets


def is_authentic(webhook_id, timestamp, signatures, body):
    if not re.fullmatch(r"[0-9]{1,15}", timestamp) or abs(int(time.time()) - int(timestamp)) > TOLERANCE_S:
        return False
    content = f"{webhook_id}.{timestamp}.".encode("latin-1") + body
    valid = False
    for entry in signatures.encode("latin-1").split(b" ")[:16]:
        version, _, signature = entry.partition(b",")
        for secret in SECRETS:
            expected = base64.b64encode(hmac.digest(secret, content, hashlib.sha256))
            valid |= version == b"v1" and hmac.compare_digest(signature, expected)
    return valid


# ---- the event ----


def read_event(body):
    """What workers wrote may hold integers of any length, and Python's int() takes 4300 digits at most."""
    return json.loads(body, parse_int=lambda digits: int(digits) if len(digits) <= 1000 else float(digits))


# ---- once per webhook-id, and kept before the answer ----


def keep(webhook_id, body):
    """To be worked on, unless it is there already because it was sent before. When it returns, either is safe on the disk."""
    place = os.path.join(FOLDER, "inbox", webhook_id)
    fresh = os.path.join(FOLDER, f".{webhook_id}.{threading.get_ident()}")
    try:
        with open(fresh, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, place)  # the whole file or none, and for one of two at the same time only
        JOBS.put(webhook_id)  # at once: if what follows fails, it comes again and is found there
    except FileExistsError:
        pass
    finally:
        if os.path.exists(fresh):
            os.unlink(fresh)
    inbox = os.open(os.path.dirname(place), os.O_RDONLY)
    try:
        os.fsync(inbox)
    finally:
        os.close(inbox)


def work_off():
    try:
        while True:
            webhook_id = JOBS.get()
            with open(os.path.join(FOLDER, "inbox", webhook_id), "rb") as file:
                work(read_event(file.read()))
            open(os.path.join(FOLDER, "done", webhook_id), "wb").close()
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # rather than go on and accept what nobody works on; the next start takes it up again


def begin():
    for name in ("inbox", "done"):
        os.makedirs(os.path.join(FOLDER, name), exist_ok=True)
    for webhook_id in sorted(set(os.listdir(os.path.join(FOLDER, "inbox"))) - set(os.listdir(os.path.join(FOLDER, "done")))):
        JOBS.put(webhook_id)
    threading.Thread(target=work_off, daemon=True).start()


# ---- HTTP ----


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # 5 otherwise: jobhook opens up to 64 connections at once, and who is turned away comes again after a second


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self):
        alarm = threading.Timer(REQUEST_S, self.connection.shutdown, [socket.SHUT_RD])
        alarm.start()
        try:
            super().handle_one_request()
        finally:
            alarm.cancel()

    def do_POST(self):
        lengths = self.headers.get_all("content-length", [])
        length = lengths[0] if len(lengths) == 1 and "transfer-encoding" not in self.headers else ""
        if not re.fullmatch(r"[0-9]{1,10}", length):  # whoever stands in front may see another end of the body where there are two
            self.close_connection = True
            return self.answer(411)
        if int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(int(length))
        return self.answer(self.judge(body) if len(body) == int(length) else 400)

    def judge(self, body):
        values = [self.headers.get_all(name, []) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")]
        if any(len(value) != 1 for value in values) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", values[0][0]):
            return 400
        webhook_id, timestamp, signatures = (value[0] for value in values)
        if not is_authentic(webhook_id, timestamp, signatures, body):
            return 401
        try:
            task_id = read_event(body)["task_id"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return 400
        if not was_asked_for(task_id):
            return 404
        try:
            keep(webhook_id, body)
        except OSError as problem:
            print(problem, file=sys.stderr, flush=True)
            return 503  # jobhook comes again
        return 204

    def answer(self, status):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def main():
    global SECRETS, FOLDER
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.stdout.reconfigure(errors="backslashreplace")  # an id may hold what the terminal cannot show
    SECRETS = read_secrets(os.environ.get("WEBHOOK_SECRETS", ""))
    FOLDER = sys.argv[2]
    host, _, port = sys.argv[1].rpartition(":")
    begin()
    server = Server((host, int(port)), Handler)
    print("listening on %s:%d" % server.server_address, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
