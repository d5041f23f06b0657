#include "delivery/delivery_inside.h"

#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/base/random.h"
#include "delivery/witnesses.h"

#include <stdlib.h>

enum { REQUEST_KEPT_BYTES = 64 * 1024, REQUESTS_KEPT = 4096 };

/* ---- its request ---- */

static struct request *borrow_request(struct deliveries *all)
{
    if (all->spare_request_count > 0)
        return all->spare_requests[--all->spare_request_count];
    struct request *request = memory_create(sizeof(*request));
    request_init(request);
    return request;
}

void deliveries_return_request(struct deliveries *all, struct request *request)
{
    if (all->spare_request_count < REQUESTS_KEPT && request->body.capacity <= REQUEST_KEPT_BYTES) {
        all->spare_requests[all->spare_request_count++] = request;
        return;
    }
    request_finish(request);
    free(request);
}

struct request **deliveries_create_requests(void)
{
    return memory_create(REQUESTS_KEPT * sizeof(struct request *));
}

void deliveries_destroy_requests(struct deliveries *all)
{
    while (all->spare_request_count > 0) {
        struct request *request = all->spare_requests[--all->spare_request_count];
        request_finish(request);
        free(request);
    }
    free(all->spare_requests);
}

static const struct span *begin_span(const struct delivery *d, struct span *span)
{
    const struct span_root root = { d->event->task_id, d->attempt.first_ms };
    uint8_t id[SPAN_ID_BYTES];
    span->recorded = false;
    if (d->all->options.tracing) {
        random_bytes(id, sizeof(id));
        span_begin(span, event_header(d->event, "traceparent"), &root, id);
    }
    return span->recorded ? span : NULL;
}

struct request *delivery_compose_request(struct delivery *d)
{
    const struct deliveries_options *all = &d->all->options;
    struct request *request = borrow_request(d->all);
    struct request_options options = { .version = all->version,
                                       .now_s = clock_wall_ms() / 1000,
                                       .pass_tracestate = all->pass_tracestate,
                                       .span = begin_span(d, &request->span),
                                       .signature = all->signature };
    if (all->signature != NULL)
        options.scope = signature_scope_of(all->signature, &d->url);
    request_compose(request, d->event, &d->attempt, &options);
    return request;
}

/* ---- what came of it ---- */

void deliveries_note_posting(struct delivery *d)
{
    struct deliveries *all = d->all;
    if (d->attempt.due_ms > 0) {
        int64_t late_ms = claims_now_ms(all->options.claims) - d->attempt.due_ms;
        histogram_observe_us(&all->stats.retry_lateness, late_ms < 0 ? 0 : (uint64_t)late_ms * 1000);
    }
    if (d->unclaimed)
        counter_add(&all->stats.unclaimed, 1);
}

void deliveries_note_outcome(struct delivery *d, const struct outcome *outcome)
{
    struct delivery_stats *stats = &d->all->stats;
    const struct span *span = &d->request->span;
    counter_add(&stats->attempts[stats_attempt_slot(outcome)], 1);
    histogram_observe_us(&stats->attempt_duration, (uint64_t)outcome->total_ms * 1000);
    verdict_error_class(outcome, d->attempt.error);
    d->report.status = outcome->status;
    d->report.attempt_ms = outcome->total_ms;
    const struct delivery_exits *exits = &d->all->options.exits;
    if (exits->attempted != NULL)
        exits->attempted(exits->context, &(struct attempted){ d->event, &d->attempt, &d->url, outcome, span->recorded ? span : NULL });
    if (!outcome_is_success(outcome) && outcome->kind != OUTCOME_LOCAL)
        troubles_note(d->all->troubles, d->url.endpoint, d->attempt.error, clock_monotonic_ms());
    if (outcome_is_success(outcome) && d->event->timestamp_ms >= 0) {
        int64_t latency_ms = clock_wall_ms() - d->event->timestamp_ms;
        histogram_observe_us(&stats->delivery_latency, latency_ms < 0 ? 0 : (uint64_t)latency_ms * 1000);
    }
}

/* The attempt's time ran out, or the name servers': a quick SERVFAIL is not that. */
static bool has_timed_out(const struct delivery *d, const struct outcome *outcome)
{
    if (outcome->kind == OUTCOME_NAME_FAILED)
        return outcome->total_ms >= d->all->options.attempt_timeout_ms / 2;
    return outcome->kind == OUTCOME_TIMEOUT || outcome->kind == OUTCOME_CONNECT_TIMEOUT;
}

/* Gives the slot back. An attempt that failed through our own fault is not used up. */
enum action deliveries_end_attempt(struct delivery *d, const struct outcome *outcome, const struct verdict *verdict)
{
    struct attempt_end end = { .blame = verdict->blame,
                               .delivered = verdict->action == ACTION_DELIVERED,
                               .answered = outcome->kind == OUTCOME_ANSWERED,
                               .connected = outcome->connected,
                               .timed_out = has_timed_out(d, outcome),
                               .retry_after_s = outcome->retry_after_s,
                               .url = &d->url };
    struct scheduler *scheduler = d->all->options.scheduler;
    enum attempt_fault fault = scheduler_finish(scheduler, &d->ticket, &end, clock_monotonic_ms());
    if (d->ticket.rested)
        troubles_note_rest(d->all->troubles, d->url.endpoint, scheduler_rests_until_ms(scheduler, &d->url));
    return fault == ATTEMPT_WAS_OURS ? ACTION_AGAIN : verdict->action;
}

/* ---- asking without an event ---- */

static void on_heard(void *context, const struct outcome *outcome)
{
    if (outcome->connected)
        witness_hear(context);
}

/* Who may not be called, or is held, is not asked. */
static bool ask(struct deliveries *all, struct witness *witness)
{
    struct url url;
    if (guard_judge_url(all->options.guard, witness_origin(witness), &url) != GUARD_OK || hold_list_judge(all->holds, &url).action != HOLD_NOT)
        return false;
    lanes_post(all->options.lanes, &url, NULL, on_heard, witness);
    return true;
}

void deliveries_ask(struct deliveries *all, uint64_t now_ms)
{
    struct witness *witness;
    while ((witness = scheduler_ask(all->options.scheduler, now_ms)) != NULL && !ask(all, witness))
        witness_leave_out(witness);
}
