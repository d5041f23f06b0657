#include "tests/edge/post_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_patience(uv_timer_t *timer)
{
    (void)timer;
    cr_assert_fail("nothing came for %d ms", RIG_PATIENCE_MS);
}

static void make_request(struct request *request)
{
    *request = (struct request){ .header_count = 3 };
    text_init(&request->body, 4 * 1024 * 1024);
    text_append_string(&request->body, "{\"task_id\":\"1\"}");
    request->headers[0] = "Content-Type: application/json";
    request->headers[1] = "User-Agent: jobhook/test";
    request->headers[2] = "webhook-id: 1";
}

void rig_open(struct rig *rig, struct lanes_options options, const char *dns)
{
    const char *problem;
    *rig = (struct rig){ .guard = { .allow_http = true } };
    cr_assert(guard_cidrs_parse(SLICE("127.0.0.0/8,::1/128"), &rig->guard.allow, &rig->guard.allow_count, &problem));
    uv_loop_init(&rig->loop);
    uv_timer_init(&rig->loop, &rig->patience);
    make_request(&rig->request);
    rig->names = names_create(&rig->loop, &(struct names_options){ .guard = &rig->guard, .servers = dns != NULL ? dns : "127.0.0.1:9" });
    options.guard = &rig->guard;
    options.names = rig->names;
    if (options.attempt_timeout_ms == 0)
        options.attempt_timeout_ms = RIG_TIMEOUT_MS;
    if (options.snippet_bytes == 0)
        options.snippet_bytes = 256;
    rig->lanes = lanes_create(&rig->loop, &options);
    cr_assert_not_null(rig->lanes);
}

void rig_close(struct rig *rig)
{
    lanes_destroy(rig->lanes);
    names_destroy(rig->names);
    uv_close((uv_handle_t *)&rig->patience, NULL);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&rig->loop), 0);
    text_finish(&rig->request.body);
    free(rig->guard.allow);
}

static void on_done(void *context, const struct outcome *outcome)
{
    struct posted *posted = context;
    posted->calls++;
    posted->outcome = *outcome;
    snprintf(posted->detail, sizeof(posted->detail), "%s", outcome->detail);
    cr_assert_leq(outcome->snippet_bytes, OUTCOME_SNIPPET_MAX);
    if (outcome->snippet_bytes > 0)
        memcpy(posted->snippet, outcome->snippet, outcome->snippet_bytes);
    posted->snippet[outcome->snippet_bytes] = '\0';
}

void rig_fill_body(struct rig *rig, size_t bytes)
{
    text_clear(&rig->request.body);
    while (rig->request.body.length < bytes)
        text_append_string(&rig->request.body, "0123456789abcde\n");
}

static struct post *begin(struct rig *rig, const struct url *url, const struct request *request, struct posted *posted)
{
    memset(posted, 0, sizeof(*posted));
    struct post *post = lanes_post(rig->lanes, url, request, on_done, posted);
    cr_assert_eq(posted->calls, 0, "done before lanes_post returned");
    return post;
}

struct post *rig_begin_url(struct rig *rig, const struct url *url, struct posted *posted)
{
    return begin(rig, url, &rig->request, posted);
}

struct post *rig_begin(struct rig *rig, const char *url, struct posted *posted)
{
    struct url parsed;
    char *text = strdup(url); /* gone when lanes_post has returned, as promised */
    enum guard_rule rule = guard_judge_url(&rig->guard, slice_of(text), &parsed);
    cr_assert_eq(rule, GUARD_OK, "%s: %s", url, guard_rule_name(rule));
    struct post *post = rig_begin_url(rig, &parsed, posted);
    memset(text, 'x', strlen(text));
    free(text);
    return post;
}

bool rig_connects(struct rig *rig, const char *url)
{
    struct url parsed;
    struct posted posted;
    cr_assert_eq(guard_judge_url(&rig->guard, slice_of(url), &parsed), GUARD_OK, "%s", url);
    begin(rig, &parsed, NULL, &posted);
    rig_wait(rig, &posted);
    cr_log_info("%d %s", posted.outcome.kind, posted.detail);
    return posted.outcome.connected;
}

void rig_wait(struct rig *rig, const struct posted *posted)
{
    uv_timer_start(&rig->patience, on_patience, RIG_PATIENCE_MS, 0);
    while (posted->calls == 0)
        uv_run(&rig->loop, UV_RUN_ONCE);
    uv_timer_stop(&rig->patience);
    cr_assert_eq(posted->calls, 1);
    cr_assert_not_null(posted->outcome.detail);
}

static void on_time(uv_timer_t *timer)
{
    bool *over = timer->data;
    *over = true;
}

void rig_run_ms(struct rig *rig, uint64_t ms)
{
    bool over = false;
    uv_update_time(&rig->loop);
    rig->patience.data = &over;
    uv_timer_start(&rig->patience, on_time, ms, 0);
    while (!over)
        uv_run(&rig->loop, UV_RUN_ONCE);
}

void rig_url(char url[256], const char *scheme, const char *host, uint16_t port, const char *path)
{
    snprintf(url, 256, "%s://%s:%u%s", scheme, host, (unsigned)port, path);
}

struct posted rig_post_url(struct rig *rig, const char *url)
{
    struct posted posted;
    rig_begin(rig, url, &posted);
    rig_wait(rig, &posted);
    return posted;
}

struct posted rig_post(struct rig *rig, const struct receiver *receiver, const char *path)
{
    char url[256];
    rig_url(url, "http", "127.0.0.1", receiver->port, path);
    return rig_post_url(rig, url);
}
