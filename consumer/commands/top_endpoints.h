/* The worst endpoints of all copies, from their /endpoints pages. Pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_TOP_ENDPOINTS_H
#define JOBHOOK_CONSUMER_COMMANDS_TOP_ENDPOINTS_H

#include "consumer/base/text.h"

enum { TOP_ENDPOINTS_SHOWN = 10, TOP_ENDPOINTS_MAX = 64 * 64 };

/* Appends a heading and the worst, each line cut at `columns` (0: not at all). `pages`: tab-separated, as consumer/http/endpoints.h has it, one after another. */
void top_endpoints_append(struct slice pages, size_t columns, struct text *text);

#endif
