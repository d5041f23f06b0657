#include "dedupe/redis_reply.h"

#include <hiredis/hiredis.h>
#include <string.h>

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

/* Where the value of this task goes: NULL when there is no room for it, which hiredis takes for an error of the stream. */
static void *place_value(const redisReadTask *task, bool is_integer, int64_t integer, struct slice string)
{
    struct redis_reply *reply = task->privdata;
    size_t at = task->parent == NULL ? 0 : (size_t)task->idx;
    if (at >= COUNT_OF(reply->values.items))
        return NULL;
    if (task->parent == NULL)
        reply->used = 0;
    if (string.length > sizeof reply->bytes - reply->used)
        return NULL;
    char *copy = reply->bytes + reply->used;
    if (string.length > 0)
        memcpy(copy, string.start, string.length);
    reply->used += string.length;
    reply->values.items[at].is_integer = is_integer;
    reply->values.items[at].integer = integer;
    reply->values.items[at].string = (struct slice){ copy, string.length };
    if (task->parent == NULL) {
        reply->kind = task->type == REDIS_REPLY_ERROR ? REDIS_REPLY_FAILURE : REDIS_REPLY_VALUES;
        reply->values.count = 1;
    }
    return reply;
}

static void *create_string(const redisReadTask *task, char *start, size_t length)
{
    return place_value(task, false, 0, (struct slice){ start, length });
}

static void *create_integer(const redisReadTask *task, long long value)
{
    return place_value(task, true, value, SLICE(""));
}

static void *create_array(const redisReadTask *task, element_count count)
{
    struct redis_reply *reply = task->privdata;
    bool nested = task->parent != NULL;
    if (nested || task->type != REDIS_REPLY_ARRAY || (size_t)count > COUNT_OF(reply->values.items))
        return NULL;
    reply->kind = REDIS_REPLY_VALUES;
    reply->values.count = (size_t)count;
    reply->used = 0;
    return reply;
}

static void *create_nil(const redisReadTask *task)
{
    void *reply = place_value(task, false, 0, SLICE(""));
    if (reply != NULL && task->parent == NULL)
        ((struct redis_reply *)reply)->values.count = 0;
    return reply;
}

static void keep_object(void *object)
{
    (void)object; /* the structure is ours */
}

#if HIREDIS_MAJOR >= 1
/* RESP3 is never asked for: these are refused. */
static void *refuse_double(const redisReadTask *task, double value, char *start, size_t length)
{
    (void)task, (void)value, (void)start, (void)length;
    return NULL;
}

static void *refuse_bool(const redisReadTask *task, int value)
{
    (void)task, (void)value;
    return NULL;
}
#endif

static redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
    .freeObject = keep_object,
#if HIREDIS_MAJOR >= 1
    .createDouble = refuse_double,
    .createBool = refuse_bool,
#endif
};

void redis_reply_attach(struct redis_reply *reply, struct redisReader *reader)
{
    reader->fn = &functions;
    reader->privdata = reply;
}

int redis_reply_next(struct redisReader *reader)
{
    void *reply = NULL;
    if (redisReaderGetReply(reader, &reply) != REDIS_OK)
        return -1;
    if (reply != NULL)
        return 1;
    return reader->len - reader->pos > REDIS_UNREAD_BYTES_MAX ? -1 : 0;
}
