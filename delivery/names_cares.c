#include "delivery/names_cares.h"

#include <ares.h>
#include <string.h>

#ifdef ARES_OPT_UDP_MAX_QUERIES
enum { SHARED_BY = 8 };

bool names_cares_is_old(void)
{
    return false;
}

/* An answer that it cannot read ends the socket, and all that was asked by it. */
int names_cares_set_newer_options(struct ares_options *options, bool few_descriptors)
{
    options->udp_max_queries = few_descriptors ? SHARED_BY : 1;
    options->qcache_max_ttl = 0; /* it would keep answers for up to an hour behind our own cache */
    return ARES_OPT_UDP_MAX_QUERIES | ARES_OPT_QUERY_CACHE;
}

unsigned names_cares_count_servers(struct ares_channeldata *ares)
{
    char *servers = ares_get_servers_csv(ares);
    unsigned count = servers != NULL;
    for (const char *comma = servers; comma != NULL && (comma = strchr(comma, ',')) != NULL; comma++)
        count++;
    ares_free_string(servers);
    return count;
}

bool names_cares_copy_servers(struct ares_channeldata *to, struct ares_channeldata *from, bool first_last)
{
    (void)to;
    (void)from;
    (void)first_last;
    return false;
}
#else
bool names_cares_is_old(void)
{
    return true;
}

int names_cares_set_newer_options(struct ares_options *options, bool few_descriptors)
{
    (void)options;
    (void)few_descriptors;
    return 0;
}

unsigned names_cares_count_servers(struct ares_channeldata *ares)
{
    struct ares_addr_port_node *found = NULL;
    unsigned count = 0;
    if (ares_get_servers_ports(ares, &found) == ARES_SUCCESS)
        for (const struct ares_addr_port_node *server = found; server != NULL; server = server->next)
            count++;
    ares_free_data(found);
    return count;
}

/* Of two at least. */
static struct ares_addr_port_node *put_first_last(struct ares_addr_port_node *first)
{
    struct ares_addr_port_node *last = first, *second = first->next;
    while (last->next != NULL)
        last = last->next;
    last->next = first;
    first->next = NULL;
    return second;
}

bool names_cares_copy_servers(struct ares_channeldata *to, struct ares_channeldata *from, bool first_last)
{
    struct ares_addr_port_node *found = NULL;
    bool copied = ares_get_servers_ports(from, &found) == ARES_SUCCESS;
    if (copied && first_last && found != NULL && found->next != NULL)
        found = put_first_last(found);
    copied = copied && ares_set_servers_ports(to, found) == ARES_SUCCESS;
    ares_free_data(found);
    return copied;
}
#endif
