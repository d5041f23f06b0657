/* Holds: what a process has in its hands, noted in Redis, so that those who come after it can tell that it died with it.
 *
 * A hold is taken before the thing is touched and given back when the holder lets go of it alive; a hold that nobody gave back is a death, with the
 * weight that it was given last. Tokens make every call repeatable and keep a zombie from giving back anything but its own. Holds only ever make
 * reading more careful: whoever gets no answer from Redis goes on without. */
#ifndef JOBHOOK_DEDUPE_HOLDS_H
#define JOBHOOK_DEDUPE_HOLDS_H

#include "consumer/base/timers.h"
#include "dedupe/claims.h"
#include "dedupe/record.h"
#include "dedupe/redis.h"

struct holds;
struct hold;

struct holds_options {
    const char *prefix;    /* in front of every key; the keys of holds have control characters behind it, those of tasks never */
    uint64_t ttl_ms;       /* of a key, from its last write */
    struct claims *claims; /* hear Redis's time from every answer; NULL: nobody wants to */
    struct timers *timers;
};

struct hold_answer {
    bool away;     /* Redis did not answer for HOLD_PATIENCE_MS: nobody knows */
    uint32_t dead; /* weight of the holders before that never gave back */
    int64_t from;  /* the offset at which the first of them took it up; without any the own one */
};

enum { HOLD_PATIENCE_MS = 5000 };

struct hold { /* embedded; zeroed: nothing held */
    struct holds *holds;
    struct text key;
    struct timer again;
    uint8_t token[TOKEN_BYTES];
    int64_t at;
    uint32_t range;
    uint32_t weight;                                                       /* 0: not held */
    uint64_t asked_ms;                                                     /* at first */
    uint64_t asked_us;                                                     /* last */
    void (*answered)(struct hold *hold, const struct hold_answer *answer); /* NULL: nobody waits any longer */
};

struct hold_terms {
    struct slice name; /* of the thing, copied */
    int64_t at;
    uint32_t range;  /* once two holders died at `at`, what happens up to so many offsets behind it counts, too; 0: only at `at` */
    uint32_t weight; /* of a death; not 0 */
    void (*answered)(struct hold *hold, const struct hold_answer *answer); /* once, later; never after the hold is over */
};

struct holds *holds_create(struct redis *redis, const struct holds_options *options);
void holds_destroy(struct holds *holds); /* before its redis and after every hold of it is over */
/* Nothing is under way to Redis: what was given back is so there, too, as far as Redis can be reached. */
bool holds_are_settled(const struct holds *holds);

void hold_take(struct hold *hold, struct holds *holds, const struct hold_terms *terms);
/* Changes the weight of a hold, of which nobody is told. */
void hold_weigh(struct hold *hold, uint32_t weight);
/* Three ends; without effect when nothing is held. Let go alive; all deaths forgotten, because it came out well; forgotten here only. */
void hold_give_back(struct hold *hold);
void hold_clear(struct hold *hold);
void hold_drop(struct hold *hold);

#endif
