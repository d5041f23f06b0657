#include "delivery/refusal.h"

#include "delivery/report.h"

/* Attempts that came by a retry topic have a due time; those of the input topic have none. */
static bool is_expired(const struct refusal_request *asked)
{
    int64_t since_ms = asked->attempt->due_ms > 0 ? asked->attempt->due_ms : asked->event->timestamp_ms;
    return since_ms >= 0 && asked->now_ms - since_ms > (int64_t)asked->limits->max_event_age_ms;
}

struct refusal refusal_judge(const struct refusal_request *asked, struct url *url)
{
    struct slice text = report_url(asked->event, asked->attempt);
    if (asked->event->value.length > asked->limits->max_event_bytes)
        return (struct refusal){ .reason = DEAD_TOO_LARGE, .detail = "the event is larger than JOBHOOK_MAX_EVENT_BYTES" };
    if (is_expired(asked))
        return (struct refusal){ .reason = DEAD_EXPIRED, .detail = "older than JOBHOOK_MAX_EVENT_AGE" };
    if (text.length == 0)
        return (struct refusal){ 0 };
    enum guard_rule rule = guard_judge_url(asked->limits->guard, text, url);
    if (rule == GUARD_OK)
        return (struct refusal){ 0 };
    url->text.length = 0;
    return (struct refusal){ .reason = DEAD_BLOCKED_URL, .detail = guard_rule_name(rule), .rule = rule };
}
