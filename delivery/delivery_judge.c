#include "delivery/delivery_inside.h"

#include "consumer/base/clock.h"
#include "delivery/refusal.h"

enum { REDIS_WAIT_MS = 1000 }; /* of an event that has nowhere to go and only waits for Redis */

enum dead_reason delivery_reason_not_to_send(struct delivery *d)
{
    const struct deliveries_options *options = &d->all->options;
    const struct refusal_limits limits = { options->guard, options->max_event_bytes, options->max_event_age_ms };
    const struct refusal_request asked = { &limits, d->event, &d->attempt, claims_now_ms(options->claims) };
    struct refusal refusal = refusal_judge(&asked, &d->url);
    if (refusal.reason == DEAD_BLOCKED_URL)
        counter_add(&d->all->stats.blocked[refusal.rule], 1);
    d->detail = refusal.detail;
    return refusal.reason;
}

enum hold_action delivery_hold_action(const struct delivery *d)
{
    return hold_list_judge(d->all->holds, &d->url).action;
}

bool delivery_is_given_up(const struct delivery *d)
{
    const struct deliveries_options *options = &d->all->options;
    int64_t deferred_ms = d->attempt.deferred_since_ms == 0 ? 0 : claims_now_ms(options->claims) - d->attempt.deferred_since_ms;
    return deferred_ms >= (int64_t)options->give_up_after_ms &&
           scheduler_silent_ms(options->scheduler, &d->url, clock_monotonic_ms()) >= options->give_up_after_ms;
}

/* A hold may last as long again as it has lasted: a short one frees its events soon, and a long one costs little. */
static uint64_t expected_wait_ms(const struct delivery *d)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (d->url.text.length == 0)
        return REDIS_WAIT_MS;
    if (d->plan == PLAN_HOLD)
        return now_ms - hold_list_judge(d->all->holds, &d->url).since_ms;
    return scheduler_expected_wait_ms(d->all->options.scheduler, &d->url, now_ms);
}

struct attempt delivery_put_off(const struct delivery *d, uint64_t *delay_ms)
{
    const struct deliveries_options *options = &d->all->options;
    *delay_ms = retry_defer_delay(options->schedule, expected_wait_ms(d));
    int64_t now_ms = claims_now_ms(options->claims), due_ms = now_ms + (int64_t)*delay_ms;
    return d->plan == PLAN_HOLD ? attempt_held(&d->attempt, now_ms, due_ms) : attempt_deferred(&d->attempt, now_ms, due_ms);
}
