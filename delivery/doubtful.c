#include "delivery/doubtful.h"

#include "consumer/base/memory.h"
#include "delivery/origin.h"

#include <stdlib.h>

struct doubtful_site { /* exists while one of its endpoints waits or holds a slot */
    struct doubtful_site *next_in_bucket;
    uint32_t hash;
    uint32_t slots;
    struct link turn[2];
    struct list endpoints[2]; /* that wait */
};

void doubtful_init(struct doubtful *doubtful)
{
    *doubtful = (struct doubtful){ 0 };
    for (int kind = 0; kind < 2; kind++)
        for (int holds = 0; holds < 2; holds++)
            list_init(&doubtful->sites[kind][holds]);
}

void doubtful_finish(struct doubtful *doubtful)
{
    for (size_t i = 0; i < DOUBTFUL_BUCKETS; i++)
        for (struct doubtful_site *site = doubtful->buckets[i], *next; site != NULL; site = next) {
            next = site->next_in_bucket;
            free(site);
        }
}

static struct doubtful_site **place_of(struct doubtful *doubtful, const struct endpoint *endpoint)
{
    uint32_t hash = endpoint->origin->mark.site;
    struct doubtful_site **place = &doubtful->buckets[hash % DOUBTFUL_BUCKETS];
    while (*place != NULL && (*place)->hash != hash)
        place = &(*place)->next_in_bucket;
    return place;
}

static struct doubtful_site *site_of(struct doubtful *doubtful, const struct endpoint *endpoint)
{
    struct doubtful_site **place = place_of(doubtful, endpoint);
    if (*place == NULL) {
        *place = memory_create(sizeof(**place));
        (*place)->hash = endpoint->origin->mark.site;
        for (int kind = 0; kind < 2; kind++)
            list_init(&(*place)->endpoints[kind]);
    }
    return *place;
}

static struct list *line_of(struct doubtful *doubtful, const struct doubtful_site *site, int kind)
{
    return &doubtful->sites[kind][site->slots > 0];
}

static void forget_if_empty(struct doubtful *doubtful, const struct endpoint *endpoint)
{
    struct doubtful_site **place = place_of(doubtful, endpoint), *site = *place;
    if (site->slots > 0 || !list_is_empty(&site->endpoints[0]) || !list_is_empty(&site->endpoints[1]))
        return;
    *place = site->next_in_bucket;
    free(site);
}

void doubtful_join(struct doubtful *doubtful, struct endpoint *endpoint, int kind)
{
    struct doubtful_site *site = site_of(doubtful, endpoint);
    endpoint->line[kind] = &site->endpoints[kind];
    list_append(endpoint->line[kind], &endpoint->ready[kind]);
    list_keep(line_of(doubtful, site, kind), &site->turn[kind], true);
    doubtful->waiting[kind]++;
}

void doubtful_leave(struct doubtful *doubtful, struct endpoint *endpoint, int kind)
{
    struct doubtful_site *site = site_of(doubtful, endpoint);
    list_remove(endpoint->line[kind], &endpoint->ready[kind]);
    endpoint->line[kind] = NULL;
    doubtful->waiting[kind]--;
    list_keep(line_of(doubtful, site, kind), &site->turn[kind], !list_is_empty(&site->endpoints[kind]));
    forget_if_empty(doubtful, endpoint);
}

struct endpoint *doubtful_first(const struct doubtful *doubtful, int kind)
{
    const struct list *sites = doubtful->sites[kind];
    struct link *turn = list_first(&sites[list_is_empty(&sites[false])]);
    if (turn == NULL)
        return NULL;
    const struct doubtful_site *site = container_of(turn - kind, struct doubtful_site, turn);
    return container_of(list_first(&site->endpoints[kind]) - kind, struct endpoint, ready);
}

static void go_to_end(struct list *line, struct link *link)
{
    if (link_is_free(link))
        return;
    list_remove(line, link);
    list_append(line, link);
}

void doubtful_end_turn(struct doubtful *doubtful, struct endpoint *endpoint, int kind)
{
    struct doubtful_site *site = *place_of(doubtful, endpoint);
    if (site == NULL)
        return;
    go_to_end(&site->endpoints[kind], &endpoint->ready[kind]);
    go_to_end(line_of(doubtful, site, kind), &site->turn[kind]);
}

static void hold(struct doubtful *doubtful, struct doubtful_site *site, uint32_t slots)
{
    for (int kind = 0; kind < 2; kind++)
        list_keep(line_of(doubtful, site, kind), &site->turn[kind], false);
    site->slots = slots;
    for (int kind = 0; kind < 2; kind++)
        list_keep(line_of(doubtful, site, kind), &site->turn[kind], !list_is_empty(&site->endpoints[kind]));
}

void doubtful_take(struct doubtful *doubtful, const struct endpoint *endpoint)
{
    struct doubtful_site *site = site_of(doubtful, endpoint);
    hold(doubtful, site, site->slots + 1);
}

void doubtful_give(struct doubtful *doubtful, const struct endpoint *endpoint)
{
    struct doubtful_site *site = site_of(doubtful, endpoint);
    if (site->slots == 1)
        hold(doubtful, site, 0);
    else
        site->slots--;
    forget_if_empty(doubtful, endpoint);
}
