/* The socket that an HTTP server listens on. */
#ifndef JOBHOOK_CONSUMER_HTTP_LISTENER_H
#define JOBHOOK_CONSUMER_HTTP_LISTENER_H

#include "consumer/settings.h"

#include <stdint.h>

/* A socket that does not block, owned by the caller, and the port: the one listened on, also when 0 was asked for. -1: errno says why not. */
int listener_open(const struct listen_address *listen, uint16_t *port);

#endif
