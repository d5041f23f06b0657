/* Lookups: what Redis knows about a task, for those who only want to know. Changes nothing.
 *
 * Callbacks fire exactly once, never before the call has returned, never after lookups_destroy. */
#ifndef JOBHOOK_DEDUPE_LOOKUP_H
#define JOBHOOK_DEDUPE_LOOKUP_H

#include "dedupe/record.h"
#include "dedupe/redis.h"

struct lookups;

enum lookup_result {
    LOOKUP_AWAY,       /* Redis did not answer */
    LOOKUP_NOTHING,    /* never heard of, or forgotten */
    LOOKUP_UNREADABLE, /* another program's, or another version's: claims take it for nothing */
    LOOKUP_FOUND,
};

struct lookup_answer {
    enum lookup_result result;
    struct record record; /* with LOOKUP_FOUND */
    int64_t now_ms;       /* Redis's clock; 0 with LOOKUP_AWAY */
    uint64_t kept_ms;     /* for how long the record will be kept; 0: it has no end, or there is none */
};

typedef void lookup_done(void *context, const struct lookup_answer *answer);

/* `prefix`: in front of every key, as in struct claims_options. */
struct lookups *lookups_create(struct redis *redis, const char *prefix);
void lookups_destroy(struct lookups *lookups); /* before its redis; takes NULL */

/* `task_id` is copied; one longer than an event's may be is never found. */
void lookups_find(struct lookups *lookups, struct slice task_id, lookup_done *done, void *context);

#endif
