/* What probes and scrapes are answered: /healthz, /readyz, /metrics. GET and HEAD only. */
#ifndef JOBHOOK_CONSUMER_HTTP_PROBES_H
#define JOBHOOK_CONSUMER_HTTP_PROBES_H

#include "consumer/http/server.h"
#include "consumer/http/status.h"

/* For struct server_options; `status` is a const struct service_status, which outlives the server. */
void probes_answer(void *status, struct server_request *request);

#endif
