/* The digest tells events with the same task_id apart: it sees what is sent and where to, and nothing else. */
#include "delivery/event.h"

#include <criterion/criterion.h>

#define COMPLETED "\"status\":\"completed\",\"task_type\":\"find_email\",\"result\":{}"
#define FAILED    "\"status\":\"failed\",\"task_type\":\"find_email\",\"error\":\"x\""

static uint64_t digest_of(const char *value)
{
    const struct event_record record = { .has_value = true, .value = slice_of(value) };
    struct event *event = event_create(&record);
    const char *problem;
    cr_assert(event_parse(event, &problem), "%s: %s", value, problem);
    uint64_t digest = event_digest(event);
    event_destroy(event);
    return digest;
}

/* Computed once with another implementation of SipHash-2-4. */
Test(event_digest, is_the_same_in_every_process_and_version)
{
    cr_expect_eq(digest_of("{\"task_id\":\"t\"," COMPLETED ",\"webhook_url\":\"https://example.com/\"}"), UINT64_C(0x16f0d5cabd3b725e));
    cr_expect_eq(digest_of("{\"task_id\":\"t\"," FAILED "}"), UINT64_C(0x50dcde21a8e77685));
}

Test(event_digest, does_not_see_what_is_neither_sent_nor_where_to)
{
    const uint64_t digest = digest_of("{\"task_id\":\"t\"," COMPLETED ",\"webhook_url\":\"https://example.com/\"}");
    cr_expect_eq(digest, digest_of("{\"webhook_url\":\"https:\\/\\/example.com\\/\",\"task_id\":\"t\"," COMPLETED "}"));
    cr_expect_eq(digest, digest_of("{ \"task_id\" : \"t\" , " COMPLETED " , \"webhook_url\" : \"https://example.com/\" , \"other\" : 1 }"));
    cr_expect_eq(digest, digest_of("{\"task\\u005fid\":\"t\"," COMPLETED ",\"webhook_url\":\"https://example.com/\",\"error\":null}"));
    cr_expect_eq(digest_of("{\"task_id\":\"t\"," COMPLETED "}"), digest_of("{\"task_id\":\"t\"," COMPLETED ",\"webhook_url\":null}"));
}

Test(event_digest, sees_every_change_of_what_is_sent_and_where_to)
{
    static const char *const cases[] = {
        "{\"task_id\":\"t\"," COMPLETED "}",
        "{\"task_id\":\"u\"," COMPLETED "}",
        "{\"task_id\":\"\\u0074\"," COMPLETED "}",
        "{\"task_id\":\"t\"," COMPLETED ",\"webhook_url\":\"https://example.com/\"}",
        "{\"task_id\":\"t\"," COMPLETED ",\"webhook_url\":\"https://example.com/x\"}",
        "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"find_phone\",\"result\":{}}",
        "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"find_email\",\"result\":{ }}",
        "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"find_email\",\"result\":{\"a\":1}}",
        "{\"task_id\":\"t\",\"status\":\"completed\",\"task_type\":\"find_email\",\"result\":{\"a\":2}}",
        "{\"task_id\":\"t\"," FAILED "}",
        "{\"task_id\":\"t\",\"status\":\"failed\",\"task_type\":\"find_email\",\"error\":\"\"}",
        "{\"task_id\":\"t\",\"status\":\"failed\",\"task_type\":\"find_email\",\"error\":\"y\"}",
        "{\"task_id\":\"tx\",\"status\":\"failed\",\"task_type\":\"y\",\"error\":\"\"}",
        "{\"task_id\":\"t\",\"status\":\"failed\",\"task_type\":\"xy\",\"error\":\"\"}",
    };
    uint64_t digests[COUNT_OF(cases)];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        digests[i] = digest_of(cases[i]);
        for (size_t j = 0; j < i; j++)
            cr_expect_neq(digests[i], digests[j], "%s %s", cases[i], cases[j]);
    }
}
