/* What Redis answered, read without allocating: hiredis's reader fills one fixed structure through its object functions.
 *
 * The server is not trusted: an answer that is larger than any that jobhook asks for is an error of the stream, never memory. */
#ifndef JOBHOOK_DEDUPE_REDIS_REPLY_H
#define JOBHOOK_DEDUPE_REDIS_REPLY_H

#include "dedupe/redis.h"

enum {
    REDIS_REPLY_BYTES_MAX = 64 * 1024,   /* all strings of one answer; INFO takes about 6 KB */
    REDIS_UNREAD_BYTES_MAX = 128 * 1024, /* of an answer that is not complete yet */
};

enum redis_reply_kind { REDIS_REPLY_VALUES, REDIS_REPLY_FAILURE };

struct redis_reply {
    enum redis_reply_kind kind;
    struct redis_reply_array values; /* a lone value is an array of one, nil an empty array; of a failure: its text */
    size_t used;
    char bytes[REDIS_REPLY_BYTES_MAX]; /* where the strings of `values` lie */
};

struct redisReader;
/* From now on the reader fills `reply`, which must outlive it. */
void redis_reply_attach(struct redis_reply *reply, struct redisReader *reader);
/* 1: `reply` holds the next answer until the next call; 0: not complete yet; -1: the stream is no Redis's, or an answer is too large. */
MUST_USE int redis_reply_next(struct redisReader *reader);

#endif
