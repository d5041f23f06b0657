#include "delivery/delivery_inside.h"

#include "consumer/base/clock.h"
#include "consumer/base/random.h"

#include <string.h>

void delivery_introduce(struct delivery *d)
{
    d->digest = event_digest(d->event);
    d->ticket.task = d->digest;
    d->ticket.bytes = (uint32_t)d->event->bytes;
    d->ticket.retry = !d->from_input;
    random_bytes(d->token, sizeof(d->token));
}

bool delivery_lease_suffices(const struct delivery *d, uint64_t now_ms)
{
    const struct deliveries_options *options = &d->all->options;
    uint64_t margin_ms = (options->lease_ms - options->attempt_timeout_ms) / 2;
    return now_ms + options->attempt_timeout_ms + margin_ms <= d->lease_end_ms;
}

struct claim delivery_claim(const struct delivery *d)
{
    struct claim claim = {
        .task_id = d->event->task_id,
        .epoch = d->attempt.epoch,
        .attempt = d->attempt.number,
        .deferral = d->attempt.deferral,
        .digest = d->digest,
        .partition = d->attempt.origin.partition,
        .offset = d->attempt.origin.offset,
        .outcome = verdict_outcome_code(d->attempt.error, d->report.status),
    };
    memcpy(claim.token, d->token, TOKEN_BYTES);
    return claim;
}

/* Some dead letters are written instead of an attempt. Of one that is written again after a crash nobody knows whether a POST came before it, so the
 * reason decides. */
uint32_t delivery_attempts_made(const struct delivery *d)
{
    if (d->settled == SETTLED_NOTHING_TO_SEND)
        return 0;
    if (d->settled != SETTLED_DEAD)
        return d->attempt.number;
    switch (d->report.reason) {
    case DEAD_ENDPOINT_DOWN:
    case DEAD_EXPIRED:
    case DEAD_BLOCKED_URL:
    case DEAD_HELD:
        return d->report.attempt_ms == 0 && d->report.status == 0 ? d->attempt.number - 1 : d->attempt.number;
    default:
        return d->attempt.number;
    }
}

void delivery_release_claim(struct delivery *d)
{
    struct claim claim = delivery_claim(d);
    if (!d->unclaimed)
        claims_release(d->all->options.claims, &claim);
}

/* Redis did not answer: how long that has been so for this delivery in this state. */
uint64_t delivery_trouble_ms(struct delivery *d)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (d->trouble_since_ms == 0)
        d->trouble_since_ms = now_ms;
    return now_ms - d->trouble_since_ms;
}

/* JOBHOOK_REDIS_DOWN=deliver, and Redis, which this process has reached before, has been away for JOBHOOK_REDIS_WAIT. */
bool delivery_gives_up_redis(const struct delivery *d)
{
    const struct deliveries_options *options = &d->all->options;
    uint64_t since_ms = claims_away_since_ms(options->claims);
    return options->redis_down_delivers && claims_reached(options->claims) && since_ms != 0 &&
           clock_monotonic_ms() - since_ms >= options->redis_wait_ms;
}

enum dead_reason delivery_dead_reason(struct delivery *d)
{
    if (d->next < DEAD_REASONS)
        return (enum dead_reason)d->next;
    d->detail = "it failed for good, for a reason that only another version of jobhook knows";
    return DEAD_EXHAUSTED;
}
