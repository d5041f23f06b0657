/* /metrics in Prometheus's text format 0.0.4: tables of what is shown, filled from the workers' stats.
 *
 * Counters and histograms are the sum over the workers; of what is up or down the worst one counts. Reading never disturbs a loop. */
#ifndef JOBHOOK_CONSUMER_HTTP_METRICS_H
#define JOBHOOK_CONSUMER_HTTP_METRICS_H

#include "consumer/base/text.h"
#include "consumer/http/status.h"

/* `now_ms`: wall clock, for ages. */
void metrics_write(const struct service_status *status, int64_t now_ms, struct text *text);

#endif
