"""deploy/schema/job-status.openapi.json is what /job-status and /endpoints do: a client that is made of the document asks, and judges the answers."""
import json
import os
import re
import subprocess
import sys
import urllib.parse

import pytest

from harness import PROJECT, event
from test_job_status import TOKEN, Api, start

SCHEMATHESIS = "4.32.5"
ID_TO_ASK_FOR = r"""^[A-Za-z0-9_~ÄÖÜäöü!$&'()*,;=:@%?#\[\]{}|"<> -]+$"""
SCHEMA = os.path.join(PROJECT, "deploy", "schema", "job-status.openapi.json")


def schemathesis():
    """The program, in an environment of its own under .cache, once for all runs."""
    home = os.path.join(PROJECT, ".cache", f"schemathesis-{SCHEMATHESIS}-{sys.version_info[0]}.{sys.version_info[1]}")
    program = os.path.join(home, "bin", "schemathesis")
    done = os.path.join(home, "complete")
    if not os.path.exists(done):
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--clear", home], check=True, timeout=120)
        subprocess.run([os.path.join(home, "bin", "pip"), "install", "-q", "--disable-pip-version-check", f"schemathesis=={SCHEMATHESIS}"], check=True,
                       timeout=600)
        open(done, "w").close()
    return program


@pytest.mark.same_everywhere
def test_the_document_and_the_answers_agree(rig, folder):
    _, api = start(rig)
    rig.publish(event("t-1"), event("failed", status="failed", raw='"why"'), event("dead", "http://localhost/"))
    for task, state in (("t-1", "nothing_to_send"), ("failed", "nothing_to_send"), ("dead", "dead")):
        api.wait_for_state(task, state)
    with open(SCHEMA) as file:
        document = json.load(file)
    known = [task for task in ("t-1", "failed", "dead")]
    task_id = document["paths"]["/job-status/{task_id}"]["get"]["parameters"][0]
    task_id["examples"] = {task: {"value": task} for task in known}
    # Not "." and "..", which HTTP clients resolve before they ask; 64 characters are 256 bytes at most.
    task_id["schema"] = {**task_id["schema"], "maxLength": 64, "pattern": ID_TO_ASK_FOR}
    with_examples = os.path.join(folder, "openapi.json")
    with open(with_examples, "w") as file:
        json.dump(document, file)
    command = [schemathesis(), "run", with_examples, "--url", f"http://{api.address}", "-H", f"Authorization: Bearer {TOKEN}", "--checks", "all",
               "--max-examples", "60", "--seed", "1", "--request-timeout", "10", "--no-color", "--generation-database", "none"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    print(result.stdout[-6000:], result.stderr[-2000:])
    assert result.returncode == 0 and "Tested: 2" in result.stdout
    # The client judges JSON only: the page of endpoints is judged here.
    (content,) = document["paths"]["/endpoints"]["get"]["responses"]["200"]["content"].items()
    rig.publish(event("refused", "http://127.0.0.1:1/x"))
    rig.wait_dead(2)
    status, headers, body = Api(api.address).ask("/endpoints")
    assert status == 200 and headers["Content-Type"] == content[0] and re.fullmatch(content[1]["schema"]["pattern"], body.decode())
    assert b"\tconnect_refused\t" in body
