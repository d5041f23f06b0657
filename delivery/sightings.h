/* Which endpoints have been seen with how many tasks, before they get a record of their own. Fixed memory. Pure.
 *
 * A stranger chooses the paths, and a path may carry the task's id: every event would be an endpoint of its own. So sightings live in a table of
 * fixed size (4 ways, second chance: what is seen only once goes first). One that was pushed out starts counting again; that only means that it
 * shares with others for longer. */
#ifndef JOBHOOK_DELIVERY_SIGHTINGS_H
#define JOBHOOK_DELIVERY_SIGHTINGS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SIGHTINGS_TASKS = 10, /* this many different tasks make an endpoint of its own */
    SIGHTINGS_WAYS = 4,
    SIGHTINGS_SETS = 16384,
};

struct sightings;

struct sightings *sightings_create(void);
void sightings_destroy(struct sightings *sightings);
/* `endpoint` and `task` are hashes. True when this is the tenth task; the sighting is forgotten then. The same task seen again counts once. */
bool sightings_add(struct sightings *sightings, uint64_t endpoint, uint64_t task);

/* Different tasks, counted up to a small number by 16 bits of each: two that look alike count once, which only delays. */
struct task_tally {
    uint8_t count; /* at most SIGHTINGS_TASKS */
    uint16_t seen[SIGHTINGS_TASKS - 1];
};
bool task_tally_add(struct task_tally *tally, uint64_t task); /* true once there are SIGHTINGS_TASKS of them */

#endif
