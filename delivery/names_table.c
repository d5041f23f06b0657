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
    assert(name->list == NULL);
    if (name->shelf != NULL)
        list_remove(name->shelf, &name->shelf_link);
    free(name);
}

void name_move(struct name *name, struct list *list)
{
    if (name->list != NULL)
        list_remove(name->list, &name->link);
    name->list = list;
    list_append(list, &name->link);
}

void name_shelve(struct name *name, struct list *shelf)
{
    if (name->shelf != NULL)
        list_remove(name->shelf, &name->shelf_link);
    name->shelf = shelf;
    list_append(shelf, &name->shelf_link);
}
