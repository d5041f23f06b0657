/* The usual process_* metrics, from /proc. What cannot be read is absent. */
#ifndef JOBHOOK_CONSUMER_HTTP_PROCESS_H
#define JOBHOOK_CONSUMER_HTTP_PROCESS_H

#include "consumer/base/text.h"

void process_write(struct text *text);

#endif
