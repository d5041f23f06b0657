/* Spans of attempts for a collector of traces: OTLP/HTTP with JSON, POSTed to <JOBHOOK_OTLP_ENDPOINT>/v1/traces. libcurl stays inside.
 *
 * Never in the way of a delivery: spans go through a bounded buffer to a thread of its own, in batches; what does not fit, or what the collector does
 * not take, is dropped and counted. What a collector says it cannot take now is offered again for a minute while the buffer fills. */
#ifndef JOBHOOK_CONSUMER_SPANS_H
#define JOBHOOK_CONSUMER_SPANS_H

#include "consumer/base/measure.h"
#include "consumer/settings.h"
#include "delivery/delivery.h"

struct spans;

struct spans_stats {
    struct counter sent, dropped;
};

/* NULL, after a log line, when there is no thread for it. The settings name an endpoint, and outlive it. */
struct spans *spans_create(const struct settings *settings);
/* What is buffered has two seconds to go. No other thread uses it any more. Takes NULL. */
void spans_destroy(struct spans *spans);
/* Any thread: an attempt that has just ended; those without a span are passed over. */
void spans_note(struct spans *spans, const struct attempted *attempted);
/* Any thread: requests carry these headers from now on; copied. */
void spans_send_with(struct spans *spans, const struct span_headers *headers);
const struct spans_stats *spans_stats(const struct spans *spans);

#endif
