#include "consumer/commands/fetch.h"

#include "consumer/base/clock.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_BYTES = 256, PART_BYTES = 65536, HEAD_BYTES_MAX = 65536, REQUEST_BYTES = 4096 };

/* "host:port" and "[v6]:port", split at the last colon. */
static bool split(const char *address, char host[HOST_BYTES], const char **port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || colon[1] == '\0' || (size_t)(colon - address) >= HOST_BYTES)
        return false;
    size_t length = (size_t)(colon - address);
    if (address[0] == '[' && address[length - 1] == ']') {
        address++;
        length -= 2;
    }
    memcpy(host, address, length);
    host[length] = '\0';
    *port = colon + 1;
    return true;
}

static bool wait_for(int descriptor, short events, uint64_t until_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    struct pollfd poll_on = { .fd = descriptor, .events = events };
    return now_ms < until_ms && poll(&poll_on, 1, (int)(until_ms - now_ms)) == 1;
}

static int try_address(const struct addrinfo *address, uint64_t until_ms)
{
    int error = 0;
    socklen_t size = sizeof(error);
    int descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    bool begun = connect(descriptor, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS;
    if (begun && wait_for(descriptor, POLLOUT, until_ms) && getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

static int connect_to(const char *host, const char *port, uint64_t until_ms)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int descriptor = -1;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    for (const struct addrinfo *address = found; address != NULL && descriptor < 0; address = address->ai_next)
        descriptor = try_address(address, until_ms);
    freeaddrinfo(found);
    return descriptor;
}

static bool write_request(int descriptor, const struct fetch *fetch)
{
    char request[REQUEST_BYTES];
    int length =
        snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: %s\r\n%s%s%s\r\n", fetch->path, fetch->address,
                 fetch->token == NULL ? "" : "Authorization: Bearer ", fetch->token == NULL ? "" : fetch->token, fetch->token == NULL ? "" : "\r\n");
    /* It fits into an empty socket's buffer whole. */
    return length > 0 && (size_t)length < sizeof(request) && send(descriptor, request, (size_t)length, MSG_NOSIGNAL) == length;
}

static bool read_all(int descriptor, uint64_t until_ms, struct text *text)
{
    char part[PART_BYTES];
    while (wait_for(descriptor, POLLIN, until_ms)) {
        ssize_t got = recv(descriptor, part, sizeof(part), 0);
        if (got == 0)
            return !text->overflowed;
        if (got < 0 && errno != EAGAIN)
            return false;
        if (got > 0)
            text_append(text, (struct slice){ part, (size_t)got });
        if (text->overflowed)
            return false;
    }
    return false;
}

static bool take_body(struct slice answer, struct text *body, char *problem, size_t size)
{
    const char *end = answer.length == 0 ? NULL : memmem(answer.start, answer.length, "\r\n\r\n", 4);
    if (end == NULL || answer.length < 12 || memcmp(answer.start, "HTTP/1.", 7) != 0) {
        snprintf(problem, size, "the answer is not HTTP");
        return false;
    }
    if (memcmp(answer.start + 8, " 200", 4) != 0) {
        snprintf(problem, size, "the answer is %.3s", answer.start + 9);
        return false;
    }
    text_append(body, (struct slice){ end + 4, (size_t)(answer.start + answer.length - end - 4) });
    return true;
}

bool fetch_get(const struct fetch *fetch, struct text *body, char *problem, size_t size)
{
    char host[HOST_BYTES];
    const char *port;
    struct text answer;
    uint64_t until_ms = clock_monotonic_ms() + (uint64_t)fetch->timeout_ms;
    if (!split(fetch->address, host, &port)) {
        snprintf(problem, size, "is not HOST:PORT");
        return false;
    }
    int descriptor = connect_to(host, port, until_ms);
    if (descriptor < 0) {
        snprintf(problem, size, "nobody answers there");
        return false;
    }
    text_init(&answer, body->limit + HEAD_BYTES_MAX);
    snprintf(problem, size, "the answer did not come whole in time");
    bool fine = write_request(descriptor, fetch) && read_all(descriptor, until_ms, &answer) && take_body(text_slice(&answer), body, problem, size);
    close(descriptor);
    text_finish(&answer);
    return fine;
}
