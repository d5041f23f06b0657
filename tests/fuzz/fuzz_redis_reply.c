/* Any bytes as what Redis answers, in pieces of any size: no answer is larger than its structure, every string lies inside it, an error and an INFO
 * are judged within their bytes, and a claim that gets such an answer ends with a result that exists. */
#include "consumer/base/clock.h"
#include "dedupe/claims.h"
#include "dedupe/redis_judge.h"
#include "dedupe/redis_reply.h"
#include "dedupe/scripts.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The connection (dedupe/redis.c) is replaced: a question waits here for the answer that the fuzzer gives. */
static redis_done *asked;
static void *asker;
static const struct redis_stats no_stats;
const struct redis_script script_claim, script_fail, script_settle, script_defer, script_release;

void redis_eval(struct redis *redis, const struct redis_script *script, struct slice key, const struct slice *arguments, size_t count,
                redis_done *done, void *context)
{
    (void)redis, (void)script, (void)key, (void)arguments, (void)count;
    asked = done;
    asker = context;
}

void redis_forget(struct redis *redis, redis_done *done, const void *context)
{
    (void)redis, (void)done, (void)context;
}

uint64_t redis_away_since_ms(const struct redis *redis)
{
    (void)redis;
    return 0;
}

const struct redis_stats *redis_stats(const struct redis *redis)
{
    (void)redis;
    return &no_stats;
}

static void expect_inside(struct slice part, const char *start, size_t length)
{
    assert(part.length == 0 || (part.start >= start && part.length <= length && part.start + part.length <= start + length));
}

static void on_claimed(void *context, const struct claims_answer *answer)
{
    bool *answered = context;
    assert(answer->result <= CLAIMS_FOREIGN);
    assert(answer->busy_ms == 0 || answer->result == CLAIMS_BUSY);
    *answered = true;
}

static void answer_a_claim(const struct redis_reply *reply)
{
    static struct claims *claims;
    static const struct claims_options options = { .prefix = "p:", .lease_ms = 20000, .state_ttl_ms = 1000 };
    const struct claim claim = { .task_id = SLICE("t"), .attempt = 1 };
    bool answered = false;
    if (claims == NULL)
        claims = claims_create(NULL, &options);
    claims_claim(claims, &claim, on_claimed, &answered);
    asked(asker, REDIS_REPLY, &reply->values);
    assert(answered);
    (void)claims_now_ms(claims);
}

static void judge(struct slice text)
{
    struct redis_error error = redis_judge_error(text);
    struct redis_info info = redis_judge_info(text);
    assert(error.meaning != REDIS_MEANS_REFUSED || error.cure != NULL);
    expect_inside(info.version, text.start, text.length);
    expect_inside(info.policy, text.start, text.length);
}

static void take(const struct redis_reply *reply)
{
    assert(reply->values.count <= COUNT_OF(reply->values.items) && reply->used <= sizeof(reply->bytes));
    for (size_t i = 0; i < reply->values.count; i++) {
        struct slice string = reply->values.items[i].string;
        expect_inside(string, reply->bytes, reply->used);
        judge(string);
    }
    if (reply->kind == REDIS_REPLY_FAILURE)
        assert(reply->values.count == 1);
    else
        answer_a_claim(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct redis_reply reply;
    redisReader *reader = redisReaderCreate();
    redis_reply_attach(&reply, reader);
    size_t piece = size == 0 ? 1 : 1 + data[size - 1] % 64;
    int result = 0;
    for (size_t at = 0; at < size && result >= 0; at += piece) {
        int fed = redisReaderFeed(reader, (const char *)data + at, size - at < piece ? size - at : piece);
        assert(fed == REDIS_OK);
        while ((result = redis_reply_next(reader)) == 1)
            take(&reply);
    }
    redisReaderFree(reader);
    return 0;
}
