/* What a receiver may answer, and what the request looks like to it. */
#include "tests/edge/post_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rig rig;
static struct receiver receiver;

/* The path is the status: /404 is answered by a 404; /429/x by a 429 with "Retry-After: x". */
static bool answer_as_asked(const struct visit *visit)
{
    char answer[512], retry[128] = "";
    int status = 0;
    sscanf(visit->request, "POST /%d/%100[^ ]", &status, retry);
    for (char *c = retry; *c != '\0'; c++)
        *c = *c == '_' ? ' ' : *c;
    snprintf(answer, sizeof(answer), "HTTP/1.1 %d Whatever\r\nLocation: http://127.0.0.1:1/\r\n%s%s%s%s\r\n%s", status,
             retry[0] != '\0' ? "retry-after: " : "", retry, retry[0] != '\0' ? "\r\n" : "", status == 204 ? "" : "Content-Length: 5\r\n",
             status == 204 ? "" : "hello");
    return say(visit, answer);
}

static void begin(void)
{
    receiver_start(&receiver, answer_as_asked);
    rig_open(&rig, (struct lanes_options){ .lane_count = 4 }, NULL);
}

static void end(void)
{
    rig_close(&rig);
    receiver_stop(&receiver);
}

TestSuite(post, .init = begin, .fini = end, .timeout = 60);

Test(post, reports_the_status_whatever_it_is)
{
    static const int statuses[] = { 200, 201, 204, 299, 300, 301, 307, 400, 401, 404, 410, 429, 500, 503, 599, 999 };
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        char path[16];
        snprintf(path, sizeof(path), "/%d", statuses[i]);
        struct posted posted = rig_post(&rig, &receiver, path);
        cr_expect_eq(posted.outcome.kind, OUTCOME_ANSWERED, "%d: %s", statuses[i], posted.detail);
        cr_expect_eq(posted.outcome.status, statuses[i]);
        cr_expect(posted.outcome.sent && posted.outcome.connected);
        cr_expect_eq(posted.outcome.retry_after_s, -1);
        cr_expect_str_eq(posted.snippet, statuses[i] == 204 ? "" : "hello");
    }
    cr_assert_eq(atomic_load(&receiver.requests), (int)COUNT_OF(statuses), "redirects are not followed");
}

Test(post, reads_retry_after)
{
    static const struct {
        const char *path;
        int32_t seconds;
    } cases[] = {
        { "/429/120", 120 },
        { "/503/0", 0 },
        { "/503/soon", -1 },
        { "/503/-5", -1 },
        { "/200/7", 7 },
        { "/503/99999999999", 604800 },
        { "/503/Thu,_01_Jan_1970_00:00:00_GMT", 0 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct posted posted = rig_post(&rig, &receiver, cases[i].path);
        cr_expect_eq(posted.outcome.retry_after_s, cases[i].seconds, "%s: %d", cases[i].path, posted.outcome.retry_after_s);
    }
}

Test(post, measures_the_steps)
{
    struct posted posted = rig_post(&rig, &receiver, "/200");
    const struct outcome *outcome = &posted.outcome;
    cr_assert_leq(outcome->connect_ms, outcome->first_byte_ms);
    cr_assert_leq(outcome->first_byte_ms, outcome->total_ms);
    cr_assert_eq(outcome->name_ms, 0);
    cr_assert_eq(outcome->tls_ms, 0);
}

Test(post, keeps_no_more_of_the_body_than_the_snippet)
{
    rig_close(&rig);
    rig_open(&rig, (struct lanes_options){ .snippet_bytes = 3 }, NULL);
    struct posted posted = rig_post(&rig, &receiver, "/200");
    cr_assert_str_eq(posted.snippet, "hel");
}

Test(post, sends_exactly_the_request)
{
    rig_post(&rig, &receiver, "/200");
    char expected[512];
    snprintf(expected, sizeof(expected),
             "POST /200 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: */*\r\nContent-Type: application/json\r\nUser-Agent: jobhook/test\r\n"
             "webhook-id: 1\r\nContent-Length: 15\r\n\r\n{\"task_id\":\"1\"}",
             (unsigned)receiver.port);
    cr_assert_str_eq(receiver.last_request, expected);
}

Test(post, sends_the_target_as_the_url_has_it)
{
    static const char *const targets[] = {
        "/200/../x/./y", "/200//", "/200/%2e%2e/%2f?a=%20&b=c/../d", "/200?x=1?y=2", "/200/a;b,c'd(e)!*$&+=:@~", "/200/%zz%", "/200/{a}|^`\"<>",
    };
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        char expected[256];
        struct url url;
        rig_url(expected, "http", "127.0.0.1", receiver.port, targets[i]);
        if (guard_judge_url(&rig.guard, slice_of(expected), &url) != GUARD_OK)
            continue;
        struct posted posted = rig_post(&rig, &receiver, targets[i]);
        cr_expect_eq(posted.outcome.status, 200, "%s: %s", targets[i], posted.detail);
        snprintf(expected, sizeof(expected), "POST %s HTTP/1.1\r\n", targets[i]);
        cr_expect_eq(strncmp(receiver.last_request, expected, strlen(expected)), 0, "%s: %.60s", targets[i], receiver.last_request);
    }
}

Test(post, keeps_the_fragment_to_itself)
{
    rig_post(&rig, &receiver, "/200?a#secret");
    cr_assert_eq(strncmp(receiver.last_request, "POST /200?a HTTP/1.1\r\n", 22), 0);
}

Test(post, never_lets_a_header_become_two)
{
    rig.request.headers[2] = "webhook-id: 1\r\nX-Evil: 1\nX-Worse: 1\r\n\r\nGET / HTTP/1.1";
    struct posted posted = rig_post(&rig, &receiver, "/200");
    cr_assert_eq(posted.outcome.status, 200);
    cr_assert_not_null(strstr(receiver.last_request, "\r\nwebhook-id: 1  X-Evil: 1 X-Worse: 1    GET / HTTP/1.1\r\n"));
    cr_assert_eq(atomic_load(&receiver.requests), 1);
}

Test(post, takes_a_body_of_a_megabyte)
{
    rig_fill_body(&rig, 1024 * 1024);
    for (int i = 0; i < 3; i++) {
        struct posted posted = rig_post(&rig, &receiver, "/200");
        cr_assert_eq(posted.outcome.status, 200, "%s", posted.detail);
        const char *body = strstr(receiver.last_request, "\r\n\r\n") + 4;
        cr_assert_eq(strlen(body), rig.request.body.length);
        cr_assert_eq(memcmp(body, rig.request.body.start, rig.request.body.length), 0);
        cr_assert_null(strstr(receiver.last_request, "Expect"));
    }
}

Test(post, takes_an_empty_body)
{
    text_clear(&rig.request.body);
    cr_assert_eq(rig_post(&rig, &receiver, "/200").outcome.status, 200);
    cr_assert_not_null(strstr(receiver.last_request, "\r\nContent-Length: 0\r\n"));
}

Test(post, asks_no_proxy_of_the_environment)
{
    static const char *const variables[] = { "http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY" };
    for (size_t i = 0; i < COUNT_OF(variables); i++)
        setenv(variables[i], "http://127.0.0.1:1", 1);
    cr_assert_eq(rig_post(&rig, &receiver, "/200").outcome.status, 200);
}

static bool answer_in_pieces(const struct visit *visit)
{
    return say(visit, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n") && wait_ms(visit, 20) &&
           say(visit, "HTTP/1.1 20") && wait_ms(visit, 20) && say(visit, "2 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n") &&
           wait_ms(visit, 20) && say(visit, "1\r\nc\r\n0\r\nRetry-After: 5\r\n\r\n");
}

Test(post, understands_provisional_answers_chunks_and_trailers)
{
    receiver.script = answer_in_pieces;
    for (int i = 0; i < 2; i++) {
        struct posted posted = rig_post(&rig, &receiver, "/");
        cr_expect_eq(posted.outcome.status, 202, "%s", posted.detail);
        cr_expect_eq(posted.outcome.retry_after_s, -1);
        cr_expect_str_eq(posted.snippet, "abc");
    }
    cr_assert_eq(atomic_load(&receiver.connections), 1);
}

static bool answer_compressed(const struct visit *visit)
{
    return say(visit, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nnogzi");
}

Test(post, never_unpacks_a_body)
{
    receiver.script = answer_compressed;
    struct posted posted = rig_post(&rig, &receiver, "/");
    cr_assert_eq(posted.outcome.status, 200);
    cr_assert_str_eq(posted.snippet, "nogzi");
    cr_assert_null(strcasestr(receiver.last_request, "accept-encoding"));
}

static bool answer_with_cookie(const struct visit *visit)
{
    return say(visit,
               "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nAlt-Svc: h2=\":1\"\r\nStrict-Transport-Security: max-age=1000\r\nContent-Length: 0\r\n\r\n");
}

Test(post, takes_no_cookies)
{
    receiver.script = answer_with_cookie;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200);
        cr_assert_null(strcasestr(receiver.last_request, "cookie"));
    }
}
