#include "delivery/standing.h"

#include "delivery/verdict.h"

/* A deferral's record keeps its due time until somebody claims it. */
static const char *claimed_state(const struct record *record)
{
    return !record->leased && record->deferral > 0 ? "deferred" : "pending";
}

static uint32_t attempts_over(const struct record *record)
{
    return record->attempts > UINT32_MAX ? 0 : (uint32_t)record->attempts; /* written by nobody */
}

struct standing standing_of(const struct record *record)
{
    uint32_t attempt = rank_attempt(record->rank);
    struct standing standing = { .state = "unknown", .epoch = rank_epoch(record->rank) };
    verdict_outcome_name(record->outcome, standing.last_outcome);
    switch (rank_kind(record->rank)) {
    case RANK_KIND_NONE:
        break;
    case RANK_KIND_CLAIMED:
        standing.state = claimed_state(record);
        standing.attempts = attempt - 1;
        standing.next_attempt_ms = record->leased ? 0 : record->due_ms;
        break;
    case RANK_KIND_FAILED:
        standing.state = "pending"; /* until what follows is in Kafka */
        standing.attempts = attempt;
        break;
    case RANK_KIND_SCHEDULED:
        standing.state = "scheduled";
        standing.attempts = attempt;
        standing.next_attempt_ms = record->due_ms;
        break;
    case RANK_KIND_DEAD:
        standing.state = "dead";
        standing.attempts = attempts_over(record);
        break;
    case RANK_KIND_DELIVERED:
        standing.state = "delivered";
        standing.attempts = attempts_over(record);
        break;
    }
    return standing;
}
