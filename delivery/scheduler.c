#include "delivery/scheduler.h"

#include "consumer/base/check.h"
#include "consumer/base/memory.h"
#include "delivery/directory.h"
#include "delivery/slots.h"
#include "delivery/witnesses.h"

#include <stdlib.h>

enum {
    REMEMBER_MIN_MS = 3600 * 1000,   /* origins that connected within the last hour speak for the way out */
    REMEMBER_MARGIN_MS = 600 * 1000, /* a deferral comes back a little late */
    BYTES_SHARE = 4,                 /* one endpoint may hold a quarter */
    PAUSE_MS = 100,                  /* after descriptors ran out */
    PROBE_LOOK = 4096,               /* endpoints looked at for one that is worth a probe while the way out is broken */
    SLOW_SHARE = 4, /* an endpoint whose answers take a quarter of an attempt's time holds its slots nearly as long as one that is silent */
    RIVALS_MS = 2000,
    HEARD_MS = 60 * 1000, /* for so long after an answer there are receivers that answer */
    CROWDED_LOOK = 8,     /* more than a few cannot each hold more than their share */
};

struct scheduler {
    struct scheduler_options options;
    struct endpoint_limits limits;
    struct directory *directory;
    struct egress egress;
    struct witnesses *witnesses;
    struct slots slots;
    uint64_t pause_until_ms;
    uint64_t latest_ms; /* of all calls: time never goes back in here, though one call may have looked at the clock before another */
    uint64_t queued_bytes;
    struct list by_age;                 /* all queued tickets, by queued_ms */
    struct list draining;               /* endpoints that rest and have a queue */
    struct list crowded;                /* endpoints that hold more than their share */
    const void *latest, *latest_origin; /* endpoint and origin of the ticket queued last; only compared */
    bool latest_shared;
    uint64_t rivals_until_ms; /* events of more than one endpoint came lately */
    uint64_t heard_until_ms;  /* somebody who is not in doubt answered lately */
};

struct scheduler *scheduler_create(const struct scheduler_options *options)
{
    struct scheduler *scheduler = memory_create(sizeof *scheduler);
    scheduler->options = *options;
    scheduler->limits = (struct endpoint_limits){
        .queue_max = options->endpoint_queue_max > 0 ? options->endpoint_queue_max : options->max_in_flight,
        .bytes_max = options->held_bytes_max / BYTES_SHARE,
        .wait_max_ms = options->attempt_timeout_ms,
        .slow_ms = options->attempt_timeout_ms / SLOW_SHARE,
        .crowd_wait_ms = options->attempt_timeout_ms / 2,
    };
    egress_init(&scheduler->egress);
    scheduler->witnesses = witnesses_create();
    uint64_t longest_ms = options->deferral_max_ms > options->give_up_after_ms ? options->deferral_max_ms : options->give_up_after_ms;
    struct directory_options directory = {
        .hash_key = options->hash_key,
        .window_max = options->endpoint_max_in_flight,
        .remember_ms = (longest_ms > REMEMBER_MIN_MS ? longest_ms : REMEMBER_MIN_MS) + REMEMBER_MARGIN_MS,
        .egress = &scheduler->egress,
    };
    scheduler->directory = directory_create(&directory);
    list_init(&scheduler->by_age);
    slots_init(&scheduler->slots, options->max_in_flight, options->held_bytes_max);
    list_init(&scheduler->draining);
    list_init(&scheduler->crowded);
    return scheduler;
}

void scheduler_destroy(struct scheduler *scheduler)
{
    if (scheduler == NULL)
        return;
    directory_destroy(scheduler->directory);
    witnesses_destroy(scheduler->witnesses);
    free(scheduler);
}

static uint64_t not_before_latest(const struct scheduler *scheduler, uint64_t now_ms)
{
    return now_ms > scheduler->latest_ms ? now_ms : scheduler->latest_ms;
}

static uint64_t advance(struct scheduler *scheduler, uint64_t now_ms)
{
    scheduler->latest_ms = not_before_latest(scheduler, now_ms);
    scheduler->slots.divided = scheduler->latest_ms < scheduler->heard_until_ms;
    return scheduler->latest_ms;
}

static bool has_room(const struct scheduler *scheduler, const struct origin *origin)
{
    return origin_has_room(origin, scheduler->options.origin_max_connections);
}

/* While the way out is broken, resting endpoints are as good for a probe as any: they may rest because of it. */
static bool is_open(const struct scheduler *scheduler, const struct endpoint *endpoint)
{
    return scheduler->egress.down || endpoint_is_open(endpoint);
}

/* Puts the endpoint on the lists that its state calls for. The one place where that is decided. */
static void arrange(struct scheduler *scheduler, struct endpoint *endpoint)
{
    struct origin *origin = endpoint->origin;
    bool waits = endpoint_queued(endpoint) > 0;
    bool open = waits && is_open(scheduler, endpoint);
    bool room = has_room(scheduler, origin) && origin_is_next(origin, endpoint);
    for (int kind = 0; kind < 2; kind++)
        slots_line_up(&scheduler->slots, endpoint, kind, open && room && endpoint->waiting[kind].length > 0);
    list_keep(&origin->blocked, &endpoint->blocked, open && !room);
    list_keep(&scheduler->draining, &endpoint->draining, waits && endpoint->record.rest == ENDPOINT_RESTING);
    list_keep(&scheduler->crowded, &endpoint->crowded, endpoint_is_crowded(endpoint, &scheduler->limits));
    directory_keep(scheduler->directory, endpoint, scheduler->latest_ms);
}

/* To be called after every change of an endpoint or its origin. A connection that this endpoint does not want goes to the next one in line. */
static void place(struct scheduler *scheduler, struct endpoint *endpoint)
{
    arrange(scheduler, endpoint);
    struct origin *origin = endpoint->origin;
    while (!slots_has_line(endpoint) && !list_is_empty(&origin->blocked) && has_room(scheduler, origin)) {
        endpoint = container_of(list_first(&origin->blocked), struct endpoint, blocked);
        arrange(scheduler, endpoint);
    }
}

static void count_rest(struct scheduler *scheduler, const struct endpoint *endpoint, bool rested)
{
    directory_count_resting(scheduler->directory, (endpoint->record.rest != ENDPOINT_AWAKE) - rested);
}

static void unqueue(struct scheduler *scheduler, struct ticket *ticket)
{
    endpoint_unqueue(ticket->endpoint, ticket);
    list_remove(&scheduler->by_age, &ticket->age);
    scheduler->queued_bytes -= ticket->bytes;
}

/* While only one endpoint has events, its long queue harms nobody: it is put up with as long as its events come to their turn in time, and the
 * intake, which has limits of its own, waits with it. Once others are in need, it may only hold what drains at once. */
static void look_for_rivals(struct scheduler *scheduler, const struct endpoint *endpoint, uint64_t now_ms)
{
    bool promoted = scheduler->latest_shared && scheduler->latest_origin == endpoint->origin;
    if (scheduler->latest != NULL && scheduler->latest != endpoint && !promoted)
        scheduler->rivals_until_ms = now_ms + RIVALS_MS;
    scheduler->latest = endpoint;
    scheduler->latest_origin = endpoint->origin;
    scheduler->latest_shared = endpoint->shared;
    scheduler->limits.crowd_wait_ms = now_ms < scheduler->rivals_until_ms ? ENDPOINT_SHORT_WAIT_MS : scheduler->limits.wait_max_ms / 2;
}

bool scheduler_enqueue(struct scheduler *scheduler, struct ticket *ticket, const struct url *url, uint64_t now_ms)
{
    assert(link_is_free(&ticket->link) && !ticket->in_flight);
    now_ms = advance(scheduler, now_ms);
    struct endpoint *endpoint = directory_meet(scheduler->directory, url, ticket->task, now_ms);
    if (endpoint == NULL)
        return false;
    look_for_rivals(scheduler, endpoint, now_ms);
    ticket->probe = false;
    bool room = slots_have_bytes(&scheduler->slots, endpoint, ticket->retry);
    if (!scheduler->egress.down && (!room || !endpoint_admit(endpoint, ticket, &scheduler->limits, now_ms))) {
        endpoint_turn_away(endpoint, now_ms);
        return false;
    }
    ticket->queued_ms = now_ms;
    endpoint_queue(endpoint, ticket);
    slots_take_bytes(&scheduler->slots, ticket);
    list_append(&scheduler->by_age, &ticket->age);
    scheduler->queued_bytes += ticket->bytes;
    place(scheduler, endpoint);
    return true;
}

static struct ticket *launch(struct scheduler *scheduler, struct endpoint *endpoint, int kind, uint64_t now_ms)
{
    struct ticket *ticket = container_of(list_first(&endpoint->waiting[kind]), struct ticket, link);
    unqueue(scheduler, ticket);
    ticket->in_flight = true;
    ticket->started_ms = now_ms;
    slots_take(&scheduler->slots, ticket);
    origin_take_connection(endpoint->origin);
    endpoint_note_start(endpoint, ticket, egress_working_ms(&scheduler->egress, now_ms));
    place(scheduler, endpoint);
    slots_end_turn(endpoint, kind);
    return ticket;
}

struct candidate {
    struct endpoint *endpoint;
    uint64_t rank;
};

/* All that were looked at go to the end of the line, in the order in which they came. */
static void look_for_probe(struct scheduler *scheduler, int kind, bool answers, struct candidate *best)
{
    const struct list *line = &scheduler->slots.lines[kind][answers];
    size_t look = line->length < PROBE_LOOK ? line->length : PROBE_LOOK;
    for (size_t i = 0; i < look && best->rank > EGRESS_RANK_BEST; i++) {
        struct endpoint *endpoint = container_of(list_first(line) - kind, struct endpoint, ready);
        if (!has_room(scheduler, endpoint->origin)) {
            place(scheduler, endpoint);
            continue;
        }
        uint64_t rank = egress_probe_rank(&scheduler->egress, &endpoint->origin->mark, scheduler->latest_ms);
        if (rank < best->rank)
            *best = (struct candidate){ endpoint, rank };
        slots_end_turn(endpoint, kind);
    }
}

static struct endpoint *find_probe(struct scheduler *scheduler, int kind)
{
    struct candidate best = { NULL, UINT64_MAX };
    look_for_probe(scheduler, kind, true, &best);
    if (!slots_doubt_has_half(&scheduler->slots))
        look_for_probe(scheduler, kind, false, &best);
    return best.endpoint;
}

/* While the way out is broken. First attempts and retries take turns: those that hang in one kind do not keep the other's from being heard. */
static struct ticket *launch_probe(struct scheduler *scheduler, uint64_t now_ms)
{
    if (!egress_may_probe(&scheduler->egress, now_ms))
        return NULL;
    int kind = !scheduler->slots.last_was_retry;
    struct endpoint *endpoint = find_probe(scheduler, kind);
    if (endpoint == NULL)
        endpoint = find_probe(scheduler, kind = !kind);
    if (endpoint == NULL)
        return NULL;
    egress_note_probe(&scheduler->egress, &endpoint->origin->mark, now_ms);
    return launch(scheduler, endpoint, kind, now_ms);
}

struct ticket *scheduler_start(struct scheduler *scheduler, uint64_t now_ms)
{
    now_ms = advance(scheduler, now_ms);
    while (slots_are_wanted(&scheduler->slots) && now_ms >= scheduler->pause_until_ms) {
        if (scheduler->egress.down)
            return launch_probe(scheduler, now_ms);
        int kind = slots_choose_kind(&scheduler->slots);
        struct endpoint *endpoint = slots_first(&scheduler->slots, kind);
        if (has_room(scheduler, endpoint->origin) && is_open(scheduler, endpoint))
            return launch(scheduler, endpoint, slots_choose_own_kind(&scheduler->slots, endpoint, kind), now_ms);
        place(scheduler, endpoint); /* another one took the last connection, or the way out works again and this one rests */
    }
    return NULL;
}

/* Takes a queued ticket out because waiting is of no use. */
static struct ticket *turn_away(struct scheduler *scheduler, struct ticket *ticket, uint64_t now_ms)
{
    struct endpoint *endpoint = ticket->endpoint;
    scheduler_remove(scheduler, ticket);
    endpoint_turn_away(endpoint, now_ms);
    return ticket;
}

/* Since when the ticket waits for its endpoint, and not for us. */
static uint64_t waits_since_ms(const struct scheduler *scheduler, const struct ticket *ticket)
{
    return ticket->queued_ms > scheduler->egress.up_since_ms ? ticket->queued_ms : scheduler->egress.up_since_ms;
}

static struct ticket *oldest(const struct scheduler *scheduler)
{
    struct link *link = list_first(&scheduler->by_age);
    return link == NULL ? NULL : container_of(link, struct ticket, age);
}

static bool waits_for_slot(const struct scheduler *scheduler, const struct ticket *ticket)
{
    return !slots_are_free(&scheduler->slots) && slots_has_line(ticket->endpoint);
}

/* The oldest ticket, when it has waited too long for its endpoint. One that lacks a slot of ours begins its wait anew. */
static struct ticket *find_late(struct scheduler *scheduler, uint64_t now_ms)
{
    for (struct ticket *ticket = oldest(scheduler); ticket != NULL; ticket = oldest(scheduler)) {
        if (now_ms - waits_since_ms(scheduler, ticket) <= scheduler->options.attempt_timeout_ms)
            return NULL;
        if (!waits_for_slot(scheduler, ticket))
            return ticket;
        ticket->queued_ms = now_ms;
        list_remove(&scheduler->by_age, &ticket->age);
        list_append(&scheduler->by_age, &ticket->age);
    }
    return NULL;
}

/* The moment from which the oldest tickets of crowded endpoints are told to go, and such a ticket; UINT64_MAX when there is none. */
static uint64_t find_crowded(const struct scheduler *scheduler, struct ticket **ticket)
{
    uint64_t soonest_ms = UINT64_MAX;
    int looks = 0;
    LIST_EACH (&scheduler->crowded, link) {
        struct ticket *first = endpoint_oldest(container_of(link, struct endpoint, crowded));
        uint64_t at_ms = waits_since_ms(scheduler, first) + scheduler->limits.crowd_wait_ms;
        if (at_ms < soonest_ms) {
            soonest_ms = at_ms;
            *ticket = first;
        }
        if (++looks == CROWDED_LOOK)
            break;
    }
    return soonest_ms;
}

struct ticket *scheduler_overdue(struct scheduler *scheduler, uint64_t now_ms)
{
    now_ms = advance(scheduler, now_ms);
    if (scheduler->egress.down)
        return NULL;
    struct link *draining = list_first(&scheduler->draining);
    if (draining != NULL)
        return turn_away(scheduler, endpoint_oldest(container_of(draining, struct endpoint, draining)), now_ms);
    struct ticket *ticket = find_late(scheduler, now_ms);
    if (ticket == NULL && find_crowded(scheduler, &ticket) > now_ms)
        return NULL;
    return turn_away(scheduler, ticket, now_ms);
}

void scheduler_remove(struct scheduler *scheduler, struct ticket *ticket)
{
    struct endpoint *endpoint = ticket->endpoint;
    unqueue(scheduler, ticket);
    slots_give_bytes(&scheduler->slots, ticket);
    endpoint_lose_probe(endpoint, ticket);
    place(scheduler, endpoint);
    ticket->endpoint = NULL;
}

/* Gives back what the ticket held in flight. */
static void land(struct scheduler *scheduler, struct ticket *ticket)
{
    struct endpoint *endpoint = ticket->endpoint;
    assert(ticket->in_flight);
    slots_give(&scheduler->slots, ticket);
    slots_give_bytes(&scheduler->slots, ticket);
    endpoint->in_flight[ticket->retry]--;
    ticket->in_flight = false;
    ticket->endpoint = NULL;
    origin_give_connection(endpoint->origin);
    place(scheduler, endpoint);
}

void scheduler_unstart(struct scheduler *scheduler, struct ticket *ticket)
{
    endpoint_lose_probe(ticket->endpoint, ticket);
    land(scheduler, ticket);
}

static void note_connected(struct scheduler *scheduler, struct origin *origin, const struct url *url, uint64_t now_ms)
{
    egress_note_connected(&scheduler->egress, &origin->mark, now_ms);
    if (url != NULL)
        witnesses_note(scheduler->witnesses, (struct slice){ url->origin, url->origin_length }, origin->hash, origin->mark.site, now_ms);
}

static enum attempt_fault judge(struct scheduler *scheduler, struct origin *origin, const struct attempt_end *end, uint64_t now_ms)
{
    if (end->blame == BLAME_US) {
        scheduler->pause_until_ms = now_ms + PAUSE_MS;
        return ATTEMPT_WAS_OURS;
    }
    switch (origin_hear(end)) {
    case ORIGIN_CONNECTED:
        note_connected(scheduler, origin, end->url, now_ms);
        return ATTEMPT_COUNTS;
    case ORIGIN_FAILED:
        egress_note_failed(&scheduler->egress, &origin->mark, now_ms);
        break;
    case ORIGIN_SAYS_NOTHING:
        break;
    }
    bool way_out = end->blame == BLAME_ORIGIN || end->timed_out; /* and not, for instance, an address that the policy refuses */
    return scheduler->egress.down && way_out ? ATTEMPT_WAS_OURS : ATTEMPT_COUNTS;
}

enum attempt_fault scheduler_finish(struct scheduler *scheduler, struct ticket *ticket, const struct attempt_end *end, uint64_t now_ms)
{
    struct endpoint *endpoint = ticket->endpoint;
    bool rested = endpoint->record.rest != ENDPOINT_AWAKE;
    now_ms = advance(scheduler, now_ms);
    enum attempt_fault fault = judge(scheduler, endpoint->origin, end, now_ms);
    if (fault == ATTEMPT_COUNTS)
        endpoint_note_end(endpoint, ticket, end, &scheduler->limits, now_ms);
    else
        endpoint_lose_probe(endpoint, ticket);
    if (end->answered && endpoint->record.answers)
        scheduler->heard_until_ms = now_ms + HEARD_MS;
    count_rest(scheduler, endpoint, rested);
    ticket->rested = rested || endpoint->record.rest != ENDPOINT_AWAKE;
    land(scheduler, ticket);
    return fault;
}

uint64_t scheduler_expected_wait_ms(const struct scheduler *scheduler, const struct url *url, uint64_t now_ms)
{
    const struct endpoint *endpoint = directory_find(scheduler->directory, url);
    if (endpoint == NULL)
        return 0;
    uint64_t timeout_ms = scheduler->options.attempt_timeout_ms;
    uint64_t wait_ms = endpoint_expected_wait_ms(endpoint, timeout_ms, not_before_latest(scheduler, now_ms));
    bool room = slots_have_bytes(&scheduler->slots, endpoint, false) && slots_have_bytes(&scheduler->slots, endpoint, true);
    return room || wait_ms > timeout_ms ? wait_ms : timeout_ms; /* whoever has the bytes may keep them for so long */
}

uint64_t scheduler_rests_until_ms(const struct scheduler *scheduler, const struct url *url)
{
    const struct endpoint *endpoint = directory_find(scheduler->directory, url);
    return endpoint == NULL || endpoint->record.rest == ENDPOINT_AWAKE ? 0 : endpoint->record.rest_until_ms;
}

uint64_t scheduler_silent_ms(const struct scheduler *scheduler, const struct url *url, uint64_t now_ms)
{
    const struct endpoint *endpoint = directory_find(scheduler->directory, url);
    now_ms = not_before_latest(scheduler, now_ms);
    return endpoint == NULL ? 0 : endpoint_silent_ms(endpoint, egress_working_ms(&scheduler->egress, now_ms));
}

void scheduler_hold(struct scheduler *scheduler, const struct url *url, uint64_t now_ms)
{
    struct endpoint *endpoint = directory_find(scheduler->directory, url);
    now_ms = advance(scheduler, now_ms);
    if (endpoint != NULL)
        endpoint_stop_clock(endpoint, egress_working_ms(&scheduler->egress, now_ms));
}

/* Where nobody waits nobody has to know: the next event is a probe. */
static bool asks(const struct scheduler *scheduler)
{
    return scheduler->egress.down && !list_is_empty(&scheduler->by_age) && witnesses_exist(scheduler->witnesses);
}

struct witness *scheduler_ask(struct scheduler *scheduler, uint64_t now_ms)
{
    now_ms = advance(scheduler, now_ms);
    uint64_t broken_since_ms = scheduler->egress.down_since_ms;
    if (!asks(scheduler) || now_ms < witnesses_next_ms(scheduler->witnesses))
        return NULL;
    if (!witnesses_suffice(scheduler->witnesses, broken_since_ms))
        return witnesses_choose(scheduler->witnesses, broken_since_ms, now_ms);
    egress_note_heard(&scheduler->egress, now_ms);
    return NULL;
}

/* When something may start although nothing ends before. */
static uint64_t next_start_ms(const struct scheduler *scheduler, uint64_t now_ms)
{
    if (!slots_are_wanted(&scheduler->slots))
        return UINT64_MAX;
    uint64_t next_ms = scheduler->egress.down ? scheduler->egress.probe_ms : 0;
    if (next_ms < scheduler->pause_until_ms)
        next_ms = scheduler->pause_until_ms;
    return next_ms < now_ms ? now_ms : next_ms;
}

uint64_t scheduler_next_ms(const struct scheduler *scheduler, uint64_t now_ms)
{
    uint64_t next_ms = next_start_ms(scheduler, now_ms);
    const struct ticket *ticket = oldest(scheduler);
    uint64_t ask_ms = asks(scheduler) ? witnesses_next_ms(scheduler->witnesses) : UINT64_MAX;
    if (ask_ms < next_ms)
        return ask_ms > now_ms ? ask_ms : now_ms;
    if (ticket == NULL || scheduler->egress.down)
        return next_ms;
    if (!list_is_empty(&scheduler->draining))
        return now_ms;
    uint64_t late_ms = waits_since_ms(scheduler, ticket) + scheduler->options.attempt_timeout_ms + 1;
    struct ticket *crowded = NULL;
    uint64_t crowded_ms = find_crowded(scheduler, &crowded);
    if (late_ms < next_ms)
        next_ms = late_ms;
    return crowded_ms < next_ms ? crowded_ms : next_ms;
}

struct scheduler_counts scheduler_counts(const struct scheduler *scheduler)
{
    return (struct scheduler_counts){
        .in_flight = { scheduler->slots.in_flight[0], scheduler->slots.in_flight[1] },
        .queued = scheduler->by_age.length,
        .queued_bytes = scheduler->queued_bytes,
        .endpoints = directory_endpoints(scheduler->directory),
        .origins = directory_origins(scheduler->directory),
        .resting = directory_resting(scheduler->directory),
        .egress_down = scheduler->egress.down,
    };
}
