#include "delivery/delivery_inside.h"

#include "consumer/base/clock.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { SPARES_MAX = 4096 };

/* ---- what is counted ---- */

const char *delivery_how(const struct delivery *d, enum delivery_state state)
{
    return state == DELIVERY_RECORDING || state == DELIVERY_RELEASED ? settled_name(d->settled) : "";
}

const char *delivery_which(const struct delivery *d)
{
    if (d->attempt.epoch > 0)
        return "replay";
    if (d->attempt.deferral > 0)
        return "deferral";
    if (d->attempt.number == 1)
        return "first";
    return d->attempt.number > d->all->options.schedule->retries.count ? "last" : "retry";
}

void delivery_note_busy(struct delivery *d, bool busy)
{
    d->all->busy = d->all->busy - d->busy + busy;
    d->busy = busy;
}

void delivery_note_step(struct delivery *d, enum delivery_state next)
{
    delivery_note_busy(d, false);
    if (log_wants(LOG_DEBUG))
        log_debug("step", LOG_S("task_id", d->event->task_id), LOG_STRING("from", delivery_state_name(d->state)),
                  LOG_STRING("to", delivery_state_name(next)), LOG_I("attempt", d->attempt.number), LOG_S("topic", d->attempt.origin.topic),
                  LOG_I("partition", d->attempt.origin.partition), LOG_I("offset", d->attempt.origin.offset));
}

static void count_held(struct delivery *d, bool more)
{
    struct deliveries_held *held = &d->all->held;
    size_t *count = d->from_input ? &held->first_attempts : &held->retries;
    uint64_t *bytes = d->from_input ? &held->first_attempt_bytes : &held->retry_bytes;
    *count = more ? *count + 1 : *count - 1;
    *bytes = more ? *bytes + d->event->bytes : *bytes - d->event->bytes;
}

void deliveries_note_released(struct delivery *d)
{
    struct deliveries *all = d->all;
    count_held(d, false);
    if (d->dropped) {
        counter_add(&all->stats.dropped, 1);
        return;
    }
    counter_add(&all->stats.settled[d->settled], 1);
    if (d->settled == SETTLED_DEAD)
        counter_add(&all->stats.dead[d->report.reason], 1);
    if (d->settled == SETTLED_DEFERRED && d->plan == PLAN_DEFER) {
        troubles_note(all->troubles, d->url.endpoint, NULL, clock_monotonic_ms());
        troubles_note_rest(all->troubles, d->url.endpoint, scheduler_rests_until_ms(all->options.scheduler, &d->url));
    }
    d->report.event = d->event;
    d->report.attempt = &d->attempt;
    d->report.settled = d->settled;
    d->report.detail = d->detail;
    d->report.url = &d->url;
    report_log(&d->report);
}

/* ---- all of them ---- */

static struct delivery *borrow_delivery(struct deliveries *all)
{
    struct link *spare = list_take(&all->spares);
    if (spare == NULL)
        return memory_create(sizeof(struct delivery));
    struct delivery *d = container_of(spare, struct delivery, link);
    memset(d, 0, sizeof(*d));
    return d;
}

void deliveries_take(struct deliveries *all, const struct arrival *arrival)
{
    struct delivery *d = borrow_delivery(all);
    d->all = all;
    d->home = arrival->home;
    d->slot = arrival->slot;
    d->event = arrival->event;
    d->attempt = arrival->attempt;
    d->from_input = arrival->from_input;
    d->timer.fire = delivery_timer_fired;
    list_append(&all->states[DELIVERY_TAKEN], &d->link);
    list_append(&d->home->deliveries, &d->home_link);
    count_held(d, true);
    counter_add(arrival->from_input ? &all->stats.events_input : &all->stats.events_retry, 1);
    delivery_begin(d, arrival);
}

static void bury(struct deliveries *all)
{
    struct link *link;
    while ((link = list_take(&all->states[DELIVERY_RELEASED])) != NULL) {
        struct delivery *d = container_of(link, struct delivery, link);
        event_destroy(d->event);
        if (all->spares.length < SPARES_MAX)
            list_append(&all->spares, &d->link);
        else
            free(d);
    }
}

/* Of the states in which Redis is asked some may wait for another owner's lease: in CLAIMING, or (rarely) in FAILING. */
static void show_held(struct deliveries *all, bool egress_is_down)
{
    size_t held[HELD_KINDS] = { 0 };
    bool redis_is_away = claims_away_since_ms(all->options.claims) != 0;
    size_t claiming = all->states[DELIVERY_CLAIMING].length,
           recording = all->states[DELIVERY_FAILING].length + all->states[DELIVERY_RECORDING].length;
    size_t busy_claiming = all->busy < claiming ? all->busy : claiming;
    held[HELD_LEASE] = all->busy;
    held[redis_is_away ? HELD_REDIS : HELD_CLAIM] += claiming - busy_claiming;
    held[redis_is_away ? HELD_REDIS : HELD_RECORD] += recording - (all->busy - busy_claiming);
    held[egress_is_down ? HELD_EGRESS : HELD_SLOT] = all->states[DELIVERY_WAITING].length;
    held[HELD_ANSWER] = all->states[DELIVERY_POSTING].length;
    held[HELD_KAFKA] = all->states[DELIVERY_PUBLISHING].length;
    for (int kind = 0; kind < HELD_KINDS; kind++)
        gauge_set(&all->stats.held[kind], (int64_t)held[kind]);
}

static void show_gauges(struct deliveries *all)
{
    struct scheduler_counts counts = scheduler_counts(all->options.scheduler);
    show_held(all, counts.egress_down);
    gauge_set(&all->stats.held_bytes, (int64_t)(all->held.first_attempt_bytes + all->held.retry_bytes));
    gauge_set(&all->stats.in_flight, (int64_t)all->states[DELIVERY_POSTING].length);
    gauge_set(&all->stats.endpoints, (int64_t)counts.endpoints);
    gauge_set(&all->stats.endpoints_resting, (int64_t)counts.resting);
    gauge_set(&all->stats.egress_up, !counts.egress_down);
    gauge_set(&all->stats.redis_clock_ahead_s, (claims_now_ms(all->options.claims) - clock_wall_ms()) / 1000);
}

void deliveries_turn(struct deliveries *all, uint64_t now_ms)
{
    struct ticket *ticket;
    while ((ticket = scheduler_overdue(all->options.scheduler, now_ms)) != NULL)
        delivery_defer(container_of(ticket, struct delivery, ticket));
    while ((ticket = scheduler_start(all->options.scheduler, now_ms)) != NULL)
        delivery_start(container_of(ticket, struct delivery, ticket), now_ms);
    deliveries_ask(all, now_ms);
    bury(all);
    show_gauges(all);
}

uint64_t deliveries_next_ms(const struct deliveries *all, uint64_t now_ms)
{
    return scheduler_next_ms(all->options.scheduler, now_ms);
}

void deliveries_hold(struct deliveries *all, struct hold_list *holds)
{
    hold_list_destroy(all->holds);
    all->holds = holds;
    LIST_EACH (&all->states[DELIVERY_WAITING], link)
        delivery_heed_holds(container_of(link, struct delivery, link));
}

void deliveries_revoke(struct deliveries *all, struct delivery_home *home)
{
    home->revoked = true;
    LIST_EACH (&home->deliveries, link)
        delivery_drop_unsent(container_of(link, struct delivery, home_link));
    bury(all);
}

void deliveries_drain(struct deliveries *all)
{
    all->draining = true;
    LIST_EACH (&all->states[DELIVERY_WAITING], link)
        delivery_drop_unsent(container_of(link, struct delivery, link));
    LIST_EACH (&all->states[DELIVERY_CLAIMING], link)
        delivery_drop_unsent(container_of(link, struct delivery, link));
}

struct deliveries *deliveries_create(const struct deliveries_options *options)
{
    struct deliveries *all = memory_create(sizeof(*all));
    all->options = *options;
    all->spare_requests = deliveries_create_requests();
    for (int state = 0; state < DELIVERY_STATES; state++)
        list_init(&all->states[state]);
    list_init(&all->spares);
    all->troubles = troubles_create();
    return all;
}

void deliveries_destroy(struct deliveries *all)
{
    if (all == NULL)
        return;
    troubles_destroy(all->troubles);
    for (int state = 0; state < DELIVERY_STATES; state++) {
        LIST_EACH (&all->states[state], link) {
            struct delivery *d = container_of(link, struct delivery, link);
            if (d->request != NULL)
                deliveries_return_request(all, d->request);
            event_destroy(d->event);
            free(d);
        }
    }
    LIST_EACH (&all->spares, link)
        free(container_of(link, struct delivery, link));
    deliveries_destroy_requests(all);
    hold_list_destroy(all->holds);
    free(all);
}

int64_t delivery_home_oldest_ms(const struct delivery_home *home)
{
    struct link *first = list_first(&home->deliveries);
    if (first == NULL)
        return 0;
    const struct delivery *d = container_of(first, struct delivery, home_link);
    return d->from_input && d->event->timestamp_ms > 0 ? d->event->timestamp_ms : d->attempt.first_ms;
}

struct deliveries_held deliveries_held(const struct deliveries *all)
{
    return all->held;
}

const struct delivery_stats *deliveries_stats(const struct deliveries *all)
{
    return &all->stats;
}

struct troubles *deliveries_troubles(struct deliveries *all)
{
    return all->troubles;
}
