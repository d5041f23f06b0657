#include "consumer/commands/selection.h"
#include "consumer/envelope.h"

#include <criterion/criterion.h>
#include <string.h>

#define VALUE                                                                                                                                        \
    "{\"task_id\":\"t1\",\"status\":\"completed\",\"task_type\":\"find_email\",\"result\":{},\"webhook_url\":\"https://Hooks.example.com:443/x?y\"}"

static const struct event_header headers[] = {
    { SLICE("jobhook-attempt"), SLICE("6"), true },        { SLICE("jobhook-epoch"), SLICE("2"), true },
    { SLICE("jobhook-due-ms"), SLICE("1"), true },         { SLICE("jobhook-first-ms"), SLICE("1"), true },
    { SLICE("jobhook-origin"), SLICE("jobs/3/77"), true }, { SLICE("jobhook-error"), SLICE("http_503"), true },
    { SLICE("jobhook-reason"), SLICE("exhausted"), true },
};

static struct topic_record record_of(size_t header_count, const char *value)
{
    return (struct topic_record){
        .topic = "jobs.dlq",
        .partition = 1,
        .offset = 5,
        .content = { .has_value = true, .value = slice_of(value), .headers = headers, .header_count = header_count, .timestamp_ms = 1000 }
    };
}

static bool takes(enum selection_kind kind, const char *value)
{
    struct selection selection = { 0 };
    struct entry entry;
    struct topic_record record = record_of(COUNT_OF(headers), VALUE);
    const char *problem;
    cr_assert(selection_add(&selection, kind, value, &problem), "%s", value);
    entry_read_letter(&entry, &record);
    bool taken = selection_takes(&selection, &entry);
    entry_finish(&entry);
    return taken;
}

Test(entry, a_letter_is_understood)
{
    struct entry entry;
    struct topic_record record = record_of(COUNT_OF(headers), VALUE);
    entry_read_letter(&entry, &record);
    cr_assert_null(entry.unreadable);
    cr_assert_null(entry.malformed);
    cr_assert_str_eq(entry.receiver, "https://hooks.example.com");
    cr_assert(slice_is(entry.reason, "exhausted"));
    cr_assert_eq(entry.attempt.epoch, 2);
    cr_assert_eq(entry.attempt.origin.offset, 77);
    entry_finish(&entry);
}

Test(entry, what_cannot_be_read_is_said)
{
    struct entry entry;
    for (size_t count = 0; count < COUNT_OF(headers); count++) {
        struct topic_record record = record_of(count, VALUE);
        entry_read_letter(&entry, &record);
        cr_assert_eq(entry.unreadable == NULL, false, "%zu", count);
        entry_finish(&entry);
    }
    struct topic_record record = record_of(COUNT_OF(headers), "{\"task_id\":\"t1\"");
    entry_read_letter(&entry, &record);
    cr_assert_not_null(entry.malformed);
    cr_assert_eq(entry.event->task_id.length, 0);
    cr_assert_str_eq(entry.receiver, "");
    entry_finish(&entry);
}

/* A script whose date came out as the beginning of time must not get everything. */
Test(selection, the_beginning_of_time_is_a_moment)
{
    struct topic_record record = record_of(COUNT_OF(headers), VALUE);
    struct selection selection = { .until_written = "1970-01-01" };
    cr_assert_not(selection_is_empty(&selection));
    cr_assert_not(selection_may_take(&selection, &record));
    selection = (struct selection){ .since_written = "1970-01-01" };
    cr_assert_not(selection_is_empty(&selection));
    cr_assert(selection_may_take(&selection, &record));
}

Test(selection, each_kind_takes_what_it_names)
{
    cr_assert(takes(SELECTION_REASON, "exhausted"));
    cr_assert_not(takes(SELECTION_REASON, "expired"));
    cr_assert_not(takes(SELECTION_REASON, "unreadable"));
    cr_assert(takes(SELECTION_ERROR, "http_503"));
    cr_assert(takes(SELECTION_ERROR, "http_5*"));
    cr_assert(takes(SELECTION_ERROR, "http_503*"));
    cr_assert_not(takes(SELECTION_ERROR, "http_5"));
    cr_assert(takes(SELECTION_TYPE, "find_email"));
    cr_assert(takes(SELECTION_RECEIVER, "https://hooks.example.com"));
    cr_assert_not(takes(SELECTION_RECEIVER, "http://hooks.example.com"));
    cr_assert(takes(SELECTION_TASK, "t1"));
    cr_assert_not(takes(SELECTION_TASK, "t"));
}

Test(selection, refuses_what_can_fit_nothing)
{
    static const struct {
        enum selection_kind kind;
        const char *value;
    } wrong[] = { { SELECTION_REASON, "" },        { SELECTION_REASON, "Exhausted" },
                  { SELECTION_ERROR, "*" },        { SELECTION_ERROR, "a*b" },
                  { SELECTION_ERROR, "" },         { SELECTION_RECEIVER, "https://Hooks.example.com" },
                  { SELECTION_TASK, "" },          { SELECTION_RECEIVER, "https://hooks.example.com/" },
                  { SELECTION_RECEIVER, "hooks" }, { SELECTION_RECEIVER, "https://hooks.example.com:443" } };
    struct selection selection = { 0 };
    const char *problem;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        cr_assert(!selection_add(&selection, wrong[i].kind, wrong[i].value, &problem) && problem != NULL, "%s", wrong[i].value);
    cr_assert(selection_is_empty(&selection));
}

Test(selection, a_place_is_partition_and_offset)
{
    struct selection_place place;
    cr_assert(selection_parse_place(SLICE("3/1042"), &place));
    cr_assert(place.partition == 3 && place.offset == 1042 && place.timestamp_ms == -1);
    static const char *const wrong[] = { "", "3", "/", "3/", "/3", "-1/2", "3/4/5", "2147483648/0", "0/9223372036854775807", "03/1", " 3/1" };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        cr_assert_not(selection_parse_place(slice_of(wrong[i]), &place), "%s", wrong[i]);
}

Test(selection, places_are_found_whatever_their_order)
{
    struct selection selection = { 0 };
    for (int i = 0; i < 1000; i++)
        cr_assert(selection_add_place(&selection,
                                      &(struct selection_place){ .partition = i * 7 % 3, .offset = i * 13 % 1000, .timestamp_ms = i % 2 ? -1 : 5 }));
    selection_sort_places(&selection);
    for (int i = 0; i < 1000; i++) {
        struct topic_record record = { .partition = i * 7 % 3, .offset = i * 13 % 1000, .content = { .timestamp_ms = 5 } };
        cr_assert(selection_may_take(&selection, &record));
        record.content.timestamp_ms = 6;
        cr_assert_eq(selection_may_take(&selection, &record), i % 2 == 1);
        record.offset += 1000;
        cr_assert_not(selection_may_take(&selection, &record));
    }
    selection_finish(&selection);
}

Test(selection, a_place_that_is_named_twice_is_one)
{
    struct selection selection = { 0 };
    static const int64_t offsets[] = { 7, 3, 7, 3, 7 };
    for (size_t i = 0; i < COUNT_OF(offsets); i++)
        cr_assert(selection_add_place(&selection, &(struct selection_place){ .offset = offsets[i], .timestamp_ms = -1 }));
    selection_sort_places(&selection);
    cr_assert(selection.place_count == 2 && selection.places[0].offset == 3 && selection.places[1].offset == 7);
    selection_finish(&selection);
}
