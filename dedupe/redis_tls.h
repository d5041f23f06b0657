/* TLS for rediss://, where the installed hiredis has it (1.0 or later); elsewhere every function says no. */
#ifndef JOBHOOK_DEDUPE_REDIS_TLS_H
#define JOBHOOK_DEDUPE_REDIS_TLS_H

#include "consumer/base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct redis_address;
struct redisContext;
struct ssl_st;

/* Puts TLS on a connected context: certificates are verified against the address's CA file (NULL: the system's store), the name against its host; its
 * client certificate is shown to a server that asks. Reads the files each time, so that a mended one helps at the next connection. NULL: `why`
 * says why. The context owns what is returned. */
MUST_USE struct ssl_st *redis_tls_start(struct redisContext *context, const struct redis_address *address, char *why, size_t size);
/* Before each read and write: what failed on another connection of this thread, a receiver's, OpenSSL would take for a failure of this one. */
void redis_tls_forget_errors(void);
/* What TLS waits for is room to write, whatever was asked of it. */
bool redis_tls_wants_write(const struct ssl_st *session);
/* After the connection broke: which side refused the other's certificate, why, and what to do; false when neither did. */
bool redis_tls_explain(const struct ssl_st *session, char *why, size_t size);

#endif
