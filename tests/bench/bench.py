"""The benchmarks behind tests/bench/run.sh. Each case prints what it saw and writes .build/bench/CASE.json; report.py makes the table, the
picture and the README's section from those."""
import argparse
import collections
import json
import os
import shutil
import signal
import sys
import tempfile
import time

import rig
import cases_cost
import cases_running
import cases_time
import cases_tools
import cases_waiting
import growth
import references
import report

RESULTS = os.path.join(rig.harness.PROJECT, ".build", "bench")

CASES = {
    "delivery": cases_cost.case_delivery,
    "claims": cases_cost.case_claims,
    "scale": cases_cost.case_scale,
    "https": cases_cost.case_https,
    "slow": cases_cost.case_slow,
    "replay": cases_cost.case_replay,
    "latency": cases_time.case_latency,
    "retries": cases_time.case_retries,
    "neighbour": cases_time.case_neighbour,
    "waiting": cases_waiting.case_waiting,
    "idle": cases_waiting.case_idle,
    "rolling": cases_running.case_rolling,
    "scaling": cases_running.case_scaling,
    "scrape": cases_running.case_scrape,
    "watching": cases_running.case_watching,
    "letters": cases_tools.case_letters,
    "polls": cases_tools.case_polls,
    "polled": cases_tools.case_polled,
    "growth": growth.case_growth,
}
NOT_BY_DEFAULT = ("growth", "watching")
QUICK_ROUNDS = {"slow": 3, "retries": 2, "neighbour": 2, "waiting": 2, "idle": 1, "rolling": 1, "scaling": 1}  # they wait more than they work: fewer when it has to be quick

Size = collections.namedtuple("Size", "events rounds seconds")


def size_of(case, quick):
    rounds = int(os.environ.get("BENCH_ROUNDS", str(QUICK_ROUNDS.get(case, 5) if quick else 5)))
    return Size(int(os.environ.get("BENCH_EVENTS", "60000" if quick else "200000")), rounds, 5 if quick else 10)


def arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh", description="Measures jobhook beside its references.")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"one of {', '.join(CASES)}; all but {', '.join(NOT_BY_DEFAULT)} when none is named")
    parser.add_argument("--quick", action="store_true", help="smaller: all cases together in a quarter of an hour")
    parser.add_argument("--readme", action="store_true", help="put the results of this and earlier runs into README.md and its picture")
    asked = parser.parse_args()
    unknown = [name for name in asked.cases if name not in CASES]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    return asked


def run(bench, name, quick):
    size, started = size_of(name, quick), time.monotonic()
    print(f"\n== {name}: {size.rounds} rounds", flush=True)
    result = CASES[name](bench, size)
    result.update(case=name, quick=quick, round_count=size.rounds, commit=references.commit(), load_average=os.getloadavg()[0],
                  seconds=time.monotonic() - started)
    with open(os.path.join(RESULTS, name + ".json"), "w") as f:
        json.dump(result, f, indent=1)
    print(report.figures_text(result["figures"]), flush=True)


def run_all(names, quick):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped then, too
    folder = tempfile.mkdtemp(prefix="jobhook-bench.")
    bench = rig.Rig(folder)
    try:
        bench.start()
        bench.warm_up()
        for name in names:
            run(bench, name, quick)
    finally:
        bench.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    asked = arguments()
    os.makedirs(RESULTS, exist_ok=True)
    names = asked.cases or ([] if asked.readme else [name for name in CASES if name not in NOT_BY_DEFAULT])
    if names:
        run_all(names, asked.quick)
    results = report.read(RESULTS, CASES)
    print("\n" + report.text(results))
    report.write_json(results, os.path.join(RESULTS, "results.json"))
    report.write_picture(results, os.path.join(RESULTS, "figures.svg"))
    if asked.readme:
        report.write_readme(results, rig.harness.PROJECT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
