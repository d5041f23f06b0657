#include "delivery/tls_chain.h"

#include <string.h>

enum { HEAD = 4, LIST_LENGTH = 3, CERTIFICATE_LENGTH = 3, EXTENSIONS_LENGTH = 2 };

/* How a curve of one's own begins: prime-field and characteristic-two-field of X9.62, as the bytes of an object identifier. What is before them, its
 * type and length, can be written in several ways, all of which OpenSSL reads. */
static const char fields[][7] = {
    { 0x2a, (char)0x86, 0x48, (char)0xce, 0x3d, 1, 1 },
    { 0x2a, (char)0x86, 0x48, (char)0xce, 0x3d, 1, 2 },
};

static bool describes_a_curve(struct slice message)
{
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if (memmem(message.start, message.length, fields[i], sizeof(fields[i])) != NULL)
            return true;
    return false;
}

/* The number of so many bytes at `at`; 0 beyond the end. */
static size_t number_at(struct slice message, size_t at, size_t bytes)
{
    size_t number = 0;
    if (at + bytes > message.length)
        return 0;
    for (size_t i = 0; i < bytes; i++)
        number = number * 256 + (unsigned char)message.start[at + i];
    return number;
}

static size_t count_certificates(struct slice message, bool tls13)
{
    size_t count = 0, at = HEAD + (tls13 ? 1 + number_at(message, HEAD, 1) : 0) + LIST_LENGTH;
    for (; at + CERTIFICATE_LENGTH <= message.length; count++) {
        at += CERTIFICATE_LENGTH + number_at(message, at, CERTIFICATE_LENGTH);
        if (tls13)
            at += EXTENSIONS_LENGTH + number_at(message, at, EXTENSIONS_LENGTH);
    }
    return count;
}

bool tls_chain_may_be_read(struct slice message, bool tls13)
{
    return count_certificates(message, tls13) <= TLS_CHAIN_MAX && !describes_a_curve(message);
}

bool tls_chain_may_be_asked_for(struct slice request)
{
    enum { CONTEXT_LENGTH = 1, EXTENSION_HEAD = 4, SIGNATURE_ALGORITHMS = 13, SIGNATURE_ALGORITHMS_CERT = 50, EACH = 2 };
    size_t at = HEAD + CONTEXT_LENGTH + number_at(request, HEAD, CONTEXT_LENGTH) + EXTENSIONS_LENGTH;
    while (at + EXTENSION_HEAD <= request.length) {
        size_t type = number_at(request, at, 2), length = number_at(request, at + 2, 2);
        bool algorithms = type == SIGNATURE_ALGORITHMS || type == SIGNATURE_ALGORITHMS_CERT;
        if (algorithms && length > TLS_CHAIN_ALGORITHMS_MAX * EACH)
            return false;
        at += EXTENSION_HEAD + length;
    }
    return true;
}
