/* What the files that write /metrics share. */
#ifndef JOBHOOK_CONSUMER_HTTP_METRICS_INSIDE_H
#define JOBHOOK_CONSUMER_HTTP_METRICS_INSIDE_H

#include "consumer/base/text.h"
#include "consumer/http/status.h"

#define METRICS_PREFIX "jobhook_"

void metrics_write_head(struct text *text, const char *name, const char *type, const char *help);
struct histogram;
void metrics_write_histogram(struct text *text, const char *name, const char *help, const struct histogram *histogram);
/* metrics_job_status.c: job_status_requests_total, job_status_duration_seconds; nothing while it is off */
void metrics_write_job_status(const struct service_status *status, struct text *text);
/* metrics_lag.c: consumer_lag, retry_records */
void metrics_write_lag(const struct service_status *status, struct text *text);

#endif
