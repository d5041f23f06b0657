#include "delivery/names_turns.h"

#include "consumer/base/memory.h"
#include "consumer/base/random.h"
#include "delivery/site.h"

#include <stdlib.h>

enum { SUSPECT_TURNS = 4 };

/* Of one domain's names, in the order in which they go. */
enum waiting {
    KNOWN,    /* somebody waits for it, and its last answer had addresses */
    UNKNOWN,  /* somebody waits for it */
    UNWANTED, /* nobody does */
    WAITING_KINDS
};

/* The names of a domain that wait, and those under way. Of two domains with one hash, which nobody can look for as the key is random, they are one's. */
struct names_crowd {
    struct names_crowd *next_in_bucket;
    uint64_t hash;
    struct link turn;
    struct list *queue; /* the list that `turn` is on */
    struct list waiting[WAITING_KINDS];
    size_t fresh, slow; /* of those under way */
};

void names_turns_init(struct names_turns *turns, size_t places, struct names_patience patience)
{
    *turns = (struct names_turns){ .places = places, .patience = patience };
    list_init(&turns->next);
    list_init(&turns->ahead);
    list_init(&turns->served);
    list_init(&turns->suspects);
    list_init(&turns->fresh);
    list_init(&turns->slow);
    random_bytes(&turns->key, sizeof(turns->key));
}

void names_turns_finish(struct names_turns *turns)
{
    for (size_t i = 0; i < NAMES_CROWD_BUCKETS; i++)
        for (struct names_crowd *crowd = turns->buckets[i], *next; crowd != NULL; crowd = next) {
            next = crowd->next_in_bucket;
            free(crowd);
        }
}

/* ---- crowds ---- */

static struct names_crowd **place_of(struct names_turns *turns, uint64_t hash)
{
    struct names_crowd **place = &turns->buckets[hash % NAMES_CROWD_BUCKETS];
    while (*place != NULL && (*place)->hash != hash)
        place = &(*place)->next_in_bucket;
    return place;
}

static struct names_crowd *crowd_of(struct names_turns *turns, const struct name *name)
{
    uint64_t hash = hash_slice(turns->key, site_domain(name->host));
    struct names_crowd **place = place_of(turns, hash);
    if (*place == NULL) {
        *place = memory_create(sizeof(**place));
        (*place)->hash = hash;
        for (int kind = 0; kind < WAITING_KINDS; kind++)
            list_init(&(*place)->waiting[kind]);
    }
    return *place;
}

/* WAITING_KINDS: of none. */
static enum waiting first_kind(const struct names_crowd *crowd)
{
    enum waiting kind = KNOWN;
    while (kind < WAITING_KINDS && list_is_empty(&crowd->waiting[kind]))
        kind++;
    return kind;
}

static bool has_names(const struct names_crowd *crowd)
{
    return first_kind(crowd) < WAITING_KINDS;
}

static void forget_empty(struct names_turns *turns, struct names_crowd *crowd)
{
    if (has_names(crowd) || crowd->fresh + crowd->slow > 0)
        return;
    *place_of(turns, crowd->hash) = crowd->next_in_bucket;
    free(crowd);
}

static struct name *oldest(const struct list *list)
{
    struct link *link = list_first(list);
    return link == NULL ? NULL : container_of(link, struct name, link);
}

static void take_off(struct name *name)
{
    list_remove(name->list, &name->link);
    name->list = NULL;
}

/* ---- waiting ---- */

static struct list *queue_of(struct names_turns *turns, const struct names_crowd *crowd)
{
    if (crowd->slow > 0)
        return &turns->suspects;
    if (crowd->fresh > 0)
        return &turns->served;
    return first_kind(crowd) == UNWANTED ? &turns->ahead : &turns->next;
}

static void line_up(struct names_turns *turns, struct names_crowd *crowd)
{
    crowd->queue = queue_of(turns, crowd);
    list_append(crowd->queue, &crowd->turn);
}

static void line_up_anew(struct names_turns *turns, struct names_crowd *crowd)
{
    if (link_is_free(&crowd->turn))
        return;
    list_remove(crowd->queue, &crowd->turn);
    line_up(turns, crowd);
}

/* What it holds, or who waits, has changed. */
static void line_up_where_it_belongs(struct names_turns *turns, struct names_crowd *crowd)
{
    if (crowd->queue != queue_of(turns, crowd))
        line_up_anew(turns, crowd);
}

void names_turns_wait(struct names_turns *turns, struct name *name, bool wanted)
{
    if (names_turns_is_under_way(turns, name))
        return;
    struct names_crowd *crowd = name->crowd = crowd_of(turns, name);
    struct list *names = &crowd->waiting[!wanted ? UNWANTED : name->answer.count > 0 ? KNOWN : UNKNOWN];
    if (name->list == names)
        return;
    turns->waiting += name->list == NULL;
    name_move(name, names);
    if (link_is_free(&crowd->turn))
        line_up(turns, crowd);
    else
        line_up_where_it_belongs(turns, crowd);
}

static void leave(struct names_turns *turns, struct name *name)
{
    struct names_crowd *crowd = name->crowd;
    take_off(name);
    turns->waiting--;
    if (!has_names(crowd))
        list_remove(crowd->queue, &crowd->turn);
}

void names_turns_leave(struct names_turns *turns, struct name *name)
{
    leave(turns, name);
    line_up_where_it_belongs(turns, name->crowd);
    forget_empty(turns, name->crowd);
}

static struct names_crowd *first_with_a_share(const struct names_turns *turns, const struct list *queue)
{
    size_t free_places = turns->places - turns->fresh.length;
    LIST_EACH (queue, link) {
        struct names_crowd *crowd = container_of(link, struct names_crowd, turn);
        if (crowd->fresh < free_places)
            return crowd;
    }
    return NULL;
}

static struct names_crowd *crowd_in_turn(const struct names_turns *turns)
{
    bool suspects_turn = turns->taken % SUSPECT_TURNS == SUSPECT_TURNS - 1, aheads_turn = turns->taken % 2 == 0;
    const struct list *first = suspects_turn ? &turns->suspects : aheads_turn ? &turns->ahead : &turns->next;
    const struct list *const queues[] = { first, &turns->next, &turns->ahead, &turns->served, &turns->suspects };
    struct names_crowd *crowd = NULL;
    for (size_t i = 0; i < COUNT_OF(queues) && crowd == NULL; i++)
        crowd = first_with_a_share(turns, queues[i]);
    return crowd;
}

struct name *names_turns_take(struct names_turns *turns, uint64_t now_ms)
{
    if (turns->waiting == 0 || turns->fresh.length >= turns->places)
        return NULL;
    struct names_crowd *crowd = crowd_in_turn(turns);
    if (crowd == NULL)
        return NULL;
    turns->taken++;
    struct name *name = oldest(&crowd->waiting[first_kind(crowd)]);
    leave(turns, name);
    name->since_ms = now_ms;
    name_move(name, &turns->fresh);
    crowd->fresh++;
    line_up_anew(turns, crowd);
    return name;
}

/* ---- under way ---- */

static void see_slow(struct names_turns *turns, uint64_t now_ms)
{
    struct name *name;
    while ((name = oldest(&turns->fresh)) != NULL && now_ms >= name->since_ms + turns->patience.slow_ms) {
        struct names_crowd *crowd = name->crowd;
        name_move(name, &turns->slow);
        crowd->fresh--;
        crowd->slow++;
        line_up_where_it_belongs(turns, crowd);
    }
}

struct name *names_turns_overdue(struct names_turns *turns, uint64_t now_ms)
{
    see_slow(turns, now_ms);
    struct name *name = oldest(&turns->slow);
    return name != NULL && now_ms >= name->since_ms + turns->patience.all_ms ? name : NULL;
}

bool names_turns_is_waiting(const struct names_turns *turns, const struct name *name)
{
    return name->list != NULL && !names_turns_is_under_way(turns, name);
}

bool names_turns_is_under_way(const struct names_turns *turns, const struct name *name)
{
    return name->list == &turns->fresh || name->list == &turns->slow;
}

void names_turns_end(struct names_turns *turns, struct name *name)
{
    struct names_crowd *crowd = name->crowd;
    if (name->list == &turns->fresh)
        crowd->fresh--;
    else
        crowd->slow--;
    take_off(name);
    line_up_where_it_belongs(turns, crowd);
    forget_empty(turns, crowd);
}

size_t names_turns_under_way(const struct names_turns *turns)
{
    return turns->fresh.length + turns->slow.length;
}
