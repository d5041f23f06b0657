/* One event: a Kafka record that owns its bytes, and slices into them (DESIGN §2). Pure; yajl stays inside.
 *
 * The record's key, value and headers are copied once, in one block, and never changed: retries and dead letters carry them untouched. `result`
 * and `error` are never decoded: the slices hold the bytes as the worker wrote them. */
#ifndef JOBHOOK_DELIVERY_EVENT_H
#define JOBHOOK_DELIVERY_EVENT_H

#include "consumer/base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    EVENT_TASK_ID_MAX = 256,
    EVENT_TASK_TYPE_MAX = 128,
    EVENT_DEPTH_MAX = 512,   /* nesting of arrays and objects */
    EVENT_HEADERS_MAX = 256, /* more are malformed: invalid_event; those called jobhook-… come on top */
};

struct event_header {
    struct slice name;
    struct slice value;
    bool has_value; /* Kafka knows null values */
};

struct event { /* one block of memory */
    bool has_key, has_value;
    struct slice key, value;
    struct event_header *headers;
    size_t header_count;
    int64_t timestamp_ms; /* the record's; -1 none */

    /* Set by event_parse. Decoded (an escaped webhook_url is cut at 8193 bytes, one more than the guard takes): */
    struct slice task_id, task_type, webhook_url; /* webhook_url empty: nothing to send */
    bool failed;                                  /* status */
    /* As written, quotes included; empty when absent: */
    struct slice raw_task_id, raw_status, raw_task_type, raw_result, raw_error;

    char *decoded; /* storage of members that had escapes */
    size_t bytes;  /* of the whole block, for the limit on held bytes */
};

/* What a record is made of; everything is copied. */
struct event_record {
    bool has_key, has_value;
    struct slice key, value;
    const struct event_header *headers;
    size_t header_count;
    int64_t timestamp_ms;
};

struct event *event_create(const struct event_record *record);
void event_destroy(struct event *event);

/* Reads and checks the value. On false `*problem` is a fixed sentence, e.g. "member task_id is missing"; the event can still be dead-lettered. */
MUST_USE bool event_parse(struct event *event, const char **problem);

/* 64 bits over what is to be sent and where to: payload members and the event's own webhook_url, never ignored members. After event_parse. */
uint64_t event_digest(const struct event *event);

/* The last header of that name; empty when there is none. */
struct slice event_header(const struct event *event, const char *name);

#endif
