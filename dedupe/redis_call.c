#include "dedupe/redis_call.h"

#include "consumer/base/memory.h"
#include "consumer/base/text.h"
#include "dedupe/scripts.h"

#include <stdlib.h>
#include <string.h>

enum {
    SPARE_MAX = 1024,          /* calls kept for later */
    SPARE_BYTES_MAX = 4 * 512, /* of one kept call's command */
    WORD_FRAME_BYTES = 24,     /* "$", a length, two line ends */
};

void redis_calls_init(struct redis_calls *calls)
{
    list_init(&calls->spare);
}

static void free_call(struct redis_call *call)
{
    free(call->command);
    free(call);
}

void redis_calls_finish(struct redis_calls *calls)
{
    struct link *link = NULL;
    while ((link = list_take(&calls->spare)) != NULL)
        free_call(container_of(link, struct redis_call, link));
}

struct redis_call *redis_calls_take(struct redis_calls *calls, redis_call_answered *answered)
{
    struct link *link = list_take(&calls->spare);
    struct redis_call *call = link == NULL ? memory_create(sizeof *call) : container_of(link, struct redis_call, link);
    *call = (struct redis_call){ .answered = answered, .capacity = call->capacity, .command = call->command };
    return call;
}

void redis_calls_give_back(struct redis_calls *calls, struct redis_call *call)
{
    if (calls->spare.length >= SPARE_MAX || call->capacity > SPARE_BYTES_MAX)
        free_call(call);
    else
        list_append(&calls->spare, &call->link);
}

static void make_room(struct redis_call *call, size_t bytes)
{
    if (call->capacity - call->length >= bytes)
        return;
    size_t capacity = call->capacity == 0 ? 512 : call->capacity;
    while (capacity - call->length < bytes)
        capacity *= 2;
    call->command = memory_resize(call->command, capacity);
    call->capacity = capacity;
}

/* "*12\r\n" or "$12\r\n" */
static void write_count(struct redis_call *call, char sign, size_t count)
{
    call->command[call->length++] = sign;
    call->length += text_write_u64(call->command + call->length, count);
    call->command[call->length++] = '\r';
    call->command[call->length++] = '\n';
}

static void write_word(struct redis_call *call, struct slice word)
{
    write_count(call, '$', word.length);
    if (word.length > 0)
        memcpy(call->command + call->length, word.start, word.length);
    call->length += word.length;
    call->command[call->length++] = '\r';
    call->command[call->length++] = '\n';
}

static size_t bytes_needed(const struct slice *words, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += words[i].length + WORD_FRAME_BYTES;
    return bytes;
}

void redis_call_write(struct redis_call *call, const struct slice *words, size_t count)
{
    call->length = 0;
    make_room(call, WORD_FRAME_BYTES + bytes_needed(words, count));
    write_count(call, '*', count);
    for (size_t i = 0; i < count; i++)
        write_word(call, words[i]);
}

void redis_call_write_script(struct redis_call *call, struct slice key, const struct slice *arguments, size_t count)
{
    static const struct slice evalsha = { "EVALSHA", 7 }, one_key = { "1", 1 };
    struct slice head[] = { evalsha, { call->script->sha1, 40 }, one_key, key };
    call->length = 0;
    make_room(call, WORD_FRAME_BYTES + bytes_needed(head, COUNT_OF(head)) + bytes_needed(arguments, count));
    write_count(call, '*', COUNT_OF(head) + count);
    for (size_t i = 0; i < COUNT_OF(head); i++)
        write_word(call, head[i]);
    call->key_at = call->length - 2 - key.length;
    call->key_length = key.length;
    for (size_t i = 0; i < count; i++)
        write_word(call, arguments[i]);
}

struct slice redis_call_key(const struct redis_call *call)
{
    return (struct slice){ call->command + call->key_at, call->key_length };
}
