/* What the lanes cost over bare libcurl: the same POSTs to one keep-alive receiver, once through libcurl's multi on a plain epoll loop, once
 * through lanes_post. Rounds alternate, the best of each counts. Prints CPU per POST (this process only) and the ratio, and the most memory that the
 * first round of the lanes took.
 *
 *   bench_post [posts per round] [in flight] [rounds] [URL CA-FILE [h2]]      by default to a receiver of its own; tests/bench/https.sh has the other */
#include "consumer/base/memory.h"
#include "delivery/lanes.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { BODY_BYTES = 230, EVENTS = 256, IN_FLIGHT_MAX = 4096, SECONDS_MAX = 600 };

static const char *const header_lines[] = {
    "Content-Type: application/json", "User-Agent: jobhook/bench", "webhook-id: 0123456789abcdef",
    "webhook-timestamp: 1700000000",  "jobhook-attempt: 1",
};

static char body[BODY_BYTES + 1];

/* The receiver: one thread, epoll, answers each request at once. Requests are told apart by their length, which is always the same. */

static int listen_anywhere(uint16_t *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, IN_FLIGHT_MAX) != 0)
        exit(1);
    getsockname(fd, (struct sockaddr *)&address, &length);
    *port = ntohs(address.sin_port);
    return fd;
}

static void answer_requests(int epoll, int fd)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    char bytes[16384];
    ssize_t count = recv(fd, bytes, sizeof(bytes) - 1, 0);
    if (count <= 0) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
        close(fd);
        return;
    }
    bytes[count] = '\0';
    if (send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) < 0)
        perror("receiver: send");
}

static void receive_for_ever(int listener)
{
    struct epoll_event events[EVENTS], event = { .events = EPOLLIN, .data.fd = listener };
    int epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd != listener) {
                answer_requests(epoll, events[i].data.fd);
                continue;
            }
            event.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (event.data.fd >= 0)
                epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
        }
    }
}

static pid_t start_receiver(uint16_t *port)
{
    int listener = listen_anywhere(port);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            receive_for_ever(listener);
        _exit(0);
    }
    close(listener);
    return pid;
}

static double cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

struct load {
    long posts, in_flight;
    char url[256];
    const char *ca_file; /* NULL: the URL is no https:// */
    bool http2;
    long started, done, failed;
};

/* Bare libcurl */

struct bare {
    CURLM *multi;
    int epoll;
    long timeout_ms;
};

static size_t swallow(char *bytes, size_t size, size_t count, void *context)
{
    (void)bytes;
    (void)context;
    return size * count;
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    ((struct bare *)context)->timeout_ms = timeout_ms;
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    struct bare *bare = context;
    struct epoll_event event = { .data.fd = fd };
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(bare->epoll, EPOLL_CTL_DEL, fd, &event);
        return 0;
    }
    event.events = ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0U) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0U);
    epoll_ctl(bare->epoll, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
    curl_multi_assign(bare->multi, fd, bare);
    return 0;
}

static void bare_collect(struct bare *bare, struct load *load)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(bare->multi, &left)) != NULL) {
        CURL *easy = message->easy_handle;
        load->failed += message->data.result != CURLE_OK;
        load->done++;
        curl_multi_remove_handle(bare->multi, easy);
        if (load->started < load->posts) {
            load->started++;
            curl_multi_add_handle(bare->multi, easy);
        }
    }
}

static CURL *bare_easy(const struct load *load, struct curl_slist *headers)
{
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, load->url);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, load->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    if (load->ca_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* or libcurl parses the system's store for each connection */
        curl_easy_setopt(easy, CURLOPT_CAINFO, load->ca_file);
    }
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)BODY_BYTES);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 10000L);
    return easy;
}

static void bare_loop(struct bare *bare, struct load *load)
{
    struct epoll_event events[EVENTS];
    int running;
    while (load->done < load->posts) {
        int count = epoll_wait(bare->epoll, events, EVENTS, (int)bare->timeout_ms);
        for (int i = 0; i < count; i++) {
            int flags = ((events[i].events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) | ((events[i].events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0);
            curl_multi_socket_action(bare->multi, events[i].data.fd, flags, &running);
        }
        bare_collect(bare, load);
        if (count == 0 || bare->timeout_ms == 0) {
            curl_multi_socket_action(bare->multi, CURL_SOCKET_TIMEOUT, 0, &running);
            bare_collect(bare, load);
        }
    }
}

static double run_bare(struct load load)
{
    static CURL *easies[IN_FLIGHT_MAX];
    struct bare bare = { .multi = curl_multi_init(), .epoll = epoll_create1(EPOLL_CLOEXEC), .timeout_ms = -1 };
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < COUNT_OF(header_lines); i++)
        headers = curl_slist_append(headers, header_lines[i]);
    curl_multi_setopt(bare.multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING); /* as the lanes do */
    curl_multi_setopt(bare.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(bare.multi, CURLMOPT_SOCKETDATA, &bare);
    curl_multi_setopt(bare.multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(bare.multi, CURLMOPT_TIMERDATA, &bare);
    double before = cpu_us();
    for (; load.started < load.in_flight; load.started++) {
        easies[load.started] = bare_easy(&load, headers);
        curl_multi_add_handle(bare.multi, easies[load.started]);
    }
    bare_loop(&bare, &load);
    double spent = cpu_us() - before;
    for (long i = 0; i < load.in_flight; i++)
        curl_easy_cleanup(easies[i]);
    curl_multi_cleanup(bare.multi);
    curl_slist_free_all(headers);
    close(bare.epoll);
    if (load.failed > 0)
        printf("bare: %ld failed\n", load.failed);
    return spent / (double)load.posts;
}

/* The lanes */

struct ours {
    struct load *load;
    struct lanes *lanes;
    struct url url;
    struct request request;
    uv_loop_t loop;
};

static void on_done(void *context, const struct outcome *outcome)
{
    struct ours *ours = context;
    struct load *load = ours->load;
    load->done++;
    load->failed += outcome->kind != OUTCOME_ANSWERED || outcome->status != 200;
    if (load->started < load->posts) {
        load->started++;
        lanes_post(ours->lanes, &ours->url, &ours->request, on_done, ours);
    } else if (load->done == load->posts) {
        uv_stop(&ours->loop);
    }
}

static void make_request(struct request *request)
{
    text_init(&request->body, BODY_BYTES + 1);
    text_append(&request->body, (struct slice){ body, BODY_BYTES });
    request->header_count = COUNT_OF(header_lines);
    for (size_t i = 0; i < COUNT_OF(header_lines); i++)
        request->headers[i] = header_lines[i];
}

static double run_ours(struct load load)
{
    struct guard guard = { .allow_http = true };
    struct ours ours = { .load = &load };
    const char *problem;
    uv_loop_init(&ours.loop);
    if (!guard_cidrs_parse(SLICE("127.0.0.0/8"), &guard.allow, &guard.allow_count, &problem) ||
        guard_judge_url(&guard, slice_of(load.url), &ours.url) != GUARD_OK)
        exit(1);
    make_request(&ours.request);
    struct names *names = names_create(&ours.loop, &(struct names_options){ .servers = "127.0.0.1:9" });
    struct lanes_options options = { .guard = &guard, .names = names, .attempt_timeout_ms = 10000, .snippet_bytes = 256 };
    options.ca_file = load.ca_file;
    options.http2 = load.http2;
    ours.lanes = lanes_create(&ours.loop, &options);
    if (ours.lanes == NULL)
        exit(1);
    double before = cpu_us();
    for (; load.started < load.in_flight; load.started++)
        lanes_post(ours.lanes, &ours.url, &ours.request, on_done, &ours);
    uv_run(&ours.loop, UV_RUN_DEFAULT);
    double spent = cpu_us() - before;
    lanes_destroy(ours.lanes);
    names_destroy(names);
    uv_run(&ours.loop, UV_RUN_DEFAULT);
    uv_loop_close(&ours.loop);
    text_finish(&ours.request.body);
    free(guard.allow);
    if (load.failed > 0)
        printf("lanes: %ld failed\n", load.failed);
    return spent / (double)load.posts;
}

/* Not getrusage's, which counts what the parent had when it was forked. */
static long memory_at_most_kib(void)
{
    char line[128];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && kib == 0 && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "VmHWM: %ld kB", &kib) != 1)
            kib = 0;
    if (file != NULL)
        fclose(file);
    return kib;
}

static long argument(int count, char **arguments, int index, long otherwise)
{
    return index < count ? strtol(arguments[index], NULL, 10) : otherwise;
}

int main(int count, char **arguments)
{
    struct load load = { .posts = argument(count, arguments, 1, 100000), .in_flight = argument(count, arguments, 2, 64) };
    long rounds = argument(count, arguments, 3, 3);
    if (load.in_flight < 1 || load.in_flight > IN_FLIGHT_MAX || load.posts < load.in_flight || rounds < 1)
        return 2;
    alarm(SECONDS_MAX);
    memset(body, 'x', BODY_BYTES);
    curl_global_init(CURL_GLOBAL_ALL);
    pid_t receiver = 0;
    if (count > 5) {
        snprintf(load.url, sizeof(load.url), "%s", arguments[4]);
        load.ca_file = arguments[5];
        load.http2 = count > 6;
    } else {
        uint16_t port;
        receiver = start_receiver(&port);
        snprintf(load.url, sizeof(load.url), "http://127.0.0.1:%u/hook", (unsigned)port);
    }
    double bare = 0, ours = 0;
    long most_kib = 0;
    for (long i = 0; i < rounds; i++) {
        double other = run_ours(load);
        if (i == 0)
            most_kib = memory_at_most_kib();
        double one = run_bare(load);
        printf("round %ld: libcurl %.2f us, lanes %.2f us\n", i + 1, one, other);
        bare = i == 0 || one < bare ? one : bare;
        ours = i == 0 || other < ours ? other : ours;
    }
    printf("CPU per POST: libcurl %.2f us, lanes %.2f us, ratio %.3f\n", bare, ours, ours / bare);
    printf("memory of the lanes at most: %ld KiB\n", most_kib);
    if (receiver > 0)
        kill(receiver, SIGKILL);
    return 0;
}
