/* What `jobhook top` shows, made of two readings of each copy's metrics. Pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_TOP_VIEW_H
#define JOBHOOK_CONSUMER_COMMANDS_TOP_VIEW_H

#include "consumer/commands/scrape.h"
#include "consumer/commands/top_endpoints.h"

#include <stdbool.h>

enum { TOP_COPIES_MAX = 64 };

struct top_copy {
    const char *address;
    struct scrape before, now;
    bool answers; /* `now` is a reading; else `problem` says why it is not */
    char problem[128];
    double seconds; /* between the two; 0: there is no `before` */
};

enum top_order { TOP_BY_NAME, TOP_BY_EVENTS, TOP_BY_POSTS, TOP_BY_LAG, TOP_BY_LATENCY, TOP_ORDERS };

struct top_view {
    struct top_copy *copies;
    size_t count;
    enum top_order order;
    size_t columns;               /* of the terminal; 0: none, nothing is cut */
    bool bold;                    /* headings may be bold: a terminal, and no NO_COLOR */
    char endpoints_problem[192];  /* why a copy's are not among them; "": all are */
    const struct text *endpoints; /* what the copies' /endpoints answered, one after another; NULL: nobody asked */
    enum top_endpoints_order endpoints_order;
    const char *endpoints_keys; /* NULL: there is no keyboard */
};

const char *top_order_name(enum top_order order);
void top_view_append(const struct top_view *view, struct text *text);

#endif
