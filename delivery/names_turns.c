#include "delivery/names_turns.h"

#include "consumer/base/random.h"
#include "delivery/site.h"

enum { SUSPECT_TURNS = 4 };

static struct names_crowd *crowd_of(struct names_turns *turns, const struct name *name)
{
    return &turns->crowds[hash_slice(turns->key, site_domain(name->host)) % NAMES_CROWDS];
}

void names_turns_init(struct names_turns *turns, size_t places, struct names_patience patience)
{
    *turns = (struct names_turns){ .places = places, .patience = patience };
    for (size_t i = 0; i < NAMES_CROWDS; i++)
        list_init(&turns->crowds[i].names);
    list_init(&turns->next);
    list_init(&turns->suspects);
    list_init(&turns->fresh);
    list_init(&turns->slow);
    random_bytes(&turns->key, sizeof(turns->key));
}

static void take_off(struct name *name)
{
    list_remove(name->list, &name->link);
    name->list = NULL;
}

/* ---- waiting ---- */

static void line_up(struct names_turns *turns, struct names_crowd *crowd)
{
    crowd->queue = crowd->slow > 0 ? &turns->suspects : &turns->next;
    list_append(crowd->queue, &crowd->turn);
}

static void line_up_anew(struct names_turns *turns, struct names_crowd *crowd)
{
    if (link_is_free(&crowd->turn))
        return;
    list_remove(crowd->queue, &crowd->turn);
    line_up(turns, crowd);
}

void names_turns_wait(struct names_turns *turns, struct name *name)
{
    struct names_crowd *crowd = crowd_of(turns, name);
    name_move(name, &crowd->names);
    name->waiting = true;
    turns->waiting++;
    if (link_is_free(&crowd->turn))
        line_up(turns, crowd);
}

void names_turns_leave(struct names_turns *turns, struct name *name)
{
    struct names_crowd *crowd = container_of(name->list, struct names_crowd, names);
    take_off(name);
    name->waiting = false;
    turns->waiting--;
    if (list_is_empty(&crowd->names))
        list_remove(crowd->queue, &crowd->turn);
}

static struct list *queue_in_turn(struct names_turns *turns)
{
    bool suspected = list_is_empty(&turns->next) || (!list_is_empty(&turns->suspects) && turns->taken % SUSPECT_TURNS == 0);
    return suspected ? &turns->suspects : &turns->next;
}

struct name *names_turns_take(struct names_turns *turns, uint64_t now_ms)
{
    if (turns->waiting == 0 || turns->fresh.length >= turns->places)
        return NULL;
    turns->taken++;
    struct names_crowd *crowd = container_of(list_first(queue_in_turn(turns)), struct names_crowd, turn);
    struct name *name = container_of(list_first(&crowd->names), struct name, link);
    names_turns_leave(turns, name);
    line_up_anew(turns, crowd);
    name->since_ms = now_ms;
    name_move(name, &turns->fresh);
    return name;
}

/* ---- under way ---- */

static struct name *oldest(const struct list *list)
{
    struct link *link = list_first(list);
    return link == NULL ? NULL : container_of(link, struct name, link);
}

static void see_slow(struct names_turns *turns, uint64_t now_ms)
{
    struct name *name;
    while ((name = oldest(&turns->fresh)) != NULL && now_ms >= name->since_ms + turns->patience.first_try_ms) {
        struct names_crowd *crowd = crowd_of(turns, name);
        name_move(name, &turns->slow);
        if (crowd->slow++ == 0)
            line_up_anew(turns, crowd);
    }
}

struct name *names_turns_overdue(struct names_turns *turns, uint64_t now_ms)
{
    see_slow(turns, now_ms);
    struct name *name = oldest(&turns->slow);
    return name != NULL && now_ms >= name->since_ms + turns->patience.all_ms ? name : NULL;
}

bool names_turns_is_under_way(const struct names_turns *turns, const struct name *name)
{
    return name->list == &turns->fresh || name->list == &turns->slow;
}

void names_turns_end(struct names_turns *turns, struct name *name)
{
    struct names_crowd *crowd = crowd_of(turns, name);
    if (name->list == &turns->slow && --crowd->slow == 0)
        line_up_anew(turns, crowd);
    take_off(name);
}

size_t names_turns_under_way(const struct names_turns *turns)
{
    return turns->fresh.length + turns->slow.length;
}
