/* Whether libcurl would go where our parser says that a URL leads: what was judged must be what is dialled. */
#ifndef JOBHOOK_DELIVERY_POST_URL_H
#define JOBHOOK_DELIVERY_POST_URL_H

#include "delivery/guard.h"

enum post_url {
    POST_URL_AGREED,
    POST_URL_DISAGREED, /* for good: the URL is refused */
    POST_URL_NO_MEMORY, /* cannot be told now: no reason to refuse it */
};

enum post_url post_url_judge(const char *text, const struct url *url);

#endif
