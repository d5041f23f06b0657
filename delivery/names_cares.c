#include "delivery/names_cares.h"

#include "consumer/base/text.h"

#include <ares.h>
#include <arpa/inet.h>

enum { FIRST_TRIES = 9 }; /* a question is over before so many times the old one's first try, with up to eight name servers that say nothing */

#ifdef ARES_OPT_QUERY_CACHE
enum {
    SHARED_BY = 8,
    MANY = 128,    /* channels: with one name server there are descriptors for them among those that are set apart */
    TWICE_MAX = 3, /* name servers, to ask each twice */
};

bool names_cares_is_old(void)
{
    return false;
}

struct names_tries names_cares_tries(unsigned servers, uint64_t timeout_ms)
{
    unsigned count = servers <= TWICE_MAX ? 2 : 1, first_tries = servers * ((1u << count) - 1);
    return (struct names_tries){ (int)count, (int)(timeout_ms * (FIRST_TRIES - 1) / FIRST_TRIES / first_tries) };
}

unsigned names_cares_channel_names(size_t channels, bool few_descriptors)
{
    return few_descriptors && channels >= MANY ? SHARED_BY : 1;
}

int names_cares_set_newer_options(struct ares_options *options)
{
    options->qcache_max_ttl = 0; /* it would keep answers for up to an hour behind our own cache */
    return ARES_OPT_QUERY_CACHE;
}

bool names_cares_list_servers(struct ares_channeldata *ares, struct text *list)
{
    char *servers = ares_get_servers_csv(ares);
    text_append_string(list, servers != NULL ? servers : "");
    ares_free_string(servers);
    return servers != NULL && !list->overflowed;
}
#else
enum { OLD_NAMES = 32, TRIES_MAX = 3 };

bool names_cares_is_old(void)
{
    return true;
}

struct names_tries names_cares_tries(unsigned servers, uint64_t timeout_ms)
{
    struct names_tries tries = { TRIES_MAX, (int)(timeout_ms / FIRST_TRIES) + 1 };
    while (tries.count > 1 && servers * ((1u << tries.count) - 1) >= FIRST_TRIES)
        tries.count--;
    return tries;
}

unsigned names_cares_channel_names(size_t channels, bool few_descriptors)
{
    (void)channels;
    (void)few_descriptors;
    return OLD_NAMES;
}

int names_cares_set_newer_options(struct ares_options *options)
{
    (void)options;
    return 0;
}

static void append_server(struct text *list, const struct ares_addr_port_node *server)
{
    char address[INET6_ADDRSTRLEN];
    inet_ntop(server->family, &server->addr, address, sizeof(address));
    text_printf(list, server->family == AF_INET6 ? "%s[%s]" : "%s%s", list->length > 0 ? "," : "", address);
    if (server->udp_port != 0)
        text_printf(list, ":%d", server->udp_port);
}

bool names_cares_list_servers(struct ares_channeldata *ares, struct text *list)
{
    struct ares_addr_port_node *found = NULL;
    bool fine = ares_get_servers_ports(ares, &found) == ARES_SUCCESS;
    for (const struct ares_addr_port_node *server = found; server != NULL; server = server->next)
        append_server(list, server);
    ares_free_data(found);
    return fine && !list->overflowed;
}
#endif
