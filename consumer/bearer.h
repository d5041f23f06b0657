/* Bearer tokens (RFC 6750): which requests may ask. Pure.
 *
 * Several at once, so that they can be exchanged without a gap. How long a comparison takes tells nothing about what a token holds or which one it
 * was. */
#ifndef JOBHOOK_CONSUMER_BEARER_H
#define JOBHOOK_CONSUMER_BEARER_H

#include "consumer/base/text.h"

enum { BEARER_TOKENS_MAX = 8, BEARER_BYTES_MIN = 32, BEARER_BYTES_MAX = 256 };

struct bearer_token {
    size_t length;
    char bytes[BEARER_BYTES_MAX];
};

struct bearer_tokens {
    size_t count;
    struct bearer_token tokens[BEARER_TOKENS_MAX];
};

/* Separated by white space. On false `problem` is a sentence that says which one is wrong, and reveals nothing of it; `tokens` is empty then. */
MUST_USE bool bearer_parse(struct slice text, struct bearer_tokens *tokens, struct text *problem);
void bearer_wipe(struct bearer_tokens *tokens);
/* `authorization`: the header's value, "Bearer …"; NULL: there is none. */
bool bearer_allows(const struct bearer_tokens *tokens, const char *authorization);

#endif
