/* Pointers: records of rank 0, which say where a task's event lies and nothing else. Polling needs them after Redis was emptied; they suppress no
 * delivery, and never replace what is known of a task.
 *
 * Callbacks fire exactly once, never before the call has returned, never after pointers_destroy. */
#ifndef JOBHOOK_DEDUPE_POINTERS_H
#define JOBHOOK_DEDUPE_POINTERS_H

#include "dedupe/redis.h"

struct pointers;

enum pointer_result { POINTER_AWAY, POINTER_KNOWN, POINTER_WRITTEN };

struct pointer {
    struct slice task_id; /* copied */
    int32_t partition;
    int64_t offset;
    uint64_t digest; /* of the event that lies there */
};

typedef void pointer_done(void *context, enum pointer_result result);

/* `prefix` as in struct claims_options; `ttl_ms`: for how long they are kept. */
struct pointers *pointers_create(struct redis *redis, const char *prefix, uint64_t ttl_ms);
void pointers_destroy(struct pointers *pointers); /* before its redis; takes NULL */
void pointers_put(struct pointers *pointers, const struct pointer *pointer, pointer_done *done, void *context);

#endif
