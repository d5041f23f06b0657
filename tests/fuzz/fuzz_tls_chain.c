/* Any bytes as TLS's message with the certificates: read within its bounds, and what is refused is refused whatever follows. */
#include "delivery/tls_chain.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool may_be_read(const uint8_t *data, size_t size, bool tls13)
{
    char *copy = malloc(size + 1); /* the sanitizer sees a byte too many */
    memcpy(copy, data, size);
    bool may = tls_chain_may_be_read((struct slice){ copy, size }, tls13);
    free(copy);
    return may;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t cut = (size_t)(data[0] * 256 + data[1]) % size;
    for (int tls13 = 0; tls13 < 2; tls13++)
        assert(may_be_read(data, cut, tls13) || !may_be_read(data, size, tls13));
    return 0;
}
