/* Any bytes as a URL and as a list of ranges: what passes is plain ASCII, is understood the same way when its parts are put together again, and
 * wherever libcurl can read it at all, libcurl would go to the same host and port. */
#include "delivery/guard.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct guard guard = { .allow_http = true };

static void expect_same_origin(const struct url *url, struct slice text)
{
    struct url again;
    enum guard_rule rule = guard_judge_url(&guard, text, &again);
    assert(rule == GUARD_OK);
    assert(strcmp(again.origin, url->origin) == 0 && again.port == url->port && again.https == url->https);
}

static bool same_host(const struct url *url, const char *found)
{
    struct guard_address address = { .v6 = url->host_kind == GUARD_HOST_IS_IPV6 };
    size_t length = strlen(found);
    if (url->host_kind != GUARD_HOST_IS_IPV6)
        return slice_is(url->host, found);
    char inside[64];
    if (length < 3 || length > sizeof(inside) || found[0] != '[' || found[length - 1] != ']')
        return false;
    memcpy(inside, found + 1, length - 2);
    inside[length - 2] = '\0';
    return inet_pton(AF_INET6, inside, address.bytes) == 1 && memcmp(address.bytes, url->literal.bytes, sizeof(address.bytes)) == 0;
}

static void expect_libcurl_agrees(const struct url *url)
{
    char *text = malloc(url->text.length + 1), *host = NULL, *port = NULL, *user = NULL;
    memcpy(text, url->text.start, url->text.length);
    text[url->text.length] = '\0';
    CURLU *parser = curl_url();
    if (curl_url_set(parser, CURLUPART_URL, text, CURLU_PATH_AS_IS) == CURLUE_OK) {
        CURLUcode host_code = curl_url_get(parser, CURLUPART_HOST, &host, 0),
                  port_code = curl_url_get(parser, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
        assert(host_code == CURLUE_OK && same_host(url, host));
        assert(port_code == CURLUE_OK && strtoul(port, NULL, 10) == url->port);
        assert(curl_url_get(parser, CURLUPART_USER, &user, 0) == CURLUE_NO_USER);
    }
    curl_free(host);
    curl_free(port);
    curl_free(user);
    curl_url_cleanup(parser);
    free(text);
}

static void expect_plain(const struct url *url)
{
    for (size_t i = 0; i < url->text.length; i++)
        assert(url->text.start[i] > ' ' && url->text.start[i] < 0x7f && url->text.start[i] != '\\');
    assert(url->port > 0 && url->host.length > 0 && url->host.length <= GUARD_HOST_MAX);
    assert(url->origin_length == strlen(url->origin) && url->origin_length <= GUARD_ORIGIN_MAX);
    assert(url->endpoint.length <= url->text.length && url->endpoint.start == url->text.start);
}

/* No range opens it. */
static bool is_unspecified(const struct guard_address *address)
{
    static const uint8_t zeros[sizeof(address->bytes)];
    size_t from = guard_address_is_mapped(address) ? 12 : 0;
    return memcmp(address->bytes + from, zeros, address->v6 ? sizeof(zeros) - from : 4) == 0;
}

static void try_ranges(struct slice text)
{
    struct guard_cidr *cidrs;
    size_t count;
    const char *problem = NULL;
    if (!guard_cidrs_parse(text, &cidrs, &count, &problem)) {
        assert(problem != NULL && cidrs == NULL && count == 0);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct guard open = { .allow = &cidrs[i], .allow_count = 1 }, closed = { .deny = &cidrs[i], .deny_count = 1 };
        assert((guard_judge_address(&open, &cidrs[i].address) == GUARD_OK) == !is_unspecified(&cidrs[i].address));
        assert(guard_judge_address(&closed, &cidrs[i].address) == GUARD_ADDRESS);
    }
    free(cidrs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = { (const char *)data, size };
    struct url url;
    if (guard_judge_url(&guard, text, &url) == GUARD_OK) {
        expect_plain(&url);
        expect_same_origin(&url, slice_of(url.origin));
        expect_same_origin(&url, url.endpoint);
        expect_libcurl_agrees(&url);
    }
    try_ranges(text);
    return 0;
}
