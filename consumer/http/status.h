/* What health and metrics may know of the running service: the workers' stats, nothing of their insides.
 *
 * The service owns all of it and keeps it until the server is destroyed. The pointers are set
 * before the server is created; a part that a worker does not have is NULL and simply absent. */
#ifndef JOBHOOK_CONSUMER_HTTP_STATUS_H
#define JOBHOOK_CONSUMER_HTTP_STATUS_H

#include "consumer/base/measure.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct certificates_stats;
struct delivery_stats;
struct intake_stats;
struct job_status_stats;
struct lag_table;
struct lanes_stats;
struct names_stats;
struct redis_stats;
struct reload_stats;
struct spans_stats;
struct troubles;

struct worker_status {
    struct gauge heartbeat_ms; /* monotonic time of the loop's last turn; set once before the loop starts */
    struct gauge joined;       /* 1 once the group has given this worker an assignment (an empty one counts) */
    pthread_mutex_t lock;      /* over the pointers: held by the worker while it sets or clears them, by a reader while it follows them */
    const struct redis_stats *redis;
    const struct lanes_stats *lanes;
    const struct names_stats *names;
    const struct delivery_stats *delivery;
    const struct intake_stats *intake;
    struct lag_table *lag;
    struct troubles *troubles;
};

enum { STATUS_STALL_MS = 30000 };

struct service_status {
    struct worker_status *const *workers;
    size_t worker_count;
    const struct reload_stats *reload;
    const struct certificates_stats *certificates;
    const struct job_status_stats *job_status; /* NULL: it is off */
    const struct spans_stats *spans;           /* NULL: attempts are not traced */
    struct gauge hold_rules, dead_rules;       /* of JOBHOOK_HOLD_FILE */
    uint64_t stall_ms;                         /* a loop that has not turned for that long is stuck. 0: STATUS_STALL_MS */
};

/* Readers hold all workers' locks while they read; a worker sets and clears its parts under its own. */
void status_lock(const struct service_status *status);
void status_unlock(const struct service_status *status);

#endif
