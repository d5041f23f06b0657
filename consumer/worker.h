/* A worker: one event loop with a consumer, a producer, a Redis connection and lanes of its own. Workers share nothing. */
#ifndef JOBHOOK_CONSUMER_WORKER_H
#define JOBHOOK_CONSUMER_WORKER_H

#include "consumer/http/status.h"
#include "consumer/settings.h"

#include <stdbool.h>
#include <stddef.h>

struct spans;
struct worker;

struct worker_options {
    const struct settings *settings;
    size_t number;             /* from 0 */
    uint32_t idle_connections; /* to receivers, kept open; a quarter more at worst */
    bool few_descriptors;      /* lookups share sockets, where they have their own otherwise */
    struct spans *spans;       /* shared by all workers; NULL: attempts are not traced */
    /* Called once, from the worker's thread: after worker_stop, or because it could not start. */
    void (*ended)(void *context);
    void *context;
};

/* Makes a worker in a thread of its own, which connects, waits for brokers and topics, and delivers until worker_stop. */
struct worker *worker_start(const struct worker_options *options);
/* Any thread: no more events; attempts in flight finish and settle, at most until JOBHOOK_DRAIN_TIMEOUT is over. `ended` is called then. */
void worker_stop(struct worker *worker);
/* Any thread: requests are signed with these keys from now on; copied. The settings named keys, too. */
void worker_sign_with(struct worker *worker, const struct signature_keys *keys);
/* Any thread: these are the operator's holds from now on; copied. */
void worker_hold(struct worker *worker, const struct hold_list *holds);
/* After `ended`: 0 when it drained, 1 when it could not start or something was left over (it is delivered again by whoever comes next). */
int worker_join(struct worker *worker);

struct worker_status *worker_status(struct worker *worker);

#endif
