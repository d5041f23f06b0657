/* The connection's inside, shared by redis.c (calls, losing and regaining the connection) and redis_greeting.c (who answers there, and does it
 * work?). Nobody else includes it. */
#ifndef JOBHOOK_DEDUPE_REDIS_INSIDE_H
#define JOBHOOK_DEDUPE_REDIS_INSIDE_H

#include "consumer/base/log.h"
#include "dedupe/redis_call.h"
#include "dedupe/redis_judge.h"
#include "dedupe/redis_wire.h"

#include <uv.h>

enum phase {
    PHASE_RESTING,  /* until the timer opens the wire again */
    PHASE_DIALLING, /* the wire is being opened */
    PHASE_GREETING, /* password, database, INFO: who answers there? */
    PHASE_SERVING,
};

struct redis {
    struct redis_options options;
    struct redis_wire *wire;
    uv_idle_t turn;   /* runs once in the next turn of the loop after something was sent or refused */
    uv_timer_t timer; /* resting: when to dial; else: when the oldest pending call may be overdue */
    uv_timer_t pulse; /* while serving */
    unsigned handles; /* not yet closed */
    bool destroyed;
    enum phase phase;
    struct list pending; /* sent, oldest first: answers come in this order */
    struct list waiting; /* to be sent as answers come: see UNDER_WAY_MAX */
    struct list refused; /* to be told that Redis is away, in the next turn */
    struct redis_calls calls;
    uint64_t loading; /* bit per script: a SCRIPT LOAD is on its way */
    uint64_t retry_ms;
    uint64_t away_since_ms; /* 0: up */
    uint64_t heard_us;      /* last answer */
    bool in_trouble;        /* the last script failed: only one that succeeds ends it, a mere connection does not */
    bool probing;
    struct text probe_key; /* next to the key of the script that failed, where Redis's access rules are the same */
    struct redis_stats stats;
    struct log_gate away_gate, error_gate;
};

/* redis_greeting.c */
void redis_greet(void *owner); /* the wire is open */

/* redis.c */
void redis_send(struct redis *redis, struct redis_call *call);
void redis_give_back(struct redis *redis, struct redis_call *call);
void redis_answer_script(struct redis *redis, struct redis_call *call, const struct redis_reply *reply);
bool redis_script_is_missing(const struct redis_call *call, const struct redis_reply *reply);
void redis_fail_call(struct redis *redis, struct redis_call *call, const struct redis_reply *reply); /* takes it back */
void redis_act_on_error(struct redis *redis, struct slice text, const struct redis_error *error);
void redis_become_up(struct redis *redis);
void redis_drop(struct redis *redis, struct slice why, const char *cure);  /* and connect anew soon */
void redis_refuse(struct redis *redis, const char *why, const char *cure); /* and look again now and then */

#endif
