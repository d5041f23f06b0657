/* A Redis that answers whatever the test says, on a free port of 127.0.0.1 and on the test's own loop. */
#ifndef JOBHOOK_TESTS_EDGE_REDIS_FAKE_H
#define JOBHOOK_TESTS_EDGE_REDIS_FAKE_H

#include "consumer/base/text.h"

#include <uv.h>

enum { REDIS_FAKE_CLIENTS_MAX = 64 };

struct redis_fake;

struct redis_fake_client {
    uv_tcp_t tcp;
    struct redis_fake *fake;
    struct text unread;
};

struct redis_fake {
    /* What to answer to a command, given its first word ("EVALSHA"); the empty slice: nothing. */
    struct slice (*answer)(struct redis_fake *fake, struct slice command);
    uv_tcp_t listener;
    int port;
    char url[64];
    struct redis_fake_client *clients[REDIS_FAKE_CLIENTS_MAX];
    size_t connections, commands, reads;
    bool closing;
};

void redis_fake_start(struct redis_fake *fake, uv_loop_t *loop);
void redis_fake_send(struct redis_fake *fake, struct slice bytes); /* to whoever is connected, unasked */
void redis_fake_hang_up(struct redis_fake *fake);                  /* on every client */
void redis_fake_stop(struct redis_fake *fake);                     /* the loop must run once more */

#endif
