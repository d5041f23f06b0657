/* A trace: what of one task lies in Kafka, found by where Redis says that its event lies. Changes nothing.
 *
 * Retries, dead letters and attempts lie in the event's own partition of their topics, later than it, so that is all that is read, and no longer than the
 * time that is given. Whoever stamped the event may have another clock: TRACE_CLOCKS_MS are allowed for, more is not seen. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_TRACE_H
#define JOBHOOK_CONSUMER_COMMANDS_TRACE_H

#include "consumer/commands/topic_reader.h"
#include "dedupe/record.h"

enum { TRACE_TOPICS_MAX = 640, TRACE_CLOCKS_MS = 60000 };

enum trace_result {
    TRACE_FINE,
    TRACE_GONE,    /* of an event: it is not there, or it is another's */
    TRACE_PARTIAL, /* of copies: the time was over before the end was reached */
    TRACE_FAILED,  /* Kafka does not let us: `problem` says why */
};

struct trace {
    const struct settings *settings;
    struct slice task_id;
    const struct record *record; /* which says where the event lies */
    int64_t from_ms;             /* of copies: trace_beginning_ms; 0: from the beginning */
    uint64_t patience_ms;
    char problem[512];
};

/* The event where the record says that it lies; the caller's to destroy. */
enum trace_result trace_event(struct trace *trace, struct event **event);
/* Where to begin with the copies of an event of that timestamp (-1: none). One that lies ahead of now is nobody's clock: from the beginning. Pure. */
int64_t trace_beginning_ms(int64_t event_ms, int64_t now_ms);
/* Calls `found` for each record of the task in these topics; those that do not exist are passed over. */
enum trace_result trace_copies(struct trace *trace, const char *const *topics, size_t count,
                               void (*found)(void *context, const struct topic_record *record), void *context);

#endif
