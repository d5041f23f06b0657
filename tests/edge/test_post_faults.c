/* Receivers that fail, stall, or talk without end. Deadlines are short where the outcome needs one, long where it must come without. */
#include "tests/edge/post_rig.h"

#include <criterion/criterion.h>
#include <curl/curl.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct rig rig;
static struct receiver receiver;

static void begin_with(script *script, uint64_t timeout_ms)
{
    receiver_start(&receiver, script);
    rig_open(&rig, (struct lanes_options){ .attempt_timeout_ms = timeout_ms, .snippet_bytes = 16, .lane_count = 1 }, NULL);
}

static struct posted post_to(script *script, uint64_t timeout_ms)
{
    begin_with(script, timeout_ms);
    struct posted posted = rig_post(&rig, &receiver, "/");
    rig_close(&rig);
    receiver_stop(&receiver);
    return posted;
}

TestSuite(post_faults, .timeout = 60);

static bool answer_ok(const struct visit *visit)
{
    return say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static bool never_answer(const struct visit *visit)
{
    while (wait_ms(visit, 10))
        ;
    return false;
}

Test(post_faults, no_answer_is_a_timeout_at_the_deadline)
{
    struct posted posted = post_to(never_answer, RIG_SHORT_MS);
    cr_expect_eq(posted.outcome.kind, OUTCOME_TIMEOUT, "%s", posted.detail);
    cr_expect(posted.outcome.sent && posted.outcome.connected);
    cr_expect_geq(posted.outcome.total_ms, RIG_SHORT_MS - 1);
}

Test(post_faults, a_slow_turn_of_the_loop_takes_no_time_from_an_attempt)
{
    begin_with(never_answer, RIG_SHORT_MS);
    char url[256];
    rig_url(url, "http", "127.0.0.1", receiver.port, "/");
    uv_update_time(&rig.loop);
    poll(NULL, 0, RIG_SHORT_MS / 2);
    struct posted posted;
    rig_begin(&rig, url, &posted);
    rig_wait(&rig, &posted);
    cr_expect_eq(posted.outcome.kind, OUTCOME_TIMEOUT, "%s", posted.detail);
    cr_expect_geq(posted.outcome.total_ms, RIG_SHORT_MS - 1);
    rig_close(&rig);
    receiver_stop(&receiver);
}

static bool peers_are_gone;

/* The dynamic linker takes it before libc's. */
int getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
    if (!peers_are_gone)
        return (int)syscall(SYS_getpeername, fd, address, length);
    errno = ENOTCONN;
    return -1;
}

/* A balancer that is overloaded does that; libcurl 7.88 then does not know whom it called. It was no refused address for that. */
Test(post_faults, a_reset_right_behind_the_handshake_is_a_lost_connection)
{
    peers_are_gone = true;
    struct posted posted = post_to(answer_ok, RIG_TIMEOUT_MS);
    bool asks_then = curl_version_info(CURLVERSION_NOW)->version_num < 0x080000;
    cr_expect_eq(posted.outcome.kind, asks_then ? OUTCOME_CONNECTION_LOST : OUTCOME_ANSWERED, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_eq(posted.outcome.sent, !asks_then);
}

Test(post_faults, a_closed_port_is_refused)
{
    struct posted posted;
    char url[256];
    begin_with(answer_ok, RIG_TIMEOUT_MS);
    uint16_t port = receiver.port;
    receiver_stop(&receiver);
    rig_url(url, "http", "127.0.0.1", port, "/");
    posted = rig_post_url(&rig, url);
    cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECT_REFUSED, "%s", posted.detail);
    cr_expect_not(posted.outcome.sent || posted.outcome.connected);
    rig_close(&rig);
}

/* A listener whose queue is full drops further connections: they hang. */
static uint16_t listen_in_vain(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 0) == 0);
    getsockname(listener, (struct sockaddr *)&address, &length);
    for (int i = 0; i < 8; i++)
        connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (struct sockaddr *)&address, length);
    return ntohs(address.sin_port);
}

static struct posted post_in_vain(struct lanes_options options)
{
    struct posted posted;
    char url[256];
    rig_url(url, "http", "127.0.0.1", listen_in_vain(), "/");
    rig_open(&rig, options, NULL);
    posted = rig_post_url(&rig, url);
    return posted;
}

Test(post_faults, no_connection_is_a_connect_timeout)
{
    struct posted posted = post_in_vain((struct lanes_options){ .attempt_timeout_ms = RIG_SHORT_MS });
    cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECT_TIMEOUT, "%s", posted.detail);
    cr_expect_not(posted.outcome.sent || posted.outcome.connected);
    rig_close(&rig);
}

/* libcurl 7.88 closes a socket that it has not connected behind our back. */
Test(post_faults, a_descriptor_is_left_alone_once_libcurl_has_closed_it)
{
    int pairs[8][2];
    char byte;
    post_in_vain((struct lanes_options){ .attempt_timeout_ms = RIG_SHORT_MS, .idle_ms = 50 });
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
    rig_run_ms(&rig, 300);
    rig_close(&rig);
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        cr_expect(recv(pairs[i][0], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1 && recv(pairs[i][1], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1);
}

static bool close_at_once(const struct visit *visit)
{
    (void)visit;
    return false;
}

static bool reset_at_once(const struct visit *visit)
{
    reset_at_close(visit);
    return false;
}

static bool say_half_a_status_line(const struct visit *visit)
{
    say(visit, "HTTP/1.1 20");
    return false;
}

Test(post_faults, a_connection_that_ends_before_an_answer_is_lost)
{
    script *const scripts[] = { close_at_once, reset_at_once };
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        struct posted posted = post_to(scripts[i], RIG_TIMEOUT_MS);
        cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECTION_LOST, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
        cr_expect(posted.outcome.sent);
    }
}

Test(post_faults, half_a_status_line_is_no_answer)
{
    struct posted posted = post_to(say_half_a_status_line, RIG_TIMEOUT_MS);
    cr_expect(posted.outcome.kind == OUTCOME_CONNECTION_LOST || posted.outcome.kind == OUTCOME_BAD_ANSWER, "%s", posted.detail);
}

static bool say_garbage(const struct visit *visit)
{
    return say(visit, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n") && never_answer(visit);
}

static bool say_zeros(const struct visit *visit)
{
    static const char zeros[8192];
    return say_bytes(visit, zeros, sizeof(zeros)) && never_answer(visit);
}

static bool say_status_oddly(const struct visit *visit)
{
    return say(visit, "http/1.1  200 OK\r\nContent-Length: 0\r\n\r\n") && never_answer(visit);
}

static bool say_status_of_four_digits(const struct visit *visit)
{
    return say(visit, "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n") && never_answer(visit);
}

/* libcurl takes them for a status line. Then it would read the body for as long as there is one, and call a line in it a mistake of ours. */
static bool say_status_oddly_and_never_end(const struct visit *visit)
{
    static char zeros[65536];
    for (bool going = say(visit, "HTTP/1.1  200 OK\r\n\r\n"); going;)
        going = say_bytes(visit, zeros, sizeof(zeros));
    return false;
}

static bool say_trailer_oddly(const struct visit *visit)
{
    return say(visit, "HTTP/1.1 \t200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n0\r\nno colon\r\n\r\n") && never_answer(visit);
}

static bool flood_with_provisional_answers(const struct visit *visit)
{
    while (say(visit, "HTTP/1.1 100 Continue\r\n\r\n"))
        ;
    return false;
}

static bool say_line_without_end(const struct visit *visit)
{
    static char line[4096];
    memset(line, 'x', sizeof(line));
    for (bool going = say(visit, "HTTP/1.1 "); going;)
        going = say_bytes(visit, line, sizeof(line));
    return false;
}

Test(post_faults, what_is_not_http_is_a_bad_answer_at_once)
{
    script *const scripts[] = { say_garbage,
                                say_zeros,
                                say_status_oddly,
                                say_status_of_four_digits,
                                say_status_oddly_and_never_end,
                                say_trailer_oddly,
                                flood_with_provisional_answers,
                                say_line_without_end };
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        struct posted posted = post_to(scripts[i], RIG_TIMEOUT_MS);
        cr_expect_eq(posted.outcome.kind, OUTCOME_BAD_ANSWER, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
        cr_expect(posted.outcome.sent);
        cr_expect_lt(posted.outcome.total_ms, RIG_TIMEOUT_MS);
    }
}

static bool dribble(const struct visit *visit, const char *start, const char *piece)
{
    for (bool going = say(visit, start); going; going = say(visit, piece))
        if (!wait_ms(visit, 20))
            return false;
    return false;
}

static bool dribble_the_status_line(const struct visit *visit)
{
    return dribble(visit, "HTTP/1.1 ", " ");
}

static bool dribble_provisional_answers(const struct visit *visit)
{
    return dribble(visit, "", "HTTP/1.1 102 Processing\r\n\r\n");
}

Test(post_faults, a_dribble_without_a_status_ends_at_the_deadline)
{
    script *const scripts[] = { dribble_the_status_line, dribble_provisional_answers };
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        struct posted posted = post_to(scripts[i], RIG_SHORT_MS);
        cr_expect_eq(posted.outcome.kind, OUTCOME_TIMEOUT, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
    }
}

static bool dribble_headers(const struct visit *visit)
{
    return dribble(visit, "HTTP/1.1 200 OK\r\n", "X-Slow: 1\r\n");
}

static bool flood_with_headers(const struct visit *visit)
{
    for (bool going = say(visit, "HTTP/1.1 200 OK\r\n"); going;)
        going = say(visit, "X-Many: 1\r\n");
    return false;
}

static bool say_header_without_end(const struct visit *visit)
{
    for (bool going = say(visit, "HTTP/1.1 200 OK\r\nX-Long: "); going;)
        going = say(visit, "and on and on and on and on and on and on and on ");
    return false;
}

static bool close_after_the_status_line(const struct visit *visit)
{
    say(visit, "HTTP/1.1 200 OK\r\n");
    wait_ms(visit, 20);
    return false;
}

/* The promise to customers: a 2xx status line within the time is a success, whatever comes after it. */
Test(post_faults, the_status_line_is_the_answer_whatever_the_headers_do)
{
    script *const scripts[] = { dribble_headers, flood_with_headers, say_header_without_end, close_after_the_status_line };
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        struct posted posted = post_to(scripts[i], i == 0 ? RIG_SHORT_MS : RIG_TIMEOUT_MS);
        cr_expect_eq(posted.outcome.kind, OUTCOME_ANSWERED, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
        cr_expect_eq(posted.outcome.status, 200);
        cr_expect_lt(posted.outcome.total_ms, RIG_TIMEOUT_MS);
    }
}

static bool say_body_without_end(const struct visit *visit)
{
    static char bytes[65536];
    memset(bytes, 'b', sizeof(bytes));
    for (bool going = say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"); going;)
        going = say_bytes(visit, bytes, sizeof(bytes));
    return false;
}

static bool say_chunks_without_end(const struct visit *visit)
{
    for (bool going = say(visit, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"); going;)
        going = say(visit, "30\r\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n");
    return false;
}

static bool stall_in_the_body(const struct visit *visit)
{
    say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbbbbbbbbbbbbbbbbbbbb");
    return never_answer(visit);
}

static bool dribble_the_body(const struct visit *visit)
{
    return dribble(visit, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbbbbbbbbbbbbbbbbbbbb", "b");
}

static bool reset_in_the_body(const struct visit *visit)
{
    say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbbbbbbbbbbbbbbbbbbbb");
    wait_ms(visit, 50);
    reset_at_close(visit);
    return false;
}

static bool say_broken_chunks(const struct visit *visit)
{
    say(visit, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\nbbbbbbbbbbbbbbbbbbbb\r\nzz\r\n");
    return never_answer(visit);
}

Test(post_faults, a_success_stays_one_whatever_the_body_does)
{
    script *const scripts[] = { say_body_without_end, say_chunks_without_end, stall_in_the_body,
                                dribble_the_body,     reset_in_the_body,      say_broken_chunks };
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        struct posted posted = post_to(scripts[i], RIG_TIMEOUT_MS);
        cr_expect_eq(posted.outcome.kind, OUTCOME_ANSWERED, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
        cr_expect_eq(posted.outcome.status, 200);
        cr_expect_str_eq(posted.snippet, "bbbbbbbbbbbbbbbb");
        cr_expect_lt(posted.outcome.total_ms, RIG_TIMEOUT_MS / 2, "the slot is held for too long: %zu", i);
    }
}

enum { LARGE_BODY = 3 * 1024 * 1024 };

/* The window closes once the kernel's buffers are full: most of the body never leaves. */
Test(post_faults, a_receiver_that_never_reads_ends_at_the_deadline)
{
    for (int i = 0; i < 2; i++) {
        begin_with(answer_ok, RIG_SHORT_MS);
        receiver.greet = never_answer;
        rig_fill_body(&rig, LARGE_BODY);
        struct posted posted = rig_post(&rig, &receiver, "/");
        cr_expect_eq(posted.outcome.kind, OUTCOME_TIMEOUT, "%d %s", posted.outcome.kind, posted.detail);
        cr_expect(posted.outcome.sent);
        cr_expect_eq(gauge_read(&lanes_stats(rig.lanes)->in_flight), 0, "the slot is held");
        rig_close(&rig);
        receiver_stop(&receiver);
    }
}

/* The whole body is answered before it was sent: what counts is the status line. */
static bool answer_before_reading(const struct visit *visit)
{
    return answer_ok(visit) && never_answer(visit);
}

Test(post_faults, an_answer_before_the_body_was_read_is_one)
{
    begin_with(answer_ok, RIG_TIMEOUT_MS);
    receiver.greet = answer_before_reading;
    rig_fill_body(&rig, LARGE_BODY);
    struct posted posted = rig_post(&rig, &receiver, "/");
    cr_expect_eq(posted.outcome.status, 200, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_lt(posted.outcome.total_ms, RIG_TIMEOUT_MS / 2, "the slot is held for too long");
    rig_close(&rig);
    receiver_stop(&receiver);
}

enum { TAKES = 1, HAS_TAKEN, ANSWERS, A_WHILE_MS = 100 };

static atomic_int stage;

static bool take_some_answer_and_reset(const struct visit *visit)
{
    char bytes[65536];
    while (atomic_load(&stage) != TAKES && wait_ms(visit, 1))
        ;
    while (recv(visit->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
    atomic_store(&stage, HAS_TAKEN);
    while (atomic_load(&stage) != ANSWERS && wait_ms(visit, 1))
        ;
    reset_at_close(visit);
    return answer_ok(visit) && false;
}

/* The loop is busy with something else, and does not know yet what happens meanwhile. */
static void let_it_answer(uv_poll_t *busy, int status, int events)
{
    cr_assert(status == 0 && events == UV_READABLE);
    atomic_store(&stage, ANSWERS);
    poll(NULL, 0, A_WHILE_MS);
    uv_close((uv_handle_t *)busy, NULL);
}

Test(post_faults, an_answer_in_front_of_a_reset_is_heard_by_who_wanted_to_write)
{
    uv_poll_t busy;
    struct posted posted;
    char url[256];
    int wake[2];
    begin_with(answer_ok, RIG_TIMEOUT_MS);
    receiver.greet = take_some_answer_and_reset;
    rig_fill_body(&rig, LARGE_BODY);
    rig_url(url, "http", "127.0.0.1", receiver.port, "/");
    rig_begin(&rig, url, &posted);
    rig_run_ms(&rig, A_WHILE_MS); /* nothing more can be written */
    cr_assert_eq(pipe(wake), 0);
    uv_poll_init(&rig.loop, &busy, wake[0]);
    uv_poll_start(&busy, UV_READABLE, let_it_answer);
    uv_run(&rig.loop, UV_RUN_NOWAIT);
    cr_assert_eq(write(wake[1], "", 1), 1); /* the first of the next turn */
    atomic_store(&stage, TAKES);
    while (atomic_load(&stage) != HAS_TAKEN)
        poll(NULL, 0, 1);
    poll(NULL, 0, A_WHILE_MS);
    rig_wait(&rig, &posted);
    cr_expect_eq(posted.outcome.status, 200, "%d %s", posted.outcome.kind, posted.detail);
    rig_close(&rig);
    receiver_stop(&receiver);
    close(wake[0]);
    close(wake[1]);
}

/* A connection that is dropped in the middle of an answer is not used for the next one. */
Test(post_faults, a_body_that_was_cut_leaves_nothing_for_the_next_post)
{
    begin_with(say_body_without_end, RIG_TIMEOUT_MS);
    for (int i = 1; i <= 3; i++) {
        cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200);
        cr_assert_eq(atomic_load(&receiver.connections), i);
    }
    rig_close(&rig);
    receiver_stop(&receiver);
}

/* No descriptor left: nobody's fault out there. */
Test(post_faults, that_are_ours_are_called_local)
{
    begin_with(answer_ok, RIG_TIMEOUT_MS);
    struct rlimit limit;
    struct posted posted;
    char url[256];
    rig_post(&rig, &receiver, "/"); /* the lane's own descriptors are open */
    getrlimit(RLIMIT_NOFILE, &limit);
    int next = dup(0);
    close(next);
    struct rlimit none = { .rlim_cur = (rlim_t)next, .rlim_max = limit.rlim_max };
    setrlimit(RLIMIT_NOFILE, &none);
    rig_url(url, "http", "127.0.0.2", receiver.port, "/");
    posted = rig_post_url(&rig, url);
    setrlimit(RLIMIT_NOFILE, &limit);
    cr_expect_eq(posted.outcome.kind, OUTCOME_LOCAL, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_not(posted.outcome.sent);
    rig_close(&rig);
    receiver_stop(&receiver);
}

/* A network of its own, without a way out. */
static bool is_alone(void)
{
    struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    if (unshare(CLONE_NEWNET) != 0)
        return false;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
    close(fd);
    return true;
}

static bool set_network(const char *path, const char *value)
{
    FILE *file = fopen(path, "w");
    bool fine = file != NULL && fputs(value, file) > 0;
    return file != NULL && fclose(file) == 0 && fine;
}

/* As in many containers: connecting fails with the same error as when all ports are taken, but here the event would be tried again for ever. */
Test(post_faults, an_ipv6_address_where_there_is_none_of_ours_is_not)
{
    struct posted posted;
    if (!is_alone() || !set_network("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"))
        cr_skip_test("no network namespace can be made here");
    rig_open(&rig, (struct lanes_options){ .lane_count = 1 }, NULL);
    posted = rig_post_url(&rig, "http://[2606::1]/");
    cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECT_FAILED, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_not(posted.outcome.sent);
    rig_close(&rig);
}

/* By a proxy every connection goes to one address, and whoever closes first keeps the port for a minute. */
Test(post_faults, want_of_ports_is_ours_with_a_proxy_as_well)
{
    if (!is_alone())
        cr_skip_test("no network namespace can be made here");
    receiver_start(&receiver, answer_ok);
    cr_assert(set_network("/proc/sys/net/ipv4/ip_local_port_range", "40000 40000"));
    const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(receiver.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0, "with the only one");
    for (int by_proxy = 0; by_proxy < 2; by_proxy++) {
        struct posted posted;
        char url[256], proxy[256];
        rig_url(url, "http", "127.0.0.1", receiver.port, "/");
        rig_url(proxy, "http", "127.0.0.1", receiver.port, "");
        rig_open(&rig, (struct lanes_options){ .lane_count = 1, .proxy = by_proxy ? proxy : NULL }, NULL);
        posted = rig_post_url(&rig, url);
        cr_expect_eq(posted.outcome.kind, OUTCOME_LOCAL, "%d: %d %s", by_proxy, posted.outcome.kind, posted.detail);
        cr_expect_not(posted.outcome.sent);
        rig_close(&rig);
    }
    close(fd);
    receiver_stop(&receiver);
}

/* libcurl's memory, of which one piece is refused: the one with the number in `refused`, 0 for none. */
static int refused, asked_for;

static bool is_refused(void)
{
    return refused > 0 && ++asked_for == refused;
}

static void *scarce_malloc(size_t size)
{
    return is_refused() ? NULL : malloc(size);
}

static void *scarce_realloc(void *memory, size_t size)
{
    return is_refused() ? NULL : realloc(memory, size);
}

static void *scarce_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : calloc(count, size);
}

static char *scarce_strdup(const char *text)
{
    return is_refused() ? NULL : strdup(text);
}

Test(post_faults, lack_of_memory_is_no_reason_to_refuse_a_url)
{
    enum { PIECES = 12 }; /* about what the look at a URL takes */
    int without = 0;
    cr_assert_eq(curl_global_init_mem(CURL_GLOBAL_ALL, scarce_malloc, free, scarce_realloc, scarce_strdup, scarce_calloc), CURLE_OK);
    begin_with(answer_ok, 3000);                                      /* some refusals libcurl only gets over at the deadline */
    cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200); /* there is a handle, and a connection */
    for (int piece = 1; piece <= PIECES; piece++) {
        char path[32];
        snprintf(path, sizeof(path), "/%d", piece); /* a URL that the handle has not seen */
        refused = piece;
        asked_for = 0;
        struct posted posted = rig_post(&rig, &receiver, path);
        without += posted.outcome.kind != OUTCOME_ANSWERED;
        cr_expect_neq(posted.outcome.kind, OUTCOME_BLOCKED_ADDRESS, "piece %d: %s", piece, posted.detail);
        refused = 0;
        cr_expect_eq(rig_post(&rig, &receiver, path).outcome.status, 200, "piece %d", piece);
    }
    cr_expect_geq(without, 1, "none of the refusals was felt");
    rig_close(&rig);
    receiver_stop(&receiver);
}
