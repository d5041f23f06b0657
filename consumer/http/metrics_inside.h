/* What the files that write /metrics share. */
#ifndef JOBHOOK_CONSUMER_HTTP_METRICS_INSIDE_H
#define JOBHOOK_CONSUMER_HTTP_METRICS_INSIDE_H

#include "consumer/base/text.h"
#include "consumer/http/status.h"

#define METRICS_PREFIX "jobhook_"

void metrics_write_head(struct text *text, const char *name, const char *type, const char *help);
/* metrics_lag.c: consumer_lag, retry_records */
void metrics_write_lag(const struct service_status *status, struct text *text);

#endif
