/* The content of a small file, as a setting takes it. It may be a secret: every copy made here is wiped. */
#ifndef JOBHOOK_CONSUMER_CONTENT_H
#define JOBHOOK_CONSUMER_CONTENT_H

#include "consumer/base/text.h"

enum { CONTENT_BYTES_MAX = 1024 * 1024 };

/* What the file holds, without one newline at its end: text, NUL-terminated, for content_destroy. NULL when it cannot be had: `problem` says why. */
char *content_read(const char *path, struct text *problem);
void content_destroy(char *content); /* wipes it; takes NULL */

#endif
