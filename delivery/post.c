#include "delivery/post.h"

#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "delivery/post_bounds.h"
#include "delivery/post_options.h"
#include "delivery/post_url.h"
#include "delivery/retry_after.h"
#include "delivery/socket_state.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    LARGE_BODY = 64 * 1024, /* above it libcurl allocates an upload buffer that stays with the handle */
    LOOKS_FREE = 4,         /* as often on_progress is called for an answer that comes in one piece */
};

/* curl_slist is a public struct, so the list that libcurl walks needs no allocation per header: nodes here, strings in post->lines. */
struct post_lines {
    struct curl_slist nodes[REQUEST_HEADERS_MAX + 1]; /* one more to keep libcurl's Expect out */
};

/* libcurl's callbacks */

void *post_tls_of(const struct post *post)
{
    const struct curl_tlssessioninfo *session = NULL;
    bool known = post->https && curl_easy_getinfo(post->easy, CURLINFO_TLS_SSL_PTR, &session) == CURLE_OK && session != NULL;
    return known ? session->internals : NULL;
}

/* libcurl would only reset the stream of an HTTP/2 request that is cut short: the next one would share the connection with what is still to come,
 * or wait behind a body that the receiver does not read. */
void post_spoil(struct post *post)
{
    post->spoiled = true;
    curl_easy_setopt(post->easy, CURLOPT_FORBID_REUSE, 1L);
}

static void see_field(struct post *post, struct slice line)
{
    static const char name[] = "Retry-After:";
    size_t length = sizeof(name) - 1;
    if (line.length > length && strncasecmp(line.start, name, length) == 0)
        post->saw.retry_after_s = retry_after_parse((struct slice){ line.start + length, line.length - length }, clock_wall_ms() / 1000);
}

static bool is_empty_line(struct slice line)
{
    return line.start[0] == '\r' || line.start[0] == '\n';
}

/* False: libcurl takes for the beginning of an answer what is none. */
static bool see_line(struct post *post, struct slice line)
{
    struct post_sight *saw = &post->saw;
    if (saw->headers_done) /* a trailer */
        return true;
    int status = saw->in_headers ? 0 : post_status_of(line);
    if (status == 0 && !saw->in_headers && !is_empty_line(line))
        return false;
    if (status != 0) {
        saw->status = status;
        saw->in_headers = true;
        saw->retry_after_s = -1;
        if (!saw->http2 && slice_starts_with(line, "HTTP/2")) /* libcurl 7.88 would keep the connection, and not use it again */
            post_spoil(post);
    } else if (is_empty_line(line)) {
        saw->in_headers = false;
        saw->headers_done = saw->status >= 200 || saw->status == 101; /* 101 ends the HTTP part of a connection: nothing else follows it */
        if (saw->headers_done)
            post->shared->hasten(post, POST_BODY_MS_MAX); /* the rest of the answer is not worth much */
    } else {
        see_field(post, line);
    }
    return true;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct post *post = context;
    struct post_sight *saw = &post->saw;
    size_t length = size * count;
    if (++saw->header_lines > POST_HEADER_LINES_MAX || length > POST_HEADER_BYTES_MAX - saw->header_bytes) {
        saw->headers_too_large = true;
        post_spoil(post);
        return 0;
    }
    saw->header_bytes += (uint32_t)length;
    if (length == 0 || see_line(post, (struct slice){ bytes, length }))
        return length;
    post_spoil(post);
    return 0;
}

/* A line that goes on with the one before, and is the first: see post_options.c. */
static bool is_orphan(struct post_sight *saw, struct slice line)
{
    bool folded = line.length > 0 && (line.start[0] == ' ' || line.start[0] == '\t');
    bool orphan = folded && !saw->has_field;
    saw->has_field = !slice_starts_with(line, "HTTP/");
    return orphan;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct post *post = context;
    struct post_sight *saw = &post->saw;
    size_t length = size * count;
    if (!saw->headers_done)
        return is_orphan(saw, (struct slice){ bytes, length }) ? 0 : length;
    size_t room = post->shared->snippet_bytes - saw->snippet_bytes;
    size_t kept = length < room ? length : room;
    if (kept > 0) {
        memcpy(post->snippet + saw->snippet_bytes, bytes, kept);
        saw->snippet_bytes += (uint32_t)kept;
    }
    if (length > POST_BODY_MAX - saw->body_bytes) {
        saw->body_cut = true;
        post_spoil(post);
        return 0;
    }
    saw->body_bytes += (uint32_t)length;
    return length;
}

/* Chunks may have extensions of any length, which are neither header nor body: libcurl reads them as fast as they come, and tells nobody. (What comes by
 * TLS is counted in post_bounds.c.) It costs a system call, so an answer that is soon complete is not looked at. */
static bool is_without_end(struct post *post)
{
    struct post_sight *saw = &post->saw;
    if (post->fd < 0 || ++saw->looks <= LOOKS_FREE)
        return false;
    uint64_t received = socket_bytes_received(post->fd);
    if (saw->looks == LOOKS_FREE + 1)
        saw->received = received;
    if (received - saw->received <= POST_AFTER_HEADERS_MAX)
        return false;
    saw->body_cut = true;
    post_spoil(post);
    return true;
}

/* Called often: for each byte of a proxy, which libcurl reads in one turn as long as there are any; for the last time when the answer is complete and
 * its connection not yet free for others: what a receiver said beyond the end would be read as the answer to the next request. With HTTP/2 libcurl 8
 * keeps a connection whose protocol was broken, and the next request would end by what broke it. */
static int on_progress(void *context, curl_off_t to_get, curl_off_t got, curl_off_t to_send, curl_off_t sent)
{
    struct post *post = context;
    (void)to_get;
    (void)got;
    (void)to_send;
    (void)sent;
    if (post->shared->proxy != NULL && !post->saw.prepared)
        return ++post->saw.proxy_bytes > POST_HEADER_BYTES_MAX;
    if (post->saw.http2 && post->trouble[0] != '\0')
        post_spoil(post);
    if (!post->saw.headers_done)
        return 0;
    if (!post->https)
        return is_without_end(post);
    if (post->spoiled)
        return 0;
    void *tls = post_tls_of(post);
    bool unfit = post->saw.http2 ? !post_bounds_may_be_kept(tls) : post_bounds_is_spoiled(tls);
    if (unfit != post->saw.unfit)
        curl_easy_setopt(post->easy, CURLOPT_FORBID_REUSE, unfit ? 1L : 0L);
    post->saw.unfit = unfit;
    return 0;
}

static CURLcode on_tls_context(CURL *easy, void *ssl_ctx, void *context)
{
    struct post_shared *shared = context;
    (void)easy;
    if (!post_tls_equip(shared->tls, ssl_ctx))
        return CURLE_SSL_CERTPROBLEM;
    if (shared->tls_sight != NULL)
        post_tls_watch(ssl_ctx, shared->tls_sight);
    return CURLE_OK;
}

/* Creation */

static void set_callbacks(CURL *easy, struct post *post)
{
    curl_easy_setopt(easy, CURLOPT_PRIVATE, post);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, post->trouble);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, post);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, post);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, post);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, post->shared);
}

bool post_shared_init(struct post_shared *shared, const struct lanes_options *options)
{
    assert(options->snippet_bytes <= OUTCOME_SNIPPET_MAX);
    *shared = (struct post_shared){
        .guard = options->guard,
        .attempt_timeout_ms = options->attempt_timeout_ms,
        .lifetime_s = options->lifetime_s > 0 ? options->lifetime_s : LANES_LIFETIME_S,
        .snippet_bytes = options->snippet_bytes,
        .proxy_by_tls = options->proxy != NULL && strncasecmp(options->proxy, "https:", 6) == 0,
        .tls_sight = options->tls_sight,
    };
    shared->tls = post_tls_create(&(struct post_tls_files){ options->ca_file, options->client_cert, options->client_key });
    if (shared->tls == NULL)
        return false;
    shared->proxy = options->proxy == NULL ? NULL : memory_copy(options->proxy, strlen(options->proxy));
    /* Through TLS in TLS libcurl 7.88 leaves frames unread in the outer one, and waits; and a connection that carries one request has no use for it. */
    shared->http2 = options->http2 && !shared->proxy_by_tls;
    shared->downgrades = downgrades_create();
    gauge_set(&shared->stats.files_current, 1);
    return true;
}

void post_shared_finish(struct post_shared *shared)
{
    post_tls_destroy(shared->tls);
    downgrades_destroy(shared->downgrades);
    free(shared->proxy);
}

struct post *post_create(struct post_shared *shared)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        return NULL;
    struct post *post = memory_create(sizeof(*post));
    post->shared = shared;
    post->easy = easy;
    post->slist = memory_create(sizeof(*post->slist));
    if (shared->snippet_bytes > 0)
        post->snippet = memory_create(shared->snippet_bytes);
    post_options_set(easy, shared);
    set_callbacks(easy, post);
    post_dial_set(post);
    return post;
}

void post_destroy(struct post *post)
{
    if (post == NULL)
        return;
    curl_easy_cleanup(post->easy);
    curl_url_cleanup(post->parsed);
    free(post->url);
    free(post->lines);
    free(post->slist);
    free(post->pin);
    free(post->snippet);
    free(post);
}

void post_share_sessions(struct post *post, void *sessions)
{
    curl_easy_setopt(post->easy, CURLOPT_SHARE, sessions);
}

/* The request */

static char *grow(char *memory, size_t *size, size_t wanted)
{
    if (wanted <= *size)
        return memory;
    *size = wanted < 512 ? 512 : wanted;
    return memory_resize(memory, *size);
}

/* With the text alone libcurl would parse it for each request, with the parsed one alone it would make up the text again. */
static bool give_url(struct post *post, CURLU *parsed)
{
    if (curl_easy_setopt(post->easy, CURLOPT_URL, post->url) != CURLE_OK) {
        curl_url_cleanup(parsed);
        return false;
    }
    CURLcode code = curl_easy_setopt(post->easy, CURLOPT_CURLU, parsed);
    assert(code == CURLE_OK);
    curl_url_cleanup(post->parsed);
    post->parsed = parsed;
    return true;
}

/* Most posts are for the URL that this handle was used for before: then there is nothing to do. */
static enum post_url set_url(struct post *post, const struct url *url)
{
    struct slice text = url->text;
    if (post->url_length == text.length && text.length > 0 && memcmp(post->url, text.start, text.length) == 0)
        return POST_URL_AGREED;
    post->url_length = 0;
    post->url = grow(post->url, &post->url_size, text.length + 1);
    memcpy(post->url, text.start, text.length);
    post->url[text.length] = '\0';
    if (strlen(post->url) != text.length)
        return POST_URL_DISAGREED;
    enum post_url agreement;
    CURLU *parsed = post_url_parse(post->url, url, &agreement);
    if (parsed == NULL)
        return agreement;
    if (!give_url(post, parsed))
        return POST_URL_NO_MEMORY;
    memcpy(post->host, url->host.start, url->host.length);
    post->host[url->host.length] = '\0';
    post->port = url->port;
    if (url->https != post->https)
        post_options_set_https(post->easy, url->https);
    post->https = url->https;
    post->url_length = text.length;
    return POST_URL_AGREED;
}

/* A line break inside a header would begin another one. The request promises that there is none; that no customer's text depends on it is
 * worth a look at each byte. */
static void flatten(char *line, size_t length)
{
    for (char *c = memchr(line, '\n', length); c != NULL; c = memchr(line, '\n', length))
        *c = ' ';
    for (char *c = memchr(line, '\r', length); c != NULL; c = memchr(line, '\r', length))
        *c = ' ';
}

static void set_headers(struct post *post, const struct request *request)
{
    static char no_expect[] = "Expect:";
    size_t lengths[REQUEST_HEADERS_MAX], total = 0;
    assert(request->header_count <= REQUEST_HEADERS_MAX);
    for (size_t i = 0; i < request->header_count; i++)
        total += (lengths[i] = strlen(request->headers[i])) + 1;
    post->lines = grow(post->lines, &post->lines_size, total);
    struct curl_slist *nodes = post->slist->nodes;
    char *end = post->lines;
    for (size_t i = 0; i < request->header_count; i++) {
        memcpy(end, request->headers[i], lengths[i] + 1);
        flatten(end, lengths[i]);
        nodes[i] = (struct curl_slist){ end, &nodes[i + 1] };
        end += lengths[i] + 1;
    }
    nodes[request->header_count] = (struct curl_slist){ no_expect, NULL };
    curl_easy_setopt(post->easy, CURLOPT_HTTPHEADER, nodes);
}

static void set_body(struct post *post, const struct request *request)
{
    const struct text *body = &request->body;
    post->body_bytes = body->length;
    post->large = body->length > LARGE_BODY;
    curl_easy_setopt(post->easy, CURLOPT_UPLOAD_BUFFERSIZE, post->large ? 65536L : 16384L); /* 8 has one for each post under way, full of zeros */
    curl_easy_setopt(post->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->length);
    curl_easy_setopt(post->easy, CURLOPT_POSTFIELDS, body->length > 0 ? body->start : "");
}

static void set_request(struct post *post, const struct request *request)
{
    bool only_connects = request == NULL;
    if (only_connects != post->only_connects)
        post_options_set_connect_only(post->easy, only_connects);
    post->only_connects = only_connects;
    if (only_connects)
        return;
    set_headers(post, request);
    set_body(post, request);
}

static void choose_protocol(struct post *post, const struct url *url)
{
    const struct post_shared *shared = post->shared;
    if (!shared->http2 || !url->https)
        return;
    if (!post->only_connects)
        post->saw.downgrade = downgrades_hold(shared->downgrades, post->origin_hash, clock_monotonic_ms());
    bool downgraded = post->saw.downgrade != DOWNGRADE_NONE;
    if (downgraded != post->downgraded)
        post_options_set_http2(post->easy, !downgraded);
    post->downgraded = downgraded;
}

bool post_address(struct post *post, const struct url *url, const struct request *request)
{
    if (post->spoiled || post->saw.unfit)
        curl_easy_setopt(post->easy, CURLOPT_FORBID_REUSE, 0L);
    post->spoiled = false;
    post->trouble[0] = '\0';
    post->saw = (struct post_sight){ .retry_after_s = -1 };
    post->fd = -1;
    if (post->pinned) {
        curl_easy_setopt(post->easy, CURLOPT_RESOLVE, NULL);
        post_options_set_kinds(post->easy, false);
        post->pinned = false;
    }
    enum post_url agreement = set_url(post, url);
    if (agreement == POST_URL_DISAGREED) {
        post->saw.blocked = true;
        post_conclude_early(post, OUTCOME_BLOCKED_ADDRESS, "two parsers disagree about where the URL leads");
    } else if (agreement == POST_URL_NO_MEMORY) {
        post_conclude_early(post, OUTCOME_LOCAL, "out of memory");
    }
    if (agreement != POST_URL_AGREED)
        return false;
    set_request(post, request);
    choose_protocol(post, url);
    return true;
}
