/* What libcurl is told once about a post, when it is made: what it may do, and what it must not. Private to post.c. */
#ifndef JOBHOOK_DELIVERY_POST_OPTIONS_H
#define JOBHOOK_DELIVERY_POST_OPTIONS_H

struct post_shared;

/* `easy` is a CURL. */
void post_options_set(void *easy, const struct post_shared *shared);

#endif
