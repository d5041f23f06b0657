/* scribe: a webhook receiver for millions of requests: one thread, a compact journal, and no memory of tasks, because which step of the path's
 * script a request gets is said by its jobhook-attempt (receiver.py counts requests instead; elsewhere the scripts mean the same).
 *
 *   scribe --journal FILE [--listen HOST:PORT]... [--key whsec_...]...
 *
 * Steps: ok, 200 ... 599, NNNrS, slowMS, hang, close, reset; each may be followed by xTIMES. GET /count answers how much was counted. The addresses
 * are printed, one a line. A line of the journal, with tabs between:
 *
 *   first byte, answered (us of CLOCK_MONOTONIC; 0 never), webhook-id, attempt, status (0 none), signer, body's sha256 (16 digits), path
 *
 * The signer is the number of the key that the signature was made with, -1 when it is none of them, and - when no keys were given: copies of
 * jobhook that sign with keys of their own can be told apart. The signature is checked with OpenSSL alone, by no code of jobhook's. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LISTEN_MAX = 64,
    KEYS_MAX = 16,
    KEY_BYTES_MAX = 96,
    REQUEST_MAX = 16 << 20,
    BUFFER_FIRST = 8192,
    EVENTS_MAX = 256,
    FLUSH_MS = 50,
    TEXT_MAX = 128, /* of a webhook-id */
    PATH_MAX_BYTES = 1024,
};

struct client {
    int file;
    bool listens, busy, gone;
    char *buffer;
    size_t bytes, capacity;
    int64_t first_us;
    /* the request that is being answered late */
    struct client *next;
    int64_t due_us;
    char line[TEXT_MAX + PATH_MAX_BYTES + 256];
};

struct request {
    const char *path, *id, *timestamp, *signature, *body;
    size_t path_length, id_length, timestamp_length, signature_length, body_length;
    unsigned attempt;
};

static struct {
    int epoll;
    FILE *journal;
    int64_t flushed_us;
    struct client *late; /* earliest first */
    unsigned char keys[KEYS_MAX][KEY_BYTES_MAX];
    size_t key_bytes[KEYS_MAX], key_count;
    uint64_t requests, delivered;
} scribe;

static void fail(const char *what)
{
    fprintf(stderr, "scribe: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* ---- reading a request ---- */

static bool header_is(const char *line, const char *name, const char **value)
{
    size_t length = strlen(name);
    if (strncasecmp(line, name, length) != 0 || line[length] != ':')
        return false;
    *value = line + length + 1 + strspn(line + length + 1, " ");
    return true;
}

static void read_header(const char *line, size_t length, struct request *request)
{
    const char *value;
    if (header_is(line, "webhook-id", &value)) {
        request->id = value;
        request->id_length = length - (size_t)(value - line);
    } else if (header_is(line, "webhook-timestamp", &value)) {
        request->timestamp = value;
        request->timestamp_length = length - (size_t)(value - line);
    } else if (header_is(line, "webhook-signature", &value)) {
        request->signature = value;
        request->signature_length = length - (size_t)(value - line);
    } else if (header_is(line, "jobhook-attempt", &value)) {
        request->attempt = (unsigned)strtoul(value, NULL, 10);
    } else if (header_is(line, "content-length", &value)) {
        request->body_length = strtoull(value, NULL, 10);
    }
}

/* The length of the first request in the buffer, 0 when it is not all there, -1 when it is none. */
static ssize_t read_request(const struct client *client, struct request *request)
{
    const char *end = memmem(client->buffer, client->bytes, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    *request = (struct request){ .id = "", .timestamp = "", .signature = "" };
    request->path = memchr(client->buffer, ' ', (size_t)(end - client->buffer));
    if (request->path == NULL)
        return -1;
    request->path++;
    request->path_length = strcspn(request->path, " \r\n\t");
    for (const char *line = strchr(client->buffer, '\n') + 1; line < end;) {
        size_t length = strcspn(line, "\r\n");
        read_header(line, length, request);
        line += length + 2;
    }
    if (request->body_length > REQUEST_MAX || request->path_length >= PATH_MAX_BYTES || request->id_length >= TEXT_MAX)
        return -1;
    request->body = end + 4;
    size_t length = (size_t)(request->body - client->buffer) + request->body_length;
    return length > client->bytes ? 0 : (ssize_t)length;
}

/* ---- who signed ---- */

/* What is signed: id "." timestamp "." body. The buffer is kept from one request to the next. */
static size_t write_signed(const struct request *request, unsigned char **buffer)
{
    static unsigned char *kept;
    static size_t capacity;
    size_t head = request->id_length + request->timestamp_length + 2, length = head + request->body_length;
    if (length > capacity) {
        capacity = length * 2;
        kept = realloc(kept, capacity);
        if (kept == NULL)
            fail("memory");
    }
    memcpy(kept, request->id, request->id_length);
    kept[request->id_length] = '.';
    memcpy(kept + request->id_length + 1, request->timestamp, request->timestamp_length);
    kept[head - 1] = '.';
    memcpy(kept + head, request->body, request->body_length);
    *buffer = kept;
    return length;
}

static int signer_of(const struct request *request)
{
    unsigned char *text, digest[EVP_MAX_MD_SIZE];
    char base64[96];
    size_t length = write_signed(request, &text);
    for (size_t key = 0; key < scribe.key_count; key++) {
        unsigned bytes = sizeof digest;
        HMAC(EVP_sha256(), scribe.keys[key], (int)scribe.key_bytes[key], text, length, digest, &bytes);
        size_t encoded = (size_t)EVP_EncodeBlock((unsigned char *)base64, digest, (int)bytes);
        if (request->signature_length == encoded + 3 && memcmp(request->signature, "v1,", 3) == 0 &&
            memcmp(request->signature + 3, base64, encoded) == 0)
            return (int)key;
    }
    return -1;
}

static void take_key(const char *text)
{
    static const char prefix[] = "whsec_";
    size_t length = strlen(text) - (sizeof prefix - 1), padding = 0;
    unsigned char *key = scribe.keys[scribe.key_count];
    if (strncmp(text, prefix, sizeof prefix - 1) != 0 || scribe.key_count == KEYS_MAX || length / 4 * 3 > KEY_BYTES_MAX) {
        fprintf(stderr, "scribe: a key is whsec_ and base64\n");
        exit(2);
    }
    while (padding < 2 && text[strlen(text) - 1 - padding] == '=')
        padding++;
    int bytes = EVP_DecodeBlock(key, (const unsigned char *)text + sizeof prefix - 1, (int)length);
    if (bytes < (int)padding + 1) {
        fprintf(stderr, "scribe: this is not base64\n");
        exit(2);
    }
    scribe.key_bytes[scribe.key_count++] = (size_t)bytes - padding;
}

/* ---- the journal ---- */

/* What is known when the request is there: the line's parts before and after the status. */
static void note(struct client *client, const struct request *request)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = sizeof digest;
    char signer[16] = "-", sha[17];
    EVP_Digest(request->body, request->body_length, digest, &bytes, EVP_sha256(), NULL);
    for (size_t i = 0; i < 8; i++)
        snprintf(sha + 2 * i, 3, "%02x", digest[i]);
    if (scribe.key_count > 0)
        snprintf(signer, sizeof signer, "%d", signer_of(request));
    snprintf(client->line, sizeof client->line, "%.*s\t%u\n%s\t%s\t%.*s\n", (int)request->id_length, request->id, request->attempt, signer, sha,
             (int)request->path_length, request->path);
}

static void write_down(const struct client *client, int64_t answered_us, int status)
{
    int start = (int)strcspn(client->line, "\n");
    fprintf(scribe.journal, "%" PRId64 "\t%" PRId64 "\t%.*s\t%d\t%s", client->first_us, answered_us, start, client->line, status,
            client->line + start + 1);
    scribe.requests++;
    scribe.delivered += status >= 200 && status < 300;
}

static void flush_journal(void)
{
    fflush(scribe.journal);
    scribe.flushed_us = now_us();
}

/* ---- answering ---- */

static bool send_text(const struct client *client, const char *text, int length)
{
    return send(client->file, text, (size_t)length, MSG_NOSIGNAL) == length; /* far smaller than a socket's buffer */
}

static bool send_status(struct client *client, int status, int retry_after_s)
{
    char text[256], more[64] = "";
    if (retry_after_s > 0)
        snprintf(more, sizeof more, "Retry-After: %d\r\n", retry_after_s);
    else if (status >= 300 && status < 400)
        snprintf(more, sizeof more, "Location: /ok\r\n");
    int length = snprintf(text, sizeof text, "HTTP/1.1 %d As Scripted\r\n%s%s\r\n", status, more, status == 204 ? "" : "Content-Length: 0\r\n");
    int64_t answered_us = now_us(); /* before: whoever is answered may be quicker than the next line here */
    bool sent = send_text(client, text, length);
    write_down(client, sent ? answered_us : 0, sent ? status : 0);
    return sent;
}

static bool send_count(struct client *client)
{
    char text[256], json[128];
    int bytes = snprintf(json, sizeof json, "{\"requests\":%" PRIu64 ",\"delivered\":%" PRIu64 "}", scribe.requests, scribe.delivered);
    int length = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", bytes, json);
    return send_text(client, text, length);
}

static void answer_later(struct client *client, long delay_ms)
{
    struct client **place = &scribe.late;
    client->busy = true;
    client->due_us = now_us() + delay_ms * 1000;
    while (*place != NULL && (*place)->due_us <= client->due_us)
        place = &(*place)->next;
    client->next = *place;
    *place = client;
}

static bool reset(struct client *client)
{
    struct linger hard = { .l_onoff = 1 };
    setsockopt(client->file, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    return false;
}

/* The step that this attempt gets: '/500x2,ok/x' answers 500, 500, and then 200 for ever. */
static void find_step(const struct request *request, char *step, size_t size)
{
    const char *at = request->path + 1, *end = request->path + request->path_length;
    unsigned attempt = 1;
    for (;;) {
        size_t length = strcspn(at, ",/? \r\n");
        snprintf(step, size, "%.*s", (int)length, at);
        char *times = strchr(step, 'x');
        attempt += times == NULL ? 1 : (unsigned)strtoul(times + 1, NULL, 10);
        if (times != NULL)
            *times = '\0';
        at += length;
        if (attempt > request->attempt || at >= end || *at != ',')
            return;
        at++;
    }
}

/* False: the connection ends. */
static bool act(struct client *client, const struct request *request)
{
    char step[64], *end;
    if (request->path_length == 6 && memcmp(request->path, "/count", 6) == 0)
        return send_count(client);
    note(client, request);
    find_step(request, step, sizeof step);
    long status = strtol(step, &end, 10);
    if (strcmp(step, "ok") == 0)
        return send_status(client, 200, 0);
    if (status >= 200 && status <= 599)
        return send_status(client, (int)status, *end == 'r' ? (int)strtol(end + 1, NULL, 10) : 0);
    if (strncmp(step, "slow", 4) == 0) {
        answer_later(client, strtol(step + 4, NULL, 10));
        return true;
    }
    write_down(client, 0, 0);
    client->busy = strcmp(step, "hang") == 0;
    return client->busy || (strcmp(step, "reset") == 0 && reset(client));
}

/* ---- connections ---- */

static struct client *client_create(int file, bool listens)
{
    struct client *client = calloc(1, sizeof *client);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
    if (client == NULL || epoll_ctl(scribe.epoll, EPOLL_CTL_ADD, file, &event) != 0)
        fail("connection");
    client->file = file;
    client->listens = listens;
    return client;
}

static void client_destroy(struct client *client)
{
    close(client->file);
    free(client->buffer);
    free(client);
}

/* Acts on the whole requests that are there; false: the connection ends. */
static bool serve_requests(struct client *client)
{
    struct request request;
    ssize_t length = 0;
    while (!client->busy && client->bytes > 0 && (length = read_request(client, &request)) > 0) {
        bool stays = act(client, &request);
        client->bytes -= (size_t)length;
        memmove(client->buffer, client->buffer + length, client->bytes + 1);
        client->first_us = now_us();
        if (!stays)
            return false;
    }
    return length >= 0;
}

static void make_room(struct client *client)
{
    if (client->capacity - client->bytes > 1)
        return;
    client->capacity = client->capacity == 0 ? BUFFER_FIRST : client->capacity * 2;
    client->buffer = realloc(client->buffer, client->capacity);
    if (client->buffer == NULL)
        fail("memory");
}

static void on_readable(struct client *client)
{
    make_room(client);
    ssize_t got = recv(client->file, client->buffer + client->bytes, client->capacity - client->bytes - 1, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0 && client->bytes + (size_t)got < REQUEST_MAX * 2) {
        if (client->bytes == 0)
            client->first_us = now_us();
        client->bytes += (size_t)got;
        client->buffer[client->bytes] = '\0';
        if (serve_requests(client))
            return;
    } else if (client->due_us != 0 && client->busy) { /* its late answer finds it gone */
        epoll_ctl(scribe.epoll, EPOLL_CTL_DEL, client->file, NULL);
        client->gone = true;
        return;
    }
    client_destroy(client);
}

static void on_listener(const struct client *listener)
{
    int yes = 1;
    for (int file; (file = accept4(listener->file, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        client_create(file, false);
    }
}

static void answer_late(void)
{
    while (scribe.late != NULL && scribe.late->due_us <= now_us()) {
        struct client *client = scribe.late;
        scribe.late = client->next;
        client->busy = false;
        client->due_us = 0;
        if (client->gone)
            write_down(client, 0, 0);
        if (client->gone || !send_status(client, 200, 0) || !serve_requests(client))
            client_destroy(client);
    }
}

static int wait_ms(void)
{
    int64_t left_us = scribe.late == NULL ? FLUSH_MS * 1000 : scribe.late->due_us - now_us();
    return left_us <= 0 ? 0 : left_us < FLUSH_MS * 1000 ? (int)(left_us / 1000) + 1 : FLUSH_MS;
}

static void serve(const struct client *signals)
{
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int count = epoll_wait(scribe.epoll, events, EVENTS_MAX, wait_ms());
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            if (client == signals)
                return;
            if (client->listens)
                on_listener(client);
            else
                on_readable(client);
        }
        answer_late();
        if (now_us() - scribe.flushed_us > FLUSH_MS * 1000)
            flush_journal();
    }
}

/* ---- start ---- */

static void listen_on(const char *text)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    char host[64];
    int yes = 1, file = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const char *colon = strrchr(text, ':');
    snprintf(host, sizeof host, "%.*s", (int)(colon == NULL ? 0 : colon - text), text);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "scribe: %s is not HOST:PORT\n", text);
        exit(2);
    }
    address.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (file < 0 || setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 || bind(file, (struct sockaddr *)&address, length) != 0 ||
        listen(file, 4096) != 0 || getsockname(file, (struct sockaddr *)&address, &length) != 0)
        fail(text);
    client_create(file, true);
    printf("%s:%u\n", host, ntohs(address.sin_port));
}

static struct client *watch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int file = signalfd(-1, &set, SFD_CLOEXEC);
    if (file < 0)
        fail("signalfd");
    return client_create(file, false);
}

static void raise_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "journal", required_argument, NULL, 'j' }, { "listen", required_argument, NULL, 'l' }, { "key", required_argument, NULL, 'k' }, { 0 }
    };
    const char *listens[LISTEN_MAX], *journal = NULL;
    size_t count = 0;
    bool fine = true;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'j')
            journal = optarg;
        else if (option == 'l' && count < LISTEN_MAX)
            listens[count++] = optarg;
        else if (option == 'k')
            take_key(optarg);
        else
            fine = false;
    }
    if (!fine || journal == NULL || optind != argc) {
        fprintf(stderr, "usage: scribe --journal FILE [--listen HOST:PORT]... [--key whsec_...]...\n");
        return 2;
    }
    raise_limit();
    scribe.epoll = epoll_create1(EPOLL_CLOEXEC);
    scribe.journal = fopen(journal, "ae");
    if (scribe.epoll < 0 || scribe.journal == NULL)
        fail(journal);
    struct client *signals = watch_signals();
    if (count == 0)
        listens[count++] = "127.0.0.1:0";
    for (size_t i = 0; i < count; i++)
        listen_on(listens[i]);
    fflush(stdout);
    serve(signals);
    for (const struct client *client = scribe.late; client != NULL; client = client->next)
        write_down(client, 0, 0);
    _exit(fclose(scribe.journal) == 0 ? 0 : 1); /* open connections and all: the kernel frees them */
}
