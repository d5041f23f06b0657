#include "consumer/http/health.h"

#include "dedupe/redis.h"

#include <inttypes.h>

/* A heartbeat that is a moment ahead of `now_ms` was written by the loop while we were asked. */
static uint64_t silent_ms(const struct worker_status *worker, uint64_t now_ms)
{
    uint64_t heartbeat_ms = (uint64_t)gauge_read(&worker->heartbeat_ms);
    return heartbeat_ms < now_ms ? now_ms - heartbeat_ms : 0;
}

bool health_is_alive(const struct service_status *status, uint64_t now_ms, struct text *body)
{
    uint64_t stall_ms = status->stall_ms == 0 ? STATUS_STALL_MS : status->stall_ms;
    bool alive = true;
    for (size_t i = 0; i < status->worker_count; i++) {
        uint64_t ms = silent_ms(status->workers[i], now_ms);
        if (ms < stall_ms)
            continue;
        alive = false;
        text_printf(body, "worker %zu: its loop has not turned for %" PRIu64 " s\n", i, ms / 1000);
    }
    if (alive)
        text_append_string(body, "ok\n");
    return alive;
}

bool health_is_ready(const struct service_status *status, struct text *body)
{
    bool ready = status->worker_count > 0;
    if (!ready)
        text_append_string(body, "no worker has been started yet\n");
    for (size_t i = 0; i < status->worker_count; i++) {
        const struct worker_status *worker = status->workers[i];
        if (gauge_read(&worker->joined) == 0) {
            ready = false;
            text_printf(body, "worker %zu: has not joined the consumer group yet\n", i);
        }
        if (worker->redis == NULL || gauge_read(&worker->redis->reached) == 0) {
            ready = false;
            text_printf(body, "worker %zu: has not reached Redis yet\n", i);
        }
    }
    if (ready)
        text_append_string(body, "ok\n");
    return ready;
}
