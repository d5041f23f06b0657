/* How a task stands, for every kind of rank. */
#include "delivery/standing.h"

#include <criterion/criterion.h>

Test(standing, says_what_the_record_states)
{
    const struct {
        struct record record;
        const char *state;
        uint32_t epoch, attempts;
        int64_t next_ms;
        const char *outcome;
    } cases[] = {
        { { .rank = 0 }, "unknown", 0, 0, 0, "" },
        { { .rank = rank_claimed(0, 1), .leased = true }, "pending", 0, 0, 0, "" },
        { { .rank = rank_claimed(0, 1) }, "pending", 0, 0, 0, "" },
        { { .rank = rank_claimed(0, 3), .leased = true, .outcome = 503 }, "pending", 0, 2, 0, "http_503" },
        { { .rank = rank_claimed(1, 2), .deferral = 4, .due_ms = 99, .outcome = 1 }, "deferred", 1, 1, 99, "timeout" },
        { { .rank = rank_claimed(1, 2), .deferral = 4, .leased = true }, "pending", 1, 1, 0, "" },
        { { .rank = rank_failed(0, 2), .next = 1, .outcome = 404 }, "pending", 0, 2, 0, "http_404" },
        { { .rank = rank_scheduled(2, 5), .due_ms = 1234 }, "scheduled", 2, 5, 1234, "" },
        { { .rank = rank_dead(0), .attempts = 6, .outcome = 500 }, "dead", 0, 6, 0, "http_500" },
        { { .rank = rank_delivered(7), .attempts = 1, .outcome = 204 }, "delivered", 7, 1, 0, "http_204" },
        { { .rank = rank_delivered(0), .attempts = UINT64_MAX, .outcome = 65535 }, "delivered", 0, 0, 0, "" },
        { { .rank = 950 }, "unknown", 0, 0, 0, "" }, /* no rank of this program */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct standing standing = standing_of(&cases[i].record);
        cr_expect_str_eq(standing.state, cases[i].state, "case %zu", i);
        cr_expect_eq(standing.epoch, cases[i].epoch, "case %zu", i);
        cr_expect_eq(standing.attempts, cases[i].attempts, "case %zu", i);
        cr_expect_eq(standing.next_attempt_ms, cases[i].next_ms, "case %zu", i);
        cr_expect_str_eq(standing.last_outcome, cases[i].outcome, "case %zu", i);
    }
}
