/* Moments as certificates write them. OpenSSL stays inside. */
#ifndef JOBHOOK_DELIVERY_TLS_MOMENT_H
#define JOBHOOK_DELIVERY_TLS_MOMENT_H

#include "consumer/base/check.h"

#include <stdbool.h>
#include <stdint.h>

/* Seconds since 1970 of an ASN1_TIME; false when it is none. */
MUST_USE bool tls_moment_read(const void *time, int64_t *seconds);

#endif
