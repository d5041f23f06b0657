#include "dedupe/pointers.h"

#include "consumer/base/list.h"
#include "consumer/base/memory.h"
#include "dedupe/record.h"
#include "dedupe/scripts.h"

#include <stdlib.h>

enum { KEY_BYTES_MAX = 4096, TTL_BYTES = 24 };

struct pointers {
    struct redis *redis;
    struct text key; /* prefix and task id; only the prefix stays */
    size_t prefix_length;
    struct text ttl;
    struct list open;
};

struct put { /* one that Redis has not answered yet */
    struct link link;
    struct pointers *pointers;
    pointer_done *done;
    void *context;
};

static void replied(void *context, enum redis_state state, const struct redis_reply_array *reply)
{
    struct put *put = context;
    enum pointer_result result = POINTER_AWAY;
    pointer_done *done = put->done;
    void *whose = put->context;
    if (state == REDIS_REPLY && reply->count == 1 && reply->items[0].is_integer)
        result = reply->items[0].integer == 1 ? POINTER_WRITTEN : POINTER_KNOWN;
    list_remove(&put->pointers->open, &put->link);
    free(put);
    done(whose, result);
}

struct pointers *pointers_create(struct redis *redis, const char *prefix, uint64_t ttl_ms)
{
    struct pointers *pointers = memory_create(sizeof(*pointers));
    pointers->redis = redis;
    list_init(&pointers->open);
    text_init(&pointers->ttl, TTL_BYTES);
    text_append_u64(&pointers->ttl, ttl_ms);
    text_init(&pointers->key, KEY_BYTES_MAX);
    text_append_string(&pointers->key, prefix);
    pointers->prefix_length = pointers->key.length;
    return pointers;
}

void pointers_destroy(struct pointers *pointers)
{
    if (pointers == NULL)
        return;
    LIST_EACH (&pointers->open, link) {
        struct put *put = container_of(link, struct put, link);
        redis_forget(pointers->redis, replied, put);
        list_remove(&pointers->open, link);
        free(put);
    }
    text_finish(&pointers->key);
    text_finish(&pointers->ttl);
    free(pointers);
}

void pointers_put(struct pointers *pointers, const struct pointer *pointer, pointer_done *done, void *context)
{
    char bytes[RECORD_BYTES_MAX];
    const struct record record = { .digest = pointer->digest, .partition = pointer->partition, .offset = pointer->offset };
    const struct slice arguments[] = { { bytes, record_pack(&record, bytes) }, text_slice(&pointers->ttl) };
    struct put *put = memory_create(sizeof(*put));
    *put = (struct put){ .pointers = pointers, .done = done, .context = context };
    list_append(&pointers->open, &put->link);
    pointers->key.length = pointers->prefix_length;
    text_append(&pointers->key, pointer->task_id);
    redis_eval(pointers->redis, &script_point, text_slice(&pointers->key), arguments, COUNT_OF(arguments), replied, put);
}
