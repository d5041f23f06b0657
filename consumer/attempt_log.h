/* The log of attempts: one small record for each on JOBHOOK_ATTEMPTS_TOPIC, best effort. librdkafka's producer stays inside.
 *
 * Never in the way of a delivery: a queue of its own with a limit; what does not fit, or what Kafka does not take, is dropped and counted. One thread. */
#ifndef JOBHOOK_CONSUMER_ATTEMPT_LOG_H
#define JOBHOOK_CONSUMER_ATTEMPT_LOG_H

#include "consumer/intake_stats.h"
#include "consumer/settings.h"
#include "delivery/delivery.h"

struct attempt_log;

/* NULL when librdkafka refuses the configuration, which it has said in the log then. `worker`: its number in this process. The settings name a topic. */
struct attempt_log *attempt_log_create(const struct settings *settings, size_t worker, struct intake_stats *stats);
/* Gives what is queued a second. Takes NULL. */
void attempt_log_destroy(struct attempt_log *log);
void attempt_log_note(struct attempt_log *log, const struct attempted *attempted);

#endif
