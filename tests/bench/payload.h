/* The body that every side of the benchmark sends: 230 bytes, as jobhook composes it from the event that `load` writes. */
#ifndef JOBHOOK_BENCH_PAYLOAD_H
#define JOBHOOK_BENCH_PAYLOAD_H

#include <stdio.h>

enum { PAYLOAD_BYTES = 230, PAYLOAD_NUMBERS = 100000000 /* eight digits */ };

/* Writes the members of event `number`, task_id to result, without the braces: PAYLOAD_BYTES - 2 bytes and a NUL. */
static inline void payload_write(unsigned number, char members[PAYLOAD_BYTES - 1])
{
    snprintf(members, PAYLOAD_BYTES - 1,
             "\"task_id\":\"bench-%08u\",\"status\":\"completed\",\"task_type\":\"find_email\",\"result\":{\"email\":\"ada.lovelace@example.com\","
             "\"confidence\":0.97,\"sources\":[\"https://example.com/team\",\"https://example.org/about\"],\"verified\":true,\"n\":1234}",
             number % PAYLOAD_NUMBERS);
}

#endif
