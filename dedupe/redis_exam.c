#include "dedupe/redis_exam.h"

#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "dedupe/redis_call.h"
#include "dedupe/redis_judge.h"
#include "dedupe/redis_wire.h"
#include "dedupe/scripts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct visit {
    const struct redis_address *address;
    struct slice key;
    struct redis_exam *exam;
    struct redis_wire *wire;
    struct redis_calls calls;
    uv_loop_t loop;
    uv_timer_t deadline;
    size_t step;
    uint64_t asked_us;
    int64_t asked_wall_ms;
};

static void end(struct visit *visit, const char *why, const char *cure)
{
    if (why != NULL) {
        snprintf(visit->exam->why, sizeof visit->exam->why, "%s", why);
        visit->exam->cure = cure;
    }
    uv_stop(&visit->loop);
}

static void send_words(struct visit *visit, const struct slice *words, size_t count)
{
    struct redis_call *call = redis_calls_take(&visit->calls, NULL);
    redis_call_write(call, words, count);
    redis_wire_send(visit->wire, (struct slice){ call->command, call->length });
    redis_wire_flush(visit->wire);
    redis_calls_give_back(&visit->calls, call);
}

static struct slice text_of(const struct redis_reply *reply)
{
    return reply->values.count > 0 ? reply->values.items[0].string : SLICE("");
}

/* ---- the steps: what is asked (false: nothing), and what the answer means (false: that is the end) ---- */

static bool ask_password(struct visit *visit)
{
    const struct redis_address *address = visit->address;
    if (address->password == NULL)
        return false;
    if (address->user != NULL)
        send_words(visit, (struct slice[]){ SLICE("AUTH"), slice_of(address->user), slice_of(address->password) }, 3);
    else
        send_words(visit, (struct slice[]){ SLICE("AUTH"), slice_of(address->password) }, 2);
    return true;
}

static bool take_password(struct visit *visit, const struct redis_reply *reply)
{
    if (reply->kind != REDIS_REPLY_FAILURE)
        return true;
    end(visit, "it does not take the user and password", "set those that Redis knows (or none) in JOBHOOK_REDIS_URL");
    return false;
}

static bool ask_database(struct visit *visit)
{
    char number[16];
    if (visit->address->database == 0)
        return false;
    snprintf(number, sizeof number, "%d", visit->address->database);
    send_words(visit, (struct slice[]){ SLICE("SELECT"), slice_of(number) }, 2);
    return true;
}

static bool take_failure(struct visit *visit, const struct redis_reply *reply)
{
    struct redis_error error = redis_judge_error(text_of(reply));
    char why[REDIS_EXAM_WHY_MAX];
    if (reply->kind != REDIS_REPLY_FAILURE)
        return true;
    snprintf(why, sizeof why, SLICE_FORMAT, SLICE_ARGS(text_of(reply)));
    end(visit, why, error.cure);
    return false;
}

static bool ask_info(struct visit *visit)
{
    send_words(visit, (struct slice[]){ SLICE("INFO") }, 1);
    return true;
}

static bool take_info(struct visit *visit, const struct redis_reply *reply)
{
    if (!take_failure(visit, reply))
        return false;
    text_append(&visit->exam->info, text_of(reply));
    visit->exam->answered = true;
    return true;
}

static bool ask_ping(struct visit *visit)
{
    send_words(visit, (struct slice[]){ SLICE("PING") }, 1);
    return true;
}

/* Comes back for more of them. */
static bool take_ping(struct visit *visit, const struct redis_reply *reply)
{
    struct redis_exam *exam = visit->exam;
    uint64_t took_us = clock_monotonic_us() - visit->asked_us;
    size_t at = exam->pings++;
    for (; at > 0 && exam->ping_us[at - 1] > took_us; at--)
        exam->ping_us[at] = exam->ping_us[at - 1];
    exam->ping_us[at] = took_us;
    visit->step -= exam->pings < REDIS_EXAM_PINGS;
    return take_failure(visit, reply);
}

static bool ask_time(struct visit *visit)
{
    send_words(visit, (struct slice[]){ SLICE("TIME") }, 1);
    return true;
}

static bool take_time(struct visit *visit, const struct redis_reply *reply)
{
    uint64_t s, us;
    if (!take_failure(visit, reply))
        return false;
    if (reply->values.count != 2 || !slice_to_u64(reply->values.items[0].string, INT64_MAX / 1000, &s) ||
        !slice_to_u64(reply->values.items[1].string, 999999, &us))
        return true;
    int64_t ours_ms = visit->asked_wall_ms + (int64_t)(clock_monotonic_us() - visit->asked_us) / 2000;
    visit->exam->has_clock = true;
    visit->exam->clock_ahead_ms = (int64_t)(s * 1000 + us / 1000) - ours_ms;
    return true;
}

static bool ask_load(struct visit *visit)
{
    send_words(visit, (struct slice[]){ SLICE("SCRIPT"), SLICE("LOAD"), { script_probe.source, script_probe.length } }, 3);
    return true;
}

static bool ask_script(struct visit *visit)
{
    send_words(visit, (struct slice[]){ SLICE("EVALSHA"), slice_of(script_probe.sha1), SLICE("1"), visit->key }, 4);
    return true;
}

static bool take_script(struct visit *visit, const struct redis_reply *reply)
{
    if (!take_failure(visit, reply))
        return false;
    visit->exam->scripts_run = true;
    return true;
}

static const struct step {
    bool (*ask)(struct visit *visit);
    bool (*take)(struct visit *visit, const struct redis_reply *reply);
} steps[] = {
    { ask_password, take_password }, { ask_database, take_failure }, { ask_info, take_info },     { ask_ping, take_ping },
    { ask_time, take_time },         { ask_load, take_failure },     { ask_script, take_script },
};

static void ask_next(struct visit *visit)
{
    for (; visit->step < COUNT_OF(steps); visit->step++) {
        visit->asked_us = clock_monotonic_us();
        visit->asked_wall_ms = clock_wall_ms();
        if (steps[visit->step].ask(visit))
            return;
    }
    end(visit, NULL, NULL);
}

/* ---- the wire ---- */

static void opened(void *owner)
{
    ask_next(owner);
}

static void answered(void *owner, const struct redis_reply *reply)
{
    struct visit *visit = owner;
    size_t step = visit->step++;
    if (step < COUNT_OF(steps) && steps[step].take(visit, reply))
        ask_next(visit);
}

static void lost(void *owner, const char *why)
{
    end(owner, why, NULL);
}

static void too_late(uv_timer_t *timer)
{
    end(timer->data, "it does not answer in time", "see that the address is right, and that no firewall is between");
}

/* A name lookup that hangs in a thread of libuv's holds the loop's memory until it is over. */
static void leave(struct visit *visit)
{
    redis_wire_destroy(visit->wire);
    redis_calls_finish(&visit->calls);
    uv_close((uv_handle_t *)&visit->deadline, NULL);
    uv_run(&visit->loop, UV_RUN_NOWAIT);
    uv_run(&visit->loop, UV_RUN_NOWAIT);
    if (uv_loop_close(&visit->loop) == 0)
        free(visit);
}

void redis_examine(const struct redis_address *address, struct slice key, uint64_t wait_ms, struct redis_exam *exam)
{
    struct visit *visit = memory_create(sizeof *visit);
    *exam = (struct redis_exam){ 0 };
    text_init(&exam->info, REDIS_REPLY_BYTES_MAX);
    visit->address = address;
    visit->key = key;
    visit->exam = exam;
    redis_calls_init(&visit->calls);
    uv_loop_init(&visit->loop);
    uv_timer_init(&visit->loop, &visit->deadline);
    visit->deadline.data = visit;
    uv_timer_start(&visit->deadline, too_late, wait_ms, 0);
    const struct redis_wire_options options = { &visit->loop, address, wait_ms };
    visit->wire = redis_wire_create(&options, &(struct redis_wire_events){ opened, answered, lost }, visit);
    redis_wire_open(visit->wire);
    uv_run(&visit->loop, UV_RUN_DEFAULT);
    leave(visit);
}

void redis_exam_finish(struct redis_exam *exam)
{
    text_finish(&exam->info);
}
