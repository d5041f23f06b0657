/* Claims: which delivery object may send an attempt, and what became of a task (DESIGN §5).
 *
 * Redis only suppresses duplicates; Kafka carries liveness. So every call may end in CLAIMS_AWAY (unknown whether it was carried out), and every
 * call may be repeated: each is a maximum over (rank, deferral), only the hand-over of a lease is not.
 *
 * Callbacks fire exactly once, never before the call has returned. What a struct claim points to is copied before the call returns. */
#ifndef JOBHOOK_DEDUPE_CLAIMS_H
#define JOBHOOK_DEDUPE_CLAIMS_H

#include "dedupe/record.h"
#include "dedupe/redis.h"

struct claims;

struct claims_options {
    const char *prefix;    /* in front of every key */
    uint64_t lease_ms;     /* attempt timeout + margin */
    uint64_t state_ttl_ms; /* every write renews it */
};

/* Who asks and for what; the same in all calls of one delivery object. */
struct claim {
    struct slice task_id;
    uint32_t epoch;
    uint32_t attempt;
    uint32_t deferral;
    uint8_t token[TOKEN_BYTES]; /* random, fresh for each delivery object */
    uint64_t digest;            /* of what is sent and where to */
    int32_t partition;          /* where the original event lies; -1 unknown (an older pointer is kept) */
    int64_t offset;
    uint16_t outcome;  /* of the last attempt that ended, opaque here; 0 none. Told to those who ask, like the next one: nothing is decided by it. */
    uint32_t attempts; /* with CLAIMS_DEAD and CLAIMS_DELIVERED: how many were made in this epoch */
};

enum claims_result {
    CLAIMS_AWAY,     /* any call: Redis did not answer, nobody knows whether it was done */
    CLAIMS_GRANT,    /* claim: the lease is ours */
    CLAIMS_SKIP,     /* claim, fail: proved done, the offset may go */
    CLAIMS_RESUME,   /* claim: failed already, publish what `next` says */
    CLAIMS_BUSY,     /* claim, fail: somebody else's lease runs for `busy_ms` more (clamped to its length) */
    CLAIMS_CONFLICT, /* claim: another event under the same id */
    CLAIMS_OK,       /* fail (with the stored `next`), settle, defer */
    CLAIMS_FOREIGN,  /* fail, settle, defer: the record has another digest in the same or a later epoch; nothing was changed */
};

struct claims_answer {
    enum claims_result result;
    uint64_t busy_ms;
    uint8_t next; /* with RESUME and OK of fail */
};

typedef void claims_done(void *context, const struct claims_answer *answer);

struct claims *claims_create(struct redis *redis, const struct claims_options *options);
void claims_destroy(struct claims *claims); /* before its redis; callbacks still open never fire */

void claims_claim(struct claims *claims, const struct claim *claim, claims_done *done, void *context);
void claims_fail(struct claims *claims, const struct claim *claim, uint8_t next, claims_done *done, void *context);

enum claims_fact { CLAIMS_SCHEDULED, CLAIMS_DEAD, CLAIMS_DELIVERED };
/* `due_ms`: with CLAIMS_SCHEDULED when the next attempt is due, else 0. */
void claims_settle(struct claims *claims, const struct claim *claim, enum claims_fact fact, int64_t due_ms, claims_done *done, void *context);
/* A record for (attempt, deferral + 1) is durable in Kafka and due at `due_ms`; ends the own lease. */
void claims_defer(struct claims *claims, const struct claim *claim, int64_t due_ms, claims_done *done, void *context);
/* Before any byte was sent: ends the own lease. Nobody waits for it. */
void claims_release(struct claims *claims, const struct claim *claim);

/* Redis's clock, ms since 1970, as its answers told it; before the first of them the local wall clock. */
int64_t claims_now_ms(const struct claims *claims);
/* Its bounds, rounded outwards: what is due so long after the latest, and not taken before the earliest has passed that, is never early. */
int64_t claims_earliest_now_ms(const struct claims *claims);
int64_t claims_latest_now_ms(const struct claims *claims);
bool claims_knows_time(const struct claims *claims); /* else claims_now_ms is the local wall clock, which may be anywhere */
/* A reply that came just now, to a question asked at `asked_us` (monotonic) or later, names Redis's time. */
void claims_hear_time(struct claims *claims, uint64_t asked_us, int64_t redis_ms);
bool claims_reached(const struct claims *claims);           /* Redis has answered this process at least once */
uint64_t claims_away_since_ms(const struct claims *claims); /* monotonic; 0 while Redis is up */

#endif
