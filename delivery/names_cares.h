/* What differs between Debian 12's c-ares (1.18) and Debian 13's (1.34). Private to names_servers.c.
 *
 * Both begin with the first name server whatever it has said. The old one keeps its port as long as any question is under way, takes 70 KB for a channel, and
 * passes over name servers with a zone. The new one ends a port, and charges a try to all that was asked from it, when one answer cannot be read; and by what
 * it has heard in a channel it changes its patience there: quick answers make it give up slow names, slow ones make it wait for lost packets. */
#ifndef JOBHOOK_DELIVERY_NAMES_CARES_H
#define JOBHOOK_DELIVERY_NAMES_CARES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ares_channeldata;
struct ares_options;
struct text;

struct names_tries {
    int count;    /* of each name server */
    int first_ms; /* patience with each the first time; it doubles with each try, a new one waits for up to half as long */
};

bool names_cares_is_old(void);
/* So many that a question is given up a little before its name is (names.c), when one kind of address may be there. Answers to an earlier try an old one
 * hears as well; a new one has closed that port, and is given more time with fewer tries. */
struct names_tries names_cares_tries(unsigned servers, uint64_t timeout_ms);
/* Names to ask for in one channel, before another is asked: with an old one so few that answers are hard to forge, with a new one no more than one, unless
 * there are many channels and too few descriptors for that. */
unsigned names_cares_channel_names(size_t channels, bool few_descriptors);
/* Returns the mask of what it has set. */
int names_cares_set_newer_options(struct ares_options *options);
/* "192.0.2.1:53,[2001:db8::1]:53", of a channel that has asked nothing yet: a new one sorts them by their failures. false: out of memory. */
bool names_cares_list_servers(struct ares_channeldata *ares, struct text *list);

#endif
