/* What Debian 12's c-ares (1.18) does not do, and Debian 13's (1.34) does. Private to names_servers.c. */
#ifndef JOBHOOK_DELIVERY_NAMES_CARES_H
#define JOBHOOK_DELIVERY_NAMES_CARES_H

#include <ares.h>
#include <stdbool.h>

enum {
    NAMES_PORT_QUERIES = 32, /* asked from one port, before another makes answers hard to forge again */
#ifdef ARES_OPT_UDP_MAX_QUERIES
    NAMES_CARES_IS_OLD = false,
#else
    NAMES_CARES_IS_OLD = true, /* it keeps its port, asks a name server that says nothing first each time, and passes over those with a zone */
#endif
};

/* Returns the mask of what it has set. */
int names_cares_set_newer_options(struct ares_options *options);
unsigned names_cares_count_servers(ares_channel ares);
/* first_last: all but the first, and then that. false: out of memory. For an old one alone. */
bool names_cares_copy_servers(ares_channel to, ares_channel from, bool first_last);

#endif
