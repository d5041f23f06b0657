#include "delivery/post_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

static bool hosts_agree(const struct url *url, const char *host)
{
    uint8_t bytes[sizeof(url->literal.bytes)];
    char inside[GUARD_HOST_MAX + 1];
    size_t length = strlen(host);
    if (url->host_kind != GUARD_HOST_IS_IPV6)
        return slice_is(url->host, host);
    /* libcurl shortens IPv6 addresses: compare what they mean. */
    if (length < 3 || length - 2 >= sizeof(inside) || host[0] != '[' || host[length - 1] != ']')
        return false;
    memcpy(inside, host + 1, length - 2);
    inside[length - 2] = '\0';
    return inet_pton(AF_INET6, inside, bytes) == 1 && memcmp(bytes, url->literal.bytes, sizeof(bytes)) == 0;
}

static enum post_url agreement_of(CURLUcode code, bool agree)
{
    if (code == CURLUE_OUT_OF_MEMORY)
        return POST_URL_NO_MEMORY;
    return agree ? POST_URL_AGREED : POST_URL_DISAGREED;
}

static enum post_url host_agrees(CURLU *parser, const struct url *url)
{
    char *host = NULL;
    CURLUcode code = curl_url_get(parser, CURLUPART_HOST, &host, 0);
    bool agree = code == CURLUE_OK && hosts_agree(url, host);
    curl_free(host);
    return agreement_of(code, agree);
}

static enum post_url has_no_user(CURLU *parser)
{
    char *user = NULL;
    CURLUcode code = curl_url_get(parser, CURLUPART_USER, &user, 0);
    curl_free(user);
    return agreement_of(code, code == CURLUE_NO_USER);
}

static enum post_url part_is(CURLU *parser, CURLUPart part, unsigned flags, const char *value)
{
    char *found = NULL;
    CURLUcode code = curl_url_get(parser, part, &found, flags);
    bool same = code == CURLUE_OK && strcmp(found, value) == 0;
    curl_free(found);
    return agreement_of(code, same);
}

static enum post_url parser_agrees(CURLU *parser, const char *text, const struct url *url)
{
    char port[8];
    CURLUcode code = curl_url_set(parser, CURLUPART_URL, text, CURLU_PATH_AS_IS);
    enum post_url agreement = agreement_of(code, code == CURLUE_OK);
    snprintf(port, sizeof(port), "%u", (unsigned)url->port);
    if (agreement == POST_URL_AGREED)
        agreement = host_agrees(parser, url);
    if (agreement == POST_URL_AGREED)
        agreement = has_no_user(parser);
    if (agreement == POST_URL_AGREED)
        agreement = part_is(parser, CURLUPART_PORT, CURLU_DEFAULT_PORT, port);
    if (agreement == POST_URL_AGREED)
        agreement = part_is(parser, CURLUPART_SCHEME, 0, url->https ? "https" : "http");
    return agreement;
}

/* A parser for each: one that was used before takes relative URLs, too. */
struct Curl_URL *post_url_parse(const char *text, const struct url *url, enum post_url *agreement)
{
    CURLU *parser = curl_url();
    *agreement = parser == NULL ? POST_URL_NO_MEMORY : parser_agrees(parser, text, url);
    if (*agreement == POST_URL_AGREED)
        return parser;
    curl_url_cleanup(parser);
    return NULL;
}
