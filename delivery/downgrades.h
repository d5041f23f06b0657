/* Origins that are sent HTTP/1.1 although we offer HTTP/2, because with them an answer does not get through.
 *
 * A receiver may end a stream before it has read the request, when it has answered (RFC 9113, 8.1): libcurl 7.88 throws the answer away if the end comes
 * with it. Go's server does so for every handler that does not read the body. And a receiver may ask for HTTP/1.1 (HTTP_1_1_REQUIRED).
 *
 * A table with one place for each hash of an origin, which is to be made with a random key: whoever falls on another's place is sent HTTP/2 again, and
 * found out again. */
#ifndef JOBHOOK_DELIVERY_DOWNGRADES_H
#define JOBHOOK_DELIVERY_DOWNGRADES_H

#include <stdbool.h>
#include <stdint.h>

enum { DOWNGRADES_PLACES = 4096, DOWNGRADES_MS = 3600 * 1000, DOWNGRADES_BAR_MS = 600 * 1000, DOWNGRADES_ASK_MS = 10 * 1000 };

struct downgrades;

struct downgrades *downgrades_create(void);
void downgrades_destroy(struct downgrades *downgrades);

/* For an hour from now on; nothing happens while it is barred. */
void downgrades_add(struct downgrades *downgrades, uint64_t origin_hash, uint64_t now_ms);

/* What is sent now: HTTP/2; or HTTP/1.1, by one request in DOWNGRADES_ASK_MS to find out for the others whether the origin speaks that, by all as TLS has
 * agreed on it, or as one was answered. */
enum downgrade { DOWNGRADE_NONE, DOWNGRADE_ASKS, DOWNGRADE_AGREED, DOWNGRADE_PROVEN };
enum downgrade downgrades_hold(struct downgrades *downgrades, uint64_t origin_hash, uint64_t now_ms);

/* What a request by HTTP/1.1 found, of which it was not proven: TLS agrees on it; */
void downgrades_agree(struct downgrades *downgrades, uint64_t origin_hash);
/* it was answered; */
void downgrades_prove(struct downgrades *downgrades, uint64_t origin_hash, uint64_t now_ms);
/* the origin does not speak it, and gets none for DOWNGRADES_BAR_MS; */
void downgrades_bar(struct downgrades *downgrades, uint64_t origin_hash, uint64_t now_ms);
/* it was lost: likewise, for DOWNGRADES_ASK_MS, and each time for twice as long, up to that; where TLS agreed, the third in a row; */
void downgrades_doubt(struct downgrades *downgrades, uint64_t origin_hash, uint64_t now_ms);
/* nothing, because it did not get there: the next one asks. */
void downgrades_ask_again(struct downgrades *downgrades, uint64_t origin_hash);

#endif
