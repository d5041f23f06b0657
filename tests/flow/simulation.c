#include "tests/flow/simulation.h"

#include "consumer/base/memory.h"
#include "delivery/witnesses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 10000, RETRIES = 5, HELD_PER_SLOT = 3, HELD_BYTES_MAX = 128 << 20 };

static const uint64_t retry_ms[RETRIES] = { 1000, 2000, 4000, 8000, 16000 };
static const uint64_t defer_ms[] = { 1000, 2000, 4000, 8000, 16000, 60000, 300000 };

struct job {
    struct ticket ticket;
    struct site *site;
    struct job *next; /* in the backlog */
    struct attempt_end end;
    uint32_t attempt;
    uint32_t deferrals;
    uint64_t task;
    uint64_t produced_ms, due_ms;
};

struct occasion { /* a heap, by time and then by order of being added */
    uint64_t at_ms, order;
    enum { PRODUCE, ARRIVE, END } kind;
    struct site *site;
    struct job *job;
};

/* ---- the heap of what will happen ---- */

static bool is_before(const struct occasion *a, const struct occasion *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void swap(struct occasion *a, struct occasion *b)
{
    struct occasion c = *a;
    *a = *b;
    *b = c;
}

static void plan(struct simulation *simulation, struct occasion occasion)
{
    static uint64_t order;
    occasion.order = ++order;
    if (simulation->occasion_count == simulation->occasion_capacity) {
        simulation->occasion_capacity = simulation->occasion_capacity * 2 + 1024;
        simulation->occasions = memory_resize(simulation->occasions, simulation->occasion_capacity * sizeof occasion);
    }
    size_t i = simulation->occasion_count++;
    simulation->occasions[i] = occasion;
    for (; i > 0 && is_before(&simulation->occasions[i], &simulation->occasions[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&simulation->occasions[i], &simulation->occasions[(i - 1) / 2]);
}

static struct occasion take_next(struct simulation *simulation)
{
    struct occasion *heap = simulation->occasions, first = heap[0];
    heap[0] = heap[--simulation->occasion_count];
    for (size_t i = 0, least; 2 * i + 1 < simulation->occasion_count; i = least) {
        least = 2 * i + 1;
        if (least + 1 < simulation->occasion_count && is_before(&heap[least + 1], &heap[least]))
            least++;
        if (!is_before(&heap[least], &heap[i]))
            break;
        swap(&heap[i], &heap[least]);
    }
    return first;
}

/* ---- receivers ---- */

static uint64_t draw(struct simulation *simulation) /* splitmix64 */
{
    uint64_t z = simulation->random += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

bool simulation_dice(struct simulation *simulation, uint32_t permille)
{
    return draw(simulation) % 1000 < permille;
}

static uint64_t about(struct simulation *simulation, uint64_t ms) /* ± 10 % */
{
    return ms - ms / 10 + (ms >= 5 ? draw(simulation) % (ms / 5 + 1) : ms / 10);
}

static struct reply answer(uint64_t after_ms, enum blame blame, int32_t retry_after_s)
{
    return (struct reply){
        after_ms, { .blame = blame, .delivered = blame == BLAME_NOBODY, .answered = true, .connected = true, .retry_after_s = retry_after_s }
    };
}

struct reply receive_well(struct simulation *simulation, struct site *site)
{
    return answer(about(simulation, site->latency_ms), BLAME_NOBODY, -1);
}

struct reply receive_never(struct simulation *simulation, struct site *site)
{
    (void)simulation, (void)site;
    return (struct reply){ TIMEOUT_MS, { .blame = BLAME_ENDPOINT, .connected = true, .timed_out = true, .retry_after_s = -1 } };
}

struct reply receive_nothing(struct simulation *simulation, struct site *site)
{
    (void)simulation, (void)site;
    return (struct reply){ TIMEOUT_MS, { .blame = BLAME_ORIGIN, .timed_out = true, .retry_after_s = -1 } };
}

struct reply receive_refusal(struct simulation *simulation, struct site *site)
{
    (void)simulation, (void)site;
    return (struct reply){ 1, { .blame = BLAME_ORIGIN, .retry_after_s = -1 } };
}

struct reply receive_500(struct simulation *simulation, struct site *site)
{
    return answer(about(simulation, site->latency_ms), BLAME_EVENT, -1);
}

struct reply receive_limited(struct simulation *simulation, struct site *site)
{
    return site->active > site->limit ? answer(1, BLAME_ENDPOINT, -1) : receive_well(simulation, site);
}

struct reply receive_limited_slowly(struct simulation *simulation, struct site *site)
{
    return site->active > site->limit ? answer(site->latency_ms, BLAME_ENDPOINT, -1) : receive_well(simulation, site);
}

struct reply receive_noisy(struct simulation *simulation, struct site *site)
{
    return simulation_dice(simulation, site->permille) ? answer(site->latency_ms, BLAME_ENDPOINT, -1) : receive_well(simulation, site);
}

struct reply receive_noisy_timeouts(struct simulation *simulation, struct site *site)
{
    return simulation_dice(simulation, site->permille) ? receive_never(simulation, site) : receive_well(simulation, site);
}

struct reply receive_asking_for_rest(struct simulation *simulation, struct site *site)
{
    (void)simulation, (void)site;
    return answer(1, BLAME_ENDPOINT, 30);
}

static struct reply receive(struct simulation *simulation, struct site *site)
{
    uint64_t now_ms = simulation->now_ms;
    if (now_ms >= simulation->broken_from_ms && now_ms < simulation->broken_until_ms)
        return receive_nothing(simulation, site);
    if (now_ms >= site->from_ms && now_ms < site->until_ms)
        return receive_never(simulation, site);
    return site->receive(simulation, site);
}

/* ---- the life of an event ---- */

static void arrive(struct simulation *simulation, struct job *job)
{
    int kind = job->ticket.retry;
    job->next = NULL;
    if (simulation->backlog[kind] == NULL)
        simulation->backlog[kind] = job;
    else
        simulation->backlog_end[kind]->next = job;
    simulation->backlog_end[kind] = job;
}

static void let_go(struct simulation *simulation, const struct job *job)
{
    simulation->held[job->ticket.retry]--;
    simulation->held_bytes[job->ticket.retry] -= job->ticket.bytes;
}

static void come_back(struct simulation *simulation, struct job *job, uint64_t after_ms)
{
    let_go(simulation, job);
    job->ticket.retry = true;
    job->due_ms = simulation->now_ms + after_ms;
    plan(simulation, (struct occasion){ .at_ms = job->due_ms, .kind = ARRIVE, .job = job });
}

static struct url url_of(const struct job *job, char text[160])
{
    const struct site *site = job->site;
    struct url url = { .https = true, .port = 443 };
    url.origin_length = (uint16_t)snprintf(url.origin, sizeof url.origin, "https://%s", site->host);
    int length = site->path_per_task ? snprintf(text, 160, "https://%s/%llu", site->host, (unsigned long long)job->task)
                                     : snprintf(text, 160, "https://%s%s", site->host, site->path);
    url.text = url.endpoint = (struct slice){ text, (size_t)length };
    return url;
}

static void defer(struct simulation *simulation, struct job *job)
{
    char text[160];
    struct url url = url_of(job, text);
    uint64_t wait_ms = scheduler_expected_wait_ms(simulation->scheduler, &url, simulation->now_ms);
    size_t i = 0;
    while (i + 1 < COUNT_OF(defer_ms) && defer_ms[i] < wait_ms)
        i++;
    job->deferrals++;
    job->site->deferrals++;
    simulation->deferrals++;
    come_back(simulation, job, defer_ms[i]);
}

static void queue(struct simulation *simulation, struct job *job)
{
    char text[160];
    struct url url = url_of(job, text);
    if (!scheduler_enqueue(simulation->scheduler, &job->ticket, &url, simulation->now_ms))
        defer(simulation, job);
}

static bool has_room(const struct simulation *simulation, int kind)
{
    return simulation->held[kind] < simulation->held_max && simulation->held_bytes[kind] < HELD_BYTES_MAX / 4 * 3;
}

static void take_in(struct simulation *simulation)
{
    for (int kind = 0; kind < 2; kind++) {
        while (simulation->backlog[kind] != NULL && has_room(simulation, kind)) {
            struct job *job = simulation->backlog[kind];
            simulation->backlog[kind] = job->next;
            simulation->held[kind]++;
            simulation->held_bytes[kind] += job->ticket.bytes;
            queue(simulation, job);
        }
    }
}

static void launch(struct simulation *simulation, struct ticket *ticket)
{
    struct job *job = container_of(ticket, struct job, ticket);
    struct site *site = job->site;
    site->attempts++;
    site->active++;
    if (site->active > site->active_max)
        site->active_max = site->active;
    if (job->deferrals == 0 && simulation->now_ms - job->due_ms > site->late_ms_max)
        site->late_ms_max = simulation->now_ms - job->due_ms;
    struct reply reply = receive(simulation, site);
    job->end = reply.end;
    plan(simulation, (struct occasion){ .at_ms = simulation->now_ms + reply.after_ms, .kind = END, .site = site, .job = job });
}

static void settle_delivered(struct simulation *simulation, struct job *job)
{
    struct site *site = job->site;
    if ((site->delivered & (site->delivered + 1)) == 0) /* room for twice as many and one */
        site->latencies_ms = memory_resize(site->latencies_ms, (2 * site->delivered + 1) * sizeof *site->latencies_ms);
    site->latencies_ms[site->delivered++] = simulation->now_ms - job->produced_ms;
    site->last_delivered_ms = simulation->now_ms;
    let_go(simulation, job);
    free(job);
}

static void end_attempt(struct simulation *simulation, struct job *job)
{
    struct site *site = job->site;
    bool down = scheduler_counts(simulation->scheduler).egress_down;
    char text[160];
    struct url url = url_of(job, text);
    site->active--;
    job->end.url = &url;
    enum attempt_fault fault = scheduler_finish(simulation->scheduler, &job->ticket, &job->end, simulation->now_ms);
    if (fault == ATTEMPT_WAS_OURS) {
        site->ours++;
        queue(simulation, job);
    } else if (job->end.delivered) {
        settle_delivered(simulation, job);
    } else {
        simulation->attempts_used_while_down += down && job->end.blame != BLAME_EVENT;
        site->refused++;
        if (job->attempt++ <= RETRIES) {
            come_back(simulation, job, retry_ms[job->attempt - 2]);
            return;
        }
        site->dead++;
        let_go(simulation, job);
        free(job);
    }
}

void simulation_produce(struct simulation *simulation, struct site *site, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct job *job = memory_create(sizeof *job);
        job->site = site;
        job->attempt = 1;
        job->task = job->ticket.task = ++simulation->tasks;
        job->ticket.bytes = simulation->options.event_bytes;
        job->produced_ms = job->due_ms = simulation->now_ms;
        site->events++;
        arrive(simulation, job);
    }
}

static void produce_and_again(struct simulation *simulation, struct site *site)
{
    simulation_produce(simulation, site, 1);
    uint64_t next_ms = simulation->now_ms + site->every_ms;
    if (next_ms < simulation->options.produce_until_ms)
        plan(simulation, (struct occasion){ .at_ms = next_ms, .kind = PRODUCE, .site = site });
}

/* ---- the loop ---- */

static void ask(struct simulation *simulation)
{
    struct witness *witness = scheduler_ask(simulation->scheduler, simulation->now_ms);
    if (witness == NULL)
        return;
    struct slice host = witness_origin(witness);
    host.start += strlen("https://");
    host.length -= strlen("https://");
    for (size_t i = 0; i < simulation->site_count; i++) {
        struct site *site = &simulation->sites[i];
        if (slice_is(host, site->host) && receive(simulation, site).end.connected)
            witness_hear(witness);
    }
}

static void turn(struct simulation *simulation)
{
    struct ticket *ticket;
    take_in(simulation);
    while ((ticket = scheduler_overdue(simulation->scheduler, simulation->now_ms)) != NULL)
        defer(simulation, container_of(ticket, struct job, ticket));
    while ((ticket = scheduler_start(simulation->scheduler, simulation->now_ms)) != NULL)
        launch(simulation, ticket);
    if (scheduler_counts(simulation->scheduler).egress_down && simulation->tripped_ms == 0)
        simulation->tripped_ms = simulation->now_ms;
    ask(simulation);
    take_in(simulation);
    struct scheduler_counts counts = scheduler_counts(simulation->scheduler);
    if (counts.in_flight[0] + counts.in_flight[1] > simulation->in_flight_max)
        simulation->in_flight_max = counts.in_flight[0] + counts.in_flight[1];
    if (!counts.egress_down && simulation->tripped_ms > 0 && simulation->mended_ms == 0)
        simulation->mended_ms = simulation->now_ms;
    simulation->turns++;
}

static void act(struct simulation *simulation, const struct occasion *occasion)
{
    switch (occasion->kind) {
    case PRODUCE:
        produce_and_again(simulation, occasion->site);
        break;
    case ARRIVE:
        arrive(simulation, occasion->job);
        break;
    case END:
        end_attempt(simulation, occasion->job);
        break;
    }
}

void simulation_run(struct simulation *simulation, uint64_t until_ms)
{
    turn(simulation);
    for (;;) {
        uint64_t next_ms = scheduler_next_ms(simulation->scheduler, simulation->now_ms);
        if (simulation->occasion_count > 0 && simulation->occasions[0].at_ms < next_ms)
            next_ms = simulation->occasions[0].at_ms;
        if (next_ms > until_ms)
            break;
        assert(next_ms >= simulation->now_ms);
        simulation->now_ms = next_ms;
        while (simulation->occasion_count > 0 && simulation->occasions[0].at_ms <= next_ms) {
            struct occasion occasion = take_next(simulation);
            act(simulation, &occasion);
        }
        turn(simulation);
    }
    if (until_ms != UINT64_MAX)
        simulation->now_ms = until_ms;
}

void simulation_init(struct simulation *simulation, const struct simulation_options *options, struct site *sites, size_t count)
{
    *simulation = (struct simulation){ .options = *options, .sites = sites, .site_count = count, .random = options->seed };
    struct scheduler_options *scheduler = &simulation->options.scheduler;
    if (scheduler->max_in_flight == 0)
        scheduler->max_in_flight = 4096;
    if (scheduler->endpoint_max_in_flight == 0)
        scheduler->endpoint_max_in_flight = 64;
    if (scheduler->origin_max_connections == 0)
        scheduler->origin_max_connections = 256;
    scheduler->attempt_timeout_ms = TIMEOUT_MS;
    scheduler->held_bytes_max = HELD_BYTES_MAX;
    scheduler->give_up_after_ms = 3600 * 1000;
    scheduler->hash_key = (struct hash_key){ options->seed, 7 };
    if (simulation->options.event_bytes == 0)
        simulation->options.event_bytes = 1000;
    simulation->scheduler = scheduler_create(scheduler);
    simulation->held_max = (size_t)HELD_PER_SLOT * scheduler->max_in_flight;
    simulation->now_ms = 1;
    for (size_t i = 0; i < count; i++)
        if (sites[i].every_ms > 0)
            plan(simulation, (struct occasion){ .at_ms = 1 + draw(simulation) % sites[i].every_ms, .kind = PRODUCE, .site = &sites[i] });
}

static void free_tickets(struct simulation *simulation)
{
    struct ticket *ticket;
    for (size_t i = 0; i < simulation->occasion_count; i++)
        free(simulation->occasions[i].job);
    for (int kind = 0; kind < 2; kind++) {
        for (struct job *job = simulation->backlog[kind], *next; job != NULL; job = next) {
            next = job->next;
            free(job);
        }
    }
    uint64_t later_ms = simulation->now_ms + 100 * TIMEOUT_MS;
    while ((ticket = scheduler_overdue(simulation->scheduler, later_ms)) != NULL)
        free(container_of(ticket, struct job, ticket));
}

void simulation_finish(struct simulation *simulation)
{
    free_tickets(simulation);
    scheduler_destroy(simulation->scheduler);
    free(simulation->occasions);
    for (size_t i = 0; i < simulation->site_count; i++)
        free(simulation->sites[i].latencies_ms);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

uint64_t site_latency_ms(const struct site *site, uint32_t percent)
{
    if (site->delivered == 0)
        return UINT64_MAX;
    qsort(site->latencies_ms, site->delivered, sizeof *site->latencies_ms, compare);
    return site->latencies_ms[(site->delivered - 1) * percent / 100];
}
