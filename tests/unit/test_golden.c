/* Today's bytes, as they lie in Redis and in Kafka while two versions of jobhook run side by side. Whoever changes one of these changes a format:
 * a record in Redis then gets another version byte (a reader that does not know it counts it as none: duplicates, never losses), and headers are
 * only ever added (a reader ignores those that it does not know), never given another meaning. */
#include "consumer/envelope.h"
#include "dedupe/record.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* ---- Redis ---- */

static const struct golden_record {
    const char *bytes; /* hexadecimal */
    struct record record;
} records[] = {
    { "0100" /* version, not leased */ "e703000000000000" /* rank 999 */ "00000000"
      "00"
      "8877665544332211"
      "07000000"
      "15cd5b0700000000"
      "060000000000" /* attempts */ "c800" /* outcome */,
      { .rank = 999, .digest = 0x1122334455667788, .partition = 7, .offset = 123456789, .attempts = 6, .outcome = 200 } },
    { "0100"
      "0300000000000000"
      "00000000"
      "00"
      "0100000000000000"
      "ffffffff"
      "ffffffffffffffff"
      "0068bdea8b01" /* due */ "0000",
      { .rank = 3, .digest = 1, .partition = -1, .offset = -1, .due_ms = 1700450363392 } },
    { "0100"
      "d207000000000000" /* F(1) of epoch 2 */ "00000000"
      "09" /* next */ "0200000000000000"
      "00000000"
      "0000000000000000"
      "000000000000"
      "0300",
      { .rank = 2002, .next = 9, .digest = 2, .outcome = 3 } },
    { "0101" /* leased */ "0100000000000000"
      "02000000" /* deferral */ "00"
      "0300000000000000"
      "01000000"
      "0200000000000000"
      "000102030405060708090a0b0c0d0e0f"
      "0068bdea8b01" /* lease's end */ "0400" /* outcome */ "204e0000" /* its length */,
      { .rank = 1,
        .deferral = 2,
        .digest = 3,
        .partition = 1,
        .offset = 2,
        .leased = true,
        .token = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
        .lease_end_ms = 1700450363392,
        .lease_ms = 20000,
        .outcome = 4 } },
};

static size_t from_hexadecimal(const char *text, char *bytes)
{
    size_t length = strlen(text) / 2;
    for (size_t i = 0; i < length; i++) {
        unsigned byte;
        cr_assert_eq(sscanf(text + 2 * i, "%2x", &byte), 1);
        bytes[i] = (char)byte;
    }
    return length;
}

static void show(const char *bytes, size_t length, char *text)
{
    for (size_t i = 0; i < length; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
}

Test(golden, records_are_written_as_ever)
{
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        char bytes[RECORD_BYTES_MAX], shown[2 * RECORD_BYTES_MAX + 1] = "";
        show(bytes, record_pack(&records[i].record, bytes), shown);
        cr_expect_str_eq(shown, records[i].bytes, "record %zu is %s", i, shown);
    }
}

Test(golden, records_are_read_as_ever)
{
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        char bytes[RECORD_BYTES_MAX], again[RECORD_BYTES_MAX];
        struct record record;
        size_t length = from_hexadecimal(records[i].bytes, bytes);
        cr_assert(record_unpack((struct slice){ bytes, length }, &record), "record %zu", i);
        cr_expect_eq(record.rank, records[i].record.rank);
        cr_expect_eq(record.due_ms, records[i].record.due_ms);
        cr_expect_eq(record.lease_end_ms, records[i].record.lease_end_ms);
        cr_expect_eq(record.attempts, records[i].record.attempts);
        cr_expect(record_pack(&record, again) == length && memcmp(bytes, again, length) == 0, "record %zu", i);
    }
}

/* ---- Kafka ---- */

static struct event_header header(const char *name, const char *value)
{
    return (struct event_header){ slice_of(name), slice_of(value), true };
}

static void expect_headers(const struct envelope_letter *letter, const char *expected)
{
    struct envelope envelope;
    struct text text;
    text_init(&text, 10000);
    envelope_write(&envelope, letter);
    for (size_t i = 0; i < envelope.count; i++)
        text_printf(&text, "%s=" SLICE_FORMAT "\n", envelope.headers[i].name, SLICE_ARGS(envelope.headers[i].value));
    cr_expect_str_eq(text.start, expected, "%s", text.start);
    envelope_finish(&envelope);
    text_finish(&text);
}

static struct event_header own[] = { { { "traceparent", 11 }, { "00-1", 4 }, true }, { { "jobhook-attempt", 15 }, { "9", 1 }, true } };
static const struct event event = { .headers = own, .header_count = 2 };
static const struct attempt attempt = { .number = 3,
                                        .epoch = 2,
                                        .deferral = 4,
                                        .deferred_since_ms = 17,
                                        .due_ms = 1700000000123,
                                        .first_ms = 1600,
                                        .url = { "https://new.example.com/x", 25 },
                                        .origin = { { "jobs.completed", 14 }, 7, 123456789012 },
                                        .error = "http_503" };

Test(golden, headers_of_a_retry_are_written_as_ever)
{
    expect_headers(&(struct envelope_letter){ .event = &event, .attempt = &attempt }, "traceparent=00-1\n"
                                                                                      "jobhook-attempt=3\n"
                                                                                      "jobhook-epoch=2\n"
                                                                                      "jobhook-deferral=4\n"
                                                                                      "jobhook-deferred-since-ms=17\n"
                                                                                      "jobhook-due-ms=1700000000123\n"
                                                                                      "jobhook-first-ms=1600\n"
                                                                                      "jobhook-url=https://new.example.com/x\n"
                                                                                      "jobhook-origin=jobs.completed/7/123456789012\n"
                                                                                      "jobhook-error=http_503\n");
}

Test(golden, headers_of_a_dead_letter_are_written_as_ever)
{
    const struct attempt last = { .number = 6, .first_ms = 5, .due_ms = 6, .origin = { { "jobs", 4 }, 0, 1 }, .error = "timeout" };
    const struct event plain = { .header_count = 0 };
    expect_headers(&(struct envelope_letter){ .event = &plain, .attempt = &last, .reason = DEAD_EXHAUSTED, .detail = "why", .cut_from = 9 },
                   "jobhook-attempt=6\n"
                   "jobhook-epoch=0\n"
                   "jobhook-due-ms=6\n"
                   "jobhook-first-ms=5\n"
                   "jobhook-origin=jobs/0/1\n"
                   "jobhook-error=timeout\n"
                   "jobhook-reason=exhausted\n"
                   "jobhook-detail=why\n"
                   "jobhook-cut-from-bytes=9\n");
}

Test(golden, a_header_that_a_later_version_added_is_ignored)
{
    struct event_header headers[] = { header("jobhook-attempt", "1"), header("jobhook-epoch", "0"),    header("jobhook-due-ms", "1"),
                                      header("jobhook-shape", "new"), header("jobhook-first-ms", "1"), header("jobhook-origin", "jobs/0/1") };
    const struct event later = { .headers = headers, .header_count = COUNT_OF(headers) };
    struct attempt read;
    const char *problem = NULL;
    cr_assert(envelope_read(&later, &read, &problem), "%s", problem);
    cr_expect_eq(read.number, 1);
}
