/* One attempt as JOBHOOK_ATTEMPTS_TOPIC has it: a small JSON object (deploy/schema/attempt.schema.json). Pure. */
#ifndef JOBHOOK_CONSUMER_ATTEMPT_RECORD_H
#define JOBHOOK_CONSUMER_ATTEMPT_RECORD_H

#include "consumer/base/text.h"
#include "delivery/delivery.h"

struct attempt_record {
    const struct attempted *attempted;
    const char *worker;
    int64_t now_ms;
};

/* The answer's first bytes are made safe: what a terminal would obey, and what turns the direction of writing, becomes a space. */
void attempt_record_append(struct text *text, const struct attempt_record *record);

#endif
