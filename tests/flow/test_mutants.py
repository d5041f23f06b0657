"""The simulated world must catch mistakes in the order of effects: each mutant below is delivery.c (or the claim table) with one of them put in,
and some seed must convict it. Seven of them are those of the protocol model; dropped_as_if_handled is about SIGTERM."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("JOBHOOK_BUILD", ROOT / ".build/release"))
DELIVERY, INSIDE, REDIS = "delivery/delivery.c", "delivery/delivery_inside.h", "tests/flow/world_redis.c"
RELEASE = "d->all->options.exits.release(d->all->options.exits.context, d->home, d->slot, true); d->gone = true;"
ONCE = [(INSIDE, "bool dropped;", "bool dropped, gone;"),
        (DELIVERY, "    exits->release(", "    if (!d->gone) exits->release(")]

MUTANTS = {
    "commit_first": ONCE + [(DELIVERY, "    d->request = delivery_compose_request(d);", RELEASE + " d->request = delivery_compose_request(d);")],
    "scheduled_before_the_ack": [(DELIVERY, "    d->report.delay_ms = delay_ms;",
                                  "struct claim early = delivery_claim(d); if (d->plan == PLAN_NEXT)"
                                  " claims_settle(d->all->options.claims, &early, CLAIMS_SCHEDULED, 0, NULL, NULL); d->report.delay_ms = delay_ms;")],
    "drop_on_busy": [(DELIVERY, """    case CLAIMS_CONFLICT:""", """    case CLAIMS_GRANT: case CLAIMS_CONFLICT:"""),
                     (DELIVERY, """    if (d->ticket.in_flight)
        scheduler_unstart(d->all->options.scheduler, &d->ticket);
    switch (answer->result) {""", """    if (d->ticket.in_flight)
        scheduler_unstart(d->all->options.scheduler, &d->ticket);
    if (answer->result == CLAIMS_BUSY) { settle_as(d, SETTLED_SKIPPED, DELIVERY_RELEASED); return; }
    switch (answer->result) {""")],
    "drop_when_the_lease_was_lost": [(REDIS, "return (struct claims_answer){ .result = CLAIMS_BUSY, .busy_ms = "
                                             "(uint64_t)(record->lease_end_ms - world_redis_ms()) };\n    *record", "return answer(CLAIMS_SKIP);\n    *record")],
    "offset_before_the_deferrals_ack": ONCE + [(DELIVERY, "    d->settled = SETTLED_DEFERRED;", RELEASE + " d->settled = SETTLED_DEFERRED;")],
    "scheduled_on_a_deferral": [(DELIVERY, "        claims_defer(claims, &claim, d->due_ms, recorded, d);",
                                 "        claims_settle(claims, &claim, CLAIMS_SCHEDULED, d->due_ms, recorded, d);")],
    "dropped_as_if_handled": [(DELIVERY, "d->home, d->slot, !d->dropped);", "d->home, d->slot, true);")],
    "retried_too_early": [(DELIVERY, "claims_latest_now_ms(options->claims) + (int64_t)delay_ms);",
                           "claims_latest_now_ms(options->claims) + (int64_t)delay_ms / 2);")],
    "left_over_deferral": [(REDIS, ".rank = c, .deferral = claim->deferral, .leased", ".rank = c, .deferral = record->deferral, .leased")],
}


def build(folder, changes):
    """Compiles the world with the changed sources in place of the real ones."""
    sources = {name: (ROOT / name).read_text() for name in (DELIVERY, INSIDE, REDIS)}
    for name, old, new in changes:
        assert sources[name].count(old) == 1, f"{name} has changed: the mutant no longer fits at {old!r}"
        sources[name] = sources[name].replace(old, new)
    files = [ROOT / "tests/flow/test_world.c"]
    files += [path for path in (ROOT / "tests/flow").glob("*.c") if not path.name.startswith("test_") and str(path.relative_to(ROOT)) not in sources]
    for name, text in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if path.suffix == ".c":
            files.append(path)
    files += sorted((ROOT / "delivery").glob("delivery_*.c"))  # they see the inside, too
    program = folder / "world"
    libraries = [BUILD / f"lib{name}.a" for name in ("consumer", "delivery", "dedupe", "base")]
    subprocess.run(["gcc", "-std=c11", "-O1", "-D_GNU_SOURCE", '-DJOBHOOK_VERSION="0"', f"-I{folder}", f"-I{ROOT}", *files, *libraries, "-o", program,
                    "-lcriterion", "-lyajl", "-lcrypto", "-lcurl", "-lcares", "-luv", "-lhiredis", "-lrdkafka", "-lmicrohttpd", "-lpthread"], check=True)
    return program


def run(program, seeds):
    return subprocess.run([program, "--filter", "world/*", "--fail-fast"], env=dict(os.environ, SEEDS=str(seeds)), capture_output=True, text=True, timeout=300)


def test_the_world_acquits_the_real_thing(tmp_path):
    result = run(build(tmp_path, []), 200)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", MUTANTS)
def test_the_world_convicts(name, tmp_path):
    result = run(build(tmp_path, MUTANTS[name]), 3000)
    assert result.returncode != 0 and "Failing: 0" not in result.stderr, f"{name} went unseen"
