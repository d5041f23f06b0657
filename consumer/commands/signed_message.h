/* A signed request as somebody captured it: what `jobhook verify` is given. Pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_SIGNED_MESSAGE_H
#define JOBHOOK_CONSUMER_COMMANDS_SIGNED_MESSAGE_H

#include "consumer/base/text.h"

#include <stdbool.h>

enum signed_field { SIGNED_ID, SIGNED_TIMESTAMP, SIGNED_SIGNATURE, SIGNED_FIELDS };

enum { SIGNED_VALUE_MAX = 4096 };

struct signed_message {
    bool given[SIGNED_FIELDS];
    char values[SIGNED_FIELDS][SIGNED_VALUE_MAX + 1]; /* NUL-terminated */
    bool has_length;
    uint64_t length; /* Content-Length */
    struct slice body;
};

/* One header line, "name: value", onto a zeroed or a begun message; what does not matter here is left out. On false `*problem` is a fixed sentence. */
MUST_USE bool signed_message_add(struct signed_message *message, struct slice line, const char **problem);

/* A whole HTTP/1 request, or only its headers, an empty line and the body; lines may end in LF alone. The body is a slice of `bytes`, as long as
 * Content-Length says where it is given. A chunked body is refused: it is not what was signed. */
MUST_USE bool signed_message_parse(struct signed_message *message, struct slice bytes, const char **problem);

#endif
