/* /healthz and /readyz: two questions, each answered in plain sentences, one per line. No I/O; the time is an argument. */
#ifndef JOBHOOK_CONSUMER_HTTP_HEALTH_H
#define JOBHOOK_CONSUMER_HTTP_HEALTH_H

#include "consumer/base/text.h"
#include "consumer/http/status.h"

/* Do the loops make progress? False: a restart would help; `body` names the worker. `now_ms`: monotonic. */
bool health_is_alive(const struct service_status *status, uint64_t now_ms, struct text *body);

/* Has every worker joined the consumer group, and reached Redis once? False: `body` says what is missing. */
bool health_is_ready(const struct service_status *status, struct text *body);

#endif
