#include "delivery/names_table.h"

#include "consumer/base/memory.h"
#include "consumer/base/random.h"

#include <stdlib.h>
#include <string.h>

void names_table_init(struct names_table *table, size_t expected)
{
    size_t buckets = 64;
    while (buckets < expected)
        buckets *= 2;
    table->buckets = memory_create(buckets * sizeof(struct name *));
    table->mask = buckets - 1;
    random_bytes(&table->key, sizeof(table->key));
}

void names_table_finish(struct names_table *table, void (*drop)(struct name *name))
{
    for (size_t i = 0; i <= table->mask; i++) {
        struct name *next;
        for (struct name *name = table->buckets[i]; name != NULL; name = next) {
            next = name->next_in_bucket;
            drop(name);
            free(name);
        }
    }
    free(table->buckets);
}

struct slice names_table_key(struct slice host, char lower[GUARD_HOST_MAX])
{
    if (host.length > 0 && host.start[host.length - 1] == '.')
        host.length--;
    if (host.length > GUARD_HOST_MAX)
        host.length = 0;
    for (size_t i = 0; i < host.length; i++)
        lower[i] = host.start[i] >= 'A' && host.start[i] <= 'Z' ? (char)(host.start[i] | 0x20) : host.start[i];
    return (struct slice){ lower, host.length };
}

static struct name **bucket_of(const struct names_table *table, struct slice key)
{
    return &table->buckets[hash_slice(table->key, key) & table->mask];
}

struct name *names_table_find(const struct names_table *table, struct slice key)
{
    struct name *name = *bucket_of(table, key);
    while (name != NULL && !slice_equal(name->host, key))
        name = name->next_in_bucket;
    return name;
}

struct name *names_table_add(struct names_table *table, struct slice key)
{
    struct name *name = memory_create(sizeof(*name));
    list_init(&name->queries);
    memcpy(name->text, key.start, key.length);
    name->text[key.length] = '.';
    name->host = (struct slice){ name->text, key.length };
    struct name **bucket = bucket_of(table, key);
    name->next_in_bucket = *bucket;
    *bucket = name;
    return name;
}

void names_table_remove(struct names_table *table, struct name *name)
{
    struct name **place = bucket_of(table, name->host);
    while (*place != name)
        place = &(*place)->next_in_bucket;
    *place = name->next_in_bucket;
    if (name->list != NULL)
        list_remove(name->list, &name->link);
    free(name);
}

void name_move(struct name *name, struct list *list)
{
    if (name->list != NULL)
        list_remove(name->list, &name->link);
    name->list = list;
    list_append(list, &name->link);
}

/* ---- turns ---- */

static struct slice domain_of(struct slice host)
{
    size_t start = host.length;
    for (int dots = 0; start > 0; start--)
        if (host.start[start - 1] == '.' && ++dots == 2)
            break;
    return (struct slice){ host.start + start, host.length - start };
}

void names_turns_init(struct names_turns *turns)
{
    for (size_t i = 0; i < NAMES_CROWDS; i++)
        list_init(&turns->crowds[i].names);
    list_init(&turns->next);
    random_bytes(&turns->key, sizeof(turns->key));
}

void names_turns_wait(struct names_turns *turns, struct name *name)
{
    struct names_crowd *crowd = &turns->crowds[hash_slice(turns->key, domain_of(name->host)) % NAMES_CROWDS];
    name_move(name, &crowd->names);
    name->waiting = true;
    turns->waiting++;
    if (link_is_free(&crowd->turn))
        list_append(&turns->next, &crowd->turn);
}

void names_turns_leave(struct names_turns *turns, struct name *name)
{
    struct names_crowd *crowd = container_of(name->list, struct names_crowd, names);
    list_remove(name->list, &name->link);
    name->list = NULL;
    name->waiting = false;
    turns->waiting--;
    if (list_is_empty(&crowd->names))
        list_remove(&turns->next, &crowd->turn);
}

struct name *names_turns_take(struct names_turns *turns)
{
    struct link *turn = list_first(&turns->next);
    if (turn == NULL)
        return NULL;
    struct name *name = container_of(list_first(&container_of(turn, struct names_crowd, turn)->names), struct name, link);
    names_turns_leave(turns, name);
    if (!link_is_free(turn)) {
        list_remove(&turns->next, turn);
        list_append(&turns->next, turn);
    }
    return name;
}
