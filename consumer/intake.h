/* The intake: reads the input topic and every retry topic of it, as far as there is room, and commits what is finished. librdkafka stays inside.
 *
 * One consumer handle, one queue for each partition. What is not read stays in the queue: nothing is paused, nothing is fetched twice, and the
 * membership in the group survives however long there is no room. Offsets are stored as the ledgers allow and committed in the background, when
 * partitions are taken away, and at the end. */
#ifndef JOBHOOK_CONSUMER_INTAKE_H
#define JOBHOOK_CONSUMER_INTAKE_H

#include "consumer/intake_stats.h"
#include "consumer/lag.h"
#include "consumer/settings.h"
#include "delivery/delivery.h"

struct uv_loop_s;
struct intake;

struct intake_options { /* everything outlives the intake */
    struct uv_loop_s *loop;
    struct timers *timers;
    struct redis *redis;
    struct claims *claims; /* for Redis's clock */
    const struct settings *settings;
    size_t worker; /* its number, from 0 */
    struct deliveries *deliveries;
    struct intake_stats *stats;
    struct gauge *joined;
    struct lag_table *lag;
    size_t partitions; /* that may come to this worker: all topics together; the read-ahead is divided by it */
};

/* NULL when librdkafka refuses the configuration: `problem` says why. */
struct intake *intake_create(const struct intake_options *options, char *problem, size_t size);

/* Reads what there is room for, some hundred records at most. True: there is more to read at once. */
bool intake_turn(struct intake *intake);
/* Reading came to an end for good, for instance because another copy has the same group.instance.id: the worker should end, not stand still. */
bool intake_has_failed(const struct intake *intake);
/* No more records from now on. */
void intake_stop(struct intake *intake);
/* What had to be told to Redis at the end is there. */
bool intake_is_settled(const struct intake *intake);
/* Commits and leaves the group; waits at most until `deadline_ms` (monotonic). Then destroy. */
void intake_close(struct intake *intake, uint64_t deadline_ms);
void intake_destroy(struct intake *intake);

/* The delivery exit `release`. */
void intake_release(struct delivery_home *home, uint64_t slot, bool handled);

#endif
