/* Is it us? The breaker of a broken way out (DESIGN §5, "When it is us"). Pure.
 *
 * Of the origins that connected within the last hour, at least EGRESS_TRIED_MIN were tried in the last 10 s and at least 90 % of these failed by
 * name, connect or TLS: the way out is broken, not they. Customers' dead host names never connected, so they never count. From then on attempts
 * are only made as probes, one a second, and the first origin that connects ends it. */
#ifndef JOBHOOK_DELIVERY_EGRESS_H
#define JOBHOOK_DELIVERY_EGRESS_H

#include "consumer/base/list.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    EGRESS_KNOWN_MS = 3600 * 1000, /* an origin speaks for the way out for that long after it connected */
    EGRESS_TRIED_MS = 10 * 1000,
    EGRESS_TRIED_MIN = 10,
    EGRESS_FAILED_PERCENT = 90,
    EGRESS_PROBE_MS = 1000,
};

struct egress_mark {  /* inside an origin; zeroed before the first use */
    struct link link; /* among the origins tried lately, in the order of tried_ms */
    uint64_t tried_ms;
    uint64_t connected_ms;
    bool connected; /* ever */
    bool failed;    /* its latest attempt did */
};

struct egress {
    struct list tried;
    uint32_t failed; /* how many of these failed */
    bool down;
    uint64_t down_since_ms;
    uint64_t up_since_ms; /* when it was last found to work again; 0: always did */
    uint64_t lost_ms;     /* how long it was down before, all in all */
    uint64_t probe_ms;    /* when the next probe may start */
};

void egress_init(struct egress *egress);
/* An attempt at this origin connected, or failed by name, connect or TLS. Either may change `down`. */
void egress_note_connected(struct egress *egress, struct egress_mark *mark, uint64_t now_ms);
void egress_note_failed(struct egress *egress, struct egress_mark *mark, uint64_t now_ms);
/* The origin is about to be forgotten. */
void egress_forget(struct egress *egress, struct egress_mark *mark);

/* Whether it spoke for the way out at `now_ms`, or when the way out broke. */
bool egress_knows(const struct egress *egress, const struct egress_mark *mark, uint64_t now_ms);
/* While down: true when a probe may start; the next one is due a second later. */
bool egress_may_probe(const struct egress *egress, uint64_t now_ms);
void egress_note_probe(struct egress *egress, uint64_t now_ms);
/* A clock that stands still while the way out is broken: what endpoints are judged by. */
uint64_t egress_working_ms(const struct egress *egress, uint64_t now_ms);

#endif
