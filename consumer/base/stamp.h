/* What a file looks like from outside: whatever changes when it is written, replaced, or its link pointed elsewhere. Files that may be exchanged while
 * they are in use are looked at now and then, and read again when their stamp is another. */
#ifndef JOBHOOK_BASE_STAMP_H
#define JOBHOOK_BASE_STAMP_H

#include "consumer/base/check.h"

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct stamp { /* all zero: there is no such file */
    mode_t mode;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

/* False with errno set, and *stamp all zero, when it cannot be looked at. Links are followed. */
bool stamp_read(const char *path, struct stamp *stamp);
MUST_USE bool stamp_is_same(const struct stamp *a, const struct stamp *b);
/* What can be read without waiting for somebody to write: no FIFO. */
MUST_USE bool stamp_is_regular(const struct stamp *stamp);
/* Whether there is such a file, and opening it may wait for somebody: it is not regular. */
MUST_USE bool stamp_may_wait(const char *path);

#endif
