/* Doubly linked lists through links inside the objects; each list knows its length.
 *
 * A link is on at most one list, and a zeroed link is on none. The state of an object is the list that it is on, so a count can never disagree
 * with reality. Nothing is allocated; the list owns nothing. */
#ifndef JOBHOOK_BASE_LIST_H
#define JOBHOOK_BASE_LIST_H

#include "consumer/base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *previous, *next;
};

struct list {
    struct link head;
    size_t length;
};

static inline void list_init(struct list *list)
{
    list->head.previous = list->head.next = &list->head;
    list->length = 0;
}

static inline bool link_is_free(const struct link *link)
{
    return link->next == NULL;
}

static inline void list_append(struct list *list, struct link *link)
{
    assert(link_is_free(link));
    link->previous = list->head.previous;
    link->next = &list->head;
    list->head.previous->next = link;
    list->head.previous = link;
    list->length++;
}

static inline void list_remove(struct list *list, struct link *link)
{
    assert(!link_is_free(link) && list->length > 0);
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->previous = link->next = NULL;
    list->length--;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->length == 0;
}

/* The oldest link, or NULL. */
static inline struct link *list_first(const struct list *list)
{
    return list->length == 0 ? NULL : list->head.next;
}

/* Takes the oldest link off the list; NULL when it is empty. */
static inline struct link *list_take(struct list *list)
{
    struct link *first = list_first(list);
    if (first != NULL)
        list_remove(list, first);
    return first;
}

/* Sees to it that the link, which is on this list or on none, is on it or not. */
static inline void list_keep(struct list *list, struct link *link, bool on)
{
    if (on && link_is_free(link))
        list_append(list, link);
    else if (!on && !link_is_free(link))
        list_remove(list, link);
}

/* Visits every link; the body may remove the link it is at, but no other. */
#define LIST_EACH(list, link)                                                                                                                        \
    for (struct link *link = (list)->head.next, *link##_next = link->next; link != &(list)->head; link = link##_next, link##_next = link->next)

#endif
