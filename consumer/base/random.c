#include "consumer/base/random.h"

#include "consumer/base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* One system call serves many tokens. jobhook never forks, so no two processes share a buffer. */
enum { BUFFER_BYTES = 256 }; /* getrandom never returns less than asked for up to this size */

static _Thread_local unsigned char buffer[BUFFER_BYTES];
static _Thread_local size_t unused;

static void refill(void)
{
    ssize_t count;
    do {
        count = getrandom(buffer, sizeof(buffer), 0);
    } while (count < 0 && errno == EINTR);
    assert(count == BUFFER_BYTES);
    unused = BUFFER_BYTES;
}

void random_bytes(void *bytes, size_t count)
{
    unsigned char *to = bytes;
    while (count > 0) {
        if (unused == 0)
            refill();
        size_t part = count < unused ? count : unused;
        unsigned char *from = buffer + unused - part;
        memcpy(to, from, part);
        memset(from, 0, part); /* a token that was handed out is not kept here */
        unused -= part;
        to += part;
        count -= part;
    }
}

uint64_t random_below(uint64_t limit)
{
    assert(limit > 0);
    /* Numbers from the incomplete last multiple of `limit` would make small results more likely: draw again. */
    uint64_t refused = (UINT64_MAX - limit + 1) % limit;
    uint64_t number;
    do {
        random_bytes(&number, sizeof(number));
    } while (number > UINT64_MAX - refused);
    return number % limit;
}
