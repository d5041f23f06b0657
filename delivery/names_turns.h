/* Which names are looked up, and which wait for it. Private to names.c, which asks and answers.
 *
 * Strangers own names, and name servers that are silent about them: a thousand names of one domain, or of a thousand domains, hold up nobody else.
 * - Domains take turns (delivery/site.h), and those that hold no place come first: one whose lookups are quick does not wait for a turn of all whose are
 *   slow, but for those of them alone that have no place either.
 * - A name without an answer after a while gives its place to the next one, and is slow from then on. As each holds a place for that long, all that are
 *   under way are at most so many times the places as the whole patience is longer than that.
 * - Domains with slow names have one of SUSPECT_TURNS turns.
 * - A domain holds fewer places than are free: of k that would take all, each has its share, and one of the shares is left for who comes next.
 * - Of a domain's names those go first that somebody waits for, and of these those whose last answer had addresses: a suffix under which names are sold
 *   may pass for a domain (delivery/site.h), and a stranger's are under it, too.
 * - Domains with none but such that are asked for anew, ahead of time, have every second turn: to stand back behind every stranger who waits would be to
 *   be late whenever there are many of them, and with more than that they would be what others wait for, as no slot bounds how many they are. As soon as
 *   somebody waits for one of theirs they line up with the others. */
#ifndef JOBHOOK_DELIVERY_NAMES_TURNS_H
#define JOBHOOK_DELIVERY_NAMES_TURNS_H

#include "delivery/names_table.h"

enum { NAMES_CROWD_BUCKETS = 2048 };

struct names_patience {
    uint64_t slow_ms, all_ms;
};

struct names_crowd; /* the names of a domain */

struct names_turns {
    struct names_crowd *buckets[NAMES_CROWD_BUCKETS];
    struct list next, served, suspects; /* crowds with names that wait: without a place, with one, with slow names */
    struct list ahead;                  /* those without a place of whose names nobody waits for one */
    struct list fresh, slow;            /* names under way, oldest first */
    struct names_patience patience;
    size_t waiting, places;
    unsigned taken;
    struct hash_key key;
};

void names_turns_init(struct names_turns *turns, size_t places, struct names_patience patience);
void names_turns_finish(struct names_turns *turns); /* after the names */
/* `wanted`: somebody waits for it. Again when that becomes so. */
void names_turns_wait(struct names_turns *turns, struct name *name, bool wanted);
/* One that waits does so no longer: on no list then. */
void names_turns_leave(struct names_turns *turns, struct name *name);
/* Whose turn it is, under way from now on. NULL: nobody waits, or there is no place. */
struct name *names_turns_take(struct names_turns *turns, uint64_t now_ms);
/* One under way that is to be given up on; NULL: none. */
struct name *names_turns_overdue(struct names_turns *turns, uint64_t now_ms);
bool names_turns_is_waiting(const struct names_turns *turns, const struct name *name);
bool names_turns_is_under_way(const struct names_turns *turns, const struct name *name);
/* One under way is so no longer: on no list then. */
void names_turns_end(struct names_turns *turns, struct name *name);
size_t names_turns_under_way(const struct names_turns *turns);

#endif
