/* The crash matrix: at every place that the program names (consumer/base/crash.h), for first attempts, retries, last attempts, deferrals and replays, with
 * one worker and with two, with one copy of each event and with two, a worker is killed at its first passings there; the oracle judges. */
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

enum { PLACES_MAX = 256, PLACE_BYTES = 64, SEEDS_LOOKED_AT = 4 };
#ifdef __SANITIZE_ADDRESS__
enum { PASSINGS = 1 };
#else
enum { PASSINGS = 6 };
#endif

struct place {
    char name[PLACE_BYTES]; /* "before posting", with its attempt behind it: "before posting, retry" */
    uint64_t seed;          /* of a world in which it is passed */
};

static struct {
    struct place seen[PLACES_MAX];
    size_t count;
    uint64_t seed;
    const char *chosen;
    uint32_t countdown;
    bool killed;
} places;

static void remember(const char *name)
{
    for (size_t at = 0; at < places.count; at++)
        if (strcmp(places.seen[at].name, name) == 0)
            return;
    cr_assert_lt(places.count, PLACES_MAX);
    places.seen[places.count].seed = places.seed;
    memcpy(places.seen[places.count++].name, name, PLACE_BYTES);
}

void crash_point(const char *when, const char *what, const char *how, const char *which)
{
    char name[PLACE_BYTES] = "";
    snprintf(name, sizeof(name), "%s%s%s%s%s%s%s", when, *what == '\0' ? "" : " ", what, *how == '\0' ? "" : " ", how, *which == '\0' ? "" : ", ",
             which);
    if (places.chosen == NULL)
        remember(name);
    else if (places.countdown > 0 && strcmp(places.chosen, name) == 0 && --places.countdown == 0) {
        places.killed = true;
        world_kill();
    }
}

struct column { /* of the matrix */
    uint32_t workers, duplicates_percent;
};
static const struct column columns[] = { { 1, 0 }, { 2, 0 }, { 1, 100 }, { 2, 100 } };

static struct world_plan plan_of(const struct column *column, uint64_t seed)
{
    return (struct world_plan){ .seed = seed,
                                .tasks = 60,
                                .workers = column->workers,
                                .failing_percent = 50,
                                .silent_endpoint = true,
                                .moves = 4,
                                .terms = 2,
                                .duplicates_percent = column->duplicates_percent,
                                .replays_percent = 30 };
}

/* The places are found by running, so that none can be forgotten. */
static void visit_every_place(const struct column *column)
{
    log_set(LOG_ERROR, LOG_TEXT);
    places.chosen = NULL;
    places.count = 0;
    for (places.seed = 1; places.seed <= SEEDS_LOOKED_AT; places.seed++) {
        struct world_plan plan = plan_of(column, places.seed);
        (void)world_run(&plan);
    }
}

static bool is_seen(const char *step, const char *which)
{
    char name[PLACE_BYTES];
    snprintf(name, sizeof(name), "%s%s%s", step, *which == '\0' ? "" : ", ", which);
    for (size_t at = 0; at < places.count; at++)
        if (strcmp(places.seen[at].name, name) == 0)
            return true;
    return false;
}

Test(crashes, every_step_is_passed_by_every_kind_of_attempt)
{
    static const char *const steps[] = { "before claiming",
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
                                         "before released delivered",
                                         "issued released delivered" };
    static const char *const kinds[] = { "first", "retry", "last", "deferral", "replay" };
    static const char *const others[][2] = { { "before recording scheduled", "first" },
                                             { "issued recording scheduled", "retry" },
                                             { "before released scheduled", "replay" },
                                             { "before recording deferred", "first" },
                                             { "issued recording deferred", "deferral" },
                                             { "before released deferred", "replay" },
                                             { "before recording dead", "last" },
                                             { "issued recording dead", "replay" },
                                             { "before released dead", "last" },
                                             { "before recording nothing_to_send", "first" },
                                             { "before released skipped", "first" },
                                             { "draining", "" },
                                             { "drained", "" } };
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        visit_every_place(&columns[i]);
        for (size_t step = 0; step < sizeof steps / sizeof steps[0]; step++)
            for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
                cr_expect(is_seen(steps[step], kinds[kind]), "%s, %s, column %zu", steps[step], kinds[kind], i);
        for (size_t other = 0; other < sizeof others / sizeof others[0]; other++)
            cr_expect(is_seen(others[other][0], others[other][1]), "%s, %s, column %zu", others[other][0], others[other][1], i);
    }
}

static bool crash_at(const struct place *place, uint32_t passing, const struct column *column)
{
    struct world_plan plan = plan_of(column, place->seed + passing - 1);
    places.chosen = place->name;
    places.countdown = passing;
    places.killed = false;
    struct world_verdict verdict = world_run(&plan);
    cr_expect(verdict.lost + verdict.doubled + verdict.early + verdict.altered + verdict.undone == 0,
              "killed at \"%s\", passing %u, %u workers, %u %% twice: %s", place->name, passing, column->workers, column->duplicates_percent,
              verdict.first);
    return places.killed;
}

static void fill(const struct column *column)
{
    visit_every_place(column);
    cr_log_info("%zu places with their kinds of attempt, %u workers, %u %% twice", places.count, column->workers, column->duplicates_percent);
    for (size_t at = 0; at < places.count; at++)
        for (uint32_t passing = 1; passing <= PASSINGS; passing++)
            cr_expect(crash_at(&places.seen[at], passing, column) || passing > 1, "%s was never passed", places.seen[at].name);
}

Test(crashes, one_worker_and_one_copy_of_each_event_lose_nothing_and_double_one_post_at_most)
{
    fill(&columns[0]);
}

Test(crashes, two_workers_and_one_copy_of_each_event_lose_nothing_and_double_one_post_at_most)
{
    fill(&columns[1]);
}

Test(crashes, one_worker_and_two_copies_of_each_event_lose_nothing_and_double_one_post_at_most)
{
    fill(&columns[2]);
}

Test(crashes, two_workers_and_two_copies_of_each_event_lose_nothing_and_double_one_post_at_most)
{
    fill(&columns[3]);
}
