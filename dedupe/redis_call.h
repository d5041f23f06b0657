/* One command on its way to Redis and back, and the pool that such calls come from.
 *
 * The bytes of the command are kept until it is answered, because a script that Redis does not know (any more) has to be asked for again. */
#ifndef JOBHOOK_DEDUPE_REDIS_CALL_H
#define JOBHOOK_DEDUPE_REDIS_CALL_H

#include "consumer/base/list.h"
#include "dedupe/redis.h"

struct redis_reply;
struct redis_call;

typedef void redis_call_answered(struct redis *redis, struct redis_call *call, const struct redis_reply *reply);

struct redis_call {
    struct link link;
    redis_call_answered *answered;
    const struct redis_script *script; /* of a script's call or load, else NULL */
    redis_done *done;                  /* NULL: nobody waits */
    void *context;
    uint64_t asked_us; /* by the caller, monotonic */
    uint64_t sent_us;  /* last handed to the wire: its deadline counts from here */
    unsigned tries;
    size_t key_at, key_length; /* of a script's call: where its key lies in the command */
    size_t length, capacity;
    char *command; /* as Redis reads it */
};

struct redis_calls {
    struct list spare;
};

void redis_calls_init(struct redis_calls *calls);
void redis_calls_finish(struct redis_calls *calls);
struct redis_call *redis_calls_take(struct redis_calls *calls, redis_call_answered *answered);
void redis_calls_give_back(struct redis_calls *calls, struct redis_call *call);

void redis_call_write(struct redis_call *call, const struct slice *words, size_t count);
void redis_call_write_script(struct redis_call *call, struct slice key, const struct slice *arguments, size_t count);
struct slice redis_call_key(const struct redis_call *call);

#endif
