/* GET /job-status/{task_id} (DESIGN §6; deploy/schema/job-status.openapi.json): what became of a task, and its result, byte for byte.
 *
 * Redis says how the task stands and where its event lies; the event itself is read back from Kafka, and shown only if what lies there has that task_id
 * and that digest. Everything is bounded and its own: a thread, connections to Redis and Kafka, how much is under way at once. Deliveries notice
 * nothing of it. */
#ifndef JOBHOOK_CONSUMER_HTTP_JOB_STATUS_H
#define JOBHOOK_CONSUMER_HTTP_JOB_STATUS_H

#include "consumer/base/measure.h"
#include "consumer/bearer.h"
#include "consumer/http/status.h"
#include "consumer/settings.h"

#include <stdint.h>

struct job_status;

enum {
    JOB_STATUS_CONNECTIONS_MAX = 512,
    JOB_STATUS_OPEN_MAX = 256, /* requests that wait for Redis or Kafka; more are answered 429 */
    JOB_STATUS_CACHE_BYTES = 8 * 1024 * 1024,
    JOB_STATUS_UNSENT_BYTES_MAX = 64 * 1024 * 1024, /* of results whose askers have not read them yet; more are answered 429 */
};

enum job_status_code {
    JOB_STATUS_200,
    JOB_STATUS_400,
    JOB_STATUS_401,
    JOB_STATUS_404,
    JOB_STATUS_405,
    JOB_STATUS_410,
    JOB_STATUS_429,
    JOB_STATUS_503,
    JOB_STATUS_CODES
};
extern const unsigned job_status_codes[JOB_STATUS_CODES];

struct job_status_stats {
    struct counter requests[JOB_STATUS_CODES];
    struct histogram duration;
};

/* Listens and answers from now on: /job-status, and /endpoints (consumer/http/endpoints.h) of `status`. The settings have tokens. NULL when it cannot: `problem` says why. */
struct job_status *job_status_create(const struct settings *settings, const struct service_status *status, char *problem, size_t size);
/* Requests under way are cut off. Takes NULL. */
void job_status_destroy(struct job_status *job_status);
/* Any thread: these tokens are good from now on, and no others; copied. */
void job_status_allow(struct job_status *job_status, const struct bearer_tokens *tokens);
uint16_t job_status_port(const struct job_status *job_status);
const struct job_status_stats *job_status_stats(const struct job_status *job_status);

#endif
