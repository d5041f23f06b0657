#!/usr/bin/env python3
"""The regression check of the hot path: counts the instructions of tests/bench/hotpath.c with callgrind and compares with those that are written
down in hotpath.txt for this processor and compiler.

    hotpath.py [--record]

Instructions do not depend on what else the machine does. Allowed is 14 % more than written down, which leaves room for other releases of libc and
yajl, and 8 % less: whoever makes the path cheaper lowers the reference (--record), or the next regression would hide behind it. So whatever passes
fails once it becomes 25 % dearer. A compiler that is not in the file is no failure, but said."""
import os
import platform
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.path.join(os.environ.get("JOBHOOK_BUILD", os.path.join(PROJECT, ".build", "release")), "tests", "hotpath")
REFERENCES = os.path.join(HERE, "hotpath.txt")
EVENTS, WARM_UP = 1000, 100
MOST, LEAST = 1.14, 0.92


def count(events):
    """(instructions inside hot_path, what was compiled by)"""
    result = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=hot_path", PROGRAM, str(events)],
                            capture_output=True, text=True, errors="replace", timeout=300)
    collected = re.search(r"Collected : (\d+)", result.stderr)
    if result.returncode != 0 or not collected:
        sys.exit(f"{PROGRAM} under valgrind ended with {result.returncode}:\n{result.stderr[-2000:]}")
    return int(collected.group(1)), result.stdout.strip()


def measure():
    """(what it was compiled for and by, instructions of one event once everything is warm)"""
    cold, _ = count(WARM_UP)
    warm, compiler = count(EVENTS)
    return f"{platform.machine()} {compiler}", (warm - cold) // (EVENTS - WARM_UP)


def read_references():
    with open(REFERENCES) as f:
        return dict((key, int(value)) for key, value in (line.rsplit(" ", 1) for line in f if line.strip() and not line.startswith("#")))


def record(key, instructions):
    references = {**read_references(), key: instructions}
    with open(REFERENCES) as f:
        comments = [line for line in f if line.startswith("#")]
    with open(REFERENCES, "w") as f:
        f.writelines(comments + [f"{name} {value}\n" for name, value in sorted(references.items())])


def judge(instructions, reference):
    """None, or what is wrong."""
    if instructions > reference * MOST:
        return f"dearer than {MOST:.2f} times the reference: make it cheaper, or say in the commit why not and write the new figure down (--record)"
    if instructions < reference * LEAST:
        return f"cheaper than {LEAST:.2f} times the reference: well done; write the new figure down (tests/bench/hotpath.py --record)"
    return None


def main(arguments):
    key, instructions = measure()
    if arguments == ["--record"]:
        record(key, instructions)
    reference = read_references().get(key)
    if reference is None:
        print(f"{key}: {instructions} instructions for one event; no reference for this compiler in {os.path.relpath(REFERENCES, PROJECT)}")
        return 0
    problem = judge(instructions, reference)
    print(f"{key}: {instructions} instructions for one event, {instructions / reference:.3f} of the reference {reference}")
    if problem:
        print(f"error: {problem}")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
