"""/job-status/{task_id}: what those without a webhook poll. Results byte for byte, never another task's, and an honest answer when it cannot be given."""
import collections
import concurrent.futures
import http.client
import json
import os
import re
import socket
import threading
import time
import urllib.parse

import pytest

from harness import event, free_ports, record, wait_for

TOKEN = "one-" + "0123456789abcdef" * 2
OTHER = "two-" + "fedcba9876543210" * 2


class Api:
    """Asks over one connection that is kept."""

    def __init__(self, address, token=TOKEN):
        self.address, self.token = address, token
        self.connection = http.client.HTTPConnection(address, timeout=30)

    def ask(self, path, method="GET", **headers):
        """(status, headers, bytes); `path` goes out as it is."""
        allowed = {"Authorization": "Bearer " + self.token} if self.token else {}
        self.connection.request(method, path, headers={**allowed, **headers})
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def task(self, task_id):
        status, _, body = self.ask("/job-status/" + urllib.parse.quote(task_id, safe=""))
        return status, json.loads(body)

    def wait_for_state(self, task_id, state, seconds=30):
        def there():
            status, answer = self.task(task_id)
            return status == 200 and answer["delivery"]["state"] == state and answer
        return wait_for(there, seconds, f"{task_id} is {state}", pause_s=0.1)


def listens(address):
    host, port = address.split(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


def start(rig, **settings):
    address = f"127.0.0.1:{free_ports(1)[0]}"
    hook = rig.jobhook(JOBHOOK_API_LISTEN=address, **{"JOBHOOK_API_TOKENS": TOKEN, **settings}).start()
    return hook, Api(address)


def test_what_became_of_a_task_can_be_polled_in_every_state(make_rig):
    rig = make_rig(delays="100ms,1m")
    hook, api = start(rig)
    raw = '{"n":1e400,"a":[1, 2 ],"a":"\\u00fc\\ud83d\\ude00","big":123456789012345678901234567890}'
    rig.publish(event("ok", rig.receiver.url("ok"), raw=raw), event("none", raw=raw), event("failed", status="failed", raw='"no \\u0041"'),
                event("twice", rig.receiver.url("503"), raw=raw), event("blocked", "http://localhost/", raw=raw))
    answer = api.wait_for_state("ok", "delivered")
    assert answer["delivery"] == {"state": "delivered", "attempts": 1, "next_attempt_at": None, "last_outcome": "http_200"}
    status, headers, body = api.ask("/job-status/ok")
    assert status == 200 and headers["Content-Type"] == "application/json" and headers["Cache-Control"] == "no-store"
    assert body.startswith(b'{"task_id":"ok","status":"completed","task_type":"find_email","result":' + raw.encode() + b',"delivery":{')
    assert api.ask("/job-status/ok", "HEAD")[0::2] == (200, b"")
    assert api.wait_for_state("none", "nothing_to_send")["delivery"]["attempts"] == 0
    api.wait_for_state("failed", "nothing_to_send")
    assert b'"status":"failed","task_type":"find_email","error":"no \\u0041","delivery"' in api.ask("/job-status/failed")[2]
    dead = api.wait_for_state("blocked", "dead")
    assert dead["delivery"] == {"state": "dead", "attempts": 0, "next_attempt_at": None, "last_outcome": None}
    waiting = wait_for(lambda: (a := api.task("twice")[1]).get("delivery", {}).get("attempts") == 2 and a["delivery"]["state"] == "scheduled" and a,
                       30, "the third attempt is due", 0.1)
    assert waiting["delivery"]["state"] == "scheduled" and waiting["delivery"]["last_outcome"] == "http_503"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", waiting["delivery"]["next_attempt_at"])
    metrics = hook.metrics()
    assert metrics['jobhook_job_status_requests_total{code="200"}'] >= 8
    assert metrics["jobhook_job_status_duration_seconds_count"] >= 8


def test_what_is_asked_wrongly_is_told_so(rig):
    _, api = start(rig)
    cases = [("/job-status/", 400, "bad_task_id"), ("/job-status/a%00b", 400, "bad_task_id"), ("/job-status/a%zz", 400, "bad_task_id"),
             ("/job-status/" + "x" * 257, 400, "bad_task_id"), ("/job-status/a?b=c", 400, "bad_task_id"), ("/job-status/%ff", 400, "bad_task_id"),
             ("/job-status", 404, "no_such_path"), ("/", 404, "no_such_path"), ("/metrics", 404, "no_such_path"), ("/job-status/never", 404, "not_found")]
    for path, status, error in cases:
        got, headers, body = api.ask(path)
        assert (got, json.loads(body)["error"], headers["Content-Type"]) == (status, error, "application/json"), path
    assert json.loads(api.ask("/job-status/never")[2]) == {"error": "not_found"}
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        status, headers, body = Api(api.address).ask("/job-status/never", method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD"), method
        assert json.loads(body)["error"] == "method_not_allowed"
    for headers in ({}, {"Authorization": "Bearer " + TOKEN + "x"}, {"Authorization": "Bearer " + TOKEN[:-1]}, {"Authorization": TOKEN},
                    {"Authorization": "Basic " + TOKEN}, {"Authorization": "Bearer "}, {"Authorization": "Bearer " + "y" * 5000}):
        status, answer, body = Api(api.address, token=None).ask("/job-status/never", **headers)
        assert (status, json.loads(body)["error"]) == (401, "unauthorized"), headers
        assert answer["WWW-Authenticate"].startswith("Bearer ")


def test_a_connection_is_kept_and_takes_requests_one_behind_the_other(rig):
    _, api = start(rig)
    request = f"GET /job-status/never HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    host, port = api.address.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(request * 3)
        answers = b""
        while answers.count(b"not_found") < 3:
            more = client.recv(65536)
            assert more, answers
            answers += more
        assert b"Connection: close" not in answers


def test_ids_of_any_bytes_find_their_own_task_and_no_other(rig):
    _, api = start(rig)
    ids = ["a/b", "a%2Fb", "a%252Fb", "a?b", "a#b", "a+b", "a b", "a", "../a", "a/../b", "//", "ü", "漢字😀", "%", "%41", "A", "x" * 256, "a\"b\\c", "a;b=c&d", ".", "~"]
    rig.publish(*[event(i, raw=json.dumps({"mine": i}, ensure_ascii=False)) for i in ids])
    for i in ids:
        answer = api.wait_for_state(i, "nothing_to_send")
        assert (answer["task_id"], answer["result"]) == (i, {"mine": i})
    assert json.loads(api.ask("/job-status/a/b")[2])["task_id"] == "a/b"  # a slash may stand as it is
    assert json.loads(api.ask("/job-status/a%2fb")[2])["task_id"] == "a/b"


def test_a_topic_made_anew_answers_gone_and_never_with_what_lies_there_now(make_rig):
    rig = make_rig(partitions=1)
    hook, api = start(rig)
    rig.publish(event("mine", raw='{"secret":1}'), event("deleted"), event("late"))
    for task in ("mine", "deleted", "late"):
        api.wait_for_state(task, "nothing_to_send")
    hook.stop()
    admin = rig.kafka.admin()
    admin.delete_topics([rig.topic])[rig.topic].result(30)
    wait_for(lambda: rig.topic not in rig.kafka.topic_names(), 30, "the topic is gone")
    rig.kafka.create_topics([rig.topic], 1)
    # The same offset: another task, the same task with another result, and nothing at all.
    rig.publish(event("other", raw='{"secret":2}'), event("deleted", raw='{"other":"result"}'))
    hook.start()
    api = Api(api.address)
    for task in ("mine", "deleted", "late"):
        status, answer = api.task(task)
        assert (status, answer["error"], answer["delivery"]["state"]) == (410, "gone", "delivered"), task
        assert "secret" not in json.dumps(answer) and "result" not in answer


def test_a_topic_that_brokers_do_not_know_is_no_word_on_the_task(make_rig):
    rig = make_rig(partitions=1)
    _, api = start(rig)
    rig.publish(event("t"))  # nobody polls it before: nothing is kept of it
    rig.wait_no_lag()
    admin = rig.kafka.admin()
    admin.delete_topics([rig.topic])[rig.topic].result(30)
    wait_for(lambda: rig.topic not in rig.kafka.topic_names(), 30, "the topic is gone")
    for _ in range(3):
        status, headers, body = api.ask("/job-status/t")
        assert (status, json.loads(body)["error"], headers["Retry-After"]) == (503, "unavailable", "5")


def test_without_redis_or_kafka_it_says_so_and_without_tokens_nothing_listens(make_rig):
    rig = make_rig(partitions=1)
    hook, api = start(rig)
    rig.publish(event("t"))
    api.wait_for_state("t", "nothing_to_send")
    rig.redis.pause()
    status, headers, body = api.ask("/job-status/t")
    assert (status, json.loads(body)["error"], headers["Retry-After"]) == (503, "unavailable", "5")
    rig.redis.resume()
    wait_for(lambda: api.task("t")[0] == 200, 30, "Redis is back")
    hook.stop()
    (port,) = free_ports(1)
    rig.jobhook(JOBHOOK_API_LISTEN=f"127.0.0.1:{port}").start()
    with pytest.raises(OSError):
        Api(f"127.0.0.1:{port}").ask("/job-status/t")


def ask_all(apis, task):
    """Each asks before any reads its answer: [(status, headers, answer)]."""
    for api in apis:
        api.connection.request("GET", "/job-status/" + task, headers={"Authorization": "Bearer " + api.token})
    answers = [api.connection.getresponse() for api in apis]
    return [(a.status, a.headers, json.loads(a.read())) for a in answers]


def test_more_than_can_wait_are_told_to_come_later(rig):
    hook, api = start(rig)
    answers = []

    def is_told():  # on a busy machine the first are told that Redis is away before the last have asked
        apis = [Api(api.address) for _ in range(300)]
        for each in apis:
            each.connection.connect()
        answers.extend(ask_all(apis, "t"))
        for each in apis:
            each.connection.close()
        return any(a[0] == 429 for a in answers)
    rig.redis.pause()
    wait_for(is_told, 60, "somebody is told to come later")
    rig.redis.resume()
    assert {a[0] for a in answers} == {429, 503}
    for status, headers, body in answers:
        assert headers["Content-Type"] == "application/json" and set(body) == {"error", "detail"}
        assert (body["error"], headers["Retry-After"]) == (("too_many_requests", "1") if status == 429 else ("unavailable", "5"))
    count = sum(a[0] == 429 for a in answers)
    assert hook.metric('jobhook_job_status_requests_total{code="429"}') == count
    wait_for(lambda: api.task("never")[0] == 404, 30, "Redis is back")


def ask_without_reading(api, task):
    """The connection, once the status line has come, and that status."""
    host, port = api.address.split(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(30)
    client.connect((host, int(port)))
    client.sendall(f"GET /job-status/{task} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    return client, client.recv(12)[-3:]


@pytest.mark.same_everywhere
def test_a_result_larger_than_all_that_may_be_held_is_answered_alone(make_rig):
    rig = make_rig(partitions=1)
    raw = '"' + "x" * (65 << 20) + '"'
    _, api = start(rig, JOBHOOK_MAX_EVENT_BYTES="96MiB")
    rig.publish(event("huge", raw=raw, status="failed"), event("small"), message_max_bytes=96 << 20, compression_type="gzip")

    def huge():
        try:  # whoever is too slow is cut off
            status, _, body = Api(api.address).ask("/job-status/huge")
        except (http.client.HTTPException, OSError):
            return None
        return status == 200 and body
    answer = wait_for(huge, 60, "the whole of it")
    assert answer.startswith(b'{"task_id":"huge","status":"failed","task_type":"find_email","error":' + raw.encode() + b',"delivery":{')
    Api(api.address).wait_for_state("small", "nothing_to_send")
    client, status = ask_without_reading(api, "huge")
    others = [Api(api.address).ask("/job-status/" + task)[0] for task in ("small", "huge")]
    client.close()
    assert (status, others) == (b"200", [429, 429])
    wait_for(lambda: Api(api.address).task("small")[0] == 200 and huge(), 60, "room again")


def test_large_results_that_nobody_reads_are_not_all_held(make_rig):
    rig = make_rig(partitions=1, max_message_bytes=8 << 20)
    hook, api = start(rig)
    rig.publish(event("large", raw='"' + "x" * (4 << 20) + '"', status="failed"), event("small"))
    api.wait_for_state("large", "nothing_to_send")  # and is kept, so that Kafka is not asked for it again
    api.wait_for_state("small", "nothing_to_send")
    asked = [ask_without_reading(api, "large") for _ in range(24)]
    statuses = collections.Counter(status for _, status in asked)
    assert statuses[b"200"] >= 15 and statuses[b"429"] > 0 and statuses.total() == 24, statuses  # 15 are not quite 64 MiB
    assert api.task("small")[0] == 200
    for client, _ in asked:
        client.close()
    wait_for(lambda: api.task("large")[0] == 200, 30, "room again")


def test_without_kafka_what_is_known_by_redis_alone_is_answered(rig):
    _, api = start(rig)
    rig.publish(event("t"))
    api.wait_for_state("t", "nothing_to_send")
    address = f"127.0.0.1:{free_ports(1)[0]}"
    rig.jobhook(JOBHOOK_API_LISTEN=address, JOBHOOK_API_TOKENS=TOKEN, JOBHOOK_KAFKA_BROKERS="127.0.0.1:1").start(ready=False)
    other = Api(address)
    wait_for(lambda: listens(address), 30, "it listens")
    wait_for(lambda: other.task("never") == (404, {"error": "not_found"}), 30, "it has reached Redis")
    status, headers, body = other.ask("/job-status/t")
    assert (status, headers["Content-Type"], headers["Retry-After"]) == (503, "application/json", "5")
    assert json.loads(body) == {"error": "unavailable", "detail": "Kafka does not answer"}


def test_a_poll_storm_takes_nothing_from_deliveries(rig):
    hook, api = start(rig)
    count, over, seen = 1500, threading.Event(), collections.Counter()

    def storm(number):
        apis = []
        while not over.is_set():
            apis = apis or [Api(api.address) for _ in range(50)]
            try:
                seen.update((a[0], a[2].get("error")) for a in ask_all(apis, f"t{number}"))
            except (http.client.HTTPException, OSError):  # a crowd's connections are cut off early
                apis = []
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        storms = [pool.submit(storm, number) for number in range(8)]
        try:
            rig.publish(*[event(f"t{i}", rig.receiver.url("ok")) for i in range(count)])
            rig.receiver.wait(count, 90)
            wait_for(lambda: hook.settled("delivered") == count, 60, "all are settled")
        finally:
            over.set()
        for done in storms:
            done.result(60)
    assert {t: len(r) for t, r in rig.receiver.by_task().items()} == {f"t{i}": 1 for i in range(count)}, "each once, none failed"
    assert hook.metric('jobhook_attempts_total{outcome="2xx"}') == count and hook.metric("jobhook_posts_unclaimed_total") == 0
    assert sum(seen.values()) >= 50 and set(seen) <= {(200, None), (404, "not_found"), (429, "too_many_requests"), (503, "unavailable")}, seen


def test_tokens_are_exchanged_while_it_runs(rig, folder):
    path = os.path.join(folder, "tokens")

    def write(text):
        with open(path + ".new", "w") as file:
            file.write(text)
        os.rename(path + ".new", path)
    write(TOKEN + "\n")
    _, api = start(rig, JOBHOOK_API_TOKENS=None, JOBHOOK_API_TOKENS_FILE=path)
    other = Api(api.address, OTHER)
    assert (api.task("x")[0], other.task("x")[0]) == (404, 401)
    write(f"{OTHER} {TOKEN}\n")
    wait_for(lambda: other.task("x")[0] == 404, 20, "the new token is good")
    assert api.task("x")[0] == 404
    write(OTHER)
    wait_for(lambda: api.task("x")[0] == 401, 20, "the old one is not any more")
    write("short")
    time.sleep(1.5)
    assert other.task("x")[0] == 404, "what is wrong changes nothing"
