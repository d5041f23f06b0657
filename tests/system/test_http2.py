"""HTTP/2 where the receiver offers it: nginx from Debian, and receivers that misuse it."""
import collections
import os

import pytest

from harness import HERE, Process, body, event, wait_for
from nginx import Nginx, make_certificate


@pytest.fixture
def certificate(folder):
    return make_certificate(folder)


@pytest.fixture
def make_nginx(folder, certificate):
    made = []

    def make(rig, **options):
        made.append(Nginx(folder, certificate, rig.receiver.addresses[0], **options))
        return made[-1].start()
    yield make
    for one in made:
        one.kill()


def hook_for(rig, certificate, **settings):
    return rig.jobhook(JOBHOOK_CA_FILE=certificate + ".crt", **settings).start()


def test_nginx_gets_every_event_once_by_http2_though_it_ends_its_connections(rig, certificate, make_nginx):
    """It says goodbye after 20 requests of a connection; streams that shared it would be lost, or sent again."""
    nginx = make_nginx(rig, keepalive_requests=20)
    hook = hook_for(rig, certificate)
    tasks = [f"t{i}" for i in range(600)]
    rig.publish(*[event(t, f"https://127.0.0.1:{nginx.h2}/{'unread' if i % 3 == 0 else 'ok'}") for i, t in enumerate(tasks)])
    wait_for(lambda: hook.settled("delivered") == len(tasks), 60, "all delivered")
    seen = nginx.seen()
    assert {s[0] for s in seen} == {"HTTP/2.0"}
    assert sorted(s[3] for s in seen) == sorted(tasks)
    assert hook.metric('jobhook_attempts_total{outcome="2xx"}') == len(tasks)
    assert hook.metric("jobhook_resends_refused_total") == 0
    assert max(collections.Counter(s[1] for s in seen).values()) <= 20 and len({s[1] for s in seen}) < len(tasks) / 3, "connections are kept"
    assert all(r["body"] == body(r["id"]) for r in rig.receiver.requests())


def test_large_bodies_pass_the_windows(rig, certificate, make_nginx):
    nginx = make_nginx(rig)
    hook = hook_for(rig, certificate)
    raw = '{"a":"%s"}' % ("x" * 700_000)
    rig.publish(*[event(f"t{i}", f"https://127.0.0.1:{nginx.h2}/ok", raw=raw) for i in range(12)])
    wait_for(lambda: hook.settled("delivered") == 12, 60, "all delivered")
    assert {s[0] for s in nginx.seen()} == {"HTTP/2.0"} and all(r["body"] == body(r["id"], raw=raw) for r in rig.receiver.requests())


def test_a_slow_answer_delays_no_other(rig, certificate, make_nginx):
    nginx = make_nginx(rig)
    hook = hook_for(rig, certificate, JOBHOOK_ATTEMPT_TIMEOUT="4s")
    rig.publish(event("slow", f"https://127.0.0.1:{nginx.h2}/hang"))
    rig.receiver.wait(1)
    rig.publish(*[event(f"t{i}", f"https://127.0.0.1:{nginx.h2}/ok") for i in range(50)])
    wait_for(lambda: hook.settled("delivered") == 50, 20, "the others")
    assert hook.metric("jobhook_in_flight") == 1, "before the slow one ended"


def test_http1_where_http2_is_not_offered_or_not_wanted(rig, certificate, make_nginx):
    nginx = make_nginx(rig)
    hook = hook_for(rig, certificate)
    rig.publish(*[event(f"t{i}", f"https://127.0.0.1:{nginx.h1}/ok") for i in range(20)])
    wait_for(lambda: hook.settled("delivered") == 20, 30, "all delivered")
    assert hook.stop() == 0
    hook = hook_for(rig, certificate, JOBHOOK_HTTP2="false")
    rig.publish(*[event(f"u{i}", f"https://127.0.0.1:{nginx.h2}/ok") for i in range(20)])
    wait_for(lambda: hook.settled("delivered") == 20, 30, "all delivered")
    assert {s[0] for s in nginx.seen()} == {"HTTP/1.1"}


def test_send_offers_what_the_service_offers(rig, certificate, make_nginx):
    nginx = make_nginx(rig)
    for wanted in ("true", "false"):
        tool = rig.jobhook(JOBHOOK_CA_FILE=certificate + ".crt", JOBHOOK_HTTP2=wanted)
        code, output, _ = tool.command("send", f"https://127.0.0.1:{nginx.h2}/ok")
        assert code == 0 and (", h2, " in output) == (wanted == "true"), output
    wait_for(lambda: sorted(s[0] for s in nginx.seen()) == ["HTTP/1.1", "HTTP/2.0"], 20, "nginx writes its log behind the answer")


class Hostile(Process):
    def __init__(self, folder, certificate):
        super().__init__(folder, "hostile")
        self.spawn(["node", os.path.join(HERE, "node", "hostile.mjs"), certificate])
        line = wait_for(lambda: next((text for text in self.log().splitlines() if text.startswith("listening")), None), 20, "it listens")
        self.ports = [int(word) for word in line.split()[1:]]

    def count(self, word):
        return self.log().splitlines().count(word)


@pytest.fixture
def hostile(folder, certificate):
    process = Hostile(folder, certificate)
    yield process
    process.kill()


def test_hostile_receivers_are_sent_no_more_than_is_counted(make_rig, certificate, hostile):
    rig = make_rig(delays="300ms")
    hook = hook_for(rig, certificate, JOBHOOK_ATTEMPT_TIMEOUT="2s", JOBHOOK_LEASE_MARGIN="1s")
    lost = {"refuse": "connection_lost", "reset": "connection_lost", "silent": "timeout", "provisional": "bad_answer"}
    either = ["disown", "vanish"]  # libcurl's versions call the end of a session with a request open one or the other
    good = ["ok", "goaway", "flood", "chatty"]
    rig.publish(event("first", f"https://127.0.0.1:{hostile.ports[0]}/reset/first"))
    assert rig.wait_dead(1)[0].headers["jobhook-error"] == "tls_failed"  # whoever ends a stream is asked for HTTP/1.1 once, and this one speaks none
    rig.publish(*[event(path, f"https://127.0.0.1:{hostile.ports[0]}/{path}/x") for path in [*either, *lost, *good]])
    rig.publish(event("window", f"https://127.0.0.1:{hostile.ports[1]}/silent/window"), event("other", f"https://127.0.0.1:{hostile.ports[2]}/x"))
    wait_for(lambda: hook.settled("delivered") == len(good), 30, "the good ones")
    letters = {letter.key.decode(): letter.headers for letter in rig.wait_dead(1 + len(lost) + len(either) + 2, 40)}
    del letters["first"]
    errors = {task: headers["jobhook-error"] for task, headers in letters.items()}
    assert errors.pop("other") in ("bad_answer", "connection_lost", "timeout")
    assert {errors.pop(path) for path in either} <= {"bad_answer", "connection_lost"} and errors == {**lost, "window": "timeout"}
    assert {headers["jobhook-attempt"] for headers in letters.values()} == {"2"} and {headers["jobhook-reason"] for headers in letters.values()} == {"exhausted"}
    for path in [*either, *lost]:
        assert hostile.count(path) == {"silent": 4, "reset": 3}.get(path, 2), path
    assert all(hostile.count(path) == 1 for path in good)


def test_frames_between_two_requests_do_not_end_the_connection(rig, certificate, hostile):
    hook = hook_for(rig, certificate)
    for i in range(8):
        rig.publish(event(f"t{i}", f"https://127.0.0.1:{hostile.ports[0]}/chatty"))
        wait_for(lambda: hook.settled("delivered") == i + 1, 20, "delivered")
        wait_for(lambda: hook.metric("jobhook_in_flight") == 0, 20, "idle", pause_s=0.1)
    assert hostile.count("chatty") == 8 and hostile.count("connection") == 1, hostile.log()
