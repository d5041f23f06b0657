/* The wire to Redis: one connection at a time on the event loop, to whichever of the host's addresses takes it.
 *
 * The name is looked up in libuv's threads, so that it never blocks the loop. What is sent during a turn of the loop goes out in one write when
 * redis_wire_flush is called. Between redis_wire_open and the end of that connection exactly one of these happens: redis_wire_close by the owner,
 * or `lost`. The wire knows RESP's framing but no command; whose answer it is, is the owner's to know. */
#ifndef JOBHOOK_DEDUPE_REDIS_WIRE_H
#define JOBHOOK_DEDUPE_REDIS_WIRE_H

#include "dedupe/redis_reply.h"

struct redis_wire;

struct redis_wire_options {
    struct uv_loop_s *loop;
    const struct redis_address *address;
    uint64_t connect_timeout_ms; /* for each address */
};

struct redis_wire_events { /* the owner may close or destroy the wire in any of them */
    void (*opened)(void *owner);
    void (*answered)(void *owner, const struct redis_reply *reply);
    void (*lost)(void *owner, const char *why); /* `why` is valid during the call */
};

struct redis_wire *redis_wire_create(const struct redis_wire_options *options, const struct redis_wire_events *events, void *owner);
void redis_wire_destroy(struct redis_wire *wire); /* its memory goes in a later turn of the loop */
void redis_wire_open(struct redis_wire *wire);    /* may call `lost` before it returns */
void redis_wire_close(struct redis_wire *wire);   /* at once, without an event */
void redis_wire_send(struct redis_wire *wire, struct slice bytes);
void redis_wire_flush(struct redis_wire *wire);
void redis_wire_read(struct redis_wire *wire); /* what has arrived already, without waiting for the loop to say so */

#endif
