#include "consumer/http/endpoints.h"

#include "consumer/base/memory.h"
#include "delivery/troubles.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct trouble *)a)->endpoint, ((const struct trouble *)b)->endpoint);
}

static int compare_weights(const void *a, const void *b)
{
    const struct trouble *one = a, *other = b;
    uint64_t first = (uint64_t)one->failed + one->deferred, second = (uint64_t)other->failed + other->deferred;
    return first != second ? (first > second ? -1 : 1) : compare_names(a, b);
}

static void add(struct trouble *sum, const struct trouble *more)
{
    sum->failed += more->failed;
    sum->deferred += more->deferred;
    if (more->rest_until_ms > sum->rest_until_ms)
        sum->rest_until_ms = more->rest_until_ms;
    if (more->last_ms > sum->last_ms) {
        sum->last_ms = more->last_ms;
        if (more->error[0] != '\0')
            memcpy(sum->error, more->error, sizeof(sum->error));
    }
}

/* Several workers may know the same endpoint. */
static size_t merge(struct trouble *troubles, size_t count)
{
    size_t kept = 0;
    qsort(troubles, count, sizeof(*troubles), compare_names);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && strcmp(troubles[kept - 1].endpoint, troubles[i].endpoint) == 0)
            add(&troubles[kept - 1], &troubles[i]);
        else
            troubles[kept++] = troubles[i];
    }
    qsort(troubles, kept, sizeof(*troubles), compare_weights);
    return kept;
}

/* A worker may have noted something after the clock was looked at. */
static uint64_t seconds_since(uint64_t last_ms, uint64_t now_ms)
{
    return now_ms > last_ms ? (now_ms - last_ms) / 1000 : 0;
}

/* Rounded up: an endpoint that rests has some of it left. */
static uint64_t seconds_until(uint64_t then_ms, uint64_t now_ms)
{
    return then_ms > now_ms ? (then_ms - now_ms + 999) / 1000 : 0;
}

static void append(const struct trouble *trouble, uint64_t now_ms, struct text *text)
{
    text_printf(text, "%" PRIu32 "\t%" PRIu32 "\t%s\t%" PRIu64 "\t%" PRIu64 "\t%s\n", trouble->failed, trouble->deferred,
                trouble->error[0] != '\0' ? trouble->error : "-", seconds_since(trouble->last_ms, now_ms),
                seconds_until(trouble->rest_until_ms, now_ms), trouble->endpoint);
}

void endpoints_append(const struct service_status *status, uint64_t now_ms, struct text *text)
{
    struct trouble *troubles = memory_create((status->worker_count + 1) * TROUBLES_MAX * sizeof(*troubles));
    size_t count = 0;
    status_lock(status);
    for (size_t i = 0; i < status->worker_count; i++)
        if (status->workers[i]->troubles != NULL)
            count += troubles_read(status->workers[i]->troubles, now_ms, troubles + count);
    status_unlock(status);
    count = merge(troubles, count);
    text_append_string(text, "failed\tdeferred\tlast_error\tseconds_ago\trests_seconds\tendpoint\n");
    for (size_t i = 0; i < count; i++)
        append(&troubles[i], now_ms, text);
    free(troubles);
}
