/* One attempt as a span of a distributed trace (W3C Trace Context, Recommendation of 2021): which trace it belongs to, and whose child it is. Pure.
 *
 * An event that carries a `traceparent` is continued: its trace, its flags, and the span that it names as the parent. One without begins a trace of
 * its own, the same for all attempts of a task. What the producer chose not to sample is not recorded, and its header goes on as it came. */
#ifndef JOBHOOK_DELIVERY_SPAN_H
#define JOBHOOK_DELIVERY_SPAN_H

#include "consumer/base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum { SPAN_TRACE_BYTES = 16, SPAN_ID_BYTES = 8 };

struct span {
    uint8_t trace[SPAN_TRACE_BYTES];
    uint8_t parent[SPAN_ID_BYTES]; /* with has_parent */
    uint8_t id[SPAN_ID_BYTES];
    uint8_t flags;
    bool has_parent;
    bool recorded; /* false: nothing is to be said about this attempt, all else is undefined */
};

/* 00-<trace id: 32>-<parent id: 16>-<flags: 2>, lower-case hex, neither id all zeros (§3.2). */
bool span_is_traceparent(struct slice value);

struct span_root { /* what a trace of its own is made from */
    struct slice task_id;
    int64_t first_ms; /* when the event was first taken up */
};
/* `traceparent`: the event's, whatever it holds; `id`: random. */
void span_begin(struct span *span, struct slice traceparent, const struct span_root *root, const uint8_t id[SPAN_ID_BYTES]);
/* What the receiver is told: this span is the parent of whatever it does. */
void span_append_traceparent(const struct span *span, struct text *text);

void span_append_hex(struct text *text, const uint8_t *bytes, size_t count);

#endif
