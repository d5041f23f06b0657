#include "delivery/names_addresses.h"

#include <ares.h>
#include <netinet/in.h>
#include <string.h>

static bool take_address(struct names_answer *answer, const struct ares_addrinfo_node *node)
{
    struct guard_address *address = &answer->addresses[answer->count];
    if (node->ai_family == AF_INET) {
        memcpy(address->bytes, &((const struct sockaddr_in *)(const void *)node->ai_addr)->sin_addr, 4);
    } else if (node->ai_family == AF_INET6) {
        address->v6 = true;
        memcpy(address->bytes, &((const struct sockaddr_in6 *)(const void *)node->ai_addr)->sin6_addr, 16);
    } else {
        return false;
    }
    answer->count++;
    return true;
}

/* There are more addresses than we keep: whoever would refuse one of them must not miss it. */
static void take_refused(struct names_answer *answer, const struct guard *guard, const struct ares_addrinfo_node *node)
{
    for (; guard != NULL && node != NULL; node = node->ai_next) {
        struct names_answer one = { .count = 0 };
        if (!take_address(&one, node) || guard_judge_address(guard, &one.addresses[0]) == GUARD_OK)
            continue;
        answer->addresses[NAMES_ADDRESSES_MAX - 1] = one.addresses[0];
        return;
    }
}

uint32_t names_addresses_take(struct names_answer *answer, const struct ares_addrinfo *info, const struct guard *guard, uint32_t ttl_max_s)
{
    int64_t ttl_s = ttl_max_s;
    const struct ares_addrinfo_node *node = info->nodes;
    for (; node != NULL && answer->count < NAMES_ADDRESSES_MAX; node = node->ai_next)
        if (take_address(answer, node) && node->ai_ttl < ttl_s)
            ttl_s = node->ai_ttl;
    take_refused(answer, guard, node);
    for (const struct ares_addrinfo_cname *alias = info->cnames; alias != NULL; alias = alias->next)
        if (alias->ttl < ttl_s)
            ttl_s = alias->ttl;
    answer->result = answer->count > 0 ? NAMES_FOUND : NAMES_NOT_FOUND;
    return ttl_s < 0 ? 0 : (uint32_t)ttl_s;
}
