/* The table of names: what is known and what is being asked, one entry for each name. Private to names.c, which decides what happens to them. */
#ifndef JOBHOOK_DELIVERY_NAMES_TABLE_H
#define JOBHOOK_DELIVERY_NAMES_TABLE_H

#include "consumer/base/hash.h"
#include "consumer/base/list.h"
#include "delivery/names.h"

/* One name; the lists that it is on say where it stands: its lookup is on one, its answer on the other, as one that holds may be asked for anew. */
struct name {
    struct link link;
    struct list *list; /* waiting or under way (names_turns.h); NULL: neither */
    struct link shelf_link;
    struct list *shelf;        /* to be told, or known; NULL: there was no answer yet */
    struct names_crowd *crowd; /* waiting or under way */
    struct name *next_in_bucket;
    struct names *names;
    struct list queries; /* who waits for it */
    uint64_t since_ms;   /* under way */
    uint64_t until_ms;   /* how long the answer holds */
    uint64_t renew_ms;   /* from then on it is asked for anew, when somebody wants it; until_ms: no more */
    bool asked;          /* c-ares has it and will call back */
    bool telling;        /* its queries are being told */
    struct names_answer answer;
    struct slice host;
    char text[GUARD_HOST_MAX + 2]; /* lower case, with a dot at the end: absolute */
};

struct names_table {
    struct name **buckets;
    size_t mask;
    struct hash_key key; /* random: strangers choose the names */
};

void names_table_init(struct names_table *table, size_t expected);
/* The names that are left go with it; `drop` is called for each before. */
void names_table_finish(struct names_table *table, void (*drop)(struct name *name));

/* The form in which names are kept: lower case, no dot at the end. Points into `lower`; empty when it cannot be a name. */
struct slice names_table_key(struct slice host, char lower[GUARD_HOST_MAX]);
struct name *names_table_find(const struct names_table *table, struct slice key);
/* On no list yet. */
struct name *names_table_add(struct names_table *table, struct slice key);
/* One that neither waits nor is under way: takes it off its shelf and frees it. */
void names_table_remove(struct names_table *table, struct name *name);

/* To the end of a list, for its lookup or for its answer. */
void name_move(struct name *name, struct list *list);
void name_shelve(struct name *name, struct list *shelf);

#endif
