/* What libcurl reports about a transfer, as an outcome. */
#include "consumer/base/clock.h"
#include "delivery/post.h"

#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TROUBLE_SAY_MS = 10000,
    LARGE_HEADERS = 8192,
    PROXY_LINE_MAX = 16384 /* libcurl's, for a header line of a proxy; beyond it, it says that the connection was lost */
};

/* What a CURLcode means when no status line was seen. Codes that are not here: connection lost once connected, else connecting failed. */
static const struct meaning {
    CURLcode code;
    enum outcome_kind kind;
    const char *detail;
} meanings[] = {
    { CURLE_OK, OUTCOME_BAD_ANSWER, "the answer is not HTTP" }, /* libcurl found a status where there is none */
    { CURLE_COULDNT_RESOLVE_PROXY, OUTCOME_CONNECT_FAILED, "the proxy's name was not found" },
    { CURLE_COULDNT_RESOLVE_HOST, OUTCOME_NAME_FAILED, "the name could not be looked up" },
    { CURLE_COULDNT_CONNECT, OUTCOME_CONNECT_FAILED, "could not connect" },
    { CURLE_OPERATION_TIMEDOUT, OUTCOME_CONNECT_TIMEOUT, "connecting took too long" },
    { CURLE_SSL_CONNECT_ERROR, OUTCOME_TLS_FAILED, "TLS handshake failed" },
    { CURLE_SSL_CIPHER, OUTCOME_TLS_FAILED, "no TLS cipher in common" },
    { CURLE_PEER_FAILED_VERIFICATION, OUTCOME_TLS_VERIFY, "the certificate is not for this host" },
    { CURLE_SSL_ISSUER_ERROR, OUTCOME_TLS_VERIFY, "the certificate's issuer is not trusted" },
    { CURLE_SSL_INVALIDCERTSTATUS, OUTCOME_TLS_VERIFY, "the certificate was revoked" },
    { CURLE_SSL_CERTPROBLEM, OUTCOME_LOCAL, "our client certificate cannot be used" },
    { CURLE_SSL_CACERT_BADFILE, OUTCOME_LOCAL, "our CA file cannot be used" },
    { CURLE_SSL_ENGINE_INITFAILED, OUTCOME_LOCAL, "TLS cannot be used here" },
    { CURLE_FAILED_INIT, OUTCOME_LOCAL, "libcurl could not begin" },
    { CURLE_OUT_OF_MEMORY, OUTCOME_LOCAL, "out of memory" },
    { CURLE_ABORTED_BY_CALLBACK, OUTCOME_LOCAL, "stopped here" },
    { CURLE_BAD_FUNCTION_ARGUMENT, OUTCOME_LOCAL, "libcurl refused a setting" },
    { CURLE_URL_MALFORMAT, OUTCOME_CONNECT_FAILED, "libcurl does not accept the URL" }, /* it did before: not for good */
    { CURLE_UNSUPPORTED_PROTOCOL, OUTCOME_BAD_ANSWER, "the answer is not HTTP" },       /* the URL's scheme was judged before */
    { CURLE_WEIRD_SERVER_REPLY, OUTCOME_BAD_ANSWER, "the answer is not HTTP" },
    { CURLE_HTTP2, OUTCOME_BAD_ANSWER, "the receiver broke HTTP/2" },
    { CURLE_HTTP2_STREAM, OUTCOME_CONNECTION_LOST, "the receiver ended the HTTP/2 stream before an answer" },
    { CURLE_BAD_CONTENT_ENCODING, OUTCOME_BAD_ANSWER, "the answer's encoding is broken" },
    { CURLE_WRITE_ERROR, OUTCOME_BAD_ANSWER, "the answer is not HTTP" }, /* its first line: on_header, in post.c */
    { CURLE_SEND_ERROR, OUTCOME_CONNECTION_LOST, "the connection was lost while sending" },
    { CURLE_RECV_ERROR, OUTCOME_CONNECTION_LOST, "the connection was lost before an answer" },
    { CURLE_GOT_NOTHING, OUTCOME_CONNECTION_LOST, "the connection was closed before an answer" },
    { CURLE_PARTIAL_FILE, OUTCOME_CONNECTION_LOST, "the connection was closed before an answer" },
};

int post_status_of(struct slice line)
{
    const char *space = memchr(line.start, ' ', line.length);
    if (!slice_starts_with(line, "HTTP/") || space == NULL || line.start + line.length - space < 4)
        return 0;
    int status = 0;
    for (int i = 1; i <= 3; i++) {
        if (space[i] < '0' || space[i] > '9')
            return 0;
        status = status * 10 + (space[i] - '0');
    }
    const char *end = space + 4;
    return end < line.start + line.length && *end >= '0' && *end <= '9' ? 0 : status;
}

static struct meaning meaning_of(CURLcode code, bool connected)
{
    for (size_t i = 0; i < COUNT_OF(meanings); i++)
        if (meanings[i].code == code)
            return meanings[i];
    return (struct meaning){ code, connected ? OUTCOME_CONNECTION_LOST : OUTCOME_CONNECT_FAILED, curl_easy_strerror(code) };
}

/* What libcurl calls a mistake of ours can be a receiver's, once it has something to say: an attempt it was, and is not made again for nothing. */
static struct meaning meaning_of_code(CURLcode code, bool sent)
{
    struct meaning meaning = meaning_of(code, sent);
    if (sent && meaning.kind == OUTCOME_LOCAL)
        return (struct meaning){ code, OUTCOME_BAD_ANSWER, "the answer could not be read" };
    return meaning;
}

static const struct refusal {
    int error;
    enum outcome_kind kind;
    const char *detail;
} refusals[] = {
    { ECONNREFUSED, OUTCOME_CONNECT_REFUSED, "connection refused" },
    { ETIMEDOUT, OUTCOME_CONNECT_TIMEOUT, "connecting took too long" },
    { EHOSTUNREACH, OUTCOME_CONNECT_FAILED, "host unreachable" },
    { ENETUNREACH, OUTCOME_CONNECT_FAILED, "network unreachable" },
};

/* Where IPv6 was switched off while the system ran, as it is in many containers, it is an address of ours that is missing, and not a port. Who has
 * none learns it without sending anything. */
static bool has_address_for(const struct sockaddr_in6 *peer)
{
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && connect(fd, (const struct sockaddr *)peer, sizeof(*peer)) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

static long connect_error(const struct post *post)
{
    const struct sockaddr_in6 *ipv6 = &post->saw.ipv6;
    long error = 0;
    curl_easy_getinfo(post->easy, CURLINFO_OS_ERRNO, &error);
    return error == EADDRNOTAVAIL && ipv6->sin6_family == AF_INET6 && !has_address_for(ipv6) ? ENETUNREACH : error;
}

static struct meaning meaning_of_connect(const struct post *post)
{
    long error = connect_error(post);
    for (size_t i = 0; i < COUNT_OF(refusals); i++)
        if (refusals[i].error == error)
            return (struct meaning){ CURLE_COULDNT_CONNECT, refusals[i].kind, refusals[i].detail };
    return meaning_of(CURLE_COULDNT_CONNECT, false);
}

enum { X509_UNSPECIFIED = 1 }; /* what libcurl leaves there when the chain was fine */

static struct meaning meaning_of_refused_certificate(const struct post *post)
{
    long result = 0;
    struct meaning meaning = meaning_of(CURLE_PEER_FAILED_VERIFICATION, false);
    curl_easy_getinfo(post->easy, CURLINFO_SSL_VERIFYRESULT, &result);
    if (result > X509_UNSPECIFIED)
        meaning.detail = post_tls_verify_problem(result);
    else if (strstr(post->trouble, "verification failed") != NULL) /* libcurl's words when nothing is wrong with the receiver's: it sent an alert */
        return (struct meaning){ meaning.code, OUTCOME_TLS_FAILED, "the receiver refused our certificate" };
    return meaning;
}

/* In OpenSSL's words, which libcurl passes on. With TLS 1.3 it comes when the handshake is over for us, and the request may be on its way. */
static bool has_refused_ours(const struct post *post)
{
    static const char *const words[] = { "certificate", "unknown ca", "access denied" };
    const char *alert = strstr(post->trouble, " alert ");
    for (size_t i = 0; post->https && alert != NULL && i < COUNT_OF(words); i++)
        if (strstr(alert, words[i]) != NULL)
            return true;
    return false;
}

static struct meaning meaning_of_timeout(const struct post *post)
{
    if (post->saw.prepared)
        return (struct meaning){ CURLE_OPERATION_TIMEDOUT, OUTCOME_TIMEOUT, "no answer in time" };
    return meaning_of(CURLE_OPERATION_TIMEDOUT, false);
}

/* A line without end fills libcurl's own buffer, which calls that out of memory. */
static bool is_endless_line(const struct post *post, CURLcode code)
{
    bool full = code == CURLE_OUT_OF_MEMORY;
#if LIBCURL_VERSION_NUM >= 0x080600
    full = full || code == CURLE_TOO_LARGE;
#endif
    return full && post->saw.prepared;
}

static bool is_endless_proxy(const struct post *post, CURLcode code)
{
    return code == CURLE_ABORTED_BY_CALLBACK || post->saw.proxy_bytes > PROXY_LINE_MAX;
}

/* Whether the proxy did not open a tunnel: what it says, and how it fails, is not the receiver's doing. */
static bool is_proxy_trouble(const struct post *post, CURLcode code, long *status)
{
    *status = 0;
    if (post->shared->proxy == NULL || post->saw.prepared)
        return false;
    curl_easy_getinfo(post->easy, CURLINFO_HTTP_CONNECTCODE, status);
    return *status < 200 || *status >= 300 || is_endless_proxy(post, code);
}

static struct meaning meaning_of_proxy(const struct post *post, CURLcode code, long status)
{
    struct meaning meaning = { code, OUTCOME_CONNECT_FAILED, "the proxy refused" };
    if (status == 407) /* no attempt at the receiver */
        return (struct meaning){ code, OUTCOME_LOCAL, "the proxy does not take the credentials of JOBHOOK_PROXY (407)" };
    if (is_endless_proxy(post, code))
        meaning.detail = "the proxy's answer is too large";
    else if (status >= 500 && status <= 599)
        meaning.detail = "the proxy could not reach the receiver (5xx)";
    else if (code == CURLE_PEER_FAILED_VERIFICATION)
        meaning.detail = "the proxy's certificate is not trusted";
    else if (status == 0)
        meaning.detail = "the proxy cannot be reached, or does not speak HTTP";
    return meaning;
}

/* libcurl 7.88 says the same when the receiver broke HTTP/2, but has other words for it. */
static bool has_ended_http2(const struct post *post, CURLcode code)
{
    static const char of_socket[] = "Send failure:";
    return code == CURLE_HTTP2 && (post->trouble[0] == '\0' || strncmp(post->trouble, of_socket, sizeof(of_socket) - 1) == 0);
}

/* In order of weight: what we refused, what the receiver said, what failed here, what libcurl says. */
static struct meaning judge(const struct post *post, CURLcode code)
{
    const struct post_sight *saw = &post->saw;
    if (saw->blocked)
        return (struct meaning){ code, OUTCOME_BLOCKED_ADDRESS, "the address may not be called" };
    if (saw->peer_gone)
        return (struct meaning){ code, OUTCOME_CONNECTION_LOST, "the receiver reset the connection at once" };
    if (saw->status >= 200 || saw->status == 101)
        return (struct meaning){ code, OUTCOME_ANSWERED, saw->body_cut ? "answered; the body was cut" : "answered" };
    if (saw->http1_wanted)
        return (struct meaning){ code, OUTCOME_CONNECTION_LOST, "the receiver asked for HTTP/1.1 instead of an answer: the next attempt's" };
    if (saw->resend_refused)
        return (struct meaning){ code, OUTCOME_CONNECTION_LOST, "a kept connection died under the request; not sent again" };
    if (saw->headers_too_large || is_endless_line(post, code))
        return (struct meaning){ code, OUTCOME_BAD_ANSWER, "the answer's headers are too large" };
    if (saw->timed_out)
        return meaning_of_timeout(post);
    if (saw->local_error != 0 && !saw->prepared)
        return (struct meaning){ code, OUTCOME_LOCAL, "no socket could be opened here" };
    if (saw->unpinned)
        return (struct meaning){ code, OUTCOME_LOCAL, "the process stood still between the name and the connection" };
    if (code == CURLE_COULDNT_CONNECT && connect_error(post) == EADDRNOTAVAIL)
        return (struct meaning){ code, OUTCOME_LOCAL, "no free port left here" };
    long proxy_status;
    if (is_proxy_trouble(post, code, &proxy_status))
        return meaning_of_proxy(post, code, proxy_status);
    if (code == CURLE_COULDNT_CONNECT)
        return meaning_of_connect(post);
    if (has_ended_http2(post, code))
        return (struct meaning){ code, OUTCOME_CONNECTION_LOST, "the receiver ended HTTP/2 before an answer" };
    if (has_refused_ours(post))
        return (struct meaning){ code, OUTCOME_TLS_FAILED, "the receiver refused our certificate, or wants one" };
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return meaning_of_refused_certificate(post);
    if (code == CURLE_SSL_CONNECT_ERROR && strstr(post->trouble, "no application protocol") != NULL)
        return (struct meaning){ code, OUTCOME_TLS_FAILED, "the receiver speaks no HTTP that it was offered" };
    if (post->https && !saw->prepared && (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_GOT_NOTHING))
        return meaning_of(CURLE_SSL_CONNECT_ERROR, false);
    return meaning_of_code(code, saw->prepared);
}

/* libcurl counts from when it got the handle, we from the start of the attempt. 0 stays 0: it did not happen, or not again. */
static uint32_t since_begin_ms(const struct post *post, CURLINFO info)
{
    curl_off_t us = 0;
    curl_easy_getinfo(post->easy, info, &us);
    return us <= 0 ? 0 : (uint32_t)((post->start_us - post->begin_us + (uint64_t)us) / 1000);
}

static void take_times(struct post *post)
{
    struct outcome *outcome = &post->outcome;
    outcome->total_ms = (uint32_t)((clock_monotonic_us() - post->begin_us) / 1000);
    outcome->name_ms = post->named_us == 0 ? 0 : (uint32_t)((post->named_us - post->begin_us) / 1000);
    if (post->start_us == 0)
        return;
    outcome->connect_ms = since_begin_ms(post, CURLINFO_CONNECT_TIME_T);
    outcome->tls_ms = post->https ? since_begin_ms(post, CURLINFO_APPCONNECT_TIME_T) : 0;
    outcome->first_byte_ms = since_begin_ms(post, CURLINFO_STARTTRANSFER_TIME_T);
}

/* Nobody else would tell: no attempt is used up, and no receiver blamed. */
static void say_trouble(struct post_shared *shared, const char *detail)
{
    uint64_t suppressed;
    if (log_gate_opens(&shared->troubles, TROUBLE_SAY_MS, &suppressed))
        log_warn("something here keeps attempts from being made, they wait", LOG_STRING("problem", detail), LOG_I("suppressed", suppressed));
}

/* With the end of a stream before the request was sent, or of the connection, libcurl 7.88 throws away the answer that came before it, whatever the
 * reason: none with Go's server, CANCEL with HAProxy. */
static bool may_have_lost_answer(const struct post *post, CURLcode code)
{
    return post->saw.http2 && (code == CURLE_HTTP2_STREAM || code == CURLE_PARTIAL_FILE);
}

/* In the words of servers of HTTP/2 alone, some of which others have for other things, too. */
static bool refuses_http1(const struct post *post)
{
    int status = post->outcome.status;
    return status == 426 || status == 505 || (!post->saw.agreed && (status == 400 || status == 403 || status == 421));
}

static bool has_reached_receiver(const struct post *post)
{
    enum outcome_kind kind = post->outcome.kind;
    return post->saw.prepared || kind == OUTCOME_CONNECT_TIMEOUT || kind == OUTCOME_CONNECTION_LOST || kind == OUTCOME_TLS_FAILED ||
           kind == OUTCOME_TLS_VERIFY;
}

/* Servers of HTTP/2 alone refuse the handshake by an alert; or they let it pass, and say that they do not take HTTP/1.1 (Node.js 18: 403), or close, as
 * others do who have answered before they have read all of it. */
static void note_http1(const struct post *post)
{
    struct downgrades *downgrades = post->shared->downgrades;
    enum outcome_kind kind = post->outcome.kind;
    uint64_t now_ms = clock_monotonic_ms();
    if (kind == OUTCOME_ANSWERED && !refuses_http1(post))
        downgrades_prove(downgrades, post->origin_hash, now_ms);
    else if (kind == OUTCOME_ANSWERED || kind == OUTCOME_BAD_ANSWER || (kind == OUTCOME_TLS_FAILED && strstr(post->trouble, " alert ") != NULL))
        downgrades_bar(downgrades, post->origin_hash, now_ms);
    else if (has_reached_receiver(post))
        downgrades_doubt(downgrades, post->origin_hash, now_ms);
    else
        downgrades_ask_again(downgrades, post->origin_hash);
}

static void note_protocol(const struct post *post, CURLcode code)
{
    bool lost = post->outcome.kind == OUTCOME_CONNECTION_LOST && may_have_lost_answer(post, code);
    if (post->saw.downgrade == DOWNGRADE_ASKS || post->saw.downgrade == DOWNGRADE_AGREED)
        note_http1(post);
    else if (post->saw.http1_wanted || lost)
        downgrades_add(post->shared->downgrades, post->origin_hash, clock_monotonic_ms());
}

void post_conclude(struct post *post, int code)
{
    struct meaning meaning = judge(post, (CURLcode)code);
    if (meaning.kind == OUTCOME_LOCAL && post->saw.local_error == 0)
        say_trouble(post->shared, meaning.detail);
    bool answered = meaning.kind == OUTCOME_ANSWERED;
    post->large = post->large || post->saw.header_bytes > LARGE_HEADERS; /* libcurl keeps them with the handle */
    long connections = 0;
    curl_easy_getinfo(post->easy, CURLINFO_NUM_CONNECTS, &connections);
    counter_add(&post->shared->stats.connections, (uint64_t)connections);
    post->outcome = (struct outcome){
        .kind = meaning.kind,
        .status = answered ? post->saw.status : 0,
        .sent = post->saw.prepared,
        .connected = post->saw.prepared && (post->saw.dialled || meaning.kind != OUTCOME_CONNECTION_LOST),
        .retry_after_s = answered ? post->saw.retry_after_s : -1,
        .snippet = post->snippet,
        .snippet_bytes = post->saw.snippet_bytes,
        .detail = meaning.detail,
    };
    take_times(post);
    note_protocol(post, (CURLcode)code);
}

void post_conclude_overdue(struct post *post)
{
    post->saw.timed_out = true;
    post_conclude(post, CURLE_OPERATION_TIMEDOUT);
}

void post_conclude_early(struct post *post, enum outcome_kind kind, const char *detail)
{
    post->outcome = (struct outcome){ .kind = kind, .retry_after_s = -1, .snippet = post->snippet, .detail = detail };
    take_times(post);
    if (post->saw.downgrade == DOWNGRADE_ASKS)
        downgrades_ask_again(post->shared->downgrades, post->origin_hash);
}

bool post_was_sent(const struct post *post)
{
    return post->saw.prepared;
}
