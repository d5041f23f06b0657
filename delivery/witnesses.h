/* Who connected lately, an origin for each site (delivery/site.h): whom to ask whether the way out is broken. The events that wait may all be one
 * stranger's, and he alone would be heard. Pure.
 *
 * Those whose site has been known for longest are asked first: a good standing is the one thing that a stranger cannot have a thousand of at once. One
 * who is heard proves little, as part of a network may be reached when the rest is not: it takes more than a tenth of those who were asked. */
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

struct witnesses *witnesses_create(void);
void witnesses_destroy(struct witnesses *witnesses); /* takes NULL */
/* An origin connected; `hash` and `site` are its own. Copied. */
void witnesses_note(struct witnesses *witnesses, struct slice origin, uint64_t hash, uint32_t site, uint64_t now_ms);
bool witnesses_exist(const struct witnesses *witnesses);
/* Whom to ask now, as the way out broke at that time: an origin, valid until the next call; an empty slice: nobody. */
struct slice witnesses_choose(struct witnesses *witnesses, uint64_t broken_since_ms, uint64_t now_ms);
/* One of them was heard: whether enough were. */
MUST_USE bool witnesses_hear(struct witnesses *witnesses);

#endif
