"""A short chaos run: three copies, a real Kafka and a real Redis, faults of all kinds at random, and the oracle. The long one is tests/soak.sh."""
import json
import os
import shutil

import chaos

SHORT = ["--events", "20000", "--rate", "500", "--delays", "500ms,1s,2s", "--defers", "2s,4s", "--kafka-pause-s", "8,25", "--drain-s", "120"]


def test_nothing_is_lost_while_everything_fails(folder):
    result, run = chaos.run(folder, chaos.parse([*SHORT, "--seed", os.environ.get("CHAOS_SEED", "1")]))
    for name in ("kafka1", "kafka2", "kafka3"):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    assert result.stdout, "the oracle says nothing"
    verdict = json.loads(result.stdout)
    print(json.dumps(verdict, indent=1))
    assert verdict["ok"], f"{verdict['crimes']}\n" + "\n".join(verdict["examples"]) + f"\nagain: CHAOS_SEED={run.options.seed}"
    assert result.returncode == 0
    assert verdict["counts"]["events"] >= 20_000 and sum(verdict["faults"].values()) >= 10
    assert not any(process.alive for process in [*run.copies, run.redis, run.scribe, *run.kafka.nodes])
