/* GET /endpoints: the endpoints that give trouble lately, of all workers, worst first. Behind the API's token: endpoints are customers' URLs. */
#ifndef JOBHOOK_CONSUMER_HTTP_ENDPOINTS_H
#define JOBHOOK_CONSUMER_HTTP_ENDPOINTS_H

#include "consumer/base/text.h"
#include "consumer/http/status.h"

enum { ENDPOINTS_BYTES_MAX = 1024 * 1024 };

/* Appends a line of titles and one for each, with tabs between: failed, deferred, last_error, seconds_ago, rests_seconds (0: it does not rest), endpoint. Any thread. */
void endpoints_append(const struct service_status *status, uint64_t now_ms, struct text *text);

#endif
