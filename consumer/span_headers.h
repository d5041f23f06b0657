/* What JOBHOOK_OTLP_HEADERS adds to each request to the collector, most often a login. Pure.
 *
 * Written as OpenTelemetry's exporters take it: name=value with commas between, values percent-encoded where need be; a line end separates, too.
 * What frames the request or describes its body is refused.
 * Secret: wipe each copy. */
#ifndef JOBHOOK_CONSUMER_SPAN_HEADERS_H
#define JOBHOOK_CONSUMER_SPAN_HEADERS_H

#include "consumer/base/text.h"

enum { SPAN_HEADERS_MAX = 8, SPAN_HEADER_BYTES_MAX = 2048 };

struct span_headers {
    size_t count;
    char lines[SPAN_HEADERS_MAX][SPAN_HEADER_BYTES_MAX + 1]; /* "name: value" */
};

/* On false `problem` holds a sentence that reveals no value. */
MUST_USE bool span_headers_parse(struct slice text, struct span_headers *headers, struct text *problem);
void span_headers_wipe(struct span_headers *headers);

#endif
