#include "delivery/slots.h"

#include "delivery/scheduler.h"

void slots_init(struct slots *slots, uint32_t max, uint64_t bytes_max)
{
    *slots = (struct slots){ .max = max, .doubt_bytes_max = bytes_max / 8 * 3 };
    for (int kind = 0; kind < 2; kind++)
        for (int answers = 0; answers < 2; answers++)
            list_init(&slots->lines[kind][answers]);
}

void slots_line_up(struct slots *slots, struct endpoint *endpoint, int kind, bool wants)
{
    struct list *line = wants ? &slots->lines[kind][endpoint->record.answers] : NULL;
    if (endpoint->line[kind] == line)
        return;
    if (endpoint->line[kind] != NULL)
        list_remove(endpoint->line[kind], &endpoint->ready[kind]);
    if (line != NULL)
        list_append(line, &endpoint->ready[kind]);
    endpoint->line[kind] = line;
}

bool slots_has_line(const struct endpoint *endpoint)
{
    return endpoint->line[0] != NULL || endpoint->line[1] != NULL;
}

void slots_end_turn(struct endpoint *endpoint, int kind)
{
    struct list *line = endpoint->line[kind];
    if (line == NULL || line->length < 2)
        return;
    list_remove(line, &endpoint->ready[kind]);
    list_append(line, &endpoint->ready[kind]);
}

static uint32_t taken(const struct slots *slots)
{
    return slots->in_flight[0] + slots->in_flight[1];
}

bool slots_doubt_has_half(const struct slots *slots)
{
    return slots->divided && 2 * (uint64_t)slots->in_doubt >= slots->max;
}

/* The line of that kind that gets the next slot; it may be empty. */
static const struct list *next_line(const struct slots *slots, int kind)
{
    const struct list *in_doubt = &slots->lines[kind][false], *answering = &slots->lines[kind][true];
    if (list_is_empty(in_doubt) || slots_doubt_has_half(slots))
        return answering;
    return list_is_empty(answering) || 2 * (uint64_t)slots->in_doubt < taken(slots) ? in_doubt : answering;
}

bool slots_are_free(const struct slots *slots)
{
    return taken(slots) < slots->max;
}

bool slots_are_wanted(const struct slots *slots)
{
    return slots_are_free(slots) && (!list_is_empty(next_line(slots, 0)) || !list_is_empty(next_line(slots, 1)));
}

int slots_choose_kind(const struct slots *slots)
{
    bool no_first = list_is_empty(next_line(slots, 0));
    if (no_first || list_is_empty(next_line(slots, 1)))
        return no_first;
    if (slots->in_flight[0] != slots->in_flight[1])
        return slots->in_flight[1] < slots->in_flight[0];
    return !slots->last_was_retry;
}

struct endpoint *slots_first(const struct slots *slots, int kind)
{
    struct link *first = list_first(next_line(slots, kind));
    return first == NULL ? NULL : container_of(first - kind, struct endpoint, ready);
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
    slots->in_doubt += ticket->in_doubt;
    slots->in_flight[ticket->retry]++;
    slots->last_was_retry = ticket->retry;
}

void slots_give(struct slots *slots, const struct ticket *ticket)
{
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
