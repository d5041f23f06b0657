/* One attempt as OTLP has spans, in the JSON encoding of its protocol buffers (opentelemetry-proto 1.x: ids in hex, 64-bit integers as strings). Pure.
 *
 * No payload and no URL behind the origin: paths and queries may hold secrets, results are people's data. Attributes are named by OpenTelemetry's
 * semantic conventions where these have a name. */
#ifndef JOBHOOK_CONSUMER_SPAN_RECORD_H
#define JOBHOOK_CONSUMER_SPAN_RECORD_H

#include "delivery/delivery.h"

/* `attempted` has a span that ended at `end_ms`, since 1970. */
void span_record_append(struct text *text, const struct attempted *attempted, int64_t end_ms);

struct span_source {
    const char *version, *host;
    long pid;
};
/* What stands before the spans of a request, which are separated by commas, and what stands behind them. */
void span_record_append_head(struct text *text, const struct span_source *source);
#define SPAN_RECORD_TAIL "]}]}]}"

#endif
