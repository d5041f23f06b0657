#include "consumer/envelope.h"

#include "consumer/base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { STORAGE_MAX = 64 * 1024 * 1024, EPOCH_MAX = 1000 * 1000 * 1000, DEFERRAL_MAX = 1000 * 1000 * 1000 };

#define PREFIX "jobhook-"

/* A number that a header must or may hold. */
struct number_rule {
    const char *name;
    uint64_t least, most;
    bool required;
    const char *problem;
};

static const struct number_rule attempt_rule = { "jobhook-attempt", 1, 301, true, "header jobhook-attempt is not a number from 1 to 301" };
static const struct number_rule epoch_rule = { "jobhook-epoch", 0, EPOCH_MAX, true, "header jobhook-epoch is not a number" };
static const struct number_rule deferral_rule = { "jobhook-deferral", 0, DEFERRAL_MAX, false, "header jobhook-deferral is not a number" };
static const struct number_rule since_rule = { "jobhook-deferred-since-ms", 0, INT64_MAX, false, "header jobhook-deferred-since-ms is not a number" };
static const struct number_rule due_rule = { "jobhook-due-ms", 0, INT64_MAX, true, "header jobhook-due-ms is not a number" };
static const struct number_rule first_rule = { "jobhook-first-ms", 0, INT64_MAX, true, "header jobhook-first-ms is not a number" };

static bool read_number(const struct event *event, const struct number_rule *rule, uint64_t *value, const char **problem)
{
    struct slice text = event_header(event, rule->name);
    *value = 0;
    if (text.length == 0 && !rule->required)
        return true;
    if (slice_to_u64(text, rule->most, value) && *value >= rule->least)
        return true;
    *problem = rule->problem;
    return false;
}

/* Not the characters that a topic's name may have, but those that would end or hide something where it is written again. */
static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.start[i] <= ' ' || text.start[i] >= 0x7f)
            return false;
    return true;
}

/* topic/partition/offset, split at the last two slashes. */
static bool read_origin(struct slice text, struct source *origin)
{
    const char *offset = memrchr(text.start, '/', text.length);
    if (offset == NULL || !is_plain(text))
        return false;
    const char *partition = memrchr(text.start, '/', (size_t)(offset - text.start));
    if (partition == NULL || partition == text.start || partition - text.start > ATTEMPT_TOPIC_MAX)
        return false;
    uint64_t partition_number = 0, offset_number = 0;
    const char *end = text.start + text.length;
    if (!slice_to_u64((struct slice){ partition + 1, (size_t)(offset - partition - 1) }, INT32_MAX, &partition_number) ||
        !slice_to_u64((struct slice){ offset + 1, (size_t)(end - offset - 1) }, INT64_MAX, &offset_number))
        return false;
    *origin = (struct source){ { text.start, (size_t)(partition - text.start) }, (int32_t)partition_number, (int64_t)offset_number };
    return true;
}

/* The last error is only shown: what is unreadable in it is left out rather than refused. */
static void read_error(struct slice text, char error[ATTEMPT_ERROR_MAX + 1])
{
    size_t length = 0;
    for (size_t i = 0; i < text.length && length < ATTEMPT_ERROR_MAX; i++) {
        char c = text.start[i];
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')
            error[length++] = c;
    }
    error[length] = '\0';
}

bool envelope_read(const struct event *event, struct attempt *attempt, const char **problem)
{
    uint64_t number, epoch, deferral, since, due, first;
    if (!read_number(event, &attempt_rule, &number, problem) || !read_number(event, &epoch_rule, &epoch, problem) ||
        !read_number(event, &deferral_rule, &deferral, problem) || !read_number(event, &since_rule, &since, problem) ||
        !read_number(event, &due_rule, &due, problem) || !read_number(event, &first_rule, &first, problem))
        return false;
    *attempt = (struct attempt){
        .number = (uint32_t)number,
        .epoch = (uint32_t)epoch,
        .deferral = (uint32_t)deferral,
        .deferred_since_ms = (int64_t)since,
        .due_ms = (int64_t)due,
        .first_ms = (int64_t)first,
        .url = event_header(event, "jobhook-url"),
    };
    struct slice origin = event_header(event, "jobhook-origin");
    if (origin.length == 0 || !read_origin(origin, &attempt->origin)) {
        *problem = "header jobhook-origin is not topic/partition/offset";
        return false;
    }
    read_error(event_header(event, "jobhook-error"), attempt->error);
    return true;
}

static void keep(struct envelope *envelope, const char *name, struct slice value)
{
    envelope->headers[envelope->count++] = (struct envelope_header){ name, value, true };
}

/* The storage must not move once slices point into it, so it is made large enough beforehand. */
static void keep_number(struct envelope *envelope, const char *name, int64_t value)
{
    size_t before = envelope->storage.length;
    text_append_i64(&envelope->storage, value);
    keep(envelope, name, (struct slice){ envelope->storage.start + before, envelope->storage.length - before });
}

static const char *store_name(struct envelope *envelope, struct slice name)
{
    size_t before = envelope->storage.length;
    text_append(&envelope->storage, name);
    text_append_char(&envelope->storage, '\0');
    return envelope->storage.start + before;
}

static void write_record_headers(struct envelope *envelope, const struct event *event)
{
    for (size_t i = 0; i < event->header_count; i++) {
        const struct event_header *header = &event->headers[i];
        if (slice_starts_with(header->name, PREFIX))
            continue;
        const char *name = store_name(envelope, header->name);
        envelope->headers[envelope->count++] = (struct envelope_header){ name, header->value, header->has_value };
    }
}

static void write_origin(struct envelope *envelope, const struct source *origin)
{
    size_t before = envelope->storage.length;
    text_append(&envelope->storage, origin->topic);
    text_append_char(&envelope->storage, '/');
    text_append_i64(&envelope->storage, origin->partition);
    text_append_char(&envelope->storage, '/');
    text_append_i64(&envelope->storage, origin->offset);
    keep(envelope, "jobhook-origin", (struct slice){ envelope->storage.start + before, envelope->storage.length - before });
}

static void write_attempt(struct envelope *envelope, const struct attempt *attempt)
{
    keep_number(envelope, "jobhook-attempt", attempt->number);
    keep_number(envelope, "jobhook-epoch", attempt->epoch);
    if (attempt->deferral > 0) {
        keep_number(envelope, "jobhook-deferral", attempt->deferral);
        keep_number(envelope, "jobhook-deferred-since-ms", attempt->deferred_since_ms);
    }
    keep_number(envelope, "jobhook-due-ms", attempt->due_ms);
    keep_number(envelope, "jobhook-first-ms", attempt->first_ms);
    if (attempt->url.length > 0)
        keep(envelope, "jobhook-url", attempt->url);
    write_origin(envelope, &attempt->origin);
    if (attempt->error[0] != '\0')
        keep(envelope, "jobhook-error", slice_of(attempt->error));
}

static size_t storage_needed(const struct event *event)
{
    size_t needed = 1024; /* numbers and origin */
    for (size_t i = 0; i < event->header_count; i++)
        needed += event->headers[i].name.length + 1;
    return needed;
}

void envelope_write(struct envelope *envelope, const struct envelope_letter *letter)
{
    *envelope = (struct envelope){ 0 };
    envelope->headers = memory_create((letter->event->header_count + ENVELOPE_OWN_HEADERS_MAX) * sizeof(*envelope->headers));
    text_init(&envelope->storage, STORAGE_MAX);
    envelope->storage.capacity = storage_needed(letter->event);
    envelope->storage.start = memory_create(envelope->storage.capacity);

    const char *storage = envelope->storage.start;
    write_record_headers(envelope, letter->event);
    write_attempt(envelope, letter->attempt);
    if (letter->reason != 0)
        keep(envelope, "jobhook-reason", slice_of(dead_reason_name(letter->reason)));
    if (letter->detail != NULL && letter->detail[0] != '\0')
        keep(envelope, "jobhook-detail", slice_of(letter->detail));
    if (letter->cut_from > 0)
        keep_number(envelope, "jobhook-cut-from-bytes", (int64_t)letter->cut_from);
    assert(!envelope->storage.overflowed && envelope->storage.start == storage);
}

void envelope_finish(struct envelope *envelope)
{
    free(envelope->headers);
    text_finish(&envelope->storage);
    *envelope = (struct envelope){ 0 };
}
