/* Receivers that go for the sender itself: for its loop, which everybody's deadlines hang on, and for the answer to the next request. */
#include "delivery/tls_chain.h"
#include "tests/edge/post_rig.h"
#include "tests/edge/scripted_dns.h"
#include "tests/edge/tls_receiver.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rig rig;
static struct receiver receiver;
static struct tls_receiver tls_receiver;
static char url[256];

TestSuite(post_hostile, .timeout = 60);

static uint64_t timeout_ms; /* 0: the usual one */

static void begin_tls(struct tls_options options)
{
    options.subject_alt_name = "IP:127.0.0.1";
    tls_receiver_start(&tls_receiver, options);
    rig_open(
        &rig,
        (struct lanes_options){ .attempt_timeout_ms = timeout_ms, .ca_file = tls_receiver.ca_file, .lane_count = 1, .http2 = options.talk != NULL },
        NULL);
    rig_url(url, "https", "127.0.0.1", tls_receiver.port, "/");
}

static void end_tls(void)
{
    rig_close(&rig);
    tls_receiver_stop(&tls_receiver);
}

static int turns; /* of the loop, while the last post was made */

static void on_turn(uv_prepare_t *prepare)
{
    (void)prepare;
    turns++;
}

static struct posted post_as_begun(void)
{
    struct posted posted;
    uv_prepare_t prepare;
    turns = 0;
    uv_prepare_init(&rig.loop, &prepare);
    uv_prepare_start(&prepare, on_turn);
    posted = rig_post_url(&rig, url);
    uv_close((uv_handle_t *)&prepare, NULL);
    end_tls();
    return posted;
}

static struct posted post_tls(struct tls_options options)
{
    begin_tls(options);
    return post_as_begun();
}

/* ---- the loop ---- */

static int messages; /* of TLS, before the answer */

static bool add_key_update(SSL *ssl)
{
    return SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1;
}

static bool add_ticket(SSL *ssl)
{
    return SSL_new_session_ticket(ssl) == 1 && SSL_do_handshake(ssl) == 1;
}

/* All of them and the answer in one go: they are there before they can be read. */
static bool send_burst(SSL *ssl, bool (*add)(SSL *ssl))
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    BIO *memory = BIO_new(BIO_s_mem());
    char *bytes;
    bool fine = true;
    BIO_up_ref(memory);
    SSL_set0_wbio(ssl, memory);
    for (int i = 0; i < messages && fine; i++)
        fine = add(ssl);
    fine = fine && SSL_write(ssl, answer, sizeof(answer) - 1) > 0;
    long length = BIO_get_mem_data(memory, &bytes);
    for (long sent = 0; sent < length && fine;) {
        ssize_t count = send(SSL_get_rfd(ssl), bytes + sent, (size_t)(length - sent), MSG_NOSIGNAL);
        fine = count > 0;
        sent += count;
    }
    BIO_free(memory);
    return fine && !atomic_load(&tls_receiver.stopping);
}

static bool send_key_updates(void *ssl)
{
    return send_burst(ssl, add_key_update);
}

static bool send_tickets(void *ssl)
{
    return send_burst(ssl, add_ticket);
}

/* A thousand of them fit in a record, and OpenSSL acts on each before it returns. */
Test(post_hostile, tls_messages_without_end_do_not_hold_the_loop)
{
    bool (*const acts[])(void *) = { send_key_updates, send_tickets };
    for (size_t i = 0; i < COUNT_OF(acts); i++) {
        messages = 10;
        struct posted posted = post_tls((struct tls_options){ .act = acts[i] });
        cr_expect_eq(posted.outcome.status, 200, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
        messages = 40;
        posted = post_tls((struct tls_options){ .act = acts[i] });
        cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECTION_LOST, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
        cr_expect(posted.outcome.sent);
    }
}

/* Before a certificate was shown: anybody can, and without the bound it never ends. One record after another, each full of them, or with one. */
static bool flood_with_hello_requests(int fd, size_t in_each)
{
    static unsigned char records[64 * 1024];
    size_t bytes = in_each * 4, length = 0;
    memset(records, 0, sizeof(records));
    for (; length + 5 + bytes <= sizeof(records); length += 5 + bytes) {
        const unsigned char head[] = { SSL3_RT_HANDSHAKE, 3, 3, (unsigned char)(bytes >> 8), (unsigned char)bytes };
        memcpy(records + length, head, sizeof(head));
    }
    while (send(fd, records, length, MSG_NOSIGNAL) == (ssize_t)length)
        ;
    return false;
}

static bool flood_with_full_records(int fd)
{
    return flood_with_hello_requests(fd, 4095);
}

static bool flood_with_small_records(int fd)
{
    return flood_with_hello_requests(fd, 1);
}

Test(post_hostile, handshakes_that_never_begin_do_not_hold_the_loop)
{
    struct posted posted = post_tls((struct tls_options){ .greet = flood_with_full_records });
    cr_expect_eq(posted.outcome.kind, OUTCOME_TLS_FAILED, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_not(posted.outcome.sent);
    timeout_ms = 2000; /* they are read so seldom that what is too much does not come */
    posted = post_tls((struct tls_options){ .greet = flood_with_small_records });
    cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECT_TIMEOUT, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_not(posted.outcome.sent);
}

static const unsigned char no_settings[] = { 0, 0, 0, 4, 0, 0, 0, 0, 0 };
static const unsigned char answer_ok[] = { 0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88 }; /* 200 on stream 1, which it ends */

/* Frames that HTTP/2 allows, and that say nothing: the answer to a PING that was not sent. */
static bool flood_with_frames(void *ssl)
{
    static const unsigned char ping[] = { 0, 0, 8, 6, 1, 0, 0, 0, 0 };
    unsigned char frames[960 * 17] = { 0 };
    for (size_t i = 0; i < sizeof(frames); i += 17)
        memcpy(frames + i, ping, sizeof(ping));
    bool fine = SSL_write(ssl, no_settings, sizeof(no_settings)) > 0;
    while (fine && !atomic_load(&tls_receiver.stopping))
        fine = SSL_write(ssl, frames, sizeof(frames)) > 0;
    return false;
}

Test(post_hostile, frames_without_end_do_not_hold_the_loop)
{
    struct posted posted = post_tls((struct tls_options){ .talk = flood_with_frames });
    cr_expect_neq(posted.outcome.kind, OUTCOME_ANSWERED, "%s", posted.detail);
    cr_expect_lt(posted.outcome.total_ms, RIG_TIMEOUT_MS, "a million bytes of them are enough");
}

enum { TURNS_MAX = 20000, WINDOW = 65535, LARGE = 4 * WINDOW /* of the body */ };

static bool read_bytes(SSL *ssl, int least)
{
    char bytes[16384];
    for (int count, have = 0; have < least; have += count)
        if ((count = SSL_read(ssl, bytes, sizeof(bytes))) <= 0)
            return false;
    return true;
}

static bool take_one_window(void *ssl)
{
    return SSL_write(ssl, no_settings, sizeof(no_settings)) > 0 && read_bytes(ssl, INT_MAX);
}

/* Each of them has to be acknowledged, so bytes do go out. */
static bool ping_beside_a_shut_window(void *ssl)
{
    enum { AT_ONCE = 30, EVERY_US = 2000, ROUNDS = 1000 };
    unsigned char pings[AT_ONCE][17] = { 0 };
    for (size_t i = 0; i < AT_ONCE; i++)
        memcpy(pings[i], "\0\0\10\6", 4);
    bool fine = SSL_write(ssl, no_settings, sizeof(no_settings)) > 0 && read_bytes(ssl, WINDOW);
    for (int round = 0; fine && round < ROUNDS; round++) {
        usleep(EVERY_US);
        fine = SSL_write(ssl, pings, sizeof(pings)) > 0;
    }
    return fine && read_bytes(ssl, INT_MAX);
}

static bool open_the_window_late(void *ssl)
{
    static const unsigned char more[] = { 0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0x10, 0, 0 };
    bool fine = SSL_write(ssl, no_settings, sizeof(no_settings)) > 0 && read_bytes(ssl, WINDOW);
    usleep(100 * 1000); /* the sender rests */
    return fine && SSL_write(ssl, more, sizeof(more)) > 0 && read_bytes(ssl, LARGE - WINDOW) && SSL_write(ssl, answer_ok, sizeof(answer_ok)) > 0 &&
           read_bytes(ssl, INT_MAX);
}

/* By 512 bytes at a time: it takes them as fast as they come, which must not look like talk without end. */
static bool open_the_window_in_steps(void *ssl)
{
    enum { STEP = 512, EVERY_US = 100 };
    static const unsigned char more[] = { 0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 2, 0 };
    bool fine = SSL_write(ssl, no_settings, sizeof(no_settings)) > 0 && read_bytes(ssl, WINDOW);
    for (int have = WINDOW; fine && have < LARGE; have += STEP) {
        usleep(EVERY_US);
        fine = SSL_write(ssl, more, sizeof(more)) > 0 && read_bytes(ssl, LARGE - have < STEP ? LARGE - have : STEP);
    }
    return fine && SSL_write(ssl, answer_ok, sizeof(answer_ok)) > 0 && read_bytes(ssl, INT_MAX);
}

/* libcurl 7.88 asks all the time whether it may write, and the socket says yes all the time. */
Test(post_hostile, a_window_that_stays_shut_does_not_keep_the_processor_busy)
{
    bool (*const talks[])(void *) = { take_one_window, ping_beside_a_shut_window, open_the_window_late, open_the_window_in_steps };
    const enum outcome_kind kinds[] = { OUTCOME_TIMEOUT, OUTCOME_TIMEOUT, OUTCOME_ANSWERED, OUTCOME_ANSWERED };
    const uint64_t times_ms[] = { 2000, 2000, 0, 3000 /* 384 steps of 10 ms would take longer */ };
    for (size_t i = 0; i < COUNT_OF(talks); i++) {
        timeout_ms = times_ms[i];
        begin_tls((struct tls_options){ .talk = talks[i] });
        rig_fill_body(&rig, LARGE);
        struct posted posted = post_as_begun();
        cr_expect_eq(posted.outcome.kind, kinds[i], "%zu: %d %s", i, posted.outcome.kind, posted.detail);
        cr_expect_lt(turns, TURNS_MAX, "%zu: %d turns", i, turns);
    }
}

/* Up to the frame that ends the request. */
static bool read_http2_request(SSL *ssl, bool first)
{
    enum { PREFACE = 24, FRAME_HEAD = 9, DATA = 0, HEADERS = 1, END_STREAM = 1 };
    unsigned char bytes[4096];
    size_t have = 0, at = first ? PREFACE : 0;
    for (;;) {
        int count = SSL_read(ssl, bytes + have, (int)(sizeof(bytes) - have));
        if (count <= 0)
            return false;
        have += (size_t)count;
        for (; have >= at + FRAME_HEAD; at += FRAME_HEAD + (size_t)bytes[at + 1] * 256 + bytes[at + 2])
            if ((bytes[at + 3] == DATA || bytes[at + 3] == HEADERS) && (bytes[at + 4] & END_STREAM) != 0)
                return true;
    }
}

static bool breaks_behind_headers;

/* Asks for a window larger than there is, on the first connection. Then it waits for the other side to end it. */
static bool break_the_first(void *ssl)
{
    static const unsigned char broken[] = { 0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88, 0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff };
    enum { HEADERS_BYTES = 10 };
    bool first = atomic_load(&tls_receiver.connections) == 1;
    const unsigned char *bytes = !first ? answer_ok : breaks_behind_headers ? broken : broken + HEADERS_BYTES;
    size_t length = !first ? sizeof(answer_ok) : (size_t)(broken + sizeof(broken) - bytes);
    return SSL_write(ssl, no_settings, sizeof(no_settings)) > 0 && read_http2_request(ssl, true) && SSL_write(ssl, bytes, (int)length) > 0 &&
           read_bytes(ssl, INT_MAX);
}

/* libcurl 8 would keep it, and what broke it with it: the next request would end in the same way, and 200 bytes never be given back. */
Test(post_hostile, a_connection_whose_http2_was_broken_is_not_used_again)
{
    for (int i = 0; i < 2; i++) {
        breaks_behind_headers = i == 1;
        begin_tls((struct tls_options){ .talk = break_the_first });
        struct posted first;
        rig_begin(&rig, url, &first);
        rig_wait(&rig, &first);
        cr_expect_eq(first.outcome.kind == OUTCOME_ANSWERED, breaks_behind_headers, "%d: %d %s", i, first.outcome.kind, first.detail);
        struct posted second = post_as_begun();
        cr_expect_eq(second.outcome.status, 200, "%d: %d %s", i, second.outcome.kind, second.detail);
    }
}

enum { NO_ERROR = 0, INTERNAL_ERROR = 2, CANCEL = 8, HTTP_1_1_REQUIRED = 13 };

static struct ending {
    unsigned char reason; /* of RST_STREAM */
    bool goes_away;       /* says so first */
} ending;

/* As Go's server when its handler does not read the body, or as HAProxy when it answers by itself: answer and end of the stream in one record. */
static bool answer_and_end_the_stream(void *ssl)
{
    static const unsigned char goodbye[] = { 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0 };
    const unsigned char end[] = { 0, 0, 1, 1, ending.reason == CANCEL ? 5 : 4, 0, 0, 0, 1, 0x88, 0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, ending.reason };
    enum { HEADERS_BYTES = 10 };
    unsigned char bytes[sizeof(goodbye) + sizeof(end)];
    size_t first = ending.goes_away ? sizeof(goodbye) : 0, skip = ending.reason == HTTP_1_1_REQUIRED ? HEADERS_BYTES : 0;
    memcpy(bytes, goodbye, first);
    memcpy(bytes + first, end + skip, sizeof(end) - skip);
    return SSL_write(ssl, no_settings, sizeof(no_settings)) > 0 && read_bytes(ssl, LARGE / 8) &&
           SSL_write(ssl, bytes, (int)(first + sizeof(end) - skip)) > 0 && usleep(200 * 1000) != 0; /* others wait for us */
}

/* libcurl 8 has the answer at once; with it HTTP/2 stays. */
Test(post_hostile, answers_that_http2_does_not_bring_through_come_by_http1)
{
    const struct ending endings[] = {
        { NO_ERROR, false }, { NO_ERROR, true }, { INTERNAL_ERROR, false }, { CANCEL, false }, { HTTP_1_1_REQUIRED, false }
    };
    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        struct posted posted[2];
        ending = endings[i];
        begin_tls((struct tls_options){ .talk = answer_and_end_the_stream });
        rig_fill_body(&rig, LARGE);
        for (int k = 0; k < 2; k++) {
            posted[k] = rig_post_url(&rig, url);
            rig_run_ms(&rig, 300); /* the end of the connection arrives */
        }
        cr_expect_eq(posted[1].outcome.status, 200, "%zu: %d %s", i, posted[1].outcome.kind, posted[1].detail);
        cr_expect_eq(atomic_load(&tls_receiver.requests), posted[0].outcome.kind == OUTCOME_ANSWERED ? 0 : 1);
        end_tls();
    }
}

static bool answer_each_by_http2(void *ssl)
{
    unsigned char answer[] = { 0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88 };
    bool fine = SSL_write(ssl, no_settings, sizeof(no_settings)) > 0;
    for (; fine && read_http2_request(ssl, answer[8] == 1); answer[8] += 2)
        fine = SSL_write(ssl, answer, sizeof(answer)) > 0;
    return false;
}

static bool answer_by_http1(void *ssl)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    return SSL_write(ssl, answer, sizeof(answer) - 1) > 0 && read_bytes(ssl, INT_MAX);
}

/* As what ends TLS for a server that knows nothing of HTTP/2. */
Test(post_hostile, whoever_does_not_speak_http2_is_not_waited_for)
{
    struct posted posted = post_tls((struct tls_options){ .talk = answer_by_http1, .refuses_http1 = true });
    cr_expect(posted.outcome.kind == OUTCOME_BAD_ANSWER || posted.outcome.kind == OUTCOME_CONNECTION_LOST, "%d %s", posted.outcome.kind,
              posted.detail);
}

/* As hyper and HAProxy by HTTP/1.1. */
Test(post_hostile, an_answer_in_front_of_a_reset_is_heard)
{
    begin_tls((struct tls_options){ .impatient = true });
    rig_fill_body(&rig, 16 * LARGE);
    for (int i = 0; i < 100; i++) {
        struct posted posted = rig_post_url(&rig, url);
        cr_expect_eq(posted.outcome.status, 200, "%d: %d %s", i, posted.outcome.kind, posted.detail);
    }
    end_tls();
}

static bool reset_stream(void *ssl)
{
    static const unsigned char reset[] = { 0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, INTERNAL_ERROR };
    return SSL_write(ssl, no_settings, sizeof(no_settings)) > 0 && read_http2_request(ssl, true) && SSL_write(ssl, reset, sizeof(reset)) > 0 &&
           read_bytes(ssl, INT_MAX);
}

static bool reset_the_first(void *ssl)
{
    bool first = atomic_load(&tls_receiver.connections) == 1;
    return first ? reset_stream(ssl) : answer_each_by_http2(ssl);
}

static bool want_http2(void *ssl)
{
    static const char refusal[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    return SSL_write(ssl, refusal, sizeof(refusal) - 1) > 0;
}

static bool close_at_once(void *ssl)
{
    (void)ssl;
    return false;
}

static bool reset_connection(void *ssl)
{
    const struct linger no_time = { .l_onoff = 1 };
    setsockopt(SSL_get_fd(ssl), SOL_SOCKET, SO_LINGER, &no_time, sizeof(no_time));
    return false;
}

/* Whichever of the first frames it was that did not get out, or in. */
Test(post_hostile, a_connection_that_is_reset_has_not_broken_http2)
{
    begin_tls((struct tls_options){ .talk = reset_connection, .refuses_http1 = true });
    rig_fill_body(&rig, LARGE);
    for (int i = 0; i < 40; i++) {
        struct posted posted = rig_post_url(&rig, url);
        cr_expect(posted.outcome.kind == OUTCOME_CONNECTION_LOST || posted.outcome.kind == OUTCOME_TLS_FAILED, "%d %s", posted.outcome.kind,
                  posted.detail);
    }
    end_tls();
}

static bool answer_by_http2(void *ssl)
{
    return SSL_write(ssl, no_settings, sizeof(no_settings)) > 0;
}

/* It lets TLS begin without a protocol, as Node.js did for long, or agrees on HTTP/1.1 for others behind it. What it answers by HTTP/1.1 does not lend its
 * connection to HTTP/2. */
Test(post_hostile, a_receiver_of_http2_alone_soon_gets_no_request_by_http1)
{
    const struct {
        bool (*act)(void *);
        bool agrees, refuses;
        int lost, requests;
    } cases[] = { { want_http2, false, false, 2, 1 },
                  { close_at_once, false, false, 2, 1 },
                  { close_at_once, false, true, 2, 0 },
                  { answer_by_http2, true, false, 2, 1 },
                  { close_at_once, true, false, 4, 3 } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        begin_tls((struct tls_options){
            .talk = reset_the_first, .act = cases[i].act, .agrees_on_http1 = cases[i].agrees, .refuses_http1 = cases[i].refuses });
        for (int k = 0; k < 6; k++) {
            struct posted posted = rig_post_url(&rig, url);
            cr_expect_eq(posted.outcome.status == 200, k >= cases[i].lost, "%zu, %d: %d %s", i, k, posted.outcome.status, posted.detail);
            rig_run_ms(&rig, 100);
        }
        cr_expect_eq(atomic_load(&tls_receiver.requests), cases[i].requests);
        end_tls();
    }
}

/* By HTTP/2 as well, whatever the handle that does it was used for. */
Test(post_hostile, connecting_is_tried_with_all_protocols)
{
    begin_tls((struct tls_options){ .talk = reset_stream, .close_each = true });
    for (int k = 0; k < 2; k++)
        cr_expect_eq(rig_post_url(&rig, url).outcome.status == 200, k == 1);
    tls_receiver.options.refuses_http1 = true;
    cr_expect(rig_connects(&rig, url));
    end_tls();
}

static bool ask_for_patience(void *ssl)
{
    static const char answer[] = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
    return SSL_write(ssl, answer, sizeof(answer) - 1) > 0;
}

static bool say_nothing_at_first(void *ssl)
{
    return atomic_load(&tls_receiver.requests) == 1 ? read_bytes(ssl, INT_MAX) : want_http2(ssl);
}

/* Whoever speaks HTTP/1.1 gets it from then on: it agreed on that, whatever came of the request, or answered by it. */
Test(post_hostile, a_receiver_that_speaks_http1_is_not_asked_again)
{
    const struct {
        bool agrees;
        bool (*act)(void *);
        int statuses[4];
    } cases[] = { { false, ask_for_patience, { 0, 429, 429, 429 } }, { true, say_nothing_at_first, { 0, 0, 403, 403 } } };
    timeout_ms = 500;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        begin_tls((struct tls_options){ .talk = reset_stream, .agrees_on_http1 = cases[i].agrees, .act = cases[i].act });
        for (size_t k = 0; k < COUNT_OF(cases[i].statuses); k++) {
            struct posted posted = rig_post_url(&rig, url);
            cr_expect_eq(posted.outcome.status, cases[i].statuses[k], "%zu, %zu: %d %s", i, k, posted.outcome.status, posted.detail);
            rig_run_ms(&rig, 100);
        }
        end_tls();
    }
}

static atomic_bool name_fails;

static void script_name(const char *name, int type, struct dns_answer *answer)
{
    (void)name;
    answer->rcode = atomic_load(&name_fails) ? DNS_SERVER_FAILED : DNS_NO_ERROR;
    answer->count = type == DNS_A && answer->rcode == DNS_NO_ERROR;
    answer->ttl_s = 1;
    answer->addresses[0] = "127.0.0.1";
}

/* Nor does one that does not get there keep the others from asking. */
Test(post_hostile, whoever_does_not_reach_the_receiver_does_not_ask_it)
{
    enum { PAST_TTL_MS = 1100 };
    const enum outcome_kind kinds[] = { OUTCOME_CONNECTION_LOST, OUTCOME_NAME_FAILED, OUTCOME_ANSWERED };
    struct dns_server dns;
    dns_start(&dns, script_name);
    tls_receiver_start(&tls_receiver, (struct tls_options){ .subject_alt_name = "DNS:hook.example.com", .talk = reset_stream });
    rig_open(&rig, (struct lanes_options){ .ca_file = tls_receiver.ca_file, .http2 = true }, dns.address);
    rig_url(url, "https", "hook.example.com", tls_receiver.port, "/");
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        atomic_store(&name_fails, kinds[i] == OUTCOME_NAME_FAILED);
        struct posted posted = rig_post_url(&rig, url);
        cr_expect_eq(posted.outcome.kind, kinds[i], "%zu: %d %s", i, posted.outcome.kind, posted.detail);
        rig_run_ms(&rig, PAST_TTL_MS);
    }
    end_tls();
    dns_stop(&dns);
}

/* The second request, on stream 3: libcurl would send it once more by itself, and dial for it. */
static bool answer_first_then_refuse(void *ssl)
{
    static const unsigned char refusal[] = { 0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 7 };
    bool first = atomic_load(&tls_receiver.connections) == 1;
    bool answered =
        SSL_write(ssl, no_settings, sizeof(no_settings)) > 0 && read_http2_request(ssl, true) && SSL_write(ssl, answer_ok, sizeof(answer_ok)) > 0;
    if (answered && first && read_http2_request(ssl, false))
        answered = SSL_write(ssl, refusal, sizeof(refusal)) > 0;
    return answered && read_bytes(ssl, INT_MAX);
}

/* Nor is it taken for a receiver that does not want HTTP/2. */
Test(post_hostile, a_refused_stream_is_not_sent_again)
{
    const int statuses[] = { 200, 0, 200 };
    begin_tls((struct tls_options){ .talk = answer_first_then_refuse });
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        struct posted posted = rig_post_url(&rig, url);
        cr_expect_eq(posted.outcome.status, statuses[i], "%zu: %d %s", i, posted.outcome.kind, posted.detail);
        cr_expect_eq(posted.outcome.kind, statuses[i] != 0 ? OUTCOME_ANSWERED : OUTCOME_CONNECTION_LOST, "%zu: %s", i, posted.detail);
    }
    cr_expect_eq(atomic_load(&tls_receiver.connections), 2);
    cr_expect_eq(atomic_load(&tls_receiver.requests), 0, "by HTTP/1.1");
    cr_expect_eq(counter_read(&lanes_stats(rig.lanes)->resends_refused), 1);
    end_tls();
}

static bool read_first; /* or go at once */

static bool go_away(void *ssl)
{
    static const unsigned char away[] = { 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
    return SSL_write(ssl, no_settings, sizeof(no_settings)) > 0 && (!read_first || read_http2_request(ssl, true)) &&
           SSL_write(ssl, away, sizeof(away)) > 0 && read_bytes(ssl, INT_MAX);
}

/* As ordinary servers do when they are told to reload: nothing is broken. */
Test(post_hostile, a_receiver_that_goes_away_has_lost_the_request)
{
    for (int i = 0; i < 2; i++) {
        read_first = i == 1;
        struct posted posted = post_tls((struct tls_options){ .talk = go_away });
        cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECTION_LOST, "%d: %d %s", i, posted.outcome.kind, posted.detail);
    }
}

/* The receiver would choose how large the numbers are that we reckon with. */
Test(post_hostile, key_exchange_without_curves_is_refused)
{
    const struct tls_options options[] = { { .classic = true }, { .groups = "ffdhe2048" } };
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        struct posted posted = post_tls(options[i]);
        cr_expect_eq(posted.outcome.kind, OUTCOME_TLS_FAILED, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
    }
    cr_expect_eq(post_tls((struct tls_options){ .groups = "P-384" }).outcome.status, 200);
}

/* Each of them is read, and looked at, before any is trusted. */
Test(post_hostile, chains_that_cost_much_are_refused)
{
    const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    const struct tls_options costly[] = {
        { .more_certificates = 200 }, { .more_certificates = TLS_CHAIN_MAX }, { .own_curve = true }, { .half_point = true }
    };
    for (size_t i = 0; i < COUNT_OF(versions) * COUNT_OF(costly); i++) {
        struct tls_options options = costly[i / COUNT_OF(versions)];
        options.newest_protocol = versions[i % COUNT_OF(versions)];
        struct posted posted = post_tls(options);
        cr_expect_eq(posted.outcome.kind, OUTCOME_TLS_FAILED, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
    }
    cr_expect_eq(post_tls((struct tls_options){ .more_certificates = TLS_CHAIN_MAX - 1 }).outcome.status, 200);
}

/* Points by the hundred, each with a name that is made up from the issuer's. */
Test(post_hostile, certificates_whose_extensions_cost_much_are_refused)
{
    const struct tls_options costly[] = { { .points_bytes = 3000 }, { .relative_point = true } };
    for (size_t i = 0; i < COUNT_OF(costly); i++) {
        struct posted posted = post_tls(costly[i]);
        cr_expect_eq(posted.outcome.kind, OUTCOME_TLS_VERIFY, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
    }
    cr_expect_eq(post_tls((struct tls_options){ .points_bytes = 1000 }).outcome.status, 200);
}

/* Five posts, one after the other: how many connections they took, and how many of these went on with the session of one before. */
static void post_five(struct tls_options options, int *connections, int *resumed)
{
    begin_tls(options);
    for (int i = 0; i < 5; i++) {
        struct posted posted = rig_post_url(&rig, url);
        cr_expect_eq(posted.outcome.status, 200, "%d: %d %s", i, posted.outcome.kind, posted.detail);
        rig_run_ms(&rig, 30); /* the end of the connection arrives */
    }
    end_tls();
    *connections = atomic_load(&tls_receiver.connections);
    *resumed = atomic_load(&tls_receiver.resumed);
}

/* libcurl keeps thousands of sessions, of as many receivers. */
Test(post_hostile, sessions_that_take_much_memory_are_not_kept)
{
    int connections, resumed;
    post_five((struct tls_options){ .close_each = true, .ticket_bytes = 2048 }, &connections, &resumed);
    cr_expect_geq(resumed, 3);
    post_five((struct tls_options){ .close_each = true, .ticket_bytes = 60000 }, &connections, &resumed);
    cr_expect_eq(resumed, 0);
    post_five((struct tls_options){ .close_each = true, .more_certificates = TLS_CHAIN_MAX - 1, .long_certificates = true }, &connections, &resumed);
    cr_expect_eq(resumed, 0);
}

/* Neither are connections, of which there may be as many: a chain takes ten times of what it took on the wire. */
Test(post_hostile, connections_that_take_much_memory_are_not_kept)
{
    int connections, resumed;
    const struct tls_options fine[] = { { .more_certificates = TLS_CHAIN_MAX - 1 },
                                        { .more_certificates = 1, .long_certificates = true },
                                        { .more_certificates = 3, .long_certificates = true, .same_again = true } };
    for (size_t i = 0; i < COUNT_OF(fine); i++) {
        post_five(fine[i], &connections, &resumed);
        cr_expect_eq(connections, 1, "%zu: %d", i, connections);
    }
    post_five((struct tls_options){ .more_certificates = 3, .long_certificates = true }, &connections, &resumed);
    cr_expect(connections == 5 && resumed == 0, "%d %d: extensions may take fifty times as much", connections, resumed);
    post_five((struct tls_options){ .more_certificates = TLS_CHAIN_MAX - 1, .long_certificates = true }, &connections, &resumed);
    cr_expect(connections == 5 && resumed == 0, "%d %d", connections, resumed);
}

/* OpenSSL keeps the ticket as long as the connection stands, whether the session is kept or not. */
Test(post_hostile, connections_with_long_tickets_are_not_kept)
{
    bool (*const talks[])(void *) = { NULL, answer_each_by_http2 };
    int connections, resumed;
    for (size_t i = 0; i < COUNT_OF(talks); i++) {
        post_five((struct tls_options){ .talk = talks[i], .ticket_bytes = 2048 }, &connections, &resumed);
        cr_expect_eq(connections, 1, "%zu: %d", i, connections);
        post_five((struct tls_options){ .talk = talks[i], .ticket_bytes = 60000 }, &connections, &resumed);
        cr_expect(connections == 5 && resumed == 0, "%zu: %d %d", i, connections, resumed);
    }
}

static int added, times; /* certificates to the chain, before it is shown again; and how often it is */

/* TLS 1.2 lets a receiver shake hands anew before it answers. */
static bool shake_hands_anew(void *ssl)
{
    struct pollfd ready = { .fd = SSL_get_fd(ssl), .events = POLLIN };
    char byte;
    for (int i = 0; i < added; i++)
        SSL_add1_chain_cert(ssl, SSL_get_certificate(ssl));
    SSL_set_options(ssl, SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
    fcntl(ready.fd, F_SETFL, O_NONBLOCK);
    bool fine = true;
    for (int i = 0; fine && i < times; i++) {
        fine = SSL_renegotiate(ssl) == 1 && SSL_do_handshake(ssl) == 1;
        while (fine && SSL_renegotiate_pending(ssl) && poll(&ready, 1, -1) == 1)
            fine = SSL_peek(ssl, &byte, 1) > 0 || SSL_get_error(ssl, -1) == SSL_ERROR_WANT_READ;
    }
    fcntl(ready.fd, F_SETFL, 0);
    return fine && SSL_write(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38) > 0;
}

/* The connection was found small enough to be kept before. */
Test(post_hostile, connections_that_grow_in_the_middle_are_not_kept)
{
    const struct tls_options options = { .act = shake_hands_anew, .newest_protocol = TLS1_2_VERSION, .long_certificates = true };
    int connections, resumed;
    added = 0;
    times = 1;
    post_five(options, &connections, &resumed);
    cr_expect_eq(connections, 1);
    added = TLS_CHAIN_MAX - 1;
    post_five(options, &connections, &resumed);
    cr_expect_eq(connections, 5);
}

/* Once is enough to ask for a certificate of ours. */
Test(post_hostile, a_second_handshake_behind_a_request_is_one_too_many)
{
    added = 0;
    times = 2;
    struct posted posted = post_tls((struct tls_options){ .act = shake_hands_anew, .newest_protocol = TLS1_2_VERSION });
    cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECTION_LOST, "%d %s", posted.outcome.kind, posted.detail);
}

static bool show_another_certificate(void *ssl)
{
    SSL_use_certificate(ssl, SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    return shake_hands_anew(ssl);
}

/* Nobody would compare it with the host. */
Test(post_hostile, a_second_handshake_shows_the_certificate_of_the_first)
{
    struct tls_options options = {
        .act = shake_hands_anew, .issued = true, .other_name = "DNS:other.example.com", .newest_protocol = TLS1_2_VERSION
    };
    added = 0;
    times = 1;
    cr_expect_eq(post_tls(options).outcome.status, 200);
    options.act = show_another_certificate;
    options.other_name = "IP:127.0.0.1"; /* a newer one of the same receiver */
    cr_expect_eq(post_tls(options).outcome.status, 200);
    options.other_name = "DNS:other.example.com";
    struct posted posted = post_tls(options);
    cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECTION_LOST, "%d %s", posted.outcome.kind, posted.detail);
}

/* Eight thousand of them fit in a message, and take 1.4 MB. Whoever goes on with a session does not ask again. */
Test(post_hostile, connections_with_many_names_of_authorities_are_not_kept)
{
    int connections, resumed;
    post_five((struct tls_options){ .names = 100, .newest_protocol = TLS1_2_VERSION }, &connections, &resumed);
    cr_expect_eq(connections, 1);
    post_five((struct tls_options){ .names = 2000, .newest_protocol = TLS1_2_VERSION }, &connections, &resumed);
    cr_expect_eq(connections, resumed > 0 ? 2 : 5, "%d %d", connections, resumed);
    post_five((struct tls_options){ .names = 2000 }, &connections, &resumed);
    cr_expect_gt(connections, 1);
}

static atomic_bool cut_off;

/* Answers, and goes on with pings that nobody asked for. */
static bool talk_while_idle(void *ssl)
{
    static const unsigned char ping[] = { 0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8 };
    if (SSL_write(ssl, no_settings, sizeof(no_settings)) <= 0 || !read_http2_request(ssl, true) || SSL_write(ssl, answer_ok, sizeof(answer_ok)) <= 0)
        return false;
    usleep(100 * 1000); /* the connection is idle by then */
    while (SSL_write(ssl, ping, sizeof(ping)) > 0)
        ;
    atomic_store(&cut_off, true);
    return false;
}

/* Nobody reads it; the kernel keeps 128 KiB of it for each connection. Without the bound it would end when the connection has been idle for 16 s. */
Test(post_hostile, a_connection_that_talks_while_it_is_idle_is_not_kept)
{
    enum { IDLE_MS = 16000, LOOKS = IDLE_MS / 2 / 50 };
    struct posted posted;
    tls_receiver_start(&tls_receiver, (struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .talk = talk_while_idle });
    rig_open(&rig, (struct lanes_options){ .ca_file = tls_receiver.ca_file, .http2 = true, .idle_ms = IDLE_MS }, NULL);
    rig_url(url, "https", "127.0.0.1", tls_receiver.port, "/");
    posted = rig_post_url(&rig, url);
    cr_expect_eq(posted.outcome.status, 200, "%d %s", posted.outcome.kind, posted.detail);
    for (int i = 0; i < LOOKS && !atomic_load(&cut_off); i++)
        rig_run_ms(&rig, 50);
    cr_expect(atomic_load(&cut_off));
    end_tls();
}

/* ---- what stands around the body ---- */

static atomic_size_t said;

static bool extend_a_chunk(const struct visit *visit)
{
    static const char more[65536] = { [0 ... 65535] = 'x' };
    bool listens = say(visit, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=");
    while (listens && (listens = say_bytes(visit, more, sizeof(more))))
        atomic_fetch_add(&said, sizeof(more));
    return false;
}

/* Sixteen thousand bytes of body, each a chunk, and as many trailers as may be: 150 KB in all. */
static bool say_little_with_much_around(const struct visit *visit)
{
    bool listens = say(visit, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    char pieces[16 * 1000 * 6 + 1] = "";
    for (size_t i = 0; i < 16 * 1000; i++)
        memcpy(pieces + 6 * i, "1\r\nx\r\n", 7);
    for (size_t i = 0; listens && i < 96; i++)
        listens = say_bytes(visit, pieces + 1000 * i, 1000) && wait_ms(visit, 1);
    listens = listens && say(visit, "0\r\n");
    char trailer[601] = { [0 ... 596] = 't', '\r', '\n' };
    trailer[1] = ':';
    for (size_t i = 0; listens && i < 90; i++)
        listens = say(visit, trailer);
    return listens && say(visit, "\r\n");
}

Test(post_hostile, what_stands_around_a_body_without_end_is_cut)
{
    enum { IN_KERNELS = 32 * 1024 * 1024 };
    script *const scripts[] = { extend_a_chunk, say_little_with_much_around };
    const char *const details[] = { "answered; the body was cut", "answered" };
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        receiver_start(&receiver, scripts[i]);
        rig_open(&rig, (struct lanes_options){ .lane_count = 1 }, NULL);
        for (int k = 1; k <= 2; k++) {
            struct posted posted = rig_post(&rig, &receiver, "/");
            cr_expect_eq(posted.outcome.status, 200, "%zu: %d", i, posted.outcome.kind);
            cr_expect_str_eq(posted.detail, details[i]);
            cr_expect_eq(atomic_load(&receiver.connections), scripts[i] == extend_a_chunk ? k : 1);
        }
        rig_close(&rig);
        receiver_stop(&receiver);
    }
    cr_expect_lt(atomic_load(&said), IN_KERNELS);
}

/* ---- the next answer ---- */

enum { POSTS = 40, FIRST_READ = 1024, FIRST_READ_TLS = 4096 /* what libcurl reads at once: the forgery lies behind it */ };

static const char forged[] = "HTTP/1.1 299 Forged\r\nContent-Length: 0\r\n\r\n";

/* An answer and, behind it, an answer to a request that was not made yet. */
static size_t write_two_answers(char *bytes, size_t first_read, bool with_body)
{
    int head = with_body ? snprintf(bytes, first_read, "HTTP/1.1 200 OK\r\nContent-Length: %04zu\r\n\r\n", first_read - 41)
                         : snprintf(bytes, first_read, "HTTP/1.1 204 No Content\r\n\r\n");
    memset(bytes + head, 'x', first_read - (size_t)head);
    memcpy(bytes + first_read, forged, sizeof(forged) - 1);
    return first_read + sizeof(forged) - 1;
}

static bool say_both(const struct visit *visit)
{
    char bytes[2 * FIRST_READ];
    return say_bytes(visit, bytes, write_two_answers(bytes, FIRST_READ, visit->receiver->requests % 2 == 0));
}

static bool write_both(void *ssl)
{
    char bytes[2 * FIRST_READ_TLS];
    return SSL_write(ssl, bytes, (int)write_two_answers(bytes, FIRST_READ_TLS, atomic_load(&tls_receiver.requests) % 2 == 0)) > 0;
}

static struct chain {
    int left, honest, other;
} chain;

/* The next post follows at once: the loop has no time to see that the idle connection speaks. */
static void go_on(void *context, const struct outcome *outcome)
{
    struct url parsed;
    (void)context;
    if (outcome->kind == OUTCOME_ANSWERED && (outcome->status == 200 || outcome->status == 204))
        chain.honest++;
    else
        chain.other++;
    cr_assert_eq(guard_judge_url(&rig.guard, slice_of(url), &parsed), GUARD_OK);
    if (--chain.left > 0)
        lanes_post(rig.lanes, &parsed, &rig.request, go_on, NULL);
}

static void post_many(void)
{
    struct url parsed;
    chain = (struct chain){ .left = POSTS };
    cr_assert_eq(guard_judge_url(&rig.guard, slice_of(url), &parsed), GUARD_OK);
    lanes_post(rig.lanes, &parsed, &rig.request, go_on, NULL);
    while (chain.left > 0)
        uv_run(&rig.loop, UV_RUN_ONCE);
    rig_close(&rig);
}

Test(post_hostile, an_answer_beyond_the_answer_is_not_the_next_ones)
{
    receiver_start(&receiver, say_both);
    rig_open(&rig, (struct lanes_options){ .lane_count = 1 }, NULL);
    rig_url(url, "http", "127.0.0.1", receiver.port, "/");
    post_many();
    cr_expect(chain.honest == POSTS && chain.other == 0, "%d of %d are right", chain.honest, POSTS);
    cr_expect_eq(atomic_load(&receiver.requests), POSTS, "answered without being read: %d", atomic_load(&receiver.requests));
    receiver_stop(&receiver);
}

Test(post_hostile, an_answer_beyond_the_answer_is_not_the_next_ones_inside_tls)
{
    begin_tls((struct tls_options){ .act = write_both });
    post_many();
    cr_expect(chain.honest == POSTS && chain.other == 0, "%d of %d are right", chain.honest, POSTS);
    cr_expect_eq(atomic_load(&tls_receiver.requests), POSTS);
    tls_receiver_stop(&tls_receiver);
}

static bool fold_the_first_line(const struct visit *visit)
{
    if (visit->receiver->requests == 1)
        return say(visit, "HTTP/1.1 204 No Content\r\nX-Last: of the answer\r\n\r\n");
    return say(visit, "HTTP/1.1 204 No Content\r\n to: what?\r\n\r\n");
}

/* Seen by AddressSanitizer, in libcurl 7.88. */
Test(post_hostile, a_line_that_goes_on_with_none_is_appended_to_no_former_answer)
{
    receiver_start(&receiver, fold_the_first_line);
    rig_open(&rig, (struct lanes_options){ .lane_count = 1 }, NULL);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(rig_post(&rig, &receiver, "/").outcome.status, 204);
    rig_close(&rig);
    receiver_stop(&receiver);
}
