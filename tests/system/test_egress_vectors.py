"""The collected SSRF cases against the program itself: what is blocked is dead-lettered and never dialled, what is allowed is dialled where it should
be. In a network namespace in which every address leads back to this test; the name server is the test's, too."""
import os
import re
import socket

from harness import BINARY, PROJECT, event
from namespace import Names

PORTS = (80, 443, 8443)


def read_vectors():
    with open(os.path.join(PROJECT, "tests", "unit", "ssrf.tsv"), encoding="utf-8", newline="\n") as file:
        lines = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]
    return [(url, verdict, reason) for url, verdict, reason in lines]


def names_of(vectors):
    names = {}
    for _, _, reason in vectors:
        found = re.search(r"dns:([^=]+)=(\S+)", reason)
        if found:
            names[found.group(1).lower()] = [turn.split(",") for turn in found.group(2).split("|")]
    return names


def test_the_program_dials_what_is_allowed_and_nothing_else(make_rig, folder, network):
    vectors = read_vectors()
    assert len(vectors) == 184
    names = names_of(vectors)
    server = Names(network, names)
    dialled = []

    def on_connection(connection):
        dialled.append(connection.getsockname()[0])
        connection.close()
    for port in PORTS:
        network.listen(socket.AF_INET, ("0.0.0.0", port), on_connection)
        network.listen(socket.AF_INET6, ("::", port), on_connection)
    rig = make_rig(delays="1200ms")  # longer than a TTL of 0 is kept: each attempt looks its name up
    for node in rig.kafka.nodes:
        network.forward(node.client_port)
    hook = rig.jobhook(JOBHOOK_EGRESS_ALLOW=None)
    resolver = "nameserver 127.0.0.1\nsearch cluster.local test.example\noptions ndots:5\n"
    hook.spawn(network.command(folder, resolver, BINARY, "run"), hook.environment())
    rig.publish(*[event(f"v{i}", url) for i, (url, _, _) in enumerate(vectors)])
    letters = {letter.key.decode(): letter.headers for letter in rig.wait_dead(len(vectors), 60)}
    assert len(letters) == len(vectors)
    literal = set()
    for i, (url, verdict, reason) in enumerate(vectors):
        got = letters[f"v{i}"]
        wanted = "exhausted" if verdict == "allow" else "blocked_url" if url else "invalid_event"
        assert got["jobhook-reason"] == wanted, (url[:100], reason, got)
        assert wanted != "blocked_url" or got["jobhook-detail"], (url[:100], "which rule refused it?")
        assert got["jobhook-attempt"] == ("2" if verdict == "allow" or "rebind" in url else "1"), (url[:100], got)
        host = re.fullmatch(r"https?://\[?([0-9a-fA-F.:]+?)\]?(:\d+)?/.*", url)
        if host and verdict == "allow":
            literal.add(host.group(1))
    resolved = {address for url, verdict, reason in vectors if verdict == "allow" and "dns:" in reason
                for address in names[re.search(r"dns:([^=]+)=", reason).group(1).lower()][0]}
    allowed = literal | resolved
    assert set(dialled) <= allowed, set(dialled) - allowed
    assert literal <= set(dialled), literal - set(dialled)
    assert server.asked <= set(names), f"names that must not be looked up: {server.asked - set(names)}"
    lines = hook.log().splitlines()
    for i, (url, verdict, reason) in enumerate(vectors):
        if verdict == "block" and "dns:" in reason:
            told = str(letters[f"v{i}"]) + "".join(line for line in lines if f'"v{i}"' in line)
            assert not [a for turn in names[re.search(r"dns:([^=]+)=", reason).group(1).lower()] for a in turn if a in told], told
    assert hook.stop(40) == 0
