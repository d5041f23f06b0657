/* The endpoints that give trouble lately, in bounded memory: for an operator who asks which ones. Time is an argument.
 *
 * Counts halve every minute, so that what is over sinks. When all places are taken, the endpoint with the least trouble makes room. One thread notes, any
 * thread reads. */
#ifndef JOBHOOK_DELIVERY_TROUBLES_H
#define JOBHOOK_DELIVERY_TROUBLES_H

#include "delivery/attempt.h"

#include <stddef.h>

enum { TROUBLES_MAX = 64, TROUBLES_ENDPOINT_BYTES = 200 };

struct trouble {
    char endpoint[TROUBLES_ENDPOINT_BYTES + 1]; /* a URL without its query, cut */
    uint32_t failed, deferred;                  /* attempts, events: lately */
    char error[ATTEMPT_ERROR_MAX + 1];          /* of the last failure; "" none */
    uint64_t last_ms;                           /* monotonic */
    uint64_t rest_until_ms;                     /* likewise; 0 or in the past: it does not rest, as far as was noted */
};

struct troubles;

struct troubles *troubles_create(void);
void troubles_destroy(struct troubles *troubles); /* takes NULL */
/* An attempt failed with that error, or (NULL) an event was put off because of its endpoint. */
void troubles_note(struct troubles *troubles, struct slice endpoint, const char *error, uint64_t now_ms);
/* It rests until then; 0: no longer. Nothing happens to an endpoint that gave no trouble. */
void troubles_note_rest(struct troubles *troubles, struct slice endpoint, uint64_t until_ms);
/* Copies at most TROUBLES_MAX of them, in no order; returns how many. */
size_t troubles_read(struct troubles *troubles, uint64_t now_ms, struct trouble copy[TROUBLES_MAX]);

#endif
