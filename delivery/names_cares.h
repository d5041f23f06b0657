/* What Debian 12's c-ares (1.18) does not do, and Debian 13's (1.34) does, which can have a port for each question. Private to names_servers.c. */
#ifndef JOBHOOK_DELIVERY_NAMES_CARES_H
#define JOBHOOK_DELIVERY_NAMES_CARES_H

#include <stdbool.h>

struct ares_channeldata;
struct ares_options;

enum { NAMES_PORT_QUERIES = 32 }; /* asked from one port, before another makes answers hard to forge again */

/* It keeps its port, asks the first name server first each time although it says nothing, and passes over those with a zone. */
bool names_cares_is_old(void);
/* Returns the mask of what it has set. */
int names_cares_set_newer_options(struct ares_options *options, bool few_descriptors);
unsigned names_cares_count_servers(struct ares_channeldata *ares);
/* first_last: all but the first, and then that. false: out of memory. For an old one alone. */
bool names_cares_copy_servers(struct ares_channeldata *to, struct ares_channeldata *from, bool first_last);

#endif
