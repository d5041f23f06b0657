"""JOBHOOK_OTLP_ENDPOINT: each attempt is a span that a collector gets as OTLP/HTTP in JSON, and that the receiver continues. A collector that is slow,
dead or wrong changes nothing for deliveries."""
import http.server
import json
import os
import re
import ssl
import threading

import pytest

import certificates
from harness import event, wait_for

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Collector:
    """Keeps what it is sent; `behave` says what to answer, and may wait."""

    def __init__(self, behave=lambda number: (200, "{}"), certificate=None):
        self.requests, self.behave, self.released = [], behave, threading.Event()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append((self.path, dict(self.headers.items()), body))
                status, text = collector.behave(len(collector.requests))
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text.encode())
                except OSError:
                    pass  # jobhook did not wait

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def hang(self, _number):
        self.released.wait(60)
        return 200, "{}"

    def spans(self):
        batches = [json.loads(body) for _, _, body in list(self.requests)]
        return [span for batch in batches for resource in batch["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]

    def wait(self, count):
        return wait_for(lambda: len(spans := self.spans()) >= count and spans, 30, f"{count} spans")

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collect():
    made = []

    def make(*arguments, **options):
        made.append(Collector(*arguments, **options))
        return made[-1]
    yield make
    for collector in made:
        collector.close()


def attributes(holder):
    """name → value; integers come as strings, as protocol buffers' JSON has them."""
    found = {}
    for attribute in holder["attributes"]:
        (kind, value), = attribute["value"].items()
        assert kind in ("stringValue", "intValue") and isinstance(value, str), attribute
        found[attribute["key"]] = int(value) if kind == "intValue" else value
    return found


def check_form(span):
    assert re.fullmatch(r"[0-9a-f]{32}", span["traceId"]) and re.fullmatch(r"[0-9a-f]{16}", span["spanId"]), span
    assert "parentSpanId" not in span or re.fullmatch(r"[0-9a-f]{16}", span["parentSpanId"]), span
    assert (span["name"], span["kind"]) == ("POST", 3)
    start, end = span["startTimeUnixNano"], span["endTimeUnixNano"]
    assert isinstance(start, str) and isinstance(end, str) and 0 < int(start) <= int(end) < 1 << 63, span
    assert span["status"] in ({}, {"code": 2, "message": attributes(span).get("error.type")}), span


def by_task(spans):
    tasks = {}
    for span in spans:
        tasks.setdefault(attributes(span)["jobhook.task_id"], []).append(span)
    return {task: sorted(found, key=lambda s: attributes(s)["jobhook.attempt"]) for task, found in tasks.items()}


def test_each_attempt_is_a_span_that_its_receiver_continues(rig, collect):
    collector = collect()
    hook = rig.jobhook(JOBHOOK_OTLP_ENDPOINT=collector.url, JOBHOOK_OTLP_HEADERS="x-team=ops,authorization=Bearer%20s3cret").start()
    sampled, unsampled = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
    rig.publish(event("traced", rig.receiver.url("500x2,ok?token=hidden"), headers=[("traceparent", sampled.encode())]),
                event("unsampled", rig.receiver.url("ok"), headers=[("traceparent", unsampled.encode())]),
                event("own", rig.receiver.url("500,ok")),
                event("refused", "http://127.0.0.1:1/hook?secret=hidden", raw='{"email":"hidden@example.com"}'))
    spans = collector.wait(3 + 2 + 4)
    rig.wait_no_lag()
    assert len(collector.spans()) == 9
    for span in spans:
        check_form(span)
    tasks = by_task(spans)
    assert {task: len(found) for task, found in tasks.items()} == {"traced": 3, "own": 2, "refused": 4}
    assert len({span["spanId"] for span in spans}) == 9

    assert {(s["traceId"], s["parentSpanId"]) for s in tasks["traced"]} == {(TRACE, PARENT)}
    assert [(a["jobhook.attempt"], a["http.response.status_code"], a.get("error.type")) for a in map(attributes, tasks["traced"])] == \
        [(1, 500, "http_500"), (2, 500, "http_500"), (3, 200, None)]
    assert [s["status"].get("code") for s in tasks["traced"]] == [2, 2, None]
    assert len({s["traceId"] for s in tasks["own"]}) == 1 and not any("parentSpanId" in s for s in tasks["own"])
    assert {a.get("error.type") for a in map(attributes, tasks["refused"])} == {"connect_refused"}
    for task in ("traced", "own"):
        told = [r["headers"]["traceparent"] for r in rig.receiver.of(task)]
        assert told == [f"00-{s['traceId']}-{s['spanId']}-01" for s in tasks[task]], task
    assert [r["headers"]["traceparent"] for r in rig.receiver.of("unsampled")] == [unsampled]

    first = attributes(tasks["traced"][0])
    host, port = rig.receiver.addresses[0].split(":")
    assert (first["server.address"], first["server.port"], first["url.scheme"], first["jobhook.task_type"]) == (host, int(port), "http", "find_email")
    assert (first["messaging.system"], first["messaging.destination.name"]) == ("kafka", rig.topic)
    for path, headers, body in collector.requests:
        assert path == "/v1/traces" and b"hidden" not in body and b"example.com" not in body
        assert (headers["x-team"], headers["authorization"], headers["Content-Type"]) == ("ops", "Bearer s3cret", "application/json")
        resource = attributes(json.loads(body)["resourceSpans"][0]["resource"])
        assert resource["service.name"] == "jobhook" and resource["process.pid"] == hook.process.pid
    wait_for(lambda: hook.metric("jobhook_spans_sent_total") == 9, 10, "all are counted")
    assert hook.metric("jobhook_spans_dropped_total") == 0
    assert "s3cret" not in hook.command("check")[1] + hook.log()


def test_off_unless_asked_for(rig):
    hook = rig.jobhook().start()
    rig.publish(event("t", rig.receiver.url("ok")))
    assert "traceparent" not in rig.receiver.wait(1)[0]["headers"]
    assert "jobhook_spans_sent_total" not in hook.metrics()


@pytest.mark.parametrize("kind", ["dead", "hanging", "refusing"])
def test_a_collector_in_trouble_changes_nothing_for_deliveries(rig, collect, kind):
    collector = collect()
    collector.behave = {"dead": None, "hanging": collector.hang, "refusing": lambda _: (400, "no")}[kind]
    url = "http://127.0.0.1:1" if kind == "dead" else collector.url
    hook = rig.jobhook(JOBHOOK_OTLP_ENDPOINT=url).start()
    rig.publish(event("warm", rig.receiver.url("ok")))
    rig.receiver.wait(1)
    before_kib = hook.memory_kib()
    rig.publish(*[event(f"t{i}".ljust(250, "-"), rig.receiver.url("ok")) for i in range(5000)])  # 7 MB of spans: more than is buffered
    rig.receiver.wait(5001, 60)
    rig.wait_no_lag(40)
    assert len(rig.receiver.by_task()) == len(rig.receiver.requests()) == 5001
    wait_for(lambda: hook.metric("jobhook_spans_dropped_total") > 0, 20, "what is dropped is counted")
    assert hook.memory_kib() - before_kib < 40 * 1024
    assert hook.stop() == 0
    hook.wait_log("the collector does not take spans", "spans were dropped")


def test_what_a_collector_cannot_take_now_is_offered_again(rig, collect):
    collector = collect(lambda number: (503, "") if number == 1 else (200, '{"partialSuccess":{"rejectedSpans":"2"}}'))
    hook = rig.jobhook(JOBHOOK_OTLP_ENDPOINT=collector.url).start()
    rig.publish(*[event(f"t{i}", rig.receiver.url("ok")) for i in range(5)])
    wait_for(lambda: hook.metric("jobhook_spans_dropped_total") >= 2, 30, "some are refused")
    wait_for(lambda: hook.metric("jobhook_spans_sent_total") + hook.metric("jobhook_spans_dropped_total") == 5, 30, "all are counted")
    assert collector.requests[0][2] == collector.requests[1][2]


def test_at_the_end_the_last_spans_are_sent(rig, collect):
    collector = collect()
    hook = rig.jobhook(JOBHOOK_OTLP_ENDPOINT=collector.url).start()
    rig.publish(*[event(f"t{i}", rig.receiver.url("ok")) for i in range(20)])
    rig.receiver.wait(20)
    assert hook.stop() == 0
    assert len(collector.spans()) == 20


def test_tls_by_a_ca_file_and_headers_that_change(rig, collect, folder):
    authority = certificates.Authority(folder)
    collector = collect(certificate=authority.sign("collector")[2])
    header_file = os.path.join(folder, "otlp-headers")
    with open(header_file, "w") as file:
        file.write("x-key=one\n")
    wrong = rig.jobhook(JOBHOOK_OTLP_ENDPOINT=collector.url, JOBHOOK_OTLP_HEADERS_FILE=header_file).start()
    rig.publish(event("untrusted", rig.receiver.url("ok")))
    wait_for(lambda: "the collector does not take spans" in wrong.log(), 20, "the certificate is refused")
    assert collector.requests == []
    assert wrong.stop() == 0
    hook = rig.jobhook(JOBHOOK_OTLP_ENDPOINT=collector.url, JOBHOOK_OTLP_HEADERS_FILE=header_file, JOBHOOK_OTLP_CA_FILE=authority.pem).start()
    rig.publish(event("t1", rig.receiver.url("ok")))
    collector.wait(1)
    with open(header_file + ".new", "w") as file:
        file.write("x-key=two\n")
    os.rename(header_file + ".new", header_file)

    def told_new():
        rig.publish(event(f"n{len(collector.requests)}", rig.receiver.url("ok")))
        return collector.requests[-1][1]["x-key"] == "two"
    wait_for(told_new, 30, "the new header is sent", 0.5)
    assert collector.requests[0][1]["x-key"] == "one"
    assert 'name="JOBHOOK_OTLP_CA_FILE"' in hook.get("/metrics")[1]
