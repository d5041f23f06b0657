#include "dedupe/lookup.h"

#include "consumer/base/list.h"
#include "consumer/base/memory.h"
#include "dedupe/scripts.h"

#include <stdlib.h>

enum { KEY_BYTES_MAX = 4096, ANSWER_ITEMS = 4, FOUND = 1 };

struct lookups {
    struct redis *redis;
    struct text key; /* prefix and task id; only the prefix stays */
    size_t prefix_length;
    struct list open;
};

struct lookup { /* one question that Redis has not answered yet */
    struct link link;
    struct lookups *lookups;
    lookup_done *done;
    void *context;
};

static struct lookup_answer understand(const struct redis_reply_array *reply)
{
    struct lookup_answer answer = { .result = LOOKUP_AWAY };
    if (reply->count != ANSWER_ITEMS || !reply->items[0].is_integer || !reply->items[1].is_integer || !reply->items[3].is_integer)
        return answer;
    answer.now_ms = reply->items[0].integer;
    answer.kept_ms = reply->items[3].integer > 0 ? (uint64_t)reply->items[3].integer : 0;
    if (reply->items[1].integer == 0)
        answer.result = LOOKUP_NOTHING;
    else if (reply->items[1].integer == FOUND && record_unpack(reply->items[2].string, &answer.record))
        answer.result = LOOKUP_FOUND;
    else
        answer.result = LOOKUP_UNREADABLE;
    return answer;
}

static void replied(void *context, enum redis_state state, const struct redis_reply_array *reply)
{
    struct lookup *lookup = context;
    struct lookup_answer answer = { .result = LOOKUP_AWAY };
    lookup_done *done = lookup->done;
    void *whose = lookup->context;
    if (state == REDIS_REPLY)
        answer = understand(reply);
    list_remove(&lookup->lookups->open, &lookup->link);
    free(lookup);
    done(whose, &answer);
}

struct lookups *lookups_create(struct redis *redis, const char *prefix)
{
    struct lookups *lookups = memory_create(sizeof(*lookups));
    lookups->redis = redis;
    list_init(&lookups->open);
    text_init(&lookups->key, KEY_BYTES_MAX);
    text_append_string(&lookups->key, prefix);
    lookups->prefix_length = lookups->key.length;
    return lookups;
}

void lookups_destroy(struct lookups *lookups)
{
    if (lookups == NULL)
        return;
    LIST_EACH (&lookups->open, link) {
        struct lookup *lookup = container_of(link, struct lookup, link);
        redis_forget(lookups->redis, replied, lookup);
        list_remove(&lookups->open, link);
        free(lookup);
    }
    text_finish(&lookups->key);
    free(lookups);
}

void lookups_find(struct lookups *lookups, struct slice task_id, lookup_done *done, void *context)
{
    struct lookup *lookup = memory_create(sizeof(*lookup));
    *lookup = (struct lookup){ .lookups = lookups, .done = done, .context = context };
    list_append(&lookups->open, &lookup->link);
    lookups->key.length = lookups->prefix_length;
    lookups->key.overflowed = false;
    text_append(&lookups->key, task_id); /* what does not fit is no task's id: the bare prefix is nobody's key */
    redis_eval(lookups->redis, &script_look, text_slice(&lookups->key), NULL, 0, replied, lookup);
}
