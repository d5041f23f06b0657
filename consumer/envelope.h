/* The envelope: how an attempt travels in Kafka headers (DESIGN §4). Pure.
 *
 * The record's own headers are kept, in order; `jobhook-*` among them are ours alone: those of an input record are forged or left over and are
 * dropped when the record is written on. */
#ifndef JOBHOOK_CONSUMER_ENVELOPE_H
#define JOBHOOK_CONSUMER_ENVELOPE_H

#include "delivery/attempt.h"
#include "delivery/event.h"
#include "delivery/verdict.h"

enum { ENVELOPE_OWN_HEADERS_MAX = 12 };

/* Reads the attempt that a record of a retry topic asks for. On false `*problem` names the header and the rule: a dead letter `invalid_headers`.
 * attempt->url and attempt->origin.topic point into the event. */
MUST_USE bool envelope_read(const struct event *event, struct attempt *attempt, const char **problem);

struct envelope_header {
    const char *name; /* NUL-terminated */
    struct slice value;
    bool has_value;
};

struct envelope {
    struct envelope_header *headers;
    size_t count;
    struct text storage;
};

struct envelope_letter { /* what is to be written */
    const struct event *event;
    const struct attempt *attempt; /* the attempt that the record asks for, or the last one of a dead letter */
    enum dead_reason reason;       /* dead letters; 0: a retry or a deferral */
    const char *detail;            /* dead letters: what exactly was wrong; "" nothing to say */
    size_t cut_from;               /* the value was shortened from so many bytes; 0: untouched */
};

void envelope_write(struct envelope *envelope, const struct envelope_letter *letter);
void envelope_finish(struct envelope *envelope);

#endif
