#include "delivery/delivery_inside.h"

#include "consumer/base/clock.h"
#include "consumer/base/crash.h"
#include "consumer/base/random.h"

enum {
    REDIS_PATIENCE_MS = 5000, /* after a POST: how long F, S, X and D are tried before the event goes on without */
    AGAIN_MS = 200,           /* between two tries while Redis does not answer, jitter excluded */
    AWAY_AGAIN_MS = 1000,     /* the same before anything was sent */
    OWN_TROUBLE_MS = 1000,    /* out of descriptors: how long until the same attempt is made again */
    BUSY_ASK_MS = 1000,       /* another owner's lease: asked again at least this often, jitter excluded */
    NEXT_RETRY = 0,           /* `next` in F(n): a retry; else an enum dead_reason */
};

static void claim_it(struct delivery *d);
static void queue_it(struct delivery *d);
static void post_it(struct delivery *d);
static void fail_it(struct delivery *d);
static void publish_it(struct delivery *d);
static void record_it(struct delivery *d);
static void release_it(struct delivery *d);

/* The legal moves. Whatever else is asked for is a mistake in this file, and ends the process. */
static const struct step {
    void (*enter)(struct delivery *d);
    unsigned may_follow; /* set of states it may come from */
} steps[DELIVERY_STATES] = {
#define AFTER(state) (1u << DELIVERY_##state)
    [DELIVERY_CLAIMING] = { claim_it, AFTER(TAKEN) | AFTER(WAITING) /* the lease grew too short */ | AFTER(POSTING) /* our own trouble */
                                          | AFTER(RECORDING) /* nothing to send, and another event's record in the way */ },
    [DELIVERY_WAITING] = { queue_it, AFTER(CLAIMING) },
    [DELIVERY_POSTING] = { post_it, AFTER(WAITING) | AFTER(CLAIMING) /* with its slot, after a fresh lease */ },
    [DELIVERY_FAILING] = { fail_it, AFTER(POSTING) | AFTER(CLAIMING) | AFTER(WAITING) /* dead without a POST */ },
    [DELIVERY_PUBLISHING] = { publish_it, AFTER(FAILING) | AFTER(TAKEN) /* malformed */ | AFTER(CLAIMING) /* resume, conflict */ |
                                              AFTER(WAITING) /* deferral */
                                              | AFTER(PUBLISHING) /* refused by its topic */ | AFTER(RECORDING) /* nothing to send, Redis away */ },
    [DELIVERY_RECORDING] = { record_it, AFTER(POSTING) | AFTER(PUBLISHING) | AFTER(CLAIMING) /* nothing to send */ },
    [DELIVERY_RELEASED] = { release_it, AFTER(RECORDING) | AFTER(CLAIMING) | AFTER(WAITING) | AFTER(POSTING) | AFTER(FAILING) | AFTER(PUBLISHING) },
#undef AFTER
};

/* The only place where a delivery changes its state. */
static void go(struct delivery *d, enum delivery_state next)
{
    assert(steps[next].may_follow & (1u << d->state));
    assert(!timer_is_running(&d->timer));
    delivery_note_step(d, next);
    d->trouble_since_ms = 0;
    list_remove(&d->all->states[d->state], &d->link);
    list_append(&d->all->states[next], &d->link);
    CRASH_POINT_OF("before", delivery_state_name(next), delivery_how(d, next), delivery_which(d));
    d->state = next;
    steps[next].enter(d);
    CRASH_POINT_OF("issued", delivery_state_name(next), delivery_how(d, next), delivery_which(d));
}

static bool may_not_send(const struct delivery *d)
{
    return d->home->revoked || d->all->draining;
}

static void settle_as(struct delivery *d, enum settled settled, enum delivery_state next)
{
    d->settled = settled;
    go(d, next);
}

/* Gives up what is unsent: the offset stays, somebody reads the event again. */
static void drop(struct delivery *d)
{
    if (!link_is_free(&d->ticket.link) && !d->ticket.in_flight)
        scheduler_remove(d->all->options.scheduler, &d->ticket);
    else if (d->ticket.in_flight)
        scheduler_unstart(d->all->options.scheduler, &d->ticket);
    timers_stop(d->all->options.timers, &d->timer);
    d->dropped = true;
    go(d, DELIVERY_RELEASED);
}

/* The state is entered again after a while. */
static void again_in(struct delivery *d, uint64_t ms)
{
    delivery_note_busy(d, false);
    timers_start(d->all->options.timers, &d->timer, clock_monotonic_ms() + ms + random_below(ms / 4 + 1));
}

/* Somebody else's lease runs: never dropped, asked again. */
static void wait_for_owner(struct delivery *d, uint64_t busy_ms)
{
    counter_add(&d->all->stats.busy, 1);
    d->home->busy_until_ms = clock_monotonic_ms() + busy_ms;
    again_in(d, busy_ms < BUSY_ASK_MS ? busy_ms + 1 : BUSY_ASK_MS);
    delivery_note_busy(d, true);
}

/* ---- failing: F(n), or the dead letter's reason, before anything is published ---- */

static void fail_with(struct delivery *d, uint8_t next)
{
    d->next = next;
    go(d, DELIVERY_FAILING);
}

static void failed(void *context, const struct claims_answer *answer)
{
    struct delivery *d = context;
    switch (answer->result) {
    case CLAIMS_SKIP:
        settle_as(d, SETTLED_SKIPPED, DELIVERY_RELEASED);
        return;
    case CLAIMS_BUSY:
        wait_for_owner(d, answer->busy_ms);
        return;
    case CLAIMS_AWAY:
        if (delivery_trouble_ms(d) < REDIS_PATIENCE_MS) {
            again_in(d, AGAIN_MS);
            return;
        }
        counter_add(&d->all->stats.unfailed, 1);
        break;
    case CLAIMS_FOREIGN:
        counter_add(&d->all->stats.foreign, 1);
        break;
    default:
        d->next = answer->next;
        break;
    }
    d->plan = PLAN_NEXT;
    go(d, DELIVERY_PUBLISHING);
}

static void fail_it(struct delivery *d)
{
    struct claim claim = delivery_claim(d);
    claims_fail(d->all->options.claims, &claim, d->next, failed, d);
}

/* ---- publishing: the next home ---- */

/* No record in Redis: straight to the dead-letter topic. */
static void die_unwritten(struct delivery *d, enum dead_reason reason, const char *detail)
{
    d->next = (uint8_t)reason;
    d->detail = detail;
    d->unwritten = true;
    d->plan = PLAN_NEXT;
    go(d, DELIVERY_PUBLISHING);
}

static void publish_retry(struct delivery *d, uint64_t delay_ms, const struct attempt *asked)
{
    struct publication publication = {
        .event = d->event, .attempt = asked, .delay_ms = delay_ms, .detail = "", .partition = d->attempt.origin.partition
    };
    d->due_ms = asked->due_ms;
    d->report.delay_ms = delay_ms;
    d->all->options.exits.retry(d->all->options.exits.context, d, &publication);
}

static void publish_deferral(struct delivery *d)
{
    uint64_t delay_ms;
    struct attempt asked = delivery_put_off(d, &delay_ms);
    d->settled = SETTLED_DEFERRED;
    publish_retry(d, delay_ms, &asked);
}

static void publish_dead(struct delivery *d, enum dead_reason reason)
{
    struct publication publication = { .event = d->event,
                                       .attempt = &d->attempt,
                                       .reason = reason,
                                       .detail = d->detail == NULL ? "" : d->detail,
                                       .partition = d->attempt.origin.partition };
    d->settled = SETTLED_DEAD;
    d->report.reason = reason;
    d->all->options.exits.dead(d->all->options.exits.context, d, &publication);
}

static void publish_it(struct delivery *d)
{
    const struct deliveries_options *options = &d->all->options;
    uint64_t delay_ms;
    if (d->plan != PLAN_NEXT) {
        publish_deferral(d);
    } else if (d->next != NEXT_RETRY) {
        publish_dead(d, delivery_dead_reason(d));
    } else if (!retry_delay_after(options->schedule, d->attempt.number, &delay_ms)) {
        publish_dead(d, DEAD_EXHAUSTED);
    } else {
        struct attempt asked = attempt_following(&d->attempt, claims_latest_now_ms(options->claims) + (int64_t)delay_ms);
        d->settled = SETTLED_SCHEDULED;
        publish_retry(d, delay_ms, &asked);
    }
}

void delivery_published(struct delivery *d, enum published published)
{
    assert(d->state == DELIVERY_PUBLISHING);
    if (published == PUBLISHED_REFUSED) {
        d->plan = PLAN_NEXT;
        d->next = DEAD_TOO_LARGE;
        d->detail = "the retry topic does not take records of this size: raise its max.message.bytes";
        go(d, DELIVERY_PUBLISHING);
    } else if (d->unwritten) {
        go(d, DELIVERY_RELEASED);
    } else {
        go(d, DELIVERY_RECORDING);
    }
}

/* ---- recording: S(n), the deferral, X or D; then the offset may go ---- */

/* Nothing but Redis knows that there was nothing to send: it must answer before the offset goes, or the event is put off. */
static void nothing_unrecorded(struct delivery *d)
{
    if (may_not_send(d)) {
        drop(d);
    } else if (delivery_gives_up_redis(d)) {
        d->plan = PLAN_DEFER;
        go(d, DELIVERY_PUBLISHING);
    } else {
        again_in(d, AWAY_AGAIN_MS);
    }
}

static void recorded(void *context, const struct claims_answer *answer)
{
    struct delivery *d = context;
    if (answer->result == CLAIMS_FOREIGN) {
        counter_add(&d->all->stats.foreign, 1);
        if (d->settled == SETTLED_NOTHING_TO_SEND) {
            go(d, DELIVERY_CLAIMING); /* ends as a conflict */
            return;
        }
    } else if (answer->result == CLAIMS_AWAY) {
        if (d->settled == SETTLED_NOTHING_TO_SEND) {
            nothing_unrecorded(d);
            return;
        }
        if (delivery_trouble_ms(d) < REDIS_PATIENCE_MS) {
            again_in(d, AGAIN_MS);
            return;
        }
        counter_add(&d->all->stats.unsettled, 1);
    }
    go(d, DELIVERY_RELEASED);
}

static void record_it(struct delivery *d)
{
    struct claims *claims = d->all->options.claims;
    struct claim claim = delivery_claim(d);
    claim.attempts = delivery_attempts_made(d);
    switch (d->settled) {
    case SETTLED_DEFERRED:
        claims_defer(claims, &claim, d->due_ms, recorded, d);
        break;
    case SETTLED_SCHEDULED:
        claims_settle(claims, &claim, CLAIMS_SCHEDULED, d->due_ms, recorded, d);
        break;
    case SETTLED_DEAD:
        claims_settle(claims, &claim, CLAIMS_DEAD, 0, recorded, d);
        break;
    default:
        claims_settle(claims, &claim, CLAIMS_DELIVERED, 0, recorded, d);
        break;
    }
}

/* ---- claiming ---- */

static void granted(struct delivery *d)
{
    d->lease_end_ms = d->asked_ms + d->all->options.lease_ms;
    if (d->ticket.in_flight && delivery_hold_action(d) != HOLD_NOT)
        scheduler_unstart(d->all->options.scheduler, &d->ticket);
    enum dead_reason reason = d->ticket.in_flight ? 0 : delivery_reason_not_to_send(d);
    if (reason != 0)
        fail_with(d, (uint8_t)reason);
    else if (d->url.text.length == 0)
        settle_as(d, SETTLED_NOTHING_TO_SEND, DELIVERY_RECORDING);
    else
        go(d, d->ticket.in_flight ? DELIVERY_POSTING : DELIVERY_WAITING);
}

static void claim_unanswered(struct delivery *d)
{
    if (delivery_gives_up_redis(d)) {
        d->unclaimed = true;
        granted(d);
    } else {
        again_in(d, AWAY_AGAIN_MS);
    }
}

static void claim_refused(struct delivery *d, const struct claims_answer *answer)
{
    if (d->ticket.in_flight)
        scheduler_unstart(d->all->options.scheduler, &d->ticket);
    switch (answer->result) {
    case CLAIMS_SKIP:
        settle_as(d, SETTLED_SKIPPED, DELIVERY_RELEASED);
        return;
    case CLAIMS_RESUME:
        d->next = answer->next;
        d->plan = PLAN_NEXT;
        go(d, DELIVERY_PUBLISHING);
        return;
    case CLAIMS_BUSY:
        wait_for_owner(d, answer->busy_ms);
        return;
    case CLAIMS_CONFLICT:
        die_unwritten(d, DEAD_TASK_ID_CONFLICT, "another event with this task_id and other content came first");
        return;
    default:
        claim_unanswered(d);
        return;
    }
}

static void claimed(void *context, const struct claims_answer *answer)
{
    struct delivery *d = context;
    bool granted_now = answer->result == CLAIMS_GRANT;
    if (granted_now)
        d->unclaimed = false;
    if (may_not_send(d)) {
        if (granted_now)
            delivery_release_claim(d);
        drop(d);
    } else if (granted_now) {
        granted(d);
    } else {
        claim_refused(d, answer);
    }
}

static void claim_it(struct delivery *d)
{
    if (d->pause_ms > 0) {
        uint32_t pause_ms = d->pause_ms;
        d->pause_ms = 0;
        again_in(d, pause_ms);
        return;
    }
    struct claim claim = delivery_claim(d);
    d->asked_ms = clock_monotonic_ms();
    claims_claim(d->all->options.claims, &claim, claimed, d);
}

/* ---- waiting for a slot ---- */

/* Put back for the same attempt, or given up when the endpoint has been silent for too long. */
void delivery_defer(struct delivery *d)
{
    if (delivery_is_given_up(d)) {
        d->detail = "no 2xx from the endpoint for JOBHOOK_GIVE_UP_AFTER; this attempt was not made";
        fail_with(d, DEAD_ENDPOINT_DOWN);
        return;
    }
    d->plan = PLAN_DEFER;
    go(d, DELIVERY_PUBLISHING);
}

/* False: nobody holds it. */
static bool heed_hold(struct delivery *d)
{
    switch (delivery_hold_action(d)) {
    case HOLD_DEFER:
        scheduler_hold(d->all->options.scheduler, &d->url, clock_monotonic_ms());
        d->plan = PLAN_HOLD;
        go(d, DELIVERY_PUBLISHING);
        return true;
    case HOLD_DEAD:
        d->detail = "JOBHOOK_HOLD_FILE says dead for this URL; this attempt was not made";
        fail_with(d, DEAD_HELD);
        return true;
    default:
        return false;
    }
}

void delivery_heed_holds(struct delivery *d)
{
    if (delivery_hold_action(d) == HOLD_NOT)
        return;
    scheduler_remove(d->all->options.scheduler, &d->ticket);
    heed_hold(d);
}

static void queue_it(struct delivery *d)
{
    if (!heed_hold(d) && !scheduler_enqueue(d->all->options.scheduler, &d->ticket, &d->url, clock_monotonic_ms()))
        delivery_defer(d);
}

/* A slot is there. Is enough of the lease? Else a fresh one is asked for, and the slot kept meanwhile. */
void delivery_start(struct delivery *d, uint64_t now_ms)
{
    go(d, delivery_lease_suffices(d, now_ms) || d->unclaimed ? DELIVERY_POSTING : DELIVERY_CLAIMING);
}

/* ---- posting ---- */

static void post_again_later(struct delivery *d)
{
    if (may_not_send(d)) {
        delivery_release_claim(d);
        drop(d);
        return;
    }
    d->pause_ms = OWN_TROUBLE_MS;
    go(d, DELIVERY_CLAIMING);
}

static void posted(void *context, const struct outcome *outcome)
{
    struct delivery *d = context;
    struct verdict verdict = verdict_judge(outcome, &d->all->options.policy);
    uint64_t delay_ms;
    d->post = NULL;
    deliveries_note_outcome(d, outcome);
    deliveries_return_request(d->all, d->request);
    d->request = NULL;
    switch (deliveries_end_attempt(d, outcome, &verdict)) {
    case ACTION_DELIVERED:
        settle_as(d, SETTLED_DELIVERED, DELIVERY_RECORDING);
        break;
    case ACTION_RETRY:
        fail_with(d, retry_delay_after(d->all->options.schedule, d->attempt.number, &delay_ms) ? NEXT_RETRY : DEAD_EXHAUSTED);
        break;
    case ACTION_DEAD:
        d->detail = outcome->kind == OUTCOME_BLOCKED_ADDRESS ? guard_rule_name(GUARD_ADDRESS) : NULL;
        fail_with(d, (uint8_t)verdict.reason);
        break;
    case ACTION_AGAIN:
        post_again_later(d);
        break;
    }
}

static void post_it(struct delivery *d)
{
    deliveries_note_posting(d);
    d->request = delivery_compose_request(d);
    d->post = lanes_post(d->all->options.lanes, &d->url, d->request, posted, d);
}

/* ---- the end, and the beginning ---- */

static void release_it(struct delivery *d)
{
    const struct delivery_exits *exits = &d->all->options.exits;
    deliveries_note_released(d);
    list_remove(&d->home->deliveries, &d->home_link);
    exits->release(exits->context, d->home, d->slot, !d->dropped);
}

void delivery_begin(struct delivery *d, const struct arrival *arrival)
{
    const char *problem = NULL;
    if (d->attempt.first_ms == 0)
        d->attempt.first_ms = claims_now_ms(d->all->options.claims);
    if (arrival->condemned) {
        die_unwritten(d, DEAD_CRASHED, "processes ended again and again while they handled this record alone; it was not parsed");
    } else if (arrival->unreadable != NULL) {
        die_unwritten(d, DEAD_INVALID_HEADERS, arrival->unreadable);
    } else if (!event_parse(d->event, &problem)) {
        die_unwritten(d, DEAD_INVALID_EVENT, problem);
    } else {
        delivery_introduce(d);
        go(d, DELIVERY_CLAIMING);
    }
}

void delivery_timer_fired(struct timer *timer)
{
    struct delivery *d = container_of(timer, struct delivery, timer);
    steps[d->state].enter(d);
}

void delivery_drop_unsent(struct delivery *d)
{
    if (d->state == DELIVERY_WAITING) {
        delivery_release_claim(d);
        drop(d);
    } else if (d->state == DELIVERY_CLAIMING && timer_is_running(&d->timer)) {
        drop(d);
    }
}
