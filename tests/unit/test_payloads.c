/* The cache of payloads: only the very same is found, and it stays within its bytes. */
#include "consumer/http/payloads.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(payloads, only_the_very_same_event_is_found)
{
    struct payloads *payloads = payloads_create(100000);
    const struct payload_key key = { SLICE("task"), 3, 99, 0x1234 };
    struct payload found, kept = { SLICE("{\"task_id\":\"task\""), true };
    payloads_keep(payloads, &key, &kept);
    payloads_keep(payloads, &key, &kept);
    cr_assert(payloads_find(payloads, &key, &found));
    cr_expect(slice_equal(found.members, kept.members));
    cr_expect(found.has_url);
    const struct payload_key others[] = {
        { SLICE("tasks"), 3, 99, 0x1234 }, { SLICE("task"), 4, 99, 0x1234 }, { SLICE("task"), 3, 98, 0x1234 }, { SLICE("task"), 3, 99, 0x1235 }
    };
    for (size_t i = 0; i < COUNT_OF(others); i++)
        cr_expect_not(payloads_find(payloads, &others[i], &found), "case %zu", i);
    payloads_destroy(payloads);
}

Test(payloads, the_one_used_longest_ago_goes_first_and_large_ones_are_left_out)
{
    static char large[20000];
    struct payloads *payloads = payloads_create(100000);
    struct payload found;
    const struct payload_key first = { SLICE("first"), 0, 0, 0 };
    payloads_keep(payloads, &first, &(struct payload){ { large, 1000 }, false });
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "task-%d", i);
        const struct payload_key key = { slice_of(name), 0, i, 7 };
        payloads_keep(payloads, &key, &(struct payload){ { large, 1000 }, false });
        cr_assert(payloads_find(payloads, &key, &found));
        cr_assert(payloads_find(payloads, &first, &found), "it was used all the time");
    }
    cr_expect_not(payloads_find(payloads, &(struct payload_key){ SLICE("task-0"), 0, 0, 7 }, &found));
    payloads_keep(payloads, &(struct payload_key){ SLICE("large"), 0, 0, 0 }, &(struct payload){ { large, sizeof large }, false });
    cr_expect_not(payloads_find(payloads, &(struct payload_key){ SLICE("large"), 0, 0, 0 }, &found));
    payloads_destroy(payloads);
    payloads_destroy(NULL);
}
