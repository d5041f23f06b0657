/* One connection to Redis: pipelined scripts, each with a deadline, reconnecting by itself. hiredis stays inside.
 *
 * A script's callback fires exactly once, never before redis_eval has returned: with the reply, or with REDIS_AWAY when the connection is or goes
 * down, when no reply came in time (the connection is dropped then: hiredis has no timeouts of its own), or when Redis answered with any error
 * but NOSCRIPT (which loads the script and asks again, unseen). AWAY means unknown: the script may have run. Reconnects with jittered backoff.
 * Cluster and Sentinel servers are recognised and refused, the cure named in the log. One thread: the loop's.
 * The process must ignore SIGPIPE: hiredis writes to sockets that the other side may have closed. */
#ifndef JOBHOOK_DEDUPE_REDIS_H
#define JOBHOOK_DEDUPE_REDIS_H

#include "consumer/base/measure.h"
#include "consumer/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uv_loop_s;
struct redis;

struct redis_address { /* a parsed JOBHOOK_REDIS_URL; its own strings owned, the names of files not */
    bool tls;
    char *host; /* NULL: a unix socket */
    int port;
    char *path;            /* of the unix socket, else NULL */
    char *user, *password; /* NULL: none */
    int database;
    const char *ca_file;                  /* rediss:// only, and not part of the URL: whose certificates are believed; NULL: the system's */
    const char *client_cert, *client_key; /* what is shown to a server that asks for it (PEM); NULL: none */
};

/* redis://[user:password@]host[:port][/db], rediss:// likewise, unix://[user:password@]/path[?db=n]; user and password percent-decoded.
 * On false `*problem` is a fixed sentence that says what is wrong and what is allowed. rediss:// without TLS in the installed hiredis is a problem. */
MUST_USE bool redis_address_parse(struct slice url, struct redis_address *address, const char **problem);
void redis_address_finish(struct redis_address *address);
bool redis_has_tls(void); /* was built with a hiredis that has TLS */

struct redis_options {
    const struct redis_address *address; /* outlives the connection */
    uint64_t command_timeout_ms;         /* 2000 when 0 */
};

struct redis_stats {
    struct gauge up;      /* 1 while connected and answering */
    struct gauge reached; /* 1 once it has ever answered */
    struct counter commands;
    struct counter timeouts;
    struct counter errors; /* error replies that count as away */
    struct counter reconnects;
    struct histogram duration; /* script sent → reply */
};

struct redis_script; /* name, source, SHA-1: from the table that the build makes of dedupe/scripts/ (dedupe/scripts.h) */

enum redis_state { REDIS_REPLY, REDIS_AWAY };

struct redis_reply_array { /* a flat array of integers and strings; valid during the callback */
    size_t count;
    struct {
        bool is_integer;
        int64_t integer;
        struct slice string;
    } items[8];
};

typedef void redis_done(void *context, enum redis_state state, const struct redis_reply_array *reply);

struct redis *redis_create(struct uv_loop_s *loop, const struct redis_options *options);
/* Closes at once; callbacks still open never fire. Takes NULL. The memory goes when the loop runs once more. */
void redis_destroy(struct redis *redis);

/* Runs a script on one key. Arguments are copied before the call returns. At most 16 arguments. `done` may be NULL: nobody waits. Worth calling
 * while Redis is not up: a script that succeeds is one way in which it becomes so again. */
void redis_eval(struct redis *redis, const struct redis_script *script, struct slice key, const struct slice *arguments, size_t count,
                redis_done *done, void *context);

/* The callbacks of this function with this context never fire from now on; what they asked for may still be carried out. */
void redis_forget(struct redis *redis, redis_done *done, const void *context);

bool redis_is_up(const struct redis *redis);
/* Whatever was asked is answered, or nobody is there to answer: also what nobody waits for has been carried out then. */
bool redis_is_quiet(const struct redis *redis);
/* Since when it is away, monotonic ms; 0 while it is up. Counts from creation before the first answer. */
uint64_t redis_away_since_ms(const struct redis *redis);
const struct redis_stats *redis_stats(const struct redis *redis);

#endif
