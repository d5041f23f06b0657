/* The name servers: c-ares on libuv, no threads. Private to names.c, which keeps the answers. c-ares stays inside.
 *
 * Which servers there are says /etc/resolv.conf, of which nothing else counts: names are looked up as they are, never with search domains. It is read
 * again when it changes, as a machine's does that gets its address anew.
 *
 * Questions and answers go by UDP alone. Of what does not fit into 1,232 bytes, or 512 where nobody knows EDNS, there is the beginning; a name of which
 * no address was left is not found. */
#ifndef JOBHOOK_DELIVERY_NAMES_SERVERS_H
#define JOBHOOK_DELIVERY_NAMES_SERVERS_H

#include "delivery/names.h"

struct names_servers;

/* Once for each question, from within names_servers_ask and names_servers_destroy as well. `ttl_s` with addresses: the shortest of what led to them. */
typedef void names_answered(void *context, const struct names_answer *answer, uint32_t ttl_s);

struct names_servers_options {
    struct uv_loop_s *loop;
    const char *servers; /* "127.0.0.1:5353,…": these for good; NULL: those of the file */
    const char *file;    /* NULL: /etc/resolv.conf; outlives the servers */
    bool few_descriptors;
    uint64_t timeout_ms; /* a question is over before, whatever the name servers do; where it has to be asked in small again, twice as late */
    uint32_t ttl_max_s;
    const struct guard *guard; /* of more addresses than are kept, one that it refuses is kept. NULL: none */
    names_answered *answered;
    void (*progressed)(void *owner); /* there may have been answers; not from within a call of these functions but names_servers_tick */
    void *owner;
};

/* NULL when c-ares cannot read the file, or `servers`. */
struct names_servers *names_servers_create(const struct names_servers_options *options);
void names_servers_destroy(struct names_servers *servers);
/* `name` ends with a dot. */
void names_servers_ask(struct names_servers *servers, const char *name, void *context);
/* From time to time, as long as it is busy: what was asked in vain is asked again. */
void names_servers_tick(struct names_servers *servers);
bool names_servers_is_busy(const struct names_servers *servers);

#endif
