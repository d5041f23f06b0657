/* Two questions about an outcome, answered apart, because they drive different machinery: what becomes of the event (action), and who is to
 * blame for it (blame: what moves the endpoint's window and the origin's connections). A table; pure. */
#ifndef JOBHOOK_DELIVERY_VERDICT_H
#define JOBHOOK_DELIVERY_VERDICT_H

#include "delivery/attempt.h"
#include "delivery/outcome.h"

#include <stddef.h>

enum action {
    ACTION_DELIVERED,
    ACTION_RETRY, /* the attempt failed: the next one follows, or the dead letter when none is left */
    ACTION_DEAD,  /* never again: a final status, a refused address */
    ACTION_AGAIN, /* our own trouble before a byte was sent: the same attempt is made again later */
};

enum blame {
    BLAME_NOBODY,   /* it works */
    BLAME_EVENT,    /* answered, but refused this one (4xx), or 5xx: the endpoint answers quickly enough */
    BLAME_ENDPOINT, /* no answer in time, or asked to be left alone (429, 503) */
    BLAME_ORIGIN,   /* name, connect, TLS */
    BLAME_US,       /* out of descriptors */
};

/* Why an event is dead: the header jobhook-reason. The numbers are stored in Redis (`next`): append only. */
enum dead_reason {
    DEAD_EXHAUSTED = 1,
    DEAD_FINAL_STATUS,
    DEAD_ENDPOINT_DOWN,
    DEAD_EXPIRED,
    DEAD_INVALID_EVENT,
    DEAD_INVALID_HEADERS,
    DEAD_TASK_ID_CONFLICT,
    DEAD_BLOCKED_URL,
    DEAD_TOO_LARGE,
    DEAD_CRASHED,
    DEAD_HELD,
    DEAD_REASONS,
};
const char *dead_reason_name(enum dead_reason reason); /* "exhausted" … */

struct verdict {
    enum action action;
    enum blame blame;
    enum dead_reason reason; /* with ACTION_DEAD */
};

struct verdict_policy {
    const int *final_statuses; /* JOBHOOK_FINAL_STATUSES */
    size_t final_status_count;
};

struct verdict verdict_judge(const struct outcome *outcome, const struct verdict_policy *policy);
/* The error class for logs, metrics and headers: http_503, timeout, connect_refused … "" when delivered. */
void verdict_error_class(const struct outcome *outcome, char error[ATTEMPT_ERROR_MAX + 1]);
/* The last outcome as Redis keeps it: the HTTP status, or for what had no answer a number below 100 (append only); 0 none. */
uint16_t verdict_outcome_code(const char *error, int status);
/* http_200, http_503, timeout … as verdict_error_class has them; "" for 0 and what this version does not know. */
void verdict_outcome_name(uint16_t code, char name[ATTEMPT_ERROR_MAX + 1]);
/* A bounded label for metrics: 2xx, 3xx, 4xx, 429, 5xx, timeout … */
const char *outcome_label(const struct outcome *outcome);

#endif
