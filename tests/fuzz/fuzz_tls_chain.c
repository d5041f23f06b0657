/* Any bytes as TLS's message with the certificates, and as the one that asks for ours: read within its bounds, and what is refused is refused whatever
 * follows. */
#include "delivery/tls_chain.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHAIN_12, CHAIN_13, REQUEST, KINDS };

static bool may_be_read(const uint8_t *data, size_t size, int kind)
{
    char *copy = malloc(size + 1); /* the sanitizer sees a byte too many */
    memcpy(copy, data, size);
    struct slice message = { copy, size };
    bool may = kind == REQUEST ? tls_chain_may_be_asked_for(message) : tls_chain_may_be_read(message, kind == CHAIN_13);
    free(copy);
    return may;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t cut = (size_t)(data[0] * 256 + data[1]) % size;
    for (int kind = 0; kind < KINDS; kind++)
        assert(may_be_read(data, cut, kind) || !may_be_read(data, size, kind));
    return 0;
}
