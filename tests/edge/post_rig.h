/* Lanes on a loop of their own, ready to POST at a scripted receiver. */
#ifndef JOBHOOK_TESTS_EDGE_POST_RIG_H
#define JOBHOOK_TESTS_EDGE_POST_RIG_H

#include "delivery/lanes.h"
#include "tests/edge/scripted_receiver.h"

#include <uv.h>

enum { RIG_PATIENCE_MS = 30000, RIG_TIMEOUT_MS = 10000, RIG_SHORT_MS = 300 };

struct posted { /* what became of one POST */
    int calls;
    struct outcome outcome; /* detail and snippet point to the copies below */
    char detail[128];
    char snippet[OUTCOME_SNIPPET_MAX + 1];
};

struct rig {
    uv_loop_t loop;
    uv_timer_t patience;
    struct guard guard;
    struct names *names;
    struct lanes *lanes;
    struct request request;
};

/* Loopback may be called. Fields of `options` that are 0 get what suits a test; `dns` NULL: no name server. */
void rig_open(struct rig *rig, struct lanes_options options, const char *dns);
void rig_close(struct rig *rig);
/* Makes the body of the next requests one of at least `bytes`. */
void rig_fill_body(struct rig *rig, size_t bytes);

/* Does not wait. The URL must be one that the guard accepts. */
struct post *rig_begin(struct rig *rig, const char *url, struct posted *posted);
struct post *rig_begin_url(struct rig *rig, const struct url *url, struct posted *posted);
/* Sends nothing, and waits. */
bool rig_connects(struct rig *rig, const char *url);
void rig_wait(struct rig *rig, const struct posted *posted);
/* Runs the loop for a while, whatever happens. */
void rig_run_ms(struct rig *rig, uint64_t ms);
/* POSTs and waits for the outcome. */
struct posted rig_post_url(struct rig *rig, const char *url);
/* Likewise, to http://127.0.0.1:port/path. */
struct posted rig_post(struct rig *rig, const struct receiver *receiver, const char *path);
void rig_url(char url[256], const char *scheme, const char *host, uint16_t port, const char *path);

#endif
