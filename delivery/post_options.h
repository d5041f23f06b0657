/* What libcurl is told once about a post, when it is made: what it may do, and what it must not. Private to post.c. */
#ifndef JOBHOOK_DELIVERY_POST_OPTIONS_H
#define JOBHOOK_DELIVERY_POST_OPTIONS_H

#include <stdbool.h>

struct post_shared;

/* `easy` is a CURL. */
void post_options_set(void *easy, const struct post_shared *shared);
/* Whether the next receivers by TLS are offered it. */
void post_options_set_http2(void *easy, bool http2);
/* How much is read at once of what the next receivers say, and whether they are looked at again when nothing happens: by TLS or without. */
void post_options_set_https(void *easy, bool https);
/* Nothing is sent to the next receiver. */
void post_options_set_connect_only(void *easy, bool only);
/* The next receiver may have addresses of both kinds: those of the second are tried, too, when the first are silent for a while. libcurl then looks at
 * all transfers of a lane that began together in one call, handshakes and all, so nobody else has it so. */
void post_options_set_kinds(void *easy, bool both);

#endif
