/* What every side of the benchmark sends: a body of 230 bytes unless told otherwise, as jobhook composes it from the event that `load` writes. */
#ifndef JOBHOOK_BENCH_PAYLOAD_H
#define JOBHOOK_BENCH_PAYLOAD_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    PAYLOAD_NUMBERS = 100000000, /* eight digits */
    PAYLOAD_BODY_BYTES = 230,    /* the smallest body; "{" and "}" included */
    PAYLOAD_ID_BYTES = 14,       /* of the shortest task id: "bench-" and eight digits */
    PAYLOAD_ID_BYTES_MAX = 64,
    PAYLOAD_BODY_BYTES_MAX = 4 * 1024 * 1024,
};

struct payload {
    unsigned number;
    uint64_t sent_us; /* wall clock, 16 digits, for the receiver to compare with its own */
    size_t id_bytes;  /* the task id is padded with zeros to this length */
    size_t body_bytes;
};

/* Writes the members, task_id to result, without the braces: body_bytes + id_bytes - 16 bytes and a NUL. Returns the length. A body that is only
 * a little longer than the smallest stays the smallest: a padding member takes nine bytes at least. */
static inline size_t payload_write(const struct payload *payload, char *members, size_t room)
{
    static const char pad[] = ",\"pad\":\"\"";
    int length = snprintf(members, room,
                          "\"task_id\":\"bench-%0*u\",\"status\":\"completed\",\"task_type\":\"find_email\",\"result\":{\"email\":"
                          "\"ada.lovelace@example.com\",\"confidence\":0.9,\"sources\":[\"https://example.com/team\",\"https://example.org/info\"],"
                          "\"sent_us\":%016" PRIu64 "}",
                          (int)payload->id_bytes - 6, payload->number % PAYLOAD_NUMBERS, payload->sent_us);
    size_t end = (size_t)length;
    if (payload->body_bytes < PAYLOAD_BODY_BYTES + sizeof pad - 1)
        return end;
    size_t filling = payload->body_bytes - PAYLOAD_BODY_BYTES - (sizeof pad - 1);
    memcpy(members + end - 1, pad, sizeof pad - 2);
    memset(members + end - 1 + sizeof pad - 2, 'x', filling);
    memcpy(members + end - 1 + sizeof pad - 2 + filling, "\"}", 3);
    return end + sizeof pad - 1 + filling;
}

#endif
