/* The Retry-After header of an answer (RFC 9110 §10.2.3): seconds, or a date in one of the three forms of RFC 9110 §5.6.7. Pure. */
#ifndef JOBHOOK_DELIVERY_RETRY_AFTER_H
#define JOBHOOK_DELIVERY_RETRY_AFTER_H

#include "consumer/base/text.h"

#include <stdint.h>

enum { RETRY_AFTER_MAX_S = 7 * 24 * 3600 }; /* longer waits are taken as this one */

/* Seconds from `now_s` (unix time), 0 … RETRY_AFTER_MAX_S; 0 for a date that is past; −1 when the value is malformed. */
int32_t retry_after_parse(struct slice value, int64_t now_s);

#endif
