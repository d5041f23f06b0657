#include "consumer/http/job_status.h"
#include "consumer/http/metrics_inside.h"

#include <inttypes.h>

void metrics_write_job_status(const struct service_status *status, struct text *text)
{
    const struct job_status_stats *stats = status->job_status;
    if (stats == NULL)
        return;
    metrics_write_head(text, "job_status_requests_total", "counter", "Requests to /job-status, by the answer's status.");
    for (size_t i = 0; i < JOB_STATUS_CODES; i++)
        text_printf(text, METRICS_PREFIX "job_status_requests_total{code=\"%u\"} %" PRIu64 "\n", job_status_codes[i],
                    counter_read(&stats->requests[i]));
    metrics_write_histogram(text, "job_status_duration_seconds", "From a request to /job-status that may ask to its answer.", &stats->duration);
}
