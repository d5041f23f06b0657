#include "delivery/report.h"

#include "consumer/base/log.h"

struct slice report_url(const struct event *event, const struct attempt *attempt)
{
    return attempt->url.length > 0 ? attempt->url : event->webhook_url;
}

void report_log(const struct report *report)
{
    const struct attempt *attempt = report->attempt;
    struct slice origin = { report->url->origin, report->url->origin_length };
    if (!log_wants(LOG_INFO))
        return;
    log_info("settled", LOG_S("task_id", report->event->task_id), LOG_S("task_type", report->event->task_type),
             LOG_STRING("result", settled_name(report->settled)), LOG_S("endpoint", origin), LOG_I("attempt", attempt->number),
             LOG_I("epoch", attempt->epoch), LOG_I("deferral", attempt->deferral), LOG_I("status", report->status),
             LOG_STRING("error", attempt->error), LOG_STRING("reason", report->settled == SETTLED_DEAD ? dead_reason_name(report->reason) : ""),
             LOG_STRING("detail", report->detail == NULL ? "" : report->detail), LOG_I("attempt_ms", report->attempt_ms),
             LOG_I("next_in_ms", report->delay_ms), LOG_S("topic", attempt->origin.topic), LOG_I("partition", attempt->origin.partition),
             LOG_I("offset", attempt->origin.offset));
}
