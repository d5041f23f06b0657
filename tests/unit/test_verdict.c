#include "delivery/verdict.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct verdict_policy no_final_statuses = { NULL, 0 };

static struct outcome answered(int status)
{
    return (struct outcome){ .kind = OUTCOME_ANSWERED, .status = status, .sent = true, .connected = true, .retry_after_s = -1, .detail = "" };
}

static struct outcome unanswered(enum outcome_kind kind)
{
    return (struct outcome){ .kind = kind, .retry_after_s = -1, .detail = "" };
}

Test(verdict, judges_every_status)
{
    for (int status = 0; status <= 1000; status++) {
        struct outcome outcome = answered(status);
        struct verdict verdict = verdict_judge(&outcome, &no_final_statuses);
        enum action action = status >= 200 && status <= 299 ? ACTION_DELIVERED : ACTION_RETRY;
        enum blame blame = action == ACTION_DELIVERED ? BLAME_NOBODY : status == 429 || status == 503 ? BLAME_ENDPOINT : BLAME_EVENT;
        cr_assert_eq(verdict.action, action, "%d", status);
        cr_assert_eq(verdict.blame, blame, "%d", status);
    }
}

struct kind_case {
    enum outcome_kind kind;
    enum action action;
    enum blame blame;
    const char *error;
};

static const struct kind_case kind_cases[] = {
    { OUTCOME_TIMEOUT, ACTION_RETRY, BLAME_ENDPOINT, "timeout" },
    { OUTCOME_CONNECT_TIMEOUT, ACTION_RETRY, BLAME_ORIGIN, "connect_timeout" },
    { OUTCOME_NAME_NOT_FOUND, ACTION_RETRY, BLAME_ORIGIN, "name_not_found" },
    { OUTCOME_NAME_FAILED, ACTION_RETRY, BLAME_ORIGIN, "name_failed" },
    { OUTCOME_CONNECT_REFUSED, ACTION_RETRY, BLAME_ORIGIN, "connect_refused" },
    { OUTCOME_CONNECT_FAILED, ACTION_RETRY, BLAME_ORIGIN, "connect_failed" },
    { OUTCOME_TLS_VERIFY, ACTION_RETRY, BLAME_ORIGIN, "tls_verify" },
    { OUTCOME_TLS_FAILED, ACTION_RETRY, BLAME_ORIGIN, "tls_failed" },
    { OUTCOME_CONNECTION_LOST, ACTION_RETRY, BLAME_EVENT, "connection_lost" },
    { OUTCOME_BAD_ANSWER, ACTION_RETRY, BLAME_EVENT, "bad_answer" },
    { OUTCOME_BLOCKED_ADDRESS, ACTION_DEAD, BLAME_EVENT, "blocked_address" },
    { OUTCOME_LOCAL, ACTION_AGAIN, BLAME_US, "local" },
};

Test(verdict, judges_every_way_to_get_no_answer)
{
    cr_assert_eq(COUNT_OF(kind_cases), OUTCOME_KINDS - 1);
    for (size_t i = 0; i < COUNT_OF(kind_cases); i++) {
        struct outcome outcome = unanswered(kind_cases[i].kind);
        struct verdict verdict = verdict_judge(&outcome, &no_final_statuses);
        cr_assert_eq(verdict.action, kind_cases[i].action, "%s", kind_cases[i].error);
        cr_assert_eq(verdict.blame, kind_cases[i].blame, "%s", kind_cases[i].error);
    }
}

Test(verdict, never_retries_a_refused_address)
{
    struct outcome outcome = unanswered(OUTCOME_BLOCKED_ADDRESS);
    cr_assert_eq(verdict_judge(&outcome, &no_final_statuses).reason, DEAD_BLOCKED_URL);
}

Test(verdict, never_retries_a_status_that_the_settings_call_final)
{
    static const int statuses[] = { 410, 503 };
    const struct verdict_policy policy = { statuses, COUNT_OF(statuses) };
    for (int status = 100; status <= 599; status++) {
        struct outcome outcome = answered(status);
        struct verdict verdict = verdict_judge(&outcome, &policy);
        bool final = status == 410 || status == 503;
        cr_assert_eq(verdict.action == ACTION_DEAD, final, "%d", status);
        cr_assert(!final || verdict.reason == DEAD_FINAL_STATUS);
        cr_assert_eq(verdict.blame, verdict_judge(&outcome, &no_final_statuses).blame,
                     "the settings change what becomes of the event, not the blame");
    }
}

Test(verdict, retries_410_unless_the_settings_call_it_final)
{
    struct outcome outcome = answered(410);
    cr_assert_eq(verdict_judge(&outcome, &no_final_statuses).action, ACTION_RETRY);
}

Test(verdict, takes_a_2xx_for_success_whatever_the_settings_say)
{
    static const int statuses[] = { 204 };
    const struct verdict_policy policy = { statuses, 1 };
    struct outcome outcome = answered(204);
    cr_assert_eq(verdict_judge(&outcome, &policy).action, ACTION_DELIVERED);
}

Test(verdict, names_the_error_class_of_every_outcome)
{
    char error[ATTEMPT_ERROR_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(kind_cases); i++) {
        struct outcome outcome = unanswered(kind_cases[i].kind);
        verdict_error_class(&outcome, error);
        cr_assert_str_eq(error, kind_cases[i].error);
    }
    static const struct {
        int status;
        const char *error;
    } cases[] = { { 200, "" },         { 204, "" },         { 299, "" },         { 199, "http_199" },
                  { 301, "http_301" }, { 404, "http_404" }, { 503, "http_503" }, { 999, "http_999" } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outcome outcome = answered(cases[i].status);
        verdict_error_class(&outcome, error);
        cr_assert_str_eq(error, cases[i].error);
    }
}

Test(verdict, outcomes_survive_their_way_through_a_record)
{
    char name[ATTEMPT_ERROR_MAX + 1], error[ATTEMPT_ERROR_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(kind_cases); i++) {
        verdict_outcome_name(verdict_outcome_code(kind_cases[i].error, 0), name);
        cr_assert_str_eq(name, kind_cases[i].error);
    }
    for (int status = 100; status <= 999; status++) {
        snprintf(error, sizeof error, "http_%d", status);
        cr_assert_eq(verdict_outcome_code(error, 0), status);
        cr_assert_eq(verdict_outcome_code("", status), status);
        verdict_outcome_name((uint16_t)status, name);
        cr_assert_str_eq(name, error);
    }
    static const char *const unknown[] = { "", "http_", "http_1000", "http_99", "http_2x", "http", "deferred" };
    for (size_t i = 0; i < COUNT_OF(unknown); i++)
        cr_assert_eq(verdict_outcome_code(unknown[i], 0), 0, "%s", unknown[i]);
    static const uint16_t strange[] = { 0, OUTCOME_KINDS, 99, 1000, UINT16_MAX };
    for (size_t i = 0; i < COUNT_OF(strange); i++) {
        verdict_outcome_name(strange[i], name);
        cr_assert_str_eq(name, "");
    }
}

Test(verdict, labels_are_a_bounded_set)
{
    static const char *const labels[] = { "2xx", "3xx", "4xx", "429", "5xx", "503", "other" };
    for (int status = -1; status <= 1100; status++) {
        struct outcome outcome = answered(status);
        const char *label = outcome_label(&outcome);
        size_t i = 0;
        while (i < COUNT_OF(labels) && strcmp(labels[i], label) != 0)
            i++;
        cr_assert_lt(i, COUNT_OF(labels), "%d: %s", status, label);
    }
    for (size_t i = 0; i < COUNT_OF(kind_cases); i++) {
        struct outcome outcome = unanswered(kind_cases[i].kind);
        cr_assert_str_eq(outcome_label(&outcome), kind_cases[i].error);
    }
}

Test(verdict, labels_the_statuses_that_ask_to_be_left_alone_apart)
{
    static const struct {
        int status;
        const char *label;
    } cases[] = {
        { 100, "other" }, { 200, "2xx" }, { 299, "2xx" }, { 300, "3xx" }, { 399, "3xx" }, { 400, "4xx" }, { 428, "4xx" }, { 429, "429" },
        { 430, "4xx" },   { 499, "4xx" }, { 500, "5xx" }, { 502, "5xx" }, { 503, "503" }, { 504, "5xx" }, { 599, "5xx" }, { 600, "other" }
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outcome outcome = answered(cases[i].status);
        cr_assert_str_eq(outcome_label(&outcome), cases[i].label, "%d", cases[i].status);
    }
}

Test(verdict, dead_reasons_keep_the_numbers_that_redis_stores)
{
    static const char *const names[] = { "exhausted",        "final_status", "endpoint_down", "expired", "invalid_event", "invalid_headers",
                                         "task_id_conflict", "blocked_url",  "too_large",     "crashed", "held" };
    cr_assert_eq(DEAD_REASONS, COUNT_OF(names) + 1);
    for (unsigned i = 0; i < COUNT_OF(names); i++)
        cr_assert_str_eq(dead_reason_name((enum dead_reason)(i + 1)), names[i]);
}
