/* The crash matrix: at every place that the program names (consumer/base/crash.h), at its first passings (first attempts, retries, last attempts,
 * deferrals and replays are among them), with one copy of an event and with two, one worker is killed there; the oracle judges. */
#include "consumer/base/crash.h"
#include "consumer/base/log.h"
#include "tests/flow/world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* A worker that is killed leaves its memory behind, as a process does: LeakSanitizer need not tell. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

enum { PLACES_MAX = 64, PLACE_BYTES = 64, PASSINGS = 60 };

static struct {
    char seen[PLACES_MAX][PLACE_BYTES];
    size_t count;
    const char *chosen;
    uint32_t countdown;
    bool killed;
} places;

void crash_point(const char *when, const char *what, const char *how)
{
    char name[PLACE_BYTES];
    snprintf(name, sizeof(name), "%s%s%s%s%s", when, *what == '\0' ? "" : " ", what, *how == '\0' ? "" : " ", how);
    size_t at = 0;
    while (at < places.count && strcmp(places.seen[at], name) != 0)
        at++;
    if (at == places.count && places.count < PLACES_MAX)
        memcpy(places.seen[places.count++], name, sizeof(name));
    if (places.chosen == NULL || places.countdown == 0 || strcmp(places.chosen, name) != 0 || --places.countdown > 0)
        return;
    places.killed = true;
    world_kill();
}

static struct world_plan plan_of(uint32_t workers, uint32_t duplicates_percent, uint64_t seed)
{
    return (struct world_plan){ .seed = seed,
                                .tasks = 60,
                                .workers = workers,
                                .failing_percent = 50,
                                .silent_endpoint = true,
                                .moves = 4,
                                .duplicates_percent = duplicates_percent,
                                .replays_percent = 30 };
}

static void visit_every_place(void)
{
    struct world_plan plan = plan_of(2, 100, 1);
    log_set(LOG_ERROR, LOG_TEXT);
    places.chosen = NULL;
    (void)world_run(&plan);
}

/* The places are found by running, so that none can be forgotten; these must be among them. */
Test(crashes, every_change_of_state_is_a_place_to_crash_at)
{
    static const char *const expected[] = {
        "before claiming",
        "issued claiming",
        "before waiting",
        "issued waiting",
        "before posting",
        "issued posting",
        "before failing",
        "issued failing",
        "before publishing",
        "issued publishing",
        "before recording delivered",
        "issued recording delivered",
        "before recording scheduled",
        "issued recording scheduled",
        "before recording dead",
        "issued recording dead",
        "before recording deferred",
        "issued recording deferred",
        "before recording nothing_to_send",
        "before released delivered",
        "before released scheduled",
        "before released dead",
        "before released deferred",
        "before released skipped",
        "issued released delivered",
    };
    visit_every_place();
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        bool found = false;
        for (size_t at = 0; at < places.count; at++)
            found = found || strcmp(places.seen[at], expected[i]) == 0;
        cr_expect(found, "%s", expected[i]);
    }
}

static uint32_t crash_at(const char *place, uint32_t passing, uint32_t workers, uint32_t duplicates_percent)
{
    struct world_plan plan = plan_of(workers, duplicates_percent, passing);
    places.chosen = place;
    places.countdown = passing;
    places.killed = false;
    struct world_verdict verdict = world_run(&plan);
    cr_expect(verdict.lost + verdict.doubled + verdict.altered + verdict.undone == 0, "killed at \"%s\", passing %u, %u workers, %u %% twice: %s",
              place, passing, workers, duplicates_percent, verdict.first);
    return places.killed;
}

Test(crashes, nothing_is_lost_or_doubled_beyond_the_crash_wherever_it_happens)
{
    visit_every_place();
    size_t count = places.count;
    for (size_t at = 0; at < count; at++) {
        uint32_t kills = 0;
        for (uint32_t passing = 1; passing <= PASSINGS; passing++)
            kills += crash_at(places.seen[at], passing, 1 + passing % 2, passing % 3 == 0 ? 100 : 0);
        cr_expect_gt(kills, 0, "%s was never passed", places.seen[at]);
    }
}
