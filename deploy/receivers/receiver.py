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
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_S = 300
BODY_BYTES_MAX = 16 << 20
SILENCE_S = 10  # of a client in the middle of a request

SECRETS = []
FOLDER = ""
JOBS = queue.Queue()


# ---- yours ----


def was_asked_for(task_id):
    """The id that the API gave you when you asked for the job."""
    with open(os.path.join(FOLDER, "asked.txt"), encoding="utf-8") as file:
        return task_id in file.read().split("\n")


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


# ---- once per webhook-id, and kept before the answer ----


def keep(webhook_id, body):
    """False when it is there already: this was sent before."""
    place = os.path.join(FOLDER, "inbox", webhook_id)
    fresh = os.path.join(FOLDER, f".{webhook_id}.{threading.get_ident()}")
    with open(fresh, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, place)  # the whole file or none, and for one of two at the same time only
    except FileExistsError:
        return False
    finally:
        os.unlink(fresh)
    inbox = os.open(os.path.dirname(place), os.O_RDONLY)
    os.fsync(inbox)
    os.close(inbox)
    return True


def work_off():
    while True:
        webhook_id = JOBS.get()
        with open(os.path.join(FOLDER, "inbox", webhook_id), "rb") as file:
            work(json.load(file))
        open(os.path.join(FOLDER, "done", webhook_id), "wb").close()


def begin():
    for name in ("inbox", "done"):
        os.makedirs(os.path.join(FOLDER, name), exist_ok=True)
    for webhook_id in sorted(set(os.listdir(os.path.join(FOLDER, "inbox"))) - set(os.listdir(os.path.join(FOLDER, "done")))):
        JOBS.put(webhook_id)
    threading.Thread(target=work_off, daemon=True).start()


# ---- HTTP ----


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = SILENCE_S

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not re.fullmatch(r"[0-9]{1,10}", length):
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
            task_id = json.loads(body)["task_id"]
        except (ValueError, TypeError, KeyError):
            return 400
        if not was_asked_for(task_id):
            return 404
        if keep(webhook_id, body):
            JOBS.put(webhook_id)
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
    SECRETS = read_secrets(os.environ.get("WEBHOOK_SECRETS", ""))
    FOLDER = sys.argv[2]
    host, _, port = sys.argv[1].rpartition(":")
    begin()
    server = ThreadingHTTPServer((host, int(port)), Handler)
    print("listening on %s:%d" % server.server_address, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
