#include "delivery/stats.h"

static const char *const settled_names[SETTLED_KINDS] = {
    [SETTLED_DELIVERED] = "delivered", [SETTLED_SCHEDULED] = "scheduled", [SETTLED_DEFERRED] = "deferred",
    [SETTLED_DEAD] = "dead",           [SETTLED_SKIPPED] = "skipped",     [SETTLED_NOTHING_TO_SEND] = "nothing_to_send",
};

static const char *const state_names[DELIVERY_STATES] = {
    [DELIVERY_TAKEN] = "taken",     [DELIVERY_CLAIMING] = "claiming",     [DELIVERY_WAITING] = "waiting",     [DELIVERY_POSTING] = "posting",
    [DELIVERY_FAILING] = "failing", [DELIVERY_PUBLISHING] = "publishing", [DELIVERY_RECORDING] = "recording", [DELIVERY_RELEASED] = "released",
};

static const char *const held_names[HELD_KINDS] = {
    [HELD_CLAIM] = "claim",   [HELD_LEASE] = "lease",   [HELD_SLOT] = "slot",   [HELD_EGRESS] = "egress",
    [HELD_ANSWER] = "answer", [HELD_RECORD] = "record", [HELD_REDIS] = "redis", [HELD_KAFKA] = "kafka",
};

/* Statuses by class, the two that ask for patience apart; first match wins, what is in no class is "other". */
static const struct status_label {
    int from, to;
    const char *label;
} status_labels[STATS_ANSWERED_LABELS] = {
    { 429, 429, "429" }, { 503, 503, "503" }, { 200, 299, "2xx" }, { 300, 399, "3xx" }, { 400, 499, "4xx" }, { 500, 599, "5xx" }, { 0, 999, "other" },
};

const char *settled_name(enum settled settled)
{
    return settled_names[settled];
}

const char *delivery_state_name(enum delivery_state state)
{
    return state_names[state];
}

const char *held_name(enum held held)
{
    return held_names[held];
}

size_t stats_attempt_slot(const struct outcome *outcome)
{
    if (outcome->kind != OUTCOME_ANSWERED)
        return STATS_ANSWERED_LABELS + (size_t)outcome->kind;
    size_t slot = 0;
    while (slot + 1 < STATS_ANSWERED_LABELS && (outcome->status < status_labels[slot].from || outcome->status > status_labels[slot].to))
        slot++;
    return slot;
}

const char *stats_attempt_label(size_t slot)
{
    if (slot < STATS_ANSWERED_LABELS)
        return status_labels[slot].label;
    struct outcome outcome = { .kind = (enum outcome_kind)(slot - STATS_ANSWERED_LABELS) };
    return outcome_label(&outcome);
}
