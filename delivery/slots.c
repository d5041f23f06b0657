#include "delivery/slots.h"

#include "delivery/scheduler.h"

void slots_init(struct slots *slots, uint32_t max, uint64_t bytes_max)
{
    *slots = (struct slots){ .max = max, .doubt_bytes_max = bytes_max / 8 * 3 };
    for (int kind = 0; kind < 2; kind++)
        list_init(&slots->answering[kind]);
    doubtful_init(&slots->doubtful);
}

void slots_finish(struct slots *slots)
{
    doubtful_finish(&slots->doubtful);
}

static void leave_line(struct slots *slots, struct endpoint *endpoint, int kind)
{
    if (endpoint->line[kind] != &slots->answering[kind]) {
        doubtful_leave(&slots->doubtful, endpoint, kind);
        return;
    }
    list_remove(endpoint->line[kind], &endpoint->ready[kind]);
    endpoint->line[kind] = NULL;
}

void slots_line_up(struct slots *slots, struct endpoint *endpoint, int kind, bool wants)
{
    bool stands = endpoint->line[kind] != NULL, answers = endpoint->record.answers;
    if (stands && wants && (endpoint->line[kind] == &slots->answering[kind]) == answers)
        return;
    if (stands)
        leave_line(slots, endpoint, kind);
    if (wants && answers)
        list_append(endpoint->line[kind] = &slots->answering[kind], &endpoint->ready[kind]);
    else if (wants)
        doubtful_join(&slots->doubtful, endpoint, kind);
}

bool slots_has_line(const struct endpoint *endpoint)
{
    return endpoint->line[0] != NULL || endpoint->line[1] != NULL;
}

size_t slots_line_length(const struct slots *slots, int kind, bool answers)
{
    return answers ? slots->answering[kind].length : slots->doubtful.waiting[kind];
}

struct endpoint *slots_line_first(const struct slots *slots, int kind, bool answers)
{
    if (!answers)
        return doubtful_first(&slots->doubtful, kind);
    struct link *first = list_first(&slots->answering[kind]);
    return first == NULL ? NULL : container_of(first - kind, struct endpoint, ready);
}

void slots_end_turn(struct slots *slots, struct endpoint *endpoint, int kind)
{
    if (!endpoint->record.answers) {
        doubtful_end_turn(&slots->doubtful, endpoint, kind);
    } else if (endpoint->line[kind] != NULL) {
        list_remove(endpoint->line[kind], &endpoint->ready[kind]);
        list_append(endpoint->line[kind], &endpoint->ready[kind]);
    }
}

static uint32_t taken(const struct slots *slots)
{
    return slots->in_flight[0] + slots->in_flight[1];
}

bool slots_doubt_has_half(const struct slots *slots)
{
    return slots->divided && 2 * (uint64_t)slots->in_doubt >= slots->max;
}

/* Whether the next slot of that kind goes to those that answer; there may be none. */
static bool answering_are_next(const struct slots *slots, int kind)
{
    if (slots->doubtful.waiting[kind] == 0 || slots_doubt_has_half(slots))
        return true;
    return !list_is_empty(&slots->answering[kind]) && 2 * (uint64_t)slots->in_doubt >= taken(slots);
}

static bool is_wanted(const struct slots *slots, int kind)
{
    return slots_line_length(slots, kind, answering_are_next(slots, kind)) > 0;
}

bool slots_are_free(const struct slots *slots)
{
    return taken(slots) < slots->max;
}

bool slots_are_wanted(const struct slots *slots)
{
    return slots_are_free(slots) && (is_wanted(slots, 0) || is_wanted(slots, 1));
}

int slots_choose_kind(const struct slots *slots)
{
    bool no_first = !is_wanted(slots, 0);
    if (no_first || !is_wanted(slots, 1))
        return no_first;
    if (slots->in_flight[0] != slots->in_flight[1])
        return slots->in_flight[1] < slots->in_flight[0];
    return !slots->last_was_retry;
}

struct endpoint *slots_first(const struct slots *slots, int kind)
{
    return slots_line_first(slots, kind, answering_are_next(slots, kind));
}

int slots_choose_own_kind(const struct slots *slots, const struct endpoint *endpoint, int kind)
{
    if (endpoint->waiting[!kind].length == 0 || 2 * (uint64_t)slots->in_flight[!kind] >= slots->max)
        return kind;
    return endpoint->in_flight[!kind] < endpoint->in_flight[kind] ? !kind : kind;
}

void slots_take(struct slots *slots, struct ticket *ticket)
{
    ticket->in_doubt = !ticket->endpoint->record.answers;
    if (ticket->in_doubt)
        doubtful_take(&slots->doubtful, ticket->endpoint);
    slots->in_doubt += ticket->in_doubt;
    slots->in_flight[ticket->retry]++;
    slots->last_was_retry = ticket->retry;
}

void slots_give(struct slots *slots, const struct ticket *ticket)
{
    if (ticket->in_doubt)
        doubtful_give(&slots->doubtful, ticket->endpoint);
    slots->in_doubt -= ticket->in_doubt;
    slots->in_flight[ticket->retry]--;
}

bool slots_have_bytes(const struct slots *slots, const struct endpoint *endpoint, bool retry)
{
    uint64_t held = slots->doubt_bytes[retry], max = slots->doubt_bytes_max;
    return endpoint->record.answers || !slots->divided || (held < max && endpoint->doubt_bytes < max - held);
}

void slots_take_bytes(struct slots *slots, struct ticket *ticket)
{
    ticket->came_in_doubt = !ticket->endpoint->record.answers;
    uint64_t bytes = ticket->came_in_doubt ? ticket->bytes : 0;
    slots->doubt_bytes[ticket->retry] += bytes;
    ticket->endpoint->doubt_bytes += bytes;
}

void slots_give_bytes(struct slots *slots, const struct ticket *ticket)
{
    uint64_t bytes = ticket->came_in_doubt ? ticket->bytes : 0;
    slots->doubt_bytes[ticket->retry] -= bytes;
    ticket->endpoint->doubt_bytes -= bytes;
}
