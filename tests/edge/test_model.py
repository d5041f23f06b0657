"""The model's record (tests/flow/model/record.pml) and the Lua scripts do the same.

spin prints what every operation of the model does to every small record (table.pml); a real Redis is asked the same questions through
dedupe/scripts/*.lua, and must give the same answer and leave the same record, all that the model has of it.
"""

import pathlib
import struct
import subprocess
import time

import pytest
import redis

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "dedupe/scripts"
TABLE = ROOT / "tests/flow/model/table.pml"

CLAIM, FAIL, SCHEDULE, BURY, DELIVER, DEFER, RELEASE = range(7)
SCRIPT = {CLAIM: "claim", FAIL: "fail", SCHEDULE: "settle", BURY: "settle", DELIVER: "settle", DEFER: "defer", RELEASE: "release"}
BUSY, RESUME, OK = 4, 3, 6
LEASE_MS = 3600000
NEXT = 3  # what table.pml says when an attempt fails
PLACE = b"\xff" * 12
OUTCOME = 503  # of the last attempt: told to those who ask, and nothing is decided by it
CHUNK = 1000


def rank_asked(operation, epoch, attempt):
    in_block = {SCHEDULE: 3 * attempt, BURY: 998, DELIVER: 999}.get(operation, 3 * attempt - 2)
    return epoch * 1000 + in_block


def cases():
    run = subprocess.run(["spin", "-T", "-u2000000000", TABLE.name], cwd=TABLE.parent, stdout=subprocess.PIPE, check=True, timeout=120, text=True)
    for line in run.stdout.splitlines():
        if line.startswith("case "):
            yield line, [tuple(map(int, part.split())) for part in line.removeprefix("case ").split("|")]


@pytest.fixture
def client(tmp_path):
    path = tmp_path / "redis.sock"
    server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", tmp_path],
                              stdout=subprocess.DEVNULL)
    try:
        connection = redis.Redis(unix_socket_path=str(path))
        for _ in range(500):
            if path.exists():
                break
            time.sleep(0.02)
        assert connection.ping()
        yield connection
    finally:
        server.kill()
        server.wait()


def load(client, name):
    first, rest = (SCRIPTS / f"{name}.lua").read_text(encoding="utf-8").split("\n", 1)
    assert first == "--include record.lua"
    return client.script_load((SCRIPTS / "record.lua").read_text(encoding="utf-8") + rest)


def token_bytes(token):
    return bytes([token]) * 16


def digest_bytes(digest):
    return bytes([digest]) * 8


def pack(record, now_ms):
    rank, deferral, follows, digest, token, running = record
    head = struct.pack("<BBQIB8s12s", 1, 1 if token else 0, rank, deferral, follows, digest_bytes(digest), PLACE)
    if not token:
        return head + struct.pack("<6sH", bytes(6), OUTCOME)
    lease_end = now_ms + LEASE_MS if running else now_ms - 1
    return head + struct.pack("<16s6sHI", token_bytes(token), lease_end.to_bytes(6, "little"), OUTCOME, LEASE_MS)


def unpack(value, now_ms):
    version, leased, rank, deferral, follows, digest = struct.unpack_from("<BBQIB8s", value)
    assert version == 1 and leased in (0, 1) and len(value) == (63 if leased else 43)
    if not leased:
        assert struct.unpack_from("<6xH", value, 35) == (OUTCOME,)
        return rank, deferral, follows, digest[0], 0, 0
    token, lease_end, outcome, _ = struct.unpack_from("<16s6sHI", value, 35)
    assert outcome == OUTCOME
    return rank, deferral, follows, digest[0], token[0], int(int.from_bytes(lease_end, "little") > now_ms)


def arguments(asked):
    operation, epoch, attempt, deferral = asked
    own = {CLAIM: LEASE_MS, FAIL: NEXT}.get(operation, 0)
    deferral = {CLAIM: deferral, DEFER: deferral + 1, RELEASE: deferral}.get(operation, 0)
    return [rank_asked(operation, epoch, attempt), deferral, token_bytes(1), digest_bytes(1), PLACE, 7200000, own, OUTCOME]


def ask_all(client, chunk, digests, now_ms):
    """For each case: the reply, and what is stored then."""
    pipeline = client.pipeline(transaction=False)
    for number, (_, (before, asked, _, _)) in enumerate(chunk):
        if before[0] > 0:
            pipeline.set(f"task{number}", pack(before, now_ms))
        else:
            pipeline.delete(f"task{number}")
        pipeline.evalsha(digests[SCRIPT[asked[0]]], 1, f"task{number}", *arguments(asked))
        pipeline.get(f"task{number}")
    results = pipeline.execute()
    return zip(results[1::3], results[2::3])


def test_every_operation_on_every_small_record_is_as_in_the_scripts(client):
    digests = {name: load(client, name) for name in set(SCRIPT.values())}
    seconds, micros = client.time()
    now_ms = seconds * 1000 + micros // 1000
    table = list(cases())
    assert len(table) > 8000
    for start in range(0, len(table), CHUNK):
        chunk = table[start:start + CHUNK]
        for (line, (before, _, (answer, follows), after)), (reply, stored) in zip(chunk, ask_all(client, chunk, digests, now_ms)):
            assert reply[0] == answer, line
            if answer == BUSY:
                assert 0 < reply[3] <= LEASE_MS, line
            elif answer == RESUME or len(reply) > 3:
                assert reply[3] == follows, line
            if stored is None:
                assert before[0] == after[0] == 0, line
            else:
                assert unpack(stored, now_ms) == after, line
