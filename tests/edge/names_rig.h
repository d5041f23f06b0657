/* Names on a loop of their own, and a name server that says what the test says. One at a time. */
#ifndef JOBHOOK_TESTS_EDGE_NAMES_RIG_H
#define JOBHOOK_TESTS_EDGE_NAMES_RIG_H

#include "delivery/names.h"
#include "tests/edge/scripted_dns.h"

#include <uv.h>

struct found {
    int calls;
    struct names_answer answer;
};

extern uv_loop_t loop;
extern struct dns_server server;
extern struct names *names;

/* `options.servers` are asked before that one; NULL: none. */
void names_rig_open(dns_script *script, struct names_options options);
void names_rig_close(void);
struct names_query *find(const char *host, struct found *found);
/* How it was answered: the test fails when that takes too long. */
void on_found(void *found, const struct names_answer *answer);
void wait_for(const struct found *found);
struct found look_up(const char *host);
void sleep_ms(uint64_t ms);

#endif
