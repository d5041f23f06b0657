/* GET over plain HTTP from a copy of jobhook (host:port, an operator's own): one request, one deadline, a bound on the answer. Blocks. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_FETCH_H
#define JOBHOOK_CONSUMER_COMMANDS_FETCH_H

#include "consumer/base/text.h"

struct fetch {
    const char *address; /* "127.0.0.1:8080", "[::1]:8080", "host:8080" */
    const char *path;
    const char *token; /* Authorization: Bearer …; NULL: none */
    int timeout_ms;
};

/* Appends the body of a 200 to `body`. On false `problem` has a sentence. */
MUST_USE bool fetch_get(const struct fetch *fetch, struct text *body, char *problem, size_t size);

#endif
