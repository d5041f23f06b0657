/* Who connected lately, an origin for each site (delivery/site.h): whom to ask whether the way out is broken. The events that wait may all be one
 * stranger's, and he alone would be heard. Pure.
 *
 * Those whose site has been known for longest are asked first: a good standing is the one thing that a stranger cannot have a thousand of at once. One
 * who is heard proves little, as part of a network may be reached when the rest is not: it takes more than a tenth of those who were asked, each by what
 * came of asking it last. */
#ifndef JOBHOOK_DELIVERY_WITNESSES_H
#define JOBHOOK_DELIVERY_WITNESSES_H

#include "consumer/base/text.h"

#include <stdint.h>

enum {
    WITNESSES_MAX = 1024,
    WITNESSES_ENOUGH = 10,             /* or all that there are */
    WITNESS_AGAIN_MS = 2000,           /* nobody is asked more often; no shorter than LANES_ASK_MS */
    WITNESS_SILENT_MS = 60 * 1000,     /* one that has not connected for so long gives its place to another origin of its site, */
    WITNESS_GONE_MS = 10 * 60 * 1000,  /* and after so long to another site's */
    WITNESS_KNOWN_MS = 60 * 60 * 1000, /* as for any origin (delivery/egress.h) */
};

struct witnesses;
struct witness;

struct witnesses *witnesses_create(void);
void witnesses_destroy(struct witnesses *witnesses); /* takes NULL */
/* An origin connected; `hash` and `site` are its own. Copied. */
void witnesses_note(struct witnesses *witnesses, struct slice origin, uint64_t hash, uint32_t site, uint64_t now_ms);
bool witnesses_exist(const struct witnesses *witnesses);

/* Whether enough were heard since the way out broke. */
bool witnesses_suffice(const struct witnesses *witnesses, uint64_t broken_since_ms);
/* Whom to ask next about that; NULL: nobody. What it says may come later than the next one is chosen. */
struct witness *witnesses_choose(struct witnesses *witnesses, uint64_t broken_since_ms, uint64_t now_ms);
/* When to choose: every EGRESS_PROBE_MS, and at once where the last one was left out. */
uint64_t witnesses_next_ms(const struct witnesses *witnesses);

/* These as long as there are witnesses. */
struct slice witness_origin(const struct witness *witness);
void witness_hear(struct witness *witness);
/* It is not asked after all, and unknown until it connects again. */
void witness_leave_out(struct witness *witness);

#endif
