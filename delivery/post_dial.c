#include "consumer/base/clock.h"
#include "delivery/post.h"
#include "delivery/post_bounds.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <string.h>

enum { NO_SOCKET_SAY_MS = 10000 };

static bool address_read(const char *text, struct guard_address *address)
{
    address->v6 = strchr(text, ':') != NULL;
    return inet_pton(address->v6 ? AF_INET6 : AF_INET, text, address->bytes) == 1;
}

/* libcurl sends a second time when a connection that it used again dies before the first byte of an answer; the receiver may have the request by then,
 * so that would be a POST that nobody counts. Where no other connection is free it asks for the name and dials first, one address after the other (7.88
 * turns to the next when half of the attempt's time is over), and what it meets would be told as this attempt's: the attempt ends here. */
static void refuse_to_resend(struct post *post)
{
    counter_add(&post->shared->stats.resends_refused, !post->saw.resend_refused);
    post->saw.resend_refused = true;
    /* Only where the receiver asks for that does libcurl say so, and begin anew all the same. */
    post->saw.http1_wanted = post->saw.http2 && strcmp(post->trouble, "Empty reply from server") == 0;
    post->shared->hasten(post, 0);
}

/* Names are looked up before libcurl has the post, and pinned (post_pin.c): what it does not find there, it would ask the system's resolver for, with a
 * thread for each. */
static int on_resolve(void *resolver, void *unused, void *context)
{
    struct post *post = context;
    (void)resolver;
    (void)unused;
    if (post->saw.prepared)
        refuse_to_resend(post);
    else if (post->pinned)
        post->saw.unpinned = true;
    return post->saw.prepared || post->pinned;
}

static void say_no_socket(struct post_shared *shared, int error)
{
    uint64_t suppressed;
    if (log_gate_opens(&shared->no_sockets, NO_SOCKET_SAY_MS, &suppressed))
        log_warn("no socket could be opened, attempts wait", LOG_STRING("error", strerrordesc_np(error)), LOG_I("suppressed", suppressed),
                 LOG_STRING("cure", "raise the limit of file descriptors (ulimit -n), or lower JOBHOOK_MAX_IN_FLIGHT"));
}

/* Every socket is made here, so this is where a resolver that changes its mind (DNS rebinding) meets the policy. */
static curl_socket_t on_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct post *post = context;
    (void)purpose;
    if (post->saw.prepared) {
        refuse_to_resend(post);
        return CURL_SOCKET_BAD;
    }
    if (post->shared->proxy == NULL && guard_judge_sockaddr(post->shared->guard, &address->addr) != GUARD_OK) {
        post->saw.blocked = true;
        return CURL_SOCKET_BAD;
    }
    post->saw.ipv6 = (struct sockaddr_in6){ .sin6_family = AF_UNSPEC };
    if (address->family == AF_INET6)
        memcpy(&post->saw.ipv6, &address->addr, sizeof(post->saw.ipv6));
    int fd = wires_open(post->shared->wires, address->family, address->socktype, address->protocol);
    /* An address family that this machine does not have is no lack of ours: the next address is tried. */
    if (fd < 0 && errno != EAFNOSUPPORT) {
        post->saw.local_error = errno;
        say_no_socket(post->shared, errno);
    }
    post->saw.dialled = post->saw.dialled || fd >= 0;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* The connection outlives the post that opened it: the context is not a post. */
static int on_close_socket(void *context, curl_socket_t fd)
{
    struct post_shared *shared = context;
    wires_close(shared->wires, fd, shared->cutting);
    return 0;
}

/* A connection without agreement may be one by HTTP/1.1 to a receiver of HTTP/2 alone: libcurl would use it again for HTTP/2. */
static void see_protocol(struct post *post, void *tls)
{
    post->saw.agreed = post_bounds_has_protocol(tls);
    post->saw.http2 = post_bounds_is_http2(tls);
    if (post->saw.downgrade != DOWNGRADE_ASKS)
        return;
    if (post->saw.agreed)
        downgrades_agree(post->shared->downgrades, post->origin_hash);
    else
        post_spoil(post);
}

static int on_about_to_send(void *context, char *peer, char *local, int peer_port, int local_port)
{
    struct post *post = context;
    struct guard_address address;
    (void)local;
    (void)peer_port;
    (void)local_port;
    if (post->saw.prepared) {
        refuse_to_resend(post);
        return CURL_PREREQFUNC_ABORT;
    }
    /* libcurl 7.88 asks the socket, which knows no peer any more once that has reset it; whom it dialled was judged. 8.14 says whom it dialled. */
    bool direct = post->shared->proxy == NULL;
    post->saw.peer_gone = direct && *peer == '\0';
    if (direct && !post->saw.peer_gone && (!address_read(peer, &address) || guard_judge_address(post->shared->guard, &address) != GUARD_OK))
        post->saw.blocked = true;
    if (post->saw.peer_gone || post->saw.blocked)
        return CURL_PREREQFUNC_ABORT;
    post->saw.prepared = true;
    void *tls = post_tls_of(post);
    see_protocol(post, tls);
    post_bounds_begin(tls, post->body_bytes);
    /* What a receiver says beyond its answer may lie in the TLS of the proxy, where nobody sees it. */
    if (post->shared->proxy_by_tls || !post_bounds_may_be_kept(tls))
        post_spoil(post);
    return CURL_PREREQFUNC_OK;
}

void post_dial_set(struct post *post)
{
    CURL *easy = post->easy;
    curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
    curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, post);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, post);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, post->shared);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_about_to_send);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, post);
}
