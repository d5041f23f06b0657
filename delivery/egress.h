/* Is it us? The breaker of a broken way out (DESIGN §5, "When it is us"). Pure.
 *
 * Of the origins that connected within the last hour, at least EGRESS_TRIED_MIN were tried in the last 10 s and at least 90 % of these failed by
 * name, connect or TLS: the way out is broken, not they. Customers' dead host names never connected, so they never count. From then on attempts
 * are only made as probes, and the first origin that connects ends it.
 *
 * Strangers own origins by the hundred that answer once and then refuse, and so can trip it. That must cost the others a moment, however often:
 * - Probes go round the sites (delivery/site.h), many in a second: somebody else's origin is soon heard. In an outage that is next to nothing.
 * - His events may be all that is held, and then nobody else's are read: so those who connected lately are asked as well (delivery/witnesses.h).
 * - What failed before it ended no longer speaks for the way out until it connects again. */
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
    EGRESS_PROBE_MS = 50,
    EGRESS_ANY_PROBE = 3, /* one of so many goes to whoever waits, the others to origins that are known */
    EGRESS_SITES = 4096,
};

struct egress_mark {  /* inside an origin; zeroed before the first use, but for `site` */
    struct link link; /* among the origins tried lately, in the order of tried_ms */
    uint64_t tried_ms;
    uint64_t connected_ms;
    bool connected; /* ever, or since it failed while the way out was broken */
    bool failed;    /* its latest attempt did */
    uint32_t site;  /* a hash */
};

struct egress {
    struct list tried;
    uint32_t failed; /* how many of these failed */
    bool down;
    uint64_t down_since_ms;
    uint64_t up_since_ms;             /* when it was last found to work again; 0: always did */
    uint64_t lost_ms;                 /* how long it was down before, all in all */
    uint32_t probes;                  /* since it broke */
    uint64_t probe_ms;                /* when the next one may start */
    uint64_t probed_ms[EGRESS_SITES]; /* a few sites may share one */
};

void egress_init(struct egress *egress);
/* An attempt at this origin connected, or failed by name, connect or TLS. Either may change `down`. */
void egress_note_connected(struct egress *egress, struct egress_mark *mark, uint64_t now_ms);
void egress_note_failed(struct egress *egress, struct egress_mark *mark, uint64_t now_ms);
/* Enough of those who were asked without an event connected. */
void egress_note_heard(struct egress *egress, uint64_t now_ms);
/* The origin is about to be forgotten. */
void egress_forget(struct egress *egress, struct egress_mark *mark);

/* Whether it spoke for the way out at `now_ms`, or when the way out broke. */
bool egress_knows(const struct egress *egress, const struct egress_mark *mark, uint64_t now_ms);
/* While down: true when a probe may start. */
bool egress_may_probe(const struct egress *egress, uint64_t now_ms);
/* Which origin it should go to: the one with the lowest rank; none is lower than EGRESS_RANK_BEST. */
enum { EGRESS_RANK_BEST = 0 };
uint64_t egress_probe_rank(const struct egress *egress, const struct egress_mark *mark, uint64_t now_ms);
void egress_note_probe(struct egress *egress, const struct egress_mark *mark, uint64_t now_ms);
/* A clock that stands still while the way out is broken: what endpoints are judged by. */
uint64_t egress_working_ms(const struct egress *egress, uint64_t now_ms);

#endif
