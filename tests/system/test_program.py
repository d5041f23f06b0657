"""The program as an operator meets it: settings, commands, health, logs."""
import json
import subprocess
import time

import pytest

import harness
from certificates import Authority
from harness import event, wait_for


def run(arguments, **settings):
    result = subprocess.run([harness.BINARY, *arguments], env={"PATH": "/usr/bin:/bin", **settings}, capture_output=True, text=True, timeout=60,
                            stdin=subprocess.DEVNULL)
    return result.returncode, result.stdout, result.stderr


GOOD = {"JOBHOOK_KAFKA_BROKERS": "127.0.0.1:1", "JOBHOOK_REDIS_URL": "redis://:very-secret@127.0.0.1:1/2"}


def test_version_and_help(rig):
    status, output, errors = run(["version"])
    assert status == 0 and output.split()[0] == "jobhook" or output.strip()[0].isdigit()
    status, output, errors = run(["--help"])
    assert status == 0
    for word in ("run", "check", "topics", "version"):
        assert word in output + errors


@pytest.mark.parametrize("arguments", [["nonsense"], ["run", "--nonsense"], ["topics"], ["topics", "destroy"], ["check", "extra"]])
def test_wrong_usage_is_told_and_exits_with_2(arguments):
    status, _, errors = run(arguments, **GOOD)
    assert status == 2 and errors.strip()


def test_a_standard_descriptor_may_be_closed():
    """libuv would end the program when a handle of its own had that number."""
    programs = [subprocess.Popen(["bash", "-c", f'exec "$0" status x {descriptor}>&-', harness.BINARY], env={"PATH": "/usr/bin:/bin", **GOOD},
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for descriptor in range(3)]
    for descriptor, program in enumerate(programs):
        output = program.communicate(timeout=60)[0]
        assert program.returncode == 1, (descriptor, output)


WRONG = {
    "JOBHOOK_RETRY_DELAYS": "1s,soon", "JOBHOOK_MAX_IN_FLIGHT": "0", "JOBHOOK_ATTEMPT_TIMEOUT": "10", "JOBHOOK_EGRESS_ALLOW": "127.0.0.0/40",
    "JOBHOOK_REDIS_DOWN": "maybe", "JOBHOOK_HTTP_LISTEN": "everywhere", "JOBHOOK_FINAL_STATUSES": "200", "JOBHOOK_MAX_EVENT_BYTES": "8MB", "JOBHOOK_TOPPIC": "x",
    "JOBHOOK_LOG_LEVEL": "loud", "KAFKA_ENABLE_AUTO_COMMIT": "true", "KAFKA_GROUP_ID": "x", "JOBHOOK_ALLOW_HTTP": "perhaps",
}


@pytest.mark.parametrize("command", ["run", "check"])
def test_all_mistakes_in_the_settings_are_told_together(command):
    status, output, errors = run([command], **WRONG)
    assert status in (1, 2)
    for name, value in WRONG.items():
        assert name in errors + output, name
        if name != "JOBHOOK_TOPPIC" and "KAFKA" not in name:
            assert value in errors + output, name
    for name in GOOD:  # required, and not given
        assert name in errors + output, name


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("name, value", [("KAFKA_NO_SUCH_PROPERTY", "1"), ("KAFKA_FETCH_WAIT_MAX_MS", "soon"), ("KAFKA_SECURITY_PROTOCOL", "carrier-pigeon")])
def test_kafka_properties_that_librdkafka_refuses_stop_the_start(command, name, value):
    status, output, errors = run([command], **GOOD, JOBHOOK_HTTP_LISTEN="127.0.0.1:0", **{name: value})
    assert status == 1 and name in errors + output


def test_mistakes_that_lie_between_settings_are_told():
    status, output, errors = run(["check"], **GOOD, JOBHOOK_STATE_TTL="10m", JOBHOOK_MAX_EVENT_BYTES="256MiB")
    assert status in (1, 2)
    for name in ("JOBHOOK_STATE_TTL", "JOBHOOK_MAX_EVENT_BYTES"):
        assert name in errors + output


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Two certificates with their keys, that know nothing of each other."""
    authority = Authority(str(tmp_path_factory.mktemp("pairs")))
    return authority.sign("one")[:2], authority.sign("two")[:2]


@pytest.mark.parametrize("command", ["run", "check"])
def test_files_that_tls_cannot_use_stop_check_as_they_stop_run(command, folder, pairs):
    (certificate, key), (_, other_key) = pairs
    page = folder + "/page.pem"
    with open(page, "w") as f:
        f.write("<html>")
    settings = {**GOOD, "JOBHOOK_HTTP_LISTEN": "127.0.0.1:0"}
    for ca, problem in ((folder, "is no regular file"), ("/dev/null", "is no regular file"), (page, "holds no certificates")):
        status, output, errors = run([command], **settings, JOBHOOK_CA_FILE=ca)
        assert status == 1 and "JOBHOOK_CA_FILE" in errors + output and problem in errors + output, ca
    status, output, errors = run([command], **settings, JOBHOOK_CLIENT_CERT=certificate, JOBHOOK_CLIENT_KEY=other_key)
    assert status == 1 and "JOBHOOK_CLIENT_KEY" in errors + output and "does not belong to the certificate" in errors + output
    if command == "check":
        assert run([command], **settings, JOBHOOK_CA_FILE=certificate, JOBHOOK_CLIENT_CERT=certificate, JOBHOOK_CLIENT_KEY=key)[0] == 0


def test_check_finds_what_librdkafka_does_not_take_together():
    status, output, errors = run(["check"], **GOOD, KAFKA_LINGER_MS="400000")
    assert status == 1 and "linger.ms" in errors and output == ""


def test_check_prints_every_setting_and_no_secret():
    status, output, errors = run(["check"], **GOOD, KAFKA_SASL_PASSWORD="also-secret")
    assert status == 0, errors
    assert "JOBHOOK_MAX_IN_FLIGHT=4096" in output and "JOBHOOK_RETRY_DELAYS=1s,2s,4s,8s,16s" in output
    assert "very-secret" not in output + errors and "also-secret" not in output + errors
    assert "JOBHOOK_REDIS_URL=redis://" in output


def test_settings_come_from_files_too(folder):
    with open(folder + "/url", "w") as f:
        f.write("redis://:from-file@127.0.0.1:7/1\n")
    settings = {"JOBHOOK_KAFKA_BROKERS": "127.0.0.1:1", "JOBHOOK_REDIS_URL_FILE": folder + "/url"}
    status, output, errors = run(["check"], **settings)
    assert status == 0 and "127.0.0.1:7" in output and "from-file" not in output + errors
    status, output, errors = run(["check"], **settings, JOBHOOK_REDIS_URL="redis://x")
    assert status != 0 and "JOBHOOK_REDIS_URL" in output + errors
    status, output, errors = run(["check"], **{**settings, "JOBHOOK_REDIS_URL_FILE": folder + "/absent"})
    assert status != 0 and "absent" in output + errors


def test_what_kubernetes_injects_does_no_harm():
    injected = {"JOBHOOK_SERVICE_HOST": "10.0.0.1", "JOBHOOK_SERVICE_PORT": "80", "JOBHOOK_SERVICE_PORT_HTTP": "80", "JOBHOOK_PORT": "tcp://10.0.0.1:80",
                "JOBHOOK_PORT_80_TCP": "tcp://10.0.0.1:80", "JOBHOOK_PORT_80_TCP_ADDR": "10.0.0.1", "KAFKA_SERVICE_HOST": "10.0.0.2",
                "KAFKA_SERVICE_PORT": "9092", "KAFKA_PORT": "tcp://10.0.0.2:9092", "KAFKA_PORT_9092_TCP": "tcp://10.0.0.2:9092"}
    status, output, errors = run(["check"], **GOOD, **injected)
    assert status == 0, errors


def test_health_readiness_and_metrics(rig):
    hook = rig.jobhook().start()
    assert hook.get("/healthz")[0] == 200 and hook.get("/readyz")[0] == 200
    assert hook.get("/nothing")[0] == 404
    rig.publish(event("t", rig.receiver.url("500,ok")))
    rig.receiver.wait(2)
    rig.wait_no_lag()
    metrics = hook.metrics()
    assert any(name.startswith("jobhook_build_info{") for name in metrics)
    wanted = {'jobhook_events_total{source="input"}': 1, 'jobhook_events_total{source="retry"}': 1, 'jobhook_attempts_total{outcome="5xx"}': 1,
              'jobhook_attempts_total{outcome="2xx"}': 1, 'jobhook_events_settled_total{result="scheduled"}': 1,
              'jobhook_events_settled_total{result="delivered"}': 1, "jobhook_in_flight": 0, "jobhook_held_bytes": 0, "jobhook_redis_up": 1,
              "jobhook_kafka_up": 1, "jobhook_egress_up": 1, "jobhook_attempt_duration_seconds_count": 2, "jobhook_delivery_latency_seconds_count": 1,
              "jobhook_retry_lateness_seconds_count": 1}
    for name, value in wanted.items():
        assert metrics.get(name) == value, name
    for name in ("jobhook_redis_duration_seconds_count", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        assert metrics.get(name, 0) > 0, name


def test_one_json_log_line_for_each_settled_event_and_no_secrets(rig):
    hook = rig.jobhook().start()
    rig.publish(event("visible-task", rig.receiver.url("500,ok/path?token=hidden-token"), raw='{"email":"hidden-body"}'))
    rig.receiver.wait(2)
    rig.wait_no_lag()
    assert hook.stop() == 0
    lines = [json.loads(line) for line in hook.log().splitlines()]
    about = [line for line in lines if "visible-task" in json.dumps(line)]
    assert len(about) == 2
    assert "hidden" not in hook.log()


def test_the_text_format_is_for_people(rig):
    hook = rig.jobhook(JOBHOOK_LOG_FORMAT="text").start()
    rig.publish(event("visible-task", rig.receiver.url("ok")))
    rig.receiver.wait(1)
    wait_for(lambda: "visible-task" in hook.log(), 5, "its line")
    assert not hook.log().lstrip().startswith("{")


def test_it_runs_with_more_than_one_redis_address_form(rig):
    for i, url in enumerate((f"redis://127.0.0.1:{rig.redis.port}/3", f"unix://{rig.redis.socket_path}")):
        hook = rig.jobhook(JOBHOOK_REDIS_URL=url).start()
        rig.publish(event(f"t{i}", rig.receiver.url("ok")))
        rig.receiver.wait(i + 1)
        assert hook.stop() == 0


def test_redis_with_a_password_a_user_and_a_database(rig):
    client = rig.redis.client()
    client.execute_command("ACL", "SETUSER", "worker", "on", ">pass word", "~jobhook:*", "+@all")
    client.config_set("requirepass", "default-pass")
    hook = rig.jobhook(JOBHOOK_REDIS_URL=f"redis://worker:pass%20word@127.0.0.1:{rig.redis.port}/5").start()
    rig.publish(event("t", rig.receiver.url("ok")))
    rig.receiver.wait(1)
    rig.wait_no_lag()
    assert "pass word" not in hook.log() and "pass%20word" not in hook.log()


def test_it_starts_quickly_and_is_small_and_quiet_when_idle(rig):
    hook = rig.jobhook().start()
    assert hook.memory_kib() < 60 * 1024
    with open(f"/proc/{hook.process.pid}/stat") as f:
        before = sum(map(int, f.read().split()[13:15]))
    time.sleep(5)
    with open(f"/proc/{hook.process.pid}/stat") as f:
        ticks = sum(map(int, f.read().split()[13:15])) - before
    assert ticks <= 25  # of 500: the goal is 1 %, the rest is the machine's noise


def test_nothing_is_left_open_at_the_end(rig):
    hook = rig.jobhook().start()
    rig.publish(event("t", rig.receiver.url("ok")))
    rig.receiver.wait(1)
    assert hook.stop(20) == 0
    assert hook.get("/healthz")[0] == 0
