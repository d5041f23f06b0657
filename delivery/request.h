/* The HTTP request that an attempt becomes (DESIGN §3). Pure.
 *
 * The body is spliced from the event's own bytes. Header lines are "name: value", NUL-terminated, without CR or LF whatever the event held. */
#ifndef JOBHOOK_DELIVERY_REQUEST_H
#define JOBHOOK_DELIVERY_REQUEST_H

#include "delivery/attempt.h"
#include "delivery/event.h"
#include "delivery/signature.h"
#include "delivery/span.h"

enum { REQUEST_HEADERS_MAX = 12, REQUEST_ID_MAX = 64 };

struct request {
    struct text body;
    struct text lines; /* storage of the headers */
    const char *headers[REQUEST_HEADERS_MAX];
    size_t header_count;
    struct span span; /* of the attempt; its maker's */
};

struct request_options {
    const char *version;
    int64_t now_s; /* unix time of this attempt */
    bool test;     /* a test event: jobhook-test: 1 */
    bool pass_tracestate;
    const struct span *span;     /* what the receiver continues; NULL: the event's own traceparent, if it has one */
    struct signature *signature; /* NULL: not signed */
    struct slice scope;          /* whose secret signs: signature_scope_of the URL */
};

/* Fills a request whose texts were initialised by request_init; may be used again and again. */
void request_init(struct request *request);
void request_compose(struct request *request, const struct event *event, const struct attempt *attempt, const struct request_options *options);
void request_finish(struct request *request);

/* The payload without its last brace: for those who add members of their own (/job-status). */
void request_append_members(struct text *body, const struct event *event);

/* webhook-id: the task_id when it matches [A-Za-z0-9_-]{1,64}, else msg_ + base62 of its SHA-256. Writes a NUL-terminated id. */
void request_webhook_id(struct slice task_id, char id[REQUEST_ID_MAX + 1]);

#endif
