/* A name server that says what the test says, over UDP on a free port of 127.0.0.1. TCP is refused there. */
#ifndef JOBHOOK_TESTS_EDGE_SCRIPTED_DNS_H
#define JOBHOOK_TESTS_EDGE_SCRIPTED_DNS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { DNS_A = 1, DNS_AAAA = 28, DNS_ADDRESSES_MAX = 100 };
enum { DNS_NO_ERROR = 0, DNS_NOT_UNDERSTOOD = 1, DNS_SERVER_FAILED = 2, DNS_NO_SUCH_NAME = 3, DNS_NOT_IMPLEMENTED = 4 };

struct dns_answer {
    size_t bytes_max; /* said by the question: 512, or more by EDNS. What does not fit is cut off */
    bool silent;
    bool malformed; /* promises records that are not there */
    int rcode;
    uint32_t ttl_s;
    int count;
    const char *addresses[DNS_ADDRESSES_MAX]; /* of the type that was asked for */
};

/* `name` is lower case, without the dot at its end. */
typedef void dns_script(const char *name, int type, struct dns_answer *answer);

struct dns_server {
    dns_script *script;
    int fd;
    uint16_t port;
    char address[32];                  /* "127.0.0.1:port" */
    atomic_int queries, large_queries; /* these with EDNS */
    atomic_int ports;                  /* that they came from, each counted again when another was between */
    uint16_t last_port;
    atomic_bool stopping;
    pthread_t thread;
};

void dns_start(struct dns_server *server, dns_script *script);
void dns_stop(struct dns_server *server);

#endif
