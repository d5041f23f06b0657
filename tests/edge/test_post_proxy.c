/* An egress proxy: it resolves, connects and decides; what it says is never taken for a receiver's answer. */
#include "tests/edge/post_rig.h"
#include "tests/edge/tls_receiver.h"

#include <criterion/criterion.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct rig rig;
static struct receiver proxy;

TestSuite(post_proxy, .timeout = 60);

/* The script is the proxy for the first request of a connection, and the receiver for what comes through the tunnel. */
static bool tunnel_to_itself(const struct visit *visit)
{
    if (visit->number == 1)
        return say(visit, strncmp(visit->request, "CONNECT ", 8) == 0 ? "HTTP/1.1 200 Connected\r\n\r\n" : "HTTP/1.1 400 No\r\n\r\n");
    return say(visit, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
}

static void begin_with(script *script, const char *credentials)
{
    char url[256];
    receiver_start(&proxy, script);
    snprintf(url, sizeof(url), "http://%s127.0.0.1:%u", credentials, (unsigned)proxy.port);
    rig_open(&rig, (struct lanes_options){ .proxy = url, .attempt_timeout_ms = 3000, .lane_count = 2 }, NULL);
}

static void end(void)
{
    rig_close(&rig);
    receiver_stop(&proxy);
}

Test(post_proxy, carries_a_tunnel_for_http_too_whatever_the_environment_says)
{
    setenv("no_proxy", "*", 1);
    setenv("NO_PROXY", "*", 1);
    begin_with(tunnel_to_itself, "");
    struct posted posted = rig_post_url(&rig, "http://hook.example.com/x");
    cr_expect_eq(posted.outcome.status, 201, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect(posted.outcome.sent);
    cr_expect_eq(strstr(proxy.last_request, "POST /x HTTP/1.1\r\nHost: hook.example.com\r\n"), proxy.last_request, "%.80s", proxy.last_request);
    cr_expect_null(strcasestr(proxy.last_request, "proxy-"), "%s", proxy.last_request);
    cr_expect_eq(rig_post_url(&rig, "http://hook.example.com/y").outcome.status, 201);
    cr_expect_eq(atomic_load(&proxy.connections), 1, "the tunnel is kept");
    end();
}

static bool ask_for_credentials(const struct visit *visit)
{
    if (visit->number == 1 && strstr(visit->request, "\r\nProxy-Authorization: Basic am9ibzpzM2NyZXQ=\r\n") == NULL) /* jobo:s3cret */
        return say(visit, "HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n");
    return tunnel_to_itself(visit);
}

Test(post_proxy, gets_the_credentials_and_the_receiver_does_not)
{
    begin_with(ask_for_credentials, "jobo:s3cret@");
    struct posted posted = rig_post_url(&rig, "http://hook.example.com/x");
    cr_expect_eq(posted.outcome.status, 201, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_null(strcasestr(proxy.last_request, "authorization"), "%s", proxy.last_request);
    end();
}

Test(post_proxy, that_takes_no_credentials_is_our_trouble)
{
    static const char *const urls[] = { "http://hook.example.com/x", "https://hook.example.com/x" };
    begin_with(ask_for_credentials, "jobo:wrong@");
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct posted posted = rig_post_url(&rig, urls[i]);
        cr_expect_eq(posted.outcome.kind, OUTCOME_LOCAL, "%d %s", posted.outcome.kind, posted.detail);
        cr_expect_not_null(strstr(posted.detail, "407"), "%s", posted.detail);
        cr_expect_not(posted.outcome.sent);
    }
    end();
}

static bool refuse(const struct visit *visit)
{
    return say(visit, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
}

static bool fail_to_connect(const struct visit *visit)
{
    return say(visit, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nsorry");
}

static bool redirect(const struct visit *visit)
{
    return say(visit, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
}

static bool talk_nonsense(const struct visit *visit)
{
    return say(visit, "SSH-2.0-x\r\n\r\n");
}

static bool hang_up(const struct visit *visit)
{
    (void)visit;
    return false;
}

static bool ask_without_end(const struct visit *visit)
{
    bool fine = say(visit, "HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=\"x\"\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (fine)
        fine = say(visit, "40\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n");
    return false;
}

static bool talk_without_end(const struct visit *visit)
{
    bool fine = say(visit, "HTTP/1.1 200 Connected\r\n");
    while (fine)
        fine = say(visit, "X-Nothing: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n");
    return false;
}

static bool begin_a_line_without_end(const struct visit *visit)
{
    bool fine = say(visit, "HTTP/1.1 200 Connected\r\nX-Nothing: ");
    while (fine)
        fine = say(visit, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    return false;
}

/* libcurl reads on as long as there is something, and nobody else gets a turn. */
Test(post_proxy, that_does_not_stop_talking_is_left)
{
    begin_with(ask_without_end, "");
    struct posted posted = rig_post_url(&rig, "http://hook.example.com/x");
    cr_expect_eq(posted.outcome.kind, OUTCOME_LOCAL, "%d %s", posted.outcome.kind, posted.detail);
    end();
    static script *const endless[] = { talk_without_end, begin_a_line_without_end };
    for (size_t i = 0; i < 2 * COUNT_OF(endless); i++) {
        begin_with(endless[i / 2], "");
        posted = rig_post_url(&rig, i % 2 == 0 ? "https://hook.example.com/x" : "http://hook.example.com/x");
        cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECT_FAILED, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
        cr_expect_not_null(strstr(posted.detail, "the proxy's answer is too large"), "%zu: %s", i, posted.detail);
        cr_expect_not(posted.outcome.sent);
        end();
    }
}

static bool never_answer(const struct visit *visit)
{
    while (wait_ms(visit, 10))
        ;
    return false;
}

Test(post_proxy, that_does_not_connect_is_a_failure_to_connect)
{
    static const struct {
        script *script;
        const char *detail;
    } cases[] = { { refuse, "the proxy refused" },   { fail_to_connect, "the proxy could not reach" },
                  { redirect, "the proxy refused" }, { talk_nonsense, "cannot be reached" },
                  { hang_up, "cannot be reached" },  { never_answer, "too long" } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        begin_with(cases[i].script, "");
        struct posted posted = rig_post_url(&rig, i % 2 == 0 ? "http://hook.example.com/x" : "https://hook.example.com/x");
        enum outcome_kind expected = cases[i].script == never_answer ? OUTCOME_CONNECT_TIMEOUT : OUTCOME_CONNECT_FAILED;
        cr_expect_eq(posted.outcome.kind, expected, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
        cr_expect_not_null(strstr(posted.detail, cases[i].detail), "%zu: %s", i, posted.detail);
        cr_expect_not(posted.outcome.sent || posted.outcome.connected);
        end();
    }
}

static struct tls_receiver secure; /* a proxy by TLS */

/* `ca_file` NULL: its own. */
static void begin_by_tls(struct tls_options how, const char *ca_file)
{
    char url[256];
    how.subject_alt_name = "IP:127.0.0.1";
    tls_receiver_start(&secure, how);
    rig_url(url, "https", "127.0.0.1", secure.port, "");
    rig_open(&rig, (struct lanes_options){ .proxy = url, .ca_file = ca_file != NULL ? ca_file : secure.ca_file }, NULL);
}

static void end_by_tls(void)
{
    rig_close(&rig);
    tls_receiver_stop(&secure);
}

static struct posted post_through_tls(const char *ca_file)
{
    begin_by_tls((struct tls_options){ .act = NULL }, ca_file);
    struct posted posted = rig_post_url(&rig, "http://hook.example.com/x");
    end_by_tls();
    if (ca_file == NULL)
        cr_expect_eq(strstr(secure.last_connect, "CONNECT hook.example.com:80 HTTP/1.1\r\n"), secure.last_connect, "%s", secure.last_connect);
    return posted;
}

Test(post_proxy, may_be_reached_by_tls_and_is_then_verified)
{
    struct tls_receiver other;
    struct posted posted = post_through_tls(NULL);
    cr_expect_eq(posted.outcome.status, 200, "%d %s", posted.outcome.kind, posted.detail);
    tls_receiver_start(&other, (struct tls_options){ .subject_alt_name = "IP:127.0.0.1" });
    posted = post_through_tls(other.ca_file);
    cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECT_FAILED, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_not_null(strstr(posted.detail, "the proxy's certificate"), "%s", posted.detail);
    cr_expect_not(posted.outcome.sent);
    tls_receiver_stop(&other);
}

/* An answer, and behind what libcurl reads at once the answer to a request that was not made yet: one record. */
static bool answer_twice(void *ssl)
{
    enum { FIRST_READ = 4096 };
    static const char forged[] = "HTTP/1.1 299 Forged\r\nContent-Length: 0\r\n\r\n";
    char bytes[2 * FIRST_READ];
    int head = snprintf(bytes, FIRST_READ, "HTTP/1.1 200 OK\r\nContent-Length: 4056\r\n\r\n");
    memset(bytes + head, 'x', (size_t)(FIRST_READ - head));
    memcpy(bytes + FIRST_READ, forged, sizeof(forged) - 1);
    return SSL_write(ssl, bytes, FIRST_READ + (int)sizeof(forged) - 1) > 0;
}

Test(post_proxy, by_tls_has_nothing_left_over_for_the_next_post)
{
    begin_by_tls((struct tls_options){ .act = answer_twice }, NULL);
    for (int i = 1; i <= 4; i++) {
        struct posted posted = rig_post_url(&rig, "http://hook.example.com/x");
        cr_expect_eq(posted.outcome.status, 200, "%d: %d %s", i, posted.outcome.kind, posted.detail);
    }
    end_by_tls();
}

/* What carries the request is the proxy's TLS. */
Test(post_proxy, by_tls_brings_the_answer_in_front_of_a_reset)
{
    begin_by_tls((struct tls_options){ .impatient = true }, NULL);
    rig_fill_body(&rig, 1024 * 1024);
    for (int i = 0; i < 100; i++) {
        struct posted posted = rig_post_url(&rig, "http://hook.example.com/x");
        cr_expect_eq(posted.outcome.status, 200, "%d: %d %s", i, posted.outcome.kind, posted.detail);
    }
    end_by_tls();
}

static void copy_pem(FILE *to, const char *path)
{
    char bytes[8192];
    FILE *from = fopen(path, "re");
    size_t count = fread(bytes, 1, sizeof(bytes), from);
    cr_assert(count > 0 && fwrite(bytes, 1, count, to) == count);
    fclose(from);
}

static bool talk_http2(void *ssl)
{
    (void)ssl;
    cr_assert_fail("HTTP/2 was offered");
    return false;
}

/* libcurl 7.88 would leave frames in the proxy's TLS, and wait for a socket that has no more. */
Test(post_proxy, by_tls_carries_no_http2)
{
    struct tls_receiver inner;
    char url[256], path[] = "/tmp/jobhook_proxy.XXXXXX";
    tls_receiver_start(&inner, (struct tls_options){ .subject_alt_name = "DNS:hook.example.com", .talk = talk_http2 });
    tls_receiver_start(&secure, (struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .tunnel_to = inner.port });
    FILE *both = fdopen(mkstemp(path), "w");
    copy_pem(both, inner.ca_file);
    copy_pem(both, secure.ca_file);
    fclose(both);
    rig_url(url, "https", "127.0.0.1", secure.port, "");
    rig_open(&rig, (struct lanes_options){ .proxy = url, .ca_file = path, .http2 = true }, NULL);
    struct posted posted = rig_post_url(&rig, "https://hook.example.com/x");
    cr_expect_eq(posted.outcome.status, 200, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_eq(atomic_load(&inner.requests), 1);
    end_by_tls();
    tls_receiver_stop(&inner);
    unlink(path);
}
