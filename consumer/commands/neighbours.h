/* The neighbours of a command: Redis and Kafka's producer, on a loop that turns only while the command waits for them. One thread. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_NEIGHBOURS_H
#define JOBHOOK_CONSUMER_COMMANDS_NEIGHBOURS_H

#include "consumer/base/timers.h"
#include "consumer/outbox.h"
#include "consumer/settings.h"
#include "dedupe/lookup.h"

enum { NEIGHBOURS_WAIT_MS = 10000 }; /* for Redis, before a command gives up */

struct neighbours;

/* Begins to connect to Redis. The settings outlive it. The process ignores SIGPIPE from now on. */
struct neighbours *neighbours_create(const struct settings *settings);
void neighbours_destroy(struct neighbours *neighbours); /* takes NULL */

/* One turn: waits at most `wait_ms` for something to happen. */
void neighbours_turn(struct neighbours *neighbours, uint64_t wait_ms);

/* Asks for all of these tasks at once and waits for the answers. False: Redis did not answer within NEIGHBOURS_WAIT_MS. */
MUST_USE bool neighbours_look_up(struct neighbours *neighbours, const struct slice *task_ids, size_t count, struct lookup_answer *answers);
struct redis *neighbours_redis(struct neighbours *neighbours);

/* The producer, made at the first call. NULL when librdkafka refuses the configuration: `problem` says why. */
struct outbox *neighbours_outbox(struct neighbours *neighbours, char *problem, size_t size);

#endif
