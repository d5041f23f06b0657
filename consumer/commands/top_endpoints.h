/* The worst endpoints of all copies, from their /endpoints pages. Pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_TOP_ENDPOINTS_H
#define JOBHOOK_CONSUMER_COMMANDS_TOP_ENDPOINTS_H

#include "consumer/base/text.h"

enum { TOP_ENDPOINTS_SHOWN = 10, TOP_ENDPOINTS_MAX = 64 * 64, TOP_ENDPOINTS_NARROW = 72 };

/* By failed and deferred together, by either, by the last trouble, by how long they still rest. */
enum top_endpoints_order { TOP_BY_TROUBLE, TOP_BY_FAILED, TOP_BY_DEFERRED, TOP_BY_LAST, TOP_BY_REST, TOP_ENDPOINTS_ORDERS };

struct top_endpoints {
    struct slice pages; /* tab-separated, as consumer/http/endpoints.h has it, one after another */
    enum top_endpoints_order order;
    const char *keys; /* those that choose the order; NULL: there is no keyboard */
    size_t columns;   /* 0: lines are not cut. Below TOP_ENDPOINTS_NARROW each endpoint has two */
};

/* Appends a heading and the first of them. */
void top_endpoints_append(const struct top_endpoints *endpoints, struct text *text);

#endif
