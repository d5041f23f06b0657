#include "consumer/commands/trace.h"

#include "consumer/base/clock.h"
#include "delivery/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WAIT_MS = 50, PLACE_BYTES = 512 };

/* ---- the event ---- */

/* Of a pointer that `reindex` wrote only the place is known. */
static bool is_the_one(const struct trace *trace, struct event *event)
{
    const char *problem;
    return event_parse(event, &problem) && slice_equal(event->task_id, trace->task_id) &&
           (trace->record->rank == 0 || event_digest(event) == trace->record->digest);
}

static enum trace_result read_one(struct trace *trace, struct topic_reader *reader, struct event **event)
{
    struct topic_record record;
    enum topic_step step;
    while ((step = topic_reader_next(reader, WAIT_MS, &record)) == TOPIC_RECORD || step == TOPIC_SILENCE) {
        if (step == TOPIC_SILENCE)
            continue;
        struct event *read = event_create(&record.content);
        if (record.offset == trace->record->offset && is_the_one(trace, read)) {
            *event = read;
            return TRACE_FINE;
        }
        event_destroy(read);
    }
    if (step == TOPIC_END)
        return TRACE_GONE;
    snprintf(trace->problem, sizeof trace->problem, "%s", topic_reader_problem(reader));
    return TRACE_FAILED;
}

enum trace_result trace_event(struct trace *trace, struct event **event)
{
    const struct record *record = trace->record;
    if (record->partition < 0 || record->offset < 0 || record->offset == INT64_MAX)
        return TRACE_GONE;
    struct topic_reader *reader = topic_reader_create(trace->settings, trace->problem, sizeof trace->problem);
    if (reader == NULL)
        return TRACE_FAILED;
    const struct topic_range range = { .partition = record->partition, .from_offset = record->offset, .until_offset = record->offset + 1 };
    int32_t partitions = topic_reader_partitions(reader, trace->settings->topic);
    enum trace_result result = partitions < 0 ? TRACE_FAILED : TRACE_GONE;
    if (record->partition < partitions)
        result = topic_reader_add(reader, trace->settings->topic, &range, trace->problem, sizeof trace->problem) ? read_one(trace, reader, event)
                                                                                                                 : TRACE_FAILED;
    else if (partitions < 0)
        snprintf(trace->problem, sizeof trace->problem, "no broker answers: see JOBHOOK_KAFKA_BROKERS");
    topic_reader_destroy(reader);
    return result;
}

/* ---- copies ---- */

int64_t trace_beginning_ms(int64_t event_ms, int64_t now_ms)
{
    return event_ms <= TRACE_CLOCKS_MS || event_ms > now_ms + TRACE_CLOCKS_MS ? 0 : event_ms - TRACE_CLOCKS_MS;
}

struct searched {
    struct slice task_id;
    char origin[PLACE_BYTES]; /* as the header jobhook-origin has it */
};

static bool is_of_the_task(const struct searched *searched, const struct event_record *content)
{
    if (content->has_key && slice_equal(content->key, searched->task_id))
        return true;
    for (size_t i = 0; i < content->header_count; i++)
        if (slice_is(content->headers[i].name, "jobhook-origin") && slice_is(content->headers[i].value, searched->origin))
            return true;
    return false;
}

/* A topic with fewer partitions has them in any. */
static bool add_topics(struct trace *trace, struct topic_reader *reader, const char *const *topics, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct topic_range range = { .partition = trace->record->partition, .from_ms = trace->from_ms };
        int32_t partitions = topic_reader_partitions(reader, topics[i]);
        if (range.partition < 0 || range.partition >= partitions)
            range.partition = TOPIC_ALL_PARTITIONS;
        if (partitions != 0 && !topic_reader_add(reader, topics[i], &range, trace->problem, sizeof trace->problem))
            return false;
    }
    return true;
}

enum trace_result trace_copies(struct trace *trace, const char *const *topics, size_t count,
                               void (*found)(void *context, const struct topic_record *record), void *context)
{
    struct searched searched = { .task_id = trace->task_id };
    struct topic_record record;
    uint64_t until_ms = clock_monotonic_ms() + trace->patience_ms;
    snprintf(searched.origin, sizeof searched.origin, "%s/%" PRId32 "/%" PRId64, trace->settings->topic, trace->record->partition,
             trace->record->offset);
    struct topic_reader *reader = topic_reader_create(trace->settings, trace->problem, sizeof trace->problem);
    if (reader == NULL)
        return TRACE_FAILED;
    enum trace_result result = add_topics(trace, reader, topics, count) ? TRACE_PARTIAL : TRACE_FAILED;
    while (result == TRACE_PARTIAL && clock_monotonic_ms() < until_ms) {
        enum topic_step step = topic_reader_next(reader, WAIT_MS, &record);
        if (step == TOPIC_RECORD && is_of_the_task(&searched, &record.content))
            found(context, &record);
        else if (step == TOPIC_END)
            result = TRACE_FINE;
        else if (step == TOPIC_PROBLEM)
            result = TRACE_FAILED;
    }
    if (result == TRACE_FAILED && trace->problem[0] == '\0')
        snprintf(trace->problem, sizeof trace->problem, "%s", topic_reader_problem(reader));
    topic_reader_destroy(reader);
    return result;
}
