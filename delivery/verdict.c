#include "delivery/verdict.h"

#include <stdio.h>
#include <string.h>

/* What an answer means, by its status; the first rule that holds decides. 429 and 503 ask to be left alone. Every other refusal, 5xx included,
 * came quickly and says nothing about how many requests the endpoint can bear. */
static const struct status_rule {
    int from, to;
    enum action action;
    enum blame blame;
    const char *label;
} status_rules[] = {
    { 200, 299, ACTION_DELIVERED, BLAME_NOBODY, "2xx" }, { 300, 399, ACTION_RETRY, BLAME_EVENT, "3xx" },
    { 429, 429, ACTION_RETRY, BLAME_ENDPOINT, "429" },   { 400, 499, ACTION_RETRY, BLAME_EVENT, "4xx" },
    { 503, 503, ACTION_RETRY, BLAME_ENDPOINT, "503" },   { 500, 599, ACTION_RETRY, BLAME_EVENT, "5xx" },
};
static const struct status_rule other_status = { 0, 0, ACTION_RETRY, BLAME_EVENT, "other" };

/* What it means that there was no answer. The names are error classes (jobhook-error) and labels of metrics alike. */
static const struct kind_rule {
    const char *name;
    enum action action;
    enum blame blame;
} kind_rules[OUTCOME_KINDS] = {
    [OUTCOME_TIMEOUT] = { "timeout", ACTION_RETRY, BLAME_ENDPOINT },
    [OUTCOME_CONNECT_TIMEOUT] = { "connect_timeout", ACTION_RETRY, BLAME_ORIGIN },
    [OUTCOME_NAME_NOT_FOUND] = { "name_not_found", ACTION_RETRY, BLAME_ORIGIN },
    [OUTCOME_NAME_FAILED] = { "name_failed", ACTION_RETRY, BLAME_ORIGIN },
    [OUTCOME_CONNECT_REFUSED] = { "connect_refused", ACTION_RETRY, BLAME_ORIGIN },
    [OUTCOME_CONNECT_FAILED] = { "connect_failed", ACTION_RETRY, BLAME_ORIGIN },
    [OUTCOME_TLS_VERIFY] = { "tls_verify", ACTION_RETRY, BLAME_ORIGIN },
    [OUTCOME_TLS_FAILED] = { "tls_failed", ACTION_RETRY, BLAME_ORIGIN },
    [OUTCOME_CONNECTION_LOST] = { "connection_lost", ACTION_RETRY, BLAME_EVENT },
    [OUTCOME_BAD_ANSWER] = { "bad_answer", ACTION_RETRY, BLAME_EVENT },
    [OUTCOME_BLOCKED_ADDRESS] = { "blocked_address", ACTION_DEAD, BLAME_EVENT },
    [OUTCOME_LOCAL] = { "local", ACTION_AGAIN, BLAME_US },
};

static const char *const dead_reason_names[DEAD_REASONS] = {
    [DEAD_EXHAUSTED] = "exhausted",
    [DEAD_FINAL_STATUS] = "final_status",
    [DEAD_ENDPOINT_DOWN] = "endpoint_down",
    [DEAD_EXPIRED] = "expired",
    [DEAD_INVALID_EVENT] = "invalid_event",
    [DEAD_INVALID_HEADERS] = "invalid_headers",
    [DEAD_TASK_ID_CONFLICT] = "task_id_conflict",
    [DEAD_BLOCKED_URL] = "blocked_url",
    [DEAD_TOO_LARGE] = "too_large",
    [DEAD_CRASHED] = "crashed",
    [DEAD_HELD] = "held",
};

const char *dead_reason_name(enum dead_reason reason)
{
    assert(reason >= DEAD_EXHAUSTED && reason < DEAD_REASONS);
    return dead_reason_names[reason];
}

static const struct status_rule *rule_of_status(int status)
{
    for (size_t i = 0; i < COUNT_OF(status_rules); i++) {
        if (status >= status_rules[i].from && status <= status_rules[i].to)
            return &status_rules[i];
    }
    return &other_status;
}

static const struct kind_rule *rule_of_kind(enum outcome_kind kind)
{
    assert(kind > OUTCOME_ANSWERED && kind < OUTCOME_KINDS);
    return &kind_rules[kind];
}

static bool status_is_final(int status, const struct verdict_policy *policy)
{
    for (size_t i = 0; i < policy->final_status_count; i++) {
        if (policy->final_statuses[i] == status)
            return true;
    }
    return false;
}

struct verdict verdict_judge(const struct outcome *outcome, const struct verdict_policy *policy)
{
    if (outcome->kind != OUTCOME_ANSWERED) {
        const struct kind_rule *rule = rule_of_kind(outcome->kind);
        struct verdict verdict = { .action = rule->action, .blame = rule->blame };
        if (rule->action == ACTION_DEAD)
            verdict.reason = DEAD_BLOCKED_URL;
        return verdict;
    }
    const struct status_rule *rule = rule_of_status(outcome->status);
    /* A 2xx is success whatever the settings say. */
    if (rule->action != ACTION_DELIVERED && status_is_final(outcome->status, policy))
        return (struct verdict){ ACTION_DEAD, rule->blame, DEAD_FINAL_STATUS };
    return (struct verdict){ .action = rule->action, .blame = rule->blame };
}

void verdict_error_class(const struct outcome *outcome, char error[ATTEMPT_ERROR_MAX + 1])
{
    if (outcome->kind != OUTCOME_ANSWERED)
        snprintf(error, ATTEMPT_ERROR_MAX + 1, "%s", rule_of_kind(outcome->kind)->name);
    else if (rule_of_status(outcome->status)->action == ACTION_DELIVERED)
        error[0] = '\0';
    else
        snprintf(error, ATTEMPT_ERROR_MAX + 1, "http_%d", outcome->status);
}

enum { STATUS_LEAST = 100, STATUS_MOST = 999 };

uint16_t verdict_outcome_code(const char *error, int status)
{
    static const char http[] = "http_";
    uint64_t number;
    if (status >= STATUS_LEAST && status <= STATUS_MOST)
        return (uint16_t)status;
    if (slice_starts_with(slice_of(error), http) && slice_to_u64(slice_of(error + sizeof(http) - 1), STATUS_MOST, &number))
        return number >= STATUS_LEAST ? (uint16_t)number : 0;
    for (uint16_t kind = OUTCOME_ANSWERED + 1; error[0] != '\0' && kind < OUTCOME_KINDS; kind++)
        if (strcmp(kind_rules[kind].name, error) == 0)
            return kind;
    return 0;
}

void verdict_outcome_name(uint16_t code, char name[ATTEMPT_ERROR_MAX + 1])
{
    name[0] = '\0';
    if (code >= STATUS_LEAST && code <= STATUS_MOST)
        snprintf(name, ATTEMPT_ERROR_MAX + 1, "http_%u", code);
    else if (code > OUTCOME_ANSWERED && code < OUTCOME_KINDS)
        snprintf(name, ATTEMPT_ERROR_MAX + 1, "%s", kind_rules[code].name);
}

const char *outcome_label(const struct outcome *outcome)
{
    return outcome->kind == OUTCOME_ANSWERED ? rule_of_status(outcome->status)->label : rule_of_kind(outcome->kind)->name;
}
