/* The name servers, in the order in which they are asked. Private to names_servers.c.
 *
 * c-ares begins with the first one each time, whatever it has said: one that is dead is put behind the others. */
#ifndef JOBHOOK_DELIVERY_NAMES_ORDER_H
#define JOBHOOK_DELIVERY_NAMES_ORDER_H

#include "consumer/base/text.h"

enum { NAMES_ORDER_LENGTH_MAX = 16384 };

struct names_order {
    struct text list;    /* "192.0.2.1:53,[2001:db8::1]:53"; empty before the first reading */
    unsigned count;      /* of them */
    unsigned number;     /* of this order: what was asked in another tells nothing about it */
    unsigned late;       /* in a row: questions that the first one did not answer in time */
    uint64_t in_time_ms; /* when it last did; 0: never */
};

void names_order_init(struct names_order *order);
void names_order_finish(struct names_order *order);
/* Takes over the list, of one at least. */
void names_order_read(struct names_order *order, struct text list);
/* There was an answer to what was asked in that order: late, when the first one's first chance had gone by. */
void names_order_heard(struct names_order *order, unsigned number, bool late, uint64_t now_ms);
/* Puts the first one behind the others when it is silent. */
bool names_order_heed_silence(struct names_order *order, uint64_t now_ms);

#endif
