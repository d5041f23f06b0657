#include "consumer/http/probes.h"

#include "consumer/base/clock.h"
#include "consumer/http/health.h"
#include "consumer/http/metrics.h"

#include <string.h>

enum {
    ANSWER_BYTES_MAX = 32 * 1024 * 1024, /* a scrape of 20,000 partitions is about 3 MB */
    STATUS_OK = 200,
    STATUS_NOT_FOUND = 404,
    STATUS_NOT_ALLOWED = 405,
    STATUS_ERROR = 500,
    STATUS_UNAVAILABLE = 503,
};

static unsigned answer_healthz(const struct service_status *status, struct text *body)
{
    return health_is_alive(status, clock_monotonic_ms(), body) ? STATUS_OK : STATUS_UNAVAILABLE;
}

static unsigned answer_readyz(const struct service_status *status, struct text *body)
{
    return health_is_ready(status, body) ? STATUS_OK : STATUS_UNAVAILABLE;
}

static unsigned answer_metrics(const struct service_status *status, struct text *body)
{
    metrics_write(status, clock_wall_ms(), body);
    return body->overflowed ? STATUS_ERROR : STATUS_OK;
}

#define PLAIN_TEXT "text/plain; charset=utf-8"

static const struct route {
    const char *path, *content_type;
    unsigned (*answer)(const struct service_status *status, struct text *body);
} routes[] = {
    { "/healthz", PLAIN_TEXT, answer_healthz },
    { "/readyz", PLAIN_TEXT, answer_readyz },
    { "/metrics", "text/plain; version=0.0.4; charset=utf-8", answer_metrics },
};

static const struct route *find_route(const char *target)
{
    struct slice path = { target, strcspn(target, "?") };
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        if (slice_is(path, routes[i].path))
            return &routes[i];
    return NULL;
}

void probes_answer(void *context, struct server_request *request)
{
    const struct service_status *status = context;
    const struct route *route = find_route(request->target);
    struct server_answer answer = { .content_type = PLAIN_TEXT };
    text_init(&answer.body, ANSWER_BYTES_MAX);
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        answer.status = STATUS_NOT_ALLOWED;
        answer.headers[0] = (struct server_header){ "Allow", "GET, HEAD" };
        text_append_string(&answer.body, "only GET and HEAD\n");
    } else if (route == NULL) {
        answer.status = STATUS_NOT_FOUND;
        text_append_string(&answer.body, "there is /healthz, /readyz and /metrics\n");
    } else {
        answer.content_type = route->content_type;
        status_lock(status);
        answer.status = route->answer(status, &answer.body);
        status_unlock(status);
    }
    server_answer(request, &answer);
}
