#include "delivery/post_options.h"

#include "delivery/post.h"

#include <curl/curl.h>

enum { PATIENCE_MS = 100, NEVER_MS = 24 * 3600 * 1000 };

/* libcurl before this version would append a first line that begins with a blank to the last line of the handle's former answer, in memory that was
 * freed since (curl 11103). There the body's callback sees the lines as well, and before libcurl takes them. */
enum { LIBCURL_FORGETS_FORMER_LINES = 0x080101 };

/* An option that libcurl does not know or was built without would leave a hole in the policy. */
static void must_be_ok(CURLcode code)
{
    assert(code == CURLE_OK);
}

static void set_longs(CURL *easy)
{
    static const struct {
        CURLoption option;
        long value;
    } longs[] = {
        { CURLOPT_POST, 1 },
        { CURLOPT_NOSIGNAL, 1 },
        { CURLOPT_NOPROGRESS, 0 }, /* no meter, on_progress */
        { CURLOPT_QUICK_EXIT, 1 },
        { CURLOPT_PATH_AS_IS, 1 },
        { CURLOPT_FOLLOWLOCATION, 0 },
        { CURLOPT_NETRC, CURL_NETRC_IGNORED },
        { CURLOPT_HTTP_CONTENT_DECODING, 0 },
        { CURLOPT_HTTPPROXYTUNNEL, 1 }, /* http:// as well: what the proxy says is never taken for the receiver's answer */
        { CURLOPT_SUPPRESS_CONNECT_HEADERS, 1 },
        { CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
        { CURLOPT_SSL_VERIFYPEER, 1 },
        { CURLOPT_SSL_VERIFYHOST, 2 },
        { CURLOPT_CA_CACHE_TIMEOUT, 0 },    /* 7.88 would keep the first store of post_tls that it saw, and put it back over a newer one */
        { CURLOPT_MAXAGE_CONN, 24 * 3600 }, /* never: wires_hang_up_idle */
        /* An entry is of use until its post dials, at once. Every post that ends looks at all that its lane's table holds, which would be a minute's;
         * less than two seconds could end while it dials, as whole ones are counted. */
        { CURLOPT_DNS_CACHE_TIMEOUT, 2 },
    };
    for (size_t i = 0; i < COUNT_OF(longs); i++)
        must_be_ok(curl_easy_setopt(easy, longs[i].option, longs[i].value));
}

static void set_strings(CURL *easy, const struct post_shared *shared)
{
    const struct {
        CURLoption option;
        const char *value;
    } strings[] = {
        { CURLOPT_PROTOCOLS_STR, "http,https" },
        { CURLOPT_PROXY, shared->proxy != NULL ? shared->proxy : "" }, /* "": not the environment's either */
        { CURLOPT_NOPROXY, "" },                                       /* likewise no_proxy */
        { CURLOPT_CAINFO, NULL },                                      /* store, certificate and key come from post_tls */
        { CURLOPT_CAPATH, NULL },
        { CURLOPT_PROXY_CAINFO, NULL },
        { CURLOPT_PROXY_CAPATH, NULL },
    };
    for (size_t i = 0; i < COUNT_OF(strings); i++)
        must_be_ok(curl_easy_setopt(easy, strings[i].option, strings[i].value));
}

/* The deadline is ours, and comes first. libcurl only has to know how much time there is: it gives half of it to the first address, and with no end in
 * sight it would never turn to the next. */
static void set_patience(CURL *easy, uint64_t attempt_timeout_ms)
{
    must_be_ok(curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)attempt_timeout_ms + PATIENCE_MS));
}

void post_options_set_http2(void *easy, bool http2)
{
    must_be_ok(curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1));
}

void post_options_set_connect_only(void *easy, bool only)
{
    must_be_ok(curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, only ? 1L : 0L));
}

/* 7.88 keeps one for each transfer in flight; answers are short. From one that is not, and comes as fast as it may, it fills a hundred in a turn, and
 * only TLS has bounds of its own for that. With HTTP/2 it has to take provisional headers as well. Refused where one is still in use: that is as large
 * as libcurl believes. */
static void set_buffer(CURL *easy, bool https)
{
    (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, https ? 4096L : 1024L);
}

/* libcurl 8 ends a transfer whose receiver broke HTTP/2 when it looks at it again, for which there is no occasion: watching the speed is one, each second.
 * None is ever too slow. */
static void look_again(CURL *easy, bool again)
{
#if LIBCURL_VERSION_NUM >= 0x080000
    must_be_ok(curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, again ? 1L : 0L));
    must_be_ok(curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, again ? 24 * 3600L : 0L));
#else
    (void)easy;
    (void)again;
#endif
}

void post_options_set_https(void *easy, bool https)
{
    set_buffer(easy, https);
    look_again(easy, https);
}

void post_options_set_kinds(void *easy, bool both)
{
    must_be_ok(curl_easy_setopt(easy, CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, both ? CURL_HET_DEFAULT : NEVER_MS));
}

void post_options_set(void *easy, const struct post_shared *shared)
{
    bool looks_twice = curl_version_info(CURLVERSION_NOW)->version_num < LIBCURL_FORGETS_FORMER_LINES;
    set_longs(easy);
    post_options_set_https(easy, false);
    must_be_ok(curl_easy_setopt(easy, CURLOPT_HEADER, looks_twice ? 1L : 0L));
    post_options_set_http2(easy, shared->http2);
    set_strings(easy, shared);
    must_be_ok(curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, (long)shared->lifetime_s));
    set_patience(easy, shared->attempt_timeout_ms);
    post_options_set_kinds(easy, shared->proxy != NULL);
}
