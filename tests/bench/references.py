"""What jobhook is compared with: a bare libcurl program, wrk, jobhook's previous commit, and the workers that a team writes by hand in Go and
in Node. Each is built when it is first needed and answers with the CPU time of one POST, {"us": …}."""
import functools
import os
import re
import resource
import subprocess
import uuid

import rig
from rig import harness

WRK_SECONDS = 4
TIMEOUT_S = 900

WRK_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[%s]==]
"""


def body():
    """The smallest body that load.c and bare.c make, here once more for wrk."""
    return ('{"task_id":"bench-00000000","status":"completed","task_type":"find_email","result":{"email":"ada.lovelace@example.com",'
            '"confidence":0.9,"sources":["https://example.com/team","https://example.org/info"],"sent_us":1234567890123456}}')


def build_folder(name):
    folder = os.path.join(harness.PROJECT, ".build", "bench", name)
    os.makedirs(folder, exist_ok=True)
    return folder


def must(*command, **more):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S, **more)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}:\n{result.stdout[-3000:]}")
    return result.stdout


# ---------------------------------------------------------------------------------------------------------------- bare libcurl, wrk

def bare(bench, count, body_bytes=0):
    result = rig.run_json(rig.program("bare"), bench.receiver.url(), count, 64, body_bytes)
    assert result["failed"] == 0 and result["posts"] == count, result
    return {"us": result["cpu_us_per_post"], "rate": result["posts"] / result["seconds"]}


def wrk(bench):
    script = os.path.join(bench.folder, "post.lua")
    with open(script, "w") as f:
        f.write(WRK_SCRIPT % body())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(["wrk", "-t1", "-c64", f"-d{WRK_SECONDS}s", "-s", script, bench.receiver.url()], stdout=subprocess.PIPE, text=True,
                            timeout=60, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    posts = int(re.search(r"(\d+) requests in", result.stdout).group(1))
    assert "Non-2xx" not in result.stdout and "Socket errors" not in result.stdout, result.stdout
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"us": cpu * 1e6 / posts, "rate": posts / WRK_SECONDS}


# ------------------------------------------------------------------------------------------------------------------ previous commit

@functools.lru_cache(None)
def previous_binary():
    """jobhook as it was at BENCH_PREVIOUS (default: the commit before this one), built in a worktree of its own; None without a history."""
    revision = os.environ.get("BENCH_PREVIOUS", "HEAD~1")
    found = subprocess.run(["git", "-C", harness.PROJECT, "rev-parse", "--verify", "-q", revision + "^{commit}"], stdout=subprocess.PIPE, text=True)
    if found.returncode != 0:
        return None
    tree = os.path.join(build_folder("previous"), "tree")
    if os.path.isdir(tree):
        must("git", "-C", tree, "checkout", "-q", "--detach", found.stdout.strip())
    else:
        must("git", "-C", harness.PROJECT, "worktree", "prune")
        must("git", "-C", harness.PROJECT, "worktree", "add", "-q", "--detach", tree, found.stdout.strip())
    must("cmake", "--preset", "release", "-DJOBHOOK_TESTS=OFF", cwd=tree)
    must("cmake", "--build", ".build/release", "--target", "jobhook", cwd=tree)
    return os.path.join(tree, ".build", "release", "jobhook")


# ---------------------------------------------------------------------------------------------------------------------- Go and Node

@functools.lru_cache(None)
def go_program(name):
    path = os.path.join(build_folder("go"), name)
    must("go", "build", "-o", path, "./" + name, cwd=os.path.join(rig.HERE, "go"))
    return path


@functools.lru_cache(None)
def node_worker():
    folder = build_folder("node")
    for name in ("package.json", "package-lock.json", "worker.mjs"):
        must("cp", os.path.join(rig.HERE, "node", name), folder)
    must("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)
    return os.path.join(folder, "worker.mjs")


def worker(command, bench, topic, count):
    result = rig.run_json(*command, bench.kafka.brokers, topic, "g" + uuid.uuid4().hex[:8], count)
    assert result["failed"] == 0, result
    return {"us": result["cpu_us_per_post"], "rate": result["posts"] / result["seconds"]}


def go(bench, topic, count):
    return worker([go_program("worker")], bench, topic, count)


def node(bench, topic, count):
    return worker(["node", node_worker()], bench, topic, count)


def commit():
    """The commit that is measured, with a plus when the tree differs from it."""
    found = subprocess.run(["git", "-C", harness.PROJECT, "describe", "--always", "--exclude=*", "--dirty=+"], stdout=subprocess.PIPE, text=True)
    return found.stdout.strip() or "unknown"
