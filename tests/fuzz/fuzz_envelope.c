/* Any bytes as the headers of a retry record, one on each line, name=value: what is read is within its limits, is written on so that it is read the
 * same, and the record's own headers stay as they were, in order, with none of ours among them. */
#include "consumer/envelope.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct event *event_of(struct slice input)
{
    struct event_header headers[EVENT_HEADERS_MAX];
    size_t count = 0;
    const char *at = input.start, *end = input.start + input.length;
    while (at < end && count < EVENT_HEADERS_MAX) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        line_end = line_end == NULL ? end : line_end;
        const char *equals = memchr(at, '=', (size_t)(line_end - at));
        const char *name_end = equals == NULL ? line_end : equals, *value = equals == NULL ? line_end : equals + 1;
        if (memchr(at, '\0', (size_t)(name_end - at)) == NULL) /* Kafka's library gives names as strings */
            headers[count++] = (struct event_header){ { at, (size_t)(name_end - at) }, { value, (size_t)(line_end - value) }, equals != NULL };
        at = line_end < end ? line_end + 1 : end;
    }
    return event_create(&(struct event_record){ .headers = headers, .header_count = count });
}

static void expect_within_limits(const struct attempt *attempt)
{
    assert(attempt->number >= 1 && attempt->number <= 301 && attempt->due_ms >= 0 && attempt->first_ms >= 0);
    assert(attempt->deferred_since_ms >= 0 && attempt->origin.partition >= 0 && attempt->origin.offset >= 0);
    assert(attempt->origin.topic.length >= 1 && attempt->origin.topic.length <= ATTEMPT_TOPIC_MAX);
    for (size_t i = 0; i < attempt->origin.topic.length; i++)
        assert(attempt->origin.topic.start[i] > ' ' && attempt->origin.topic.start[i] < 0x7f);
    for (const char *c = attempt->error; *c != '\0'; c++)
        assert((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_');
}

static void expect_same(const struct attempt *a, const struct attempt *b)
{
    assert(a->number == b->number && a->epoch == b->epoch && a->deferral == b->deferral && a->due_ms == b->due_ms && a->first_ms == b->first_ms);
    assert(a->deferral == 0 || a->deferred_since_ms == b->deferred_since_ms);
    assert(slice_equal(a->url, b->url) && slice_equal(a->origin.topic, b->origin.topic) && strcmp(a->error, b->error) == 0);
    assert(a->origin.partition == b->origin.partition && a->origin.offset == b->origin.offset);
}

static void expect_kept(const struct envelope *envelope, const struct event *event)
{
    size_t kept = 0;
    for (size_t i = 0; i < event->header_count; i++) {
        const struct event_header *header = &event->headers[i];
        if (slice_starts_with(header->name, "jobhook-"))
            continue;
        assert(slice_is(header->name, envelope->headers[kept].name) && slice_equal(header->value, envelope->headers[kept].value));
        assert(header->has_value == envelope->headers[kept++].has_value);
    }
    for (; kept < envelope->count; kept++)
        assert(strncmp(envelope->headers[kept].name, "jobhook-", 8) == 0);
}

static struct event *event_behind(const struct envelope *envelope)
{
    struct event_header headers[EVENT_HEADERS_MAX + ENVELOPE_OWN_HEADERS_MAX];
    assert(envelope->count <= COUNT_OF(headers));
    for (size_t i = 0; i < envelope->count; i++)
        headers[i] = (struct event_header){ slice_of(envelope->headers[i].name), envelope->headers[i].value, envelope->headers[i].has_value };
    return event_create(&(struct event_record){ .headers = headers, .header_count = envelope->count });
}

static void expect_read_again(const struct event *event, const struct attempt *attempt)
{
    struct envelope envelope;
    struct attempt again;
    const char *problem = NULL;
    envelope_write(&envelope,
                   &(struct envelope_letter){ .event = event, .attempt = attempt, .reason = DEAD_EXHAUSTED, .detail = "d", .cut_from = 1 });
    expect_kept(&envelope, event);
    struct event *behind = event_behind(&envelope);
    bool read = envelope_read(behind, &again, &problem);
    assert(read);
    expect_same(attempt, &again);
    event_destroy(behind);
    envelope_finish(&envelope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event *event = event_of((struct slice){ (const char *)data, size });
    struct attempt attempt;
    const char *problem = NULL;
    if (envelope_read(event, &attempt, &problem)) {
        expect_within_limits(&attempt);
        expect_read_again(event, &attempt);
    } else {
        assert(problem != NULL);
    }
    event_destroy(event);
    return 0;
}
