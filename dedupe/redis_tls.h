/* TLS for rediss://, where the installed hiredis has it (1.0 or later); elsewhere every function says no. */
#ifndef JOBHOOK_DEDUPE_REDIS_TLS_H
#define JOBHOOK_DEDUPE_REDIS_TLS_H

#include "consumer/base/check.h"

#include <stdbool.h>

struct redisContext;
struct ssl_st;

/* Puts TLS on a connected context: certificates are verified against `ca_file` (NULL: the system's store), the name against `host`. Reads the
 * store each time, so that a mended file helps at the next connection. NULL: `*problem` says why. The context owns what is returned. */
MUST_USE struct ssl_st *redis_tls_start(struct redisContext *context, const char *host, const char *ca_file, const char **problem);
/* What TLS waits for is room to write, whatever was asked of it. */
bool redis_tls_wants_write(const struct ssl_st *session);
/* Why the other side's certificate was refused; NULL when it was not. */
const char *redis_tls_refusal(const struct ssl_st *session);

#endif
