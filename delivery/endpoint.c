#include "delivery/endpoint.h"

#include "consumer/base/check.h"
#include "delivery/scheduler.h"

/* One that is turned away stays away for a quarter of the time that its turn is expected to take: so there is always somebody back when the queue
 * has room, and each event is turned away a few times at most. */
enum { STAY_AWAY_SHARE = 4 };

void endpoint_init(struct endpoint *endpoint, struct origin *origin, uint32_t window_max)
{
    *endpoint = (struct endpoint){ .origin = origin };
    list_init(&endpoint->waiting[0]);
    list_init(&endpoint->waiting[1]);
    window_init(&endpoint->record.window, window_max);
}

void endpoint_inherit(struct endpoint *endpoint, const struct endpoint *from)
{
    endpoint->record = from->record;
    if (endpoint->record.rest == ENDPOINT_PROBING)
        endpoint->record.rest = ENDPOINT_RESTING;
}

struct ticket *endpoint_oldest(const struct endpoint *endpoint)
{
    struct link *first = list_first(&endpoint->waiting[0]), *retry = list_first(&endpoint->waiting[1]);
    struct ticket *a = first == NULL ? NULL : container_of(first, struct ticket, link);
    struct ticket *b = retry == NULL ? NULL : container_of(retry, struct ticket, link);
    if (a == NULL || b == NULL)
        return a == NULL ? b : a;
    return a->queued_ms <= b->queued_ms ? a : b;
}

bool endpoint_is_open(const struct endpoint *endpoint)
{
    switch (endpoint->record.rest) {
    case ENDPOINT_AWAKE:
        return endpoint_in_flight(endpoint) < endpoint->record.window.size;
    case ENDPOINT_PROBING: /* only the probe itself may start */
        return endpoint_queued(endpoint) > 0 && endpoint_oldest(endpoint)->probe;
    case ENDPOINT_RESTING:
        break;
    }
    return false;
}

bool endpoint_is_crowded(const struct endpoint *endpoint, const struct endpoint_limits *limits)
{
    size_t queued = endpoint_queued(endpoint);
    return queued > 1 && (queued > limits->queue_max || endpoint->waiting_bytes > limits->bytes_max);
}

/* While it opens, its queue drains as fast as the widest window allows: what is not known yet is hoped for. */
static uint64_t events_us(const struct endpoint *endpoint, uint64_t events)
{
    const struct endpoint_record *record = &endpoint->record;
    uint32_t at_once = record->window.phase == WINDOW_OPENING ? record->window.max : record->window.size;
    return events * record->duration_x8_ms * (1000 / 8) / at_once;
}

uint64_t endpoint_queue_ms(const struct endpoint *endpoint)
{
    return events_us(endpoint, endpoint_queued(endpoint)) / 1000;
}

static bool admit_awake(const struct endpoint *endpoint, const struct ticket *ticket, const struct endpoint_limits *limits, uint64_t now_ms)
{
    const struct ticket *oldest = endpoint_oldest(endpoint);
    if (oldest == NULL)
        return true;
    uint64_t waited_ms = now_ms - oldest->queued_ms, queue_ms = endpoint_queue_ms(endpoint);
    uint64_t wait_ms = waited_ms > queue_ms ? waited_ms : queue_ms;
    if (endpoint_queued(endpoint) >= limits->queue_max || endpoint->waiting_bytes + ticket->bytes > limits->bytes_max)
        return endpoint->record.timed && wait_ms < limits->crowd_wait_ms;
    return queue_ms <= limits->wait_max_ms;
}

bool endpoint_admit(struct endpoint *endpoint, struct ticket *ticket, const struct endpoint_limits *limits, uint64_t now_ms)
{
    struct endpoint_record *record = &endpoint->record;
    if (record->rest == ENDPOINT_AWAKE)
        return admit_awake(endpoint, ticket, limits, now_ms);
    if (record->rest == ENDPOINT_PROBING || now_ms < record->rest_until_ms || endpoint_queued(endpoint) > 0)
        return false;
    record->rest = ENDPOINT_PROBING;
    ticket->probe = true;
    return true;
}

void endpoint_turn_away(struct endpoint *endpoint, uint64_t now_ms)
{
    uint64_t free_us = (now_ms + endpoint_queue_ms(endpoint)) * 1000;
    if (endpoint->booked_us < free_us)
        endpoint->booked_us = free_us;
    endpoint->booked_us += events_us(endpoint, 1);
}

void endpoint_queue(struct endpoint *endpoint, struct ticket *ticket)
{
    list_append(&endpoint->waiting[ticket->retry], &ticket->link);
    endpoint->waiting_bytes += ticket->bytes;
    ticket->endpoint = endpoint;
}

void endpoint_unqueue(struct endpoint *endpoint, struct ticket *ticket)
{
    assert(ticket->endpoint == endpoint && !ticket->in_flight);
    list_remove(&endpoint->waiting[ticket->retry], &ticket->link);
    endpoint->waiting_bytes -= ticket->bytes;
    if (endpoint_queued(endpoint) == 0)
        endpoint->booked_us = 0; /* nobody is ahead of those who come back */
}

void endpoint_note_start(struct endpoint *endpoint, struct ticket *ticket, uint64_t working_ms)
{
    struct endpoint_record *record = &endpoint->record;
    endpoint->in_flight[ticket->retry]++;
    if (record->without_2xx)
        return;
    record->without_2xx = true;
    record->without_2xx_since_ms = working_ms;
}

static void note_duration(struct endpoint_record *record, uint64_t ms)
{
    uint32_t took_ms = ms > UINT32_MAX / 16 ? UINT32_MAX / 16 : (uint32_t)ms;
    if (record->timed)
        record->duration_x8_ms += took_ms - record->duration_x8_ms / 8;
    else
        record->duration_x8_ms = took_ms * 8;
    record->timed = true;
}

static void forget_silence(struct endpoint_record *record)
{
    record->silent_attempts = 0;
    record->silent_tasks = (struct task_tally){ 0 };
}

static void rest_until(struct endpoint_record *record, uint64_t until_ms, bool asked)
{
    bool resting = record->rest == ENDPOINT_RESTING;
    record->rest = ENDPOINT_RESTING;
    record->rest_was_asked_for = asked;
    if (!resting || record->rest_until_ms < until_ms)
        record->rest_until_ms = until_ms;
    forget_silence(record);
}

static void rest_after_silence(struct endpoint_record *record, uint64_t now_ms)
{
    if (record->rest_ms == 0)
        record->rest_ms = ENDPOINT_REST_FIRST_MS;
    else
        record->rest_ms = record->rest_ms < ENDPOINT_REST_MAX_MS / 2 ? record->rest_ms * 2 : ENDPOINT_REST_MAX_MS;
    rest_until(record, now_ms + record->rest_ms, false);
}

/* After a silence nothing is known of what it can bear: the window opens from its start, and the time-outs no longer count as durations. */
static void wake(struct endpoint *endpoint, uint64_t took_ms)
{
    struct endpoint_record *record = &endpoint->record;
    record->rest = ENDPOINT_AWAKE;
    record->rest_ms = 0;
    forget_silence(record);
    if (record->rest_was_asked_for)
        return;
    window_init(&record->window, record->window.max);
    record->timed = false;
    note_duration(record, took_ms);
    endpoint->booked_us = 0;
}

static void note_clock(struct endpoint_record *record, const struct attempt_end *end)
{
    if (!end->delivered)
        return;
    record->without_2xx = false;
    record->without_2xx_ms = 0;
}

static void note_window(struct endpoint *endpoint, const struct attempt_end *end)
{
    if (end->timed_out || end->blame == BLAME_ENDPOINT)
        window_bad(&endpoint->record.window, endpoint_in_flight(endpoint));
    else
        window_good(&endpoint->record.window, endpoint_in_flight(endpoint));
}

/* True when attempts in a row, of enough tasks, ran out of time. */
static bool is_silent(struct endpoint_record *record, const struct ticket *ticket, const struct attempt_end *end)
{
    if (!end->timed_out) {
        forget_silence(record);
        return false;
    }
    record->silent_attempts++;
    bool many = task_tally_add(&record->silent_tasks, ticket->task);
    return many && record->silent_attempts >= ENDPOINT_SILENT_ATTEMPTS;
}

static uint64_t asked_rest_ms(const struct attempt_end *end)
{
    if (end->blame != BLAME_ENDPOINT || !end->answered || end->retry_after_s <= 0)
        return 0;
    return 1000u * (uint64_t)(end->retry_after_s < ENDPOINT_RETRY_AFTER_MAX_S ? end->retry_after_s : ENDPOINT_RETRY_AFTER_MAX_S);
}

void endpoint_note_end(struct endpoint *endpoint, const struct ticket *ticket, const struct attempt_end *end, const struct endpoint_limits *limits,
                       uint64_t now_ms)
{
    struct endpoint_record *record = &endpoint->record;
    uint64_t took_ms = now_ms - ticket->started_ms, asked_ms = asked_rest_ms(end);
    bool probe = ticket->probe && record->rest == ENDPOINT_PROBING;
    note_duration(record, took_ms);
    record->answers = end->answered && record->duration_x8_ms / 8 < limits->slow_ms;
    note_clock(record, end);
    note_window(endpoint, end);
    if (asked_ms > 0)
        rest_until(record, now_ms + asked_ms, true);
    else if (probe && end->timed_out)
        rest_after_silence(record, now_ms);
    else if (probe || (record->rest != ENDPOINT_AWAKE && end->delivered && !record->rest_was_asked_for))
        wake(endpoint, took_ms);
    else if (record->rest == ENDPOINT_AWAKE && is_silent(record, ticket, end))
        rest_after_silence(record, now_ms);
}

void endpoint_lose_probe(struct endpoint *endpoint, struct ticket *ticket)
{
    if (ticket->probe && endpoint->record.rest == ENDPOINT_PROBING)
        endpoint->record.rest = ENDPOINT_RESTING;
    ticket->probe = false;
}

void endpoint_stop_clock(struct endpoint *endpoint, uint64_t working_ms)
{
    endpoint->record.without_2xx_ms = endpoint_silent_ms(endpoint, working_ms);
    endpoint->record.without_2xx = false;
}

uint64_t endpoint_silent_ms(const struct endpoint *endpoint, uint64_t working_ms)
{
    const struct endpoint_record *record = &endpoint->record;
    return record->without_2xx_ms + (record->without_2xx ? working_ms - record->without_2xx_since_ms : 0);
}

uint64_t endpoint_expected_wait_ms(const struct endpoint *endpoint, uint64_t wait_max_ms, uint64_t now_ms)
{
    const struct endpoint_record *record = &endpoint->record;
    uint64_t now_us = now_ms * 1000;
    switch (record->rest) {
    case ENDPOINT_RESTING:
        return record->rest_until_ms > now_ms ? record->rest_until_ms - now_ms : 0;
    case ENDPOINT_PROBING:
        return wait_max_ms; /* the probe may take that long */
    case ENDPOINT_AWAKE:
        break;
    }
    if (endpoint->booked_us <= now_us)
        return endpoint_queue_ms(endpoint);
    return (endpoint->booked_us - now_us) / 1000 / STAY_AWAY_SHARE;
}
