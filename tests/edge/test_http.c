/* The HTTP server over a real socket: what it answers, and that no client can shut others out. */
#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/http/probes.h"
#include "consumer/intake_stats.h"
#include "consumer/lag.h"
#include "dedupe/redis.h"
#include "delivery/lanes.h"
#include "delivery/names.h"
#include "delivery/stats.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* ---- a service of one worker ---- */

static struct redis_stats redis_numbers;
static struct lanes_stats lanes_numbers;
static struct names_stats names_numbers;
static struct delivery_stats delivery_numbers;
static struct intake_stats intake_numbers;
static struct worker_status worker = {
    .redis = &redis_numbers, .lanes = &lanes_numbers, .names = &names_numbers, .delivery = &delivery_numbers, .intake = &intake_numbers
};
static struct worker_status second = {
    .redis = &redis_numbers, .lanes = &lanes_numbers, .names = &names_numbers, .delivery = &delivery_numbers, .intake = &intake_numbers
};
static struct worker_status *const workers[] = { &worker, &second };
static struct service_status service = { .workers = workers, .worker_count = 1 };
static struct listen_address loopback = { .host = "127.0.0.1" };
static struct server *server;

static void start_with(struct server_options options)
{
    char problem[256] = "";
    worker.lag = lag_create();
    gauge_set(&worker.heartbeat_ms, (int64_t)clock_monotonic_ms());
    options.listen = &loopback;
    options.name = "jobhook-http";
    options.asked = probes_answer;
    options.context = &service;
    server = server_create(&options, problem, sizeof problem);
    cr_assert_not_null(server, "%s", problem);
}

static void start(void)
{
    start_with((struct server_options){ 0 });
}

static void stop(void)
{
    server_destroy(server);
    lag_destroy(worker.lag);
}

/* ---- a client that does as it likes ---- */

static int dial(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(server_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

/* Everything up to the end of the stream; waits at most 30 s for it. */
static const char *read_all(int client)
{
    static char bytes[4 * 1024 * 1024];
    size_t length = 0;
    struct pollfd file = { .fd = client, .events = POLLIN };
    while (poll(&file, 1, 30000) == 1) {
        ssize_t got = recv(client, bytes + length, sizeof bytes - 1 - length, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    cr_assert(file.revents != 0, "the connection was left open");
    bytes[length] = '\0';
    close(client);
    return bytes;
}

static const char *ask(const char *request)
{
    int client = dial();
    size_t length = strlen(request);
    cr_assert_eq(send(client, request, length, MSG_NOSIGNAL), (ssize_t)length);
    return read_all(client);
}

static const char *get(const char *path)
{
    char request[256];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    return ask(request);
}

static bool has(const char *answer, const char *part)
{
    return strstr(answer, part) != NULL;
}

static bool has_status(const char *answer, const char *status)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 && strncmp(answer + 9, status, strlen(status)) == 0;
}

TestSuite(http, .init = start, .fini = stop);

/* ---- paths and methods ---- */

Test(http, healthz_is_ok_while_the_loop_turns)
{
    const char *answer = get("/healthz");
    cr_assert(has_status(answer, "200") && has(answer, "\r\n\r\nok\n"), "%s", answer);
}

Test(http, healthz_names_the_worker_that_is_stuck)
{
    gauge_set(&worker.heartbeat_ms, (int64_t)clock_monotonic_ms() - STATUS_STALL_MS);
    const char *answer = get("/healthz");
    cr_assert(has_status(answer, "503") && has(answer, "worker 0: its loop has not turned for 30 s"), "%s", answer);
}

Test(http, readyz_says_what_is_missing)
{
    const char *answer = get("/readyz");
    cr_assert(has_status(answer, "503") && has(answer, "has not joined the consumer group") && has(answer, "has not reached Redis"), "%s", answer);
    gauge_set(&worker.joined, 1);
    answer = get("/readyz");
    cr_assert(has_status(answer, "503") && !has(answer, "has not joined") && has(answer, "has not reached Redis"), "%s", answer);
    gauge_set(&redis_numbers.reached, 1);
    answer = get("/readyz");
    cr_assert(has_status(answer, "200") && has(answer, "\r\n\r\nok\n"), "%s", answer);
}

Test(http, head_has_the_headers_and_no_body)
{
    const char *answer = ask("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(has_status(answer, "200") && has(answer, "Content-Length: 3\r\n"), "%s", answer);
    cr_assert_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

Test(http, an_unknown_path_is_told_the_known_ones)
{
    static const char *const paths[] = { "/", "/metric", "/metrics/", "/healthz/x", "/job-status/1", "/../etc/passwd" };
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        const char *answer = get(paths[i]);
        cr_assert(has_status(answer, "404") && has(answer, "/healthz, /readyz and /metrics"), "%s: %s", paths[i], answer);
    }
}

Test(http, a_query_changes_nothing)
{
    cr_assert(has_status(get("/healthz?verbose=1"), "200"));
}

Test(http, other_methods_are_refused_before_a_body_is_read)
{
    static const char *const requests[] = {
        "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
        "PUT /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "DELETE /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        const char *answer = ask(requests[i]);
        cr_assert(has_status(answer, "405") && has(answer, "Allow: GET, HEAD\r\n"), "%s: %s", requests[i], answer);
    }
}

Test(http, every_connection_is_closed_after_one_answer)
{
    const char *answer = ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(has(answer, "Connection: close\r\n") && !has(strstr(answer, "\r\n\r\n"), "HTTP/1.1"), "%s", answer);
}

/* ---- clients that misbehave ---- */

Test(http, an_oversize_request_is_refused_and_closed)
{
    static char request[4 * SERVER_REQUEST_BYTES_MAX];
    int prefix = snprintf(request, sizeof request, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: ");
    memset(request + prefix, 'x', sizeof request - (size_t)prefix);
    int client = dial();
    for (size_t sent = 0; sent < sizeof request;) {
        ssize_t more = send(client, request + sent, sizeof request - sent, MSG_NOSIGNAL);
        if (more <= 0)
            break; /* cut off already: as good */
        sent += (size_t)more;
    }
    const char *answer = read_all(client);
    cr_assert(!has(answer, "200 OK"), "%s", answer);
    cr_assert(has_status(get("/healthz"), "200"));
}

Test(http, what_is_no_http_is_closed)
{
    const char *answer = ask("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n");
    cr_assert(!has(answer, "200 OK"), "%s", answer);
    cr_assert(has_status(get("/healthz"), "200"));
}

static void start_impatient(void)
{
    start_with((struct server_options){ .connections_max = 8, .connection_ms = 1000 });
}

TestSuite(http_impatient, .init = start_impatient, .fini = stop);

Test(http_impatient, a_client_that_drips_bytes_is_cut_off)
{
    static const char drip[] = "GET /healthz HTTP/1.1\r\nX: ";
    int client = dial();
    struct pollfd file = { .fd = client, .events = POLLIN };
    size_t sent = 0;
    for (; sent < 3000 && poll(&file, 1, 10) == 0; sent++) { /* never silent for long enough for an inactivity timeout */
        char byte = sent < sizeof drip - 1 ? drip[sent] : 'x';
        if (send(client, &byte, 1, MSG_NOSIGNAL) != 1)
            break;
    }
    cr_assert_lt(sent, 3000);
    cr_assert(!has(read_all(client), "200 OK"));
}

Test(http_impatient, many_silent_connections_give_way_to_a_good_one)
{
    int silent[40];
    for (size_t i = 0; i < COUNT_OF(silent); i++)
        silent[i] = dial();
    for (int i = 0; i < 5; i++)
        cr_assert(has_status(get("/healthz"), "200"));
    for (size_t i = 0; i < COUNT_OF(silent); i++)
        cr_assert_str_eq(read_all(silent[i]), "");
}

Test(http, a_thousand_requests_leave_nothing_behind)
{
    for (int i = 0; i < 1000; i++)
        cr_assert(has_status(get("/healthz"), "200"));
}

/* The kernel would take megabytes for a client that does not read: what it gives a connection is inherited from the one that listens. */
static void take_little_to_send(void)
{
    struct sockaddr_in address;
    int small = 4096;
    for (int fd = 3; fd < 1024; fd++) {
        int listens = 0;
        socklen_t length = sizeof listens, address_length = sizeof address;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens &&
            getsockname(fd, (struct sockaddr *)&address, &address_length) == 0 && ntohs(address.sin_port) == server_port(server)) {
            cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
            return;
        }
    }
    cr_assert_fail("nobody listens");
}

/* The end of the stream waits behind what they do not read, so that only the free places show that they were cut off. */
Test(http_impatient, clients_that_do_not_read_their_answers_give_way_to_a_good_one)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    static struct lag_row rows[4000]; /* half a megabyte to read, and soon written, by a sanitizer's build as well */
    for (int32_t i = 0; i < (int32_t)COUNT_OF(rows); i++)
        rows[i] =
            (struct lag_row){ .topic = SLICE("a.topic.with.a.rather.long.name.so.that.the.answer.fits.no.socket.buffer"), .partition = i, .lag = 1 };
    lag_replace(worker.lag, rows, COUNT_OF(rows));
    take_little_to_send();
    int silent[16], small = 4096;
    for (size_t i = 0; i < COUNT_OF(silent); i++) {
        silent[i] = dial();
        setsockopt(silent[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        cr_assert_eq(send(silent[i], request, sizeof request - 1, MSG_NOSIGNAL), (ssize_t)sizeof request - 1);
    }
    for (int i = 0; i < 5; i++)
        cr_assert(has_status(get("/healthz"), "200"));
    for (size_t i = 0; i < COUNT_OF(silent); i++)
        close(silent[i]);
}

/* ---- many of them ---- */

static void start_narrow(void)
{
    start_with((struct server_options){ .connections_max = 4 });
}

TestSuite(http_narrow, .init = start_narrow, .fini = stop, .timeout = 120);

/* Each would have its place for SERVER_CROWDED_MS, and everybody behind them would wait for as many seconds as there are fours of them. */
Test(http_narrow, a_crowd_of_slow_clients_is_let_in_and_out)
{
    static const char begun[] = "GET /heal";
    static int slow[400];
    uint64_t began_ms = clock_monotonic_ms();
    for (size_t i = 0; i < COUNT_OF(slow); i++) {
        slow[i] = dial();
        cr_assert_eq(send(slow[i], begun, sizeof begun - 1, MSG_NOSIGNAL), (ssize_t)sizeof begun - 1);
    }
    cr_assert(has_status(get("/healthz"), "200"));
    cr_assert_lt(clock_monotonic_ms() - began_ms, 400 / 4 * SERVER_CROWDED_MS / 2);
    for (size_t i = 0; i < COUNT_OF(slow); i++)
        close(slow[i]);
}

/* Nor do those keep their places who are gone before they have asked. */
Test(http_narrow, a_crowd_of_clients_that_end_too_soon_is_let_in_and_out)
{
    uint64_t began_ms = clock_monotonic_ms();
    for (int i = 0; i < 400; i++) {
        int soon_gone = dial();
        cr_assert_eq(send(soon_gone, "G", 1, MSG_NOSIGNAL), 1);
        close(soon_gone);
    }
    cr_assert(has_status(get("/healthz"), "200"));
    cr_assert_lt(clock_monotonic_ms() - began_ms, 400 / 4 * SERVER_CROWDED_MS / 2);
}

/* An owner that takes its time. */
static struct late_answer {
    uv_timer_t timer;
    struct server_request *request;
    bool is_refusal;
} late;

static void answer_now(struct server_request *request)
{
    struct server_answer answer = { .status = late.is_refusal ? 401 : 200, .content_type = "text/plain" };
    text_init(&answer.body, 16);
    text_append(&answer.body, SLICE("done\n"));
    server_answer(request, &answer);
}

static void answer_late(uv_timer_t *timer)
{
    (void)timer;
    answer_now(late.request);
}

static void late_began(void *context, struct uv_loop_s *owners_loop)
{
    (void)context;
    uv_timer_init(owners_loop, &late.timer);
}

static void late_asked(void *context, struct server_request *request)
{
    (void)context;
    late.request = request;
    if (late.is_refusal)
        answer_now(request);
    else
        uv_timer_start(&late.timer, answer_late, 10 * SERVER_GIVE_WAY_MS, 0);
}

static void start_late(void)
{
    char problem[256] = "";
    server = server_create(
        &(struct server_options){
            .listen = &loopback, .name = "jobhook-api", .asked = late_asked, .began = late_began, .connections_max = 2, .many_requests = true },
        problem, sizeof problem);
    cr_assert_not_null(server, "%s", problem);
}

static void stop_late(void)
{
    server_destroy(server);
}

TestSuite(http_late, .init = start_late, .fini = stop_late, .timeout = 60);

Test(http_late, whoever_has_asked_keeps_the_place_until_it_is_answered)
{
    char answer[16];
    int slow[20], client = dial();
    cr_assert_eq(send(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, MSG_NOSIGNAL), 27);
    for (size_t i = 0; i < COUNT_OF(slow); i++)
        slow[i] = dial();
    cr_assert_eq(recv(client, answer, sizeof answer, MSG_WAITALL), (ssize_t)sizeof answer);
    cr_assert_arr_eq(answer, "HTTP/1.1 200 OK\r", sizeof answer);
    close(client);
    for (size_t i = 0; i < COUNT_OF(slow); i++)
        close(slow[i]);
}

/* A 401 would else renew the connection's time, again and again. */
Test(http_late, whoever_may_not_ask_is_closed_after_the_answer)
{
    late.is_refusal = true;
    const char *answer = ask("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(has_status(answer, "401") && has(answer, "Connection: close\r\n") && !has(strstr(answer, "\r\n\r\n"), "HTTP/1.1"), "%s", answer);
}

/* A thousand clients that send bodies without end would else keep a core and all places. */
Test(http_late, whoever_may_not_ask_is_answered_before_a_body_is_read)
{
    static const char *const requests[] = {
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nbegun",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n",
    };
    late.is_refusal = true;
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        const char *answer = ask(requests[i]);
        cr_assert(has_status(answer, "401") && has(answer, "Connection: close\r\n"), "%s: %s", requests[i], answer);
    }
}

/* ---- the end ---- */

static const char keep_alive[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

struct owner {
    int client;
    bool has_ended, asked_too_late;
};

static void note_question(void *context, struct server_request *request)
{
    struct owner *owner = context;
    owner->asked_too_late |= owner->has_ended;
    probes_answer(&service, request);
}

/* A request comes while the owner takes its things down, which may take a while. */
static void end_slowly(void *context)
{
    struct owner *owner = context;
    owner->has_ended = send(owner->client, keep_alive, sizeof keep_alive - 1, MSG_NOSIGNAL) > 0;
}

Test(http, an_owner_that_has_ended_is_asked_nothing_more)
{
    char problem[256] = "", byte;
    struct owner owner = { 0 };
    struct server *usual = server;
    server = server_create(
        &(struct server_options){
            .listen = &loopback, .name = "jobhook-api", .asked = note_question, .ended = end_slowly, .context = &owner, .many_requests = true },
        problem, sizeof problem);
    cr_assert_not_null(server, "%s", problem);
    owner.client = dial();
    cr_assert_eq(send(owner.client, keep_alive, sizeof keep_alive - 1, MSG_NOSIGNAL), (ssize_t)sizeof keep_alive - 1);
    cr_assert_eq(recv(owner.client, &byte, 1, 0), 1); /* it is answered, and stays open */
    server_destroy(server);
    server = usual;
    close(owner.client);
    cr_assert(owner.has_ended && !owner.asked_too_late);
}

/* ---- listening ---- */

Test(http, a_port_in_use_is_said_in_a_sentence)
{
    char problem[256] = "";
    struct listen_address taken = { .host = "127.0.0.1", .port = server_port(server) };
    cr_assert_null(server_create(&(struct server_options){ .listen = &taken, .name = "jobhook-http", .asked = probes_answer, .context = &service },
                                 problem, sizeof problem));
    cr_assert(has(problem, "cannot listen on 127.0.0.1 port ") && has(problem, "Address already in use"), "%s", problem);
}

Test(http, it_listens_on_ipv6)
{
    char problem[256] = "";
    struct listen_address six = { .host = "::1" };
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct server *other = server_create(
        &(struct server_options){ .listen = &six, .name = "jobhook-http", .asked = probes_answer, .context = &service }, problem, sizeof problem);
    if (other == NULL)
        cr_skip_test("no IPv6 here: %s", problem);
    address.sin6_port = htons(server_port(other));
    int client = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(send(client, "GET /healthz HTTP/1.0\r\n\r\n", 25, MSG_NOSIGNAL), 25);
    cr_assert(has(read_all(client), "200 OK"));
    server_destroy(other);
}

/* ---- metrics ---- */

static void fill_numbers(void)
{
    static const struct lag_row rows[] = {
        { .topic = SLICE("jobs.completed"), .partition = 1 },
        { .topic = SLICE("jobs.completed"), .lag = 12 },
        { .topic = SLICE("jobs.completed"), .partition = 2, .lag = LAG_UNKNOWN },
        { .topic = SLICE("jobs.completed.retry.1s"), .lag = 3, .not_due = 1, .is_retry = true },
        { .topic = SLICE("jobs.completed.retry.1s"), .partition = 1, .lag = 5, .not_due = 4, .is_retry = true },
        { .topic = SLICE("jobs.completed.retry.2s"), .lag = 5, .not_due = 4, .is_retry = true },
        { .topic = SLICE("jobs.completed.retry.2s"), .partition = 1, .lag = LAG_UNKNOWN, .is_retry = true },
    };
    lag_replace(worker.lag, rows, COUNT_OF(rows));
    counter_add(&delivery_numbers.events_input, 7);
    counter_add(&delivery_numbers.events_retry, 2);
    counter_add(&delivery_numbers.settled[SETTLED_DELIVERED], 5);
    counter_add(&delivery_numbers.dead[DEAD_EXHAUSTED], 1);
    gauge_set(&delivery_numbers.egress_up, 1);
    gauge_set(&delivery_numbers.redis_clock_ahead_s, -3);
    gauge_set(&delivery_numbers.held[HELD_ANSWER], 4);
    histogram_observe_us(&delivery_numbers.attempt_duration, 1500);
    histogram_observe_us(&delivery_numbers.attempt_duration, 90000000);
    gauge_set(&intake_numbers.oldest_undelivered_ms, clock_wall_ms() - 5000);
}

static const char *const expected[] = {
    "jobhook_build_info{version=\"" JOBHOOK_VERSION "\"} 1",
    "jobhook_events_total{source=\"input\"} 7",
    "jobhook_events_total{source=\"retry\"} 2",
    "jobhook_events_settled_total{result=\"delivered\"} 5",
    "jobhook_dead_letters_total{reason=\"exhausted\"} 1",
    "jobhook_held_events{waiting_for=\"answer\"} 4",
    "jobhook_egress_up 1",
    "jobhook_redis_clock_ahead_seconds -3",
    "jobhook_redis_up 0",
    "jobhook_attempt_duration_seconds_bucket{le=\"0.001\"} 0",
    "jobhook_attempt_duration_seconds_bucket{le=\"0.0025\"} 1",
    "jobhook_attempt_duration_seconds_bucket{le=\"60\"} 1",
    "jobhook_attempt_duration_seconds_bucket{le=\"+Inf\"} 2",
    "jobhook_attempt_duration_seconds_sum 90.001500",
    "jobhook_attempt_duration_seconds_count 2",
    "jobhook_consumer_lag{topic=\"jobs.completed\",partition=\"0\"} 12",
    "jobhook_consumer_lag{topic=\"jobs.completed\",partition=\"1\"} 0",
    "jobhook_consumer_lag{topic=\"jobs.completed.retry.1s\",partition=\"0\"} 3",
    "jobhook_retry_records{delay=\"1s\",state=\"due\"} 3",
    "jobhook_retry_records{delay=\"1s\",state=\"not_due\"} 5",
    "jobhook_oldest_undelivered_age_seconds 5.",
};

Test(http, metrics_show_what_the_parts_counted)
{
    fill_numbers();
    const char *answer = get("/metrics");
    cr_assert(has_status(answer, "200") && has(answer, "Content-Type: text/plain; version=0.0.4"), "%s", answer);
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        char line[160];
        snprintf(line, sizeof line, "\n%s", expected[i]);
        cr_assert(has(answer, line), "%s", expected[i]);
    }
    cr_assert(!has(answer, "partition=\"2\"") && !has(answer, "delay=\"2s\""), "what is not known is absent:\n%s", answer);
    static const char *const process[] = { "cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds" };
    for (size_t i = 0; i < COUNT_OF(process); i++) {
        char line[160];
        snprintf(line, sizeof line, "\nprocess_%s ", process[i]);
        cr_assert(has(answer, line), "%s", process[i]);
    }
}

Test(http, workers_are_added_up_and_the_worst_one_counts)
{
    static struct redis_stats other_redis;
    static struct delivery_stats other_delivery;
    static struct worker_status other = { .redis = &other_redis, .delivery = &other_delivery };
    static struct worker_status *const both[] = { &worker, &other };
    fill_numbers();
    gauge_set(&redis_numbers.up, 1);
    counter_add(&other_delivery.settled[SETTLED_DELIVERED], 3);
    histogram_observe_us(&other_delivery.attempt_duration, 1);
    service = (struct service_status){ .workers = both, .worker_count = 2 };
    const char *answer = get("/metrics");
    cr_assert(has(answer, "\njobhook_events_settled_total{result=\"delivered\"} 8\n"), "%s", answer);
    cr_assert(has(answer, "\njobhook_redis_up 0\n"));
    cr_assert(has(answer, "\njobhook_egress_up 0\n"));
    cr_assert(has(answer, "\njobhook_attempt_duration_seconds_count 3\n"));
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

Test(http, no_series_appears_twice)
{
    static const char *series[10000];
    size_t count = 0;
    fill_numbers();
    service.worker_count = 2; /* the same worker twice: every partition is named by two */
    char *body = strdup(strstr(get("/metrics"), "\r\n\r\n") + 4), *rest = body;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        if (line[0] != '#' && line[0] != '\0' && count < COUNT_OF(series)) {
            *strrchr(line, ' ') = '\0';
            series[count++] = line;
        }
    qsort(series, count, sizeof *series, compare_lines);
    cr_assert_gt(count, 100);
    for (size_t i = 1; i < count; i++)
        cr_assert_str_neq(series[i - 1], series[i]);
    free(body);
}

/* A scrape of a service with 12 topics of 50 partitions. */
Test(http, six_hundred_partitions_fit_into_a_small_scrape)
{
    enum { TOPICS = 12, PARTITIONS = 50 };
    static char topics[TOPICS][64];
    static struct lag_row rows[TOPICS * PARTITIONS];
    for (int i = 0; i < TOPICS * PARTITIONS; i++) {
        int topic = i / PARTITIONS;
        snprintf(topics[topic], sizeof topics[topic], topic == 0 ? "jobs.completed" : "jobs.completed.retry.%dms", 100 + topic);
        rows[i] = (struct lag_row){ slice_of(topics[topic]), i % PARTITIONS, 1234567890, 1, topic > 0 };
    }
    fill_numbers();
    lag_replace(worker.lag, rows, COUNT_OF(rows));
    uint64_t before_us = clock_monotonic_us();
    const char *body = strstr(get("/metrics"), "\r\n\r\n") + 4;
    cr_log_info("%zu bytes in %llu us", strlen(body), (unsigned long long)(clock_monotonic_us() - before_us));
    cr_assert(has(body, "topic=\"jobs.completed.retry.111ms\",partition=\"49\"} 1234567890\n"));
    cr_assert_lt(strlen(body), 200 * 1000);
}

/* Debian: prometheus. */
Test(http, metrics_pass_a_foreign_parser)
{
    static const char command[] = "promtool check metrics";
    fill_numbers();
    const char *body = strstr(get("/metrics"), "\r\n\r\n") + 4;
    FILE *pipe = popen(command, "w");
    cr_assert_not_null(pipe);
    fwrite(body, 1, strlen(body), pipe);
    cr_assert_eq(pclose(pipe), 0, "%s does not like the metrics", command);
}
