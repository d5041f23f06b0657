/* A receiver that does to each request what the test says, on a free port of 127.0.0.1. One thread for each connection. */
#ifndef JOBHOOK_TESTS_EDGE_SCRIPTED_RECEIVER_H
#define JOBHOOK_TESTS_EDGE_SCRIPTED_RECEIVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RECEIVER_CONNECTIONS_MAX = 512, RECEIVER_REQUEST_MAX = 2 * 1024 * 1024 };

struct receiver;

struct visit { /* one request, as it came */
    struct receiver *receiver;
    int fd;
    int number;          /* of this request on its connection, from 1 */
    const char *request; /* head and body, NUL-terminated */
    size_t length;
};

/* Answers; false: the connection is closed after it. */
typedef bool script(const struct visit *visit);

struct receiver {
    script *script;
    script *greet; /* called when a connection is accepted, before anything is read; may be NULL */
    uint16_t port;
    atomic_int connections, requests; /* so far */
    atomic_int open;                  /* connections at this moment */
    atomic_bool stopping;
    int listener;
    pthread_t acceptor;
    struct connection {
        struct receiver *receiver;
        pthread_t thread;
        int fd;
    } visitors[RECEIVER_CONNECTIONS_MAX];
    pthread_mutex_t lock; /* of last_request */
    char *last_request;
};

void receiver_start(struct receiver *receiver, script *act);
/* On all of 127.0.0.0/8. */
void receiver_start_anywhere(struct receiver *receiver, script *act);
void receiver_stop(struct receiver *receiver);

/* False when the peer is gone. */
bool say(const struct visit *visit, const char *text);
bool say_bytes(const struct visit *visit, const void *bytes, size_t length);
/* Sleeps; false when the receiver is to stop. */
bool wait_ms(const struct visit *visit, int ms);
/* Closes with a reset instead of an orderly end, once the script returns false. */
void reset_at_close(const struct visit *visit);

#endif
