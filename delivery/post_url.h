/* Whether libcurl would go where our parser says that a URL leads: what was judged must be what is dialled. */
#ifndef JOBHOOK_DELIVERY_POST_URL_H
#define JOBHOOK_DELIVERY_POST_URL_H

#include "delivery/guard.h"

enum post_url {
    POST_URL_AGREED,
    POST_URL_DISAGREED, /* for good: the URL is refused */
    POST_URL_NO_MEMORY, /* cannot be told now: no reason to refuse it */
};

struct Curl_URL; /* libcurl's CURLU */

/* What libcurl is to be given, so that it does not parse the text again for each request; the caller frees it by curl_url_cleanup. NULL unless the
 * agreement is POST_URL_AGREED. */
struct Curl_URL *post_url_parse(const char *text, const struct url *url, enum post_url *agreement);

#endif
