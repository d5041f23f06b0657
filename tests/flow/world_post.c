/* Receivers in the world, in place of delivery/lanes.c: every POST is journalled when it reaches its receiver, and answered by chance. */
#include "consumer/base/memory.h"
#include "tests/flow/world.h"

#include <stdlib.h>
#include <string.h>

enum { ATTEMPT_TIMEOUT_MS = 10000 };

struct lanes {
    struct world_worker *worker;
};

struct post {
    struct world_whose whose;
    post_done *done;
    void *context;
    uint32_t account, number, epoch;
    bool silent;
    struct outcome outcome;
};

struct lanes *lanes_fake(struct world_worker *worker)
{
    struct lanes *lanes = memory_create(sizeof(*lanes));
    lanes->worker = worker;
    return lanes;
}

void lanes_destroy(struct lanes *lanes)
{
    free(lanes);
}

struct world_worker *world_worker_of_lanes(const struct lanes *lanes)
{
    return lanes->worker;
}

static uint32_t header_number(const struct request *request, const char *name, uint32_t otherwise)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < request->header_count; i++)
        if (strncmp(request->headers[i], name, length) == 0)
            return (uint32_t)strtoul(request->headers[i] + length, NULL, 10);
    return otherwise;
}

static void answered(void *context)
{
    struct post *post = context;
    post_done *done = post->done;
    void *whom = post->context;
    struct outcome outcome = post->outcome;
    struct world_worker *worker = post->whose.worker;
    free(post);
    done(whom, &outcome);
    world_wake(worker);
}

static const struct outcome failures[] = {
    { .kind = OUTCOME_ANSWERED, .status = 500, .sent = true, .connected = true, .retry_after_s = -1, .detail = "" },
    { .kind = OUTCOME_ANSWERED, .status = 404, .sent = true, .connected = true, .retry_after_s = -1, .detail = "" },
    { .kind = OUTCOME_ANSWERED, .status = 429, .sent = true, .connected = true, .retry_after_s = 2, .detail = "" },
    { .kind = OUTCOME_TIMEOUT, .sent = true, .connected = true, .retry_after_s = -1, .total_ms = ATTEMPT_TIMEOUT_MS, .detail = "" },
    { .kind = OUTCOME_CONNECT_REFUSED, .retry_after_s = -1, .detail = "" },
    { .kind = OUTCOME_CONNECTION_LOST, .sent = true, .connected = true, .retry_after_s = -1, .detail = "" }, /* taken, the answer lost */
};

static void choose_outcome(struct post *post)
{
    if (post->silent)
        post->outcome = failures[3];
    else if (world_chance(world_plan->failing_percent))
        post->outcome = failures[world_random(sizeof failures / sizeof failures[0])];
    else
        post->outcome =
            (struct outcome){ .kind = OUTCOME_ANSWERED, .status = 200, .sent = true, .connected = true, .retry_after_s = -1, .detail = "" };
}

/* Somebody who is asked whether the way out is broken: all of them can be reached. */
static struct post *only_connect(struct post *post)
{
    post->outcome = (struct outcome){ .kind = OUTCOME_BAD_ANSWER, .connected = true, .retry_after_s = -1, .detail = "" };
    world_at(world_random(100), post->whose, answered, post);
    return post;
}

/* The request reaches its receiver, whatever becomes of the sender meanwhile. */
static void reached(void *context)
{
    struct post *post = context;
    if (post->outcome.kind == OUTCOME_ANSWERED && post->outcome.status == 200)
        oracle_answered_2xx(post->account, post->epoch);
    if (post->outcome.kind == OUTCOME_CONNECTION_LOST && world_chance(50))
        oracle_answered_2xx(post->account, post->epoch);
    uint64_t after_ms = post->outcome.kind == OUTCOME_TIMEOUT ? ATTEMPT_TIMEOUT_MS : world_random(100);
    world_at(after_ms, post->whose, answered, post);
}

struct post *lanes_post(struct lanes *lanes, const struct url *url, const struct request *request, post_done *done, void *context)
{
    struct post *post = memory_create(sizeof(*post));
    post->whose = world_whose(lanes->worker);
    post->done = done;
    post->context = context;
    if (request == NULL)
        return only_connect(post);
    post->account = world_account_of(text_slice(&request->body));
    post->number = header_number(request, "jobhook-attempt: ", 0);
    post->epoch = header_number(request, "jobhook-replay: ", 0);
    post->silent = slice_is(url->host, "silent.example.com");
    choose_outcome(post);
    hold_world_note_post(lanes->worker, url);
    oracle_post(post->account, post->epoch, post->number, lanes->worker);
    world_at(world_random(5), NOBODYS, reached, post);
    return post;
}

void lanes_cancel(struct post *post)
{
    (void)post;
}
