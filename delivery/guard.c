#include "delivery/guard.h"

#include "delivery/guard_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* The text of a URL and the names in it: layers 1 and 2. Addresses are judged in guard_address.c. */

enum { LABEL_MAX = 63 }; /* RFC 1035 §2.3.4 */

static const char *const rule_names[GUARD_RULES] = {
    [GUARD_OK] = "ok",
    [GUARD_URL_TOO_LONG] = "url_too_long",
    [GUARD_URL_NOT_ASCII] = "url_not_ascii",
    [GUARD_SCHEME] = "scheme",
    [GUARD_HTTP_NOT_ALLOWED] = "http_not_allowed",
    [GUARD_USER_INFO] = "user_info",
    [GUARD_AUTHORITY] = "authority",
    [GUARD_HOST_FORM] = "host_form",
    [GUARD_HOST_NAME] = "host_name",
    [GUARD_PORT] = "port",
    [GUARD_PARSERS_DISAGREE] = "parsers_disagree",
    [GUARD_ADDRESS] = "address",
    [GUARD_PATH] = "path",
};

/* A name with one of these behind its last dot, or that is one of these, belongs to a host file, a local network, a cluster or nobody. They cover
 * .cluster.local, .home.arpa and in-addr.arpa as well. */
static const char *const refused_last_labels[] = {
    "localhost", "localdomain", "default", "local", "internal", "svc", "arpa", "onion", "invalid", "test",
};

const char *guard_rule_name(enum guard_rule rule)
{
    assert(rule < GUARD_RULES);
    return rule_names[rule];
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'f');
}

static bool is_letter(char c)
{
    return to_lower(c) >= 'a' && to_lower(c) <= 'z';
}

static struct slice slice_from(struct slice text, size_t start)
{
    return (struct slice){ text.start + start, text.length - start };
}

/* Whether `text` starts with `prefix`, which is lower case, in whatever case. */
static bool starts_with_any_case(struct slice text, const char *prefix)
{
    size_t length = strlen(prefix);
    if (text.length < length)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (to_lower(text.start[i]) != prefix[i])
            return false;
    }
    return true;
}

static bool is_any_case(struct slice text, const char *word)
{
    return text.length == strlen(word) && starts_with_any_case(text, word);
}

/* Sets are two or three characters long; a call of strchr for each byte made up half of the time that a URL takes. */
static bool is_one_of(char c, const char *set)
{
    while (*set != '\0' && *set != c)
        set++;
    return *set != '\0';
}

/* Where the first byte out of `stops` is, or the length. */
static size_t length_before(struct slice text, const char *stops)
{
    size_t length = 0;
    while (length < text.length && !is_one_of(text.start[length], stops))
        length++;
    return length;
}

/* ---- The host ---- */

/* All digits, or 0x and hexadecimal digits: old parsers of addresses would take the whole host for an IPv4 address. */
static bool is_numeric(struct slice label)
{
    size_t start = starts_with_any_case(label, "0x") ? 2 : 0;
    for (size_t i = start; i < label.length; i++) {
        if (start == 0 ? !is_digit(label.start[i]) : !is_hex(label.start[i]))
            return false;
    }
    return true;
}

/* Letters, digits, hyphens inside, and underscores, which names of hosts should not have but do. */
static bool is_label(struct slice label)
{
    if (label.length == 0 || label.length > LABEL_MAX || label.start[0] == '-' || label.start[label.length - 1] == '-')
        return false;
    for (size_t i = 0; i < label.length; i++) {
        char c = label.start[i];
        if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_')
            return false;
    }
    return true;
}

static bool is_refused_last_label(struct slice label)
{
    for (size_t i = 0; i < COUNT_OF(refused_last_labels); i++) {
        if (is_any_case(label, refused_last_labels[i]))
            return true;
    }
    return false;
}

static enum guard_rule judge_name(struct slice host)
{
    if (host.length > GUARD_HOST_MAX)
        return GUARD_HOST_FORM;
    size_t labels = 0;
    for (struct slice rest = host;;) {
        struct slice label = { rest.start, length_before(rest, ".") };
        if (!is_label(label))
            return GUARD_HOST_FORM;
        labels++;
        if (label.length < rest.length) {
            rest = slice_from(rest, label.length + 1);
            continue;
        }
        if (is_refused_last_label(label))
            return GUARD_HOST_NAME;
        return labels < 2 || is_numeric(label) ? GUARD_HOST_FORM : GUARD_OK;
    }
}

/* `inside`: what stands in the brackets. A mapped IPv4 address is an odd way to write one, and refused as such. */
static enum guard_rule read_bracketed(struct slice inside, struct url *url)
{
    url->host = inside;
    url->host_kind = GUARD_HOST_IS_IPV6;
    if (!guard_address_read_v6(inside, &url->literal) || guard_address_is_mapped(&url->literal))
        return GUARD_HOST_FORM;
    return GUARD_OK;
}

static enum guard_rule read_bare_host(struct slice host, struct url *url)
{
    url->host = host;
    if (guard_address_read_v4(host, &url->literal)) {
        url->host_kind = GUARD_HOST_IS_IPV4;
        return GUARD_OK;
    }
    url->host_kind = GUARD_HOST_IS_NAME;
    return judge_name(host);
}

/* ---- The authority ---- */

/* Parsers differ about these, so no host is looked for among them. An escape or a zone shows as a percent sign. */
static bool has_odd_character(struct slice text, const char *odd)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.start[i];
        if (c <= ' ' || c == 0x7f || is_one_of(c, odd))
            return true;
    }
    return false;
}

/* `text` is what follows the host: nothing, or a colon and a port. */
static enum guard_rule read_port(struct slice text, struct url *url)
{
    uint64_t port;
    if (text.length == 0) {
        url->port = url->https ? 443 : 80;
        return GUARD_OK;
    }
    if (text.start[0] != ':' || !slice_to_u64(slice_from(text, 1), UINT16_MAX, &port) || port == 0)
        return GUARD_PORT;
    url->port = (uint16_t)port;
    return GUARD_OK;
}

static enum guard_rule read_authority(struct slice authority, struct url *url)
{
    if (authority.length == 0 || has_odd_character(authority, "\\%"))
        return GUARD_AUTHORITY;
    if (memchr(authority.start, '@', authority.length) != NULL)
        return GUARD_USER_INFO;
    bool bracketed = authority.start[0] == '[';
    size_t host_end = length_before(authority, bracketed ? "]" : ":");
    struct slice after = slice_from(authority, host_end);
    enum guard_rule rule;
    if (!bracketed) {
        rule = read_bare_host((struct slice){ authority.start, host_end }, url);
    } else if (after.length == 0 || (after.length > 1 && after.start[1] != ':')) {
        rule = GUARD_HOST_FORM; /* no closing bracket, or junk behind it */
    } else {
        rule = read_bracketed((struct slice){ authority.start + 1, host_end - 1 }, url);
        after = slice_from(after, 1);
    }
    return rule != GUARD_OK ? rule : read_port(after, url);
}

/* ---- The URL ---- */

static bool is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        if ((unsigned char)text.start[i] >= 0x80)
            return false;
    }
    return true;
}

static enum guard_rule read_scheme(const struct guard *guard, struct url *url, struct slice *rest)
{
    static const char http[] = "http://", https[] = "https://";
    if (starts_with_any_case(url->text, https)) {
        url->https = true;
        *rest = slice_from(url->text, sizeof(https) - 1);
        return GUARD_OK;
    }
    if (!starts_with_any_case(url->text, http))
        return GUARD_SCHEME;
    *rest = slice_from(url->text, sizeof(http) - 1);
    return guard->allow_http ? GUARD_OK : GUARD_HTTP_NOT_ALLOWED;
}

static void append_to_origin(struct url *url, struct slice part)
{
    assert(url->origin_length + part.length < sizeof(url->origin));
    for (size_t i = 0; i < part.length; i++)
        url->origin[url->origin_length++] = to_lower(part.start[i]);
}

/* One spelling for each origin: lower case, an IPv6 address in its canonical form (RFC 5952), the default port left out. */
static void write_origin(struct url *url)
{
    append_to_origin(url, url->https ? SLICE("https://") : SLICE("http://"));
    if (url->host_kind == GUARD_HOST_IS_IPV6) {
        char canonical[INET6_ADDRSTRLEN], bracketed[INET6_ADDRSTRLEN + 2];
        inet_ntop(AF_INET6, url->literal.bytes, canonical, sizeof(canonical));
        snprintf(bracketed, sizeof(bracketed), "[%s]", canonical);
        append_to_origin(url, slice_of(bracketed));
    } else {
        append_to_origin(url, url->host);
    }
    if (url->port != (url->https ? 443 : 80)) {
        char port[8];
        snprintf(port, sizeof(port), ":%u", url->port);
        append_to_origin(url, slice_of(port));
    }
}

enum guard_rule guard_judge_url(const struct guard *guard, struct slice text, struct url *url)
{
    *url = (struct url){ .text = text };
    if (text.length > GUARD_URL_MAX)
        return GUARD_URL_TOO_LONG;
    if (!is_ascii(text))
        return GUARD_URL_NOT_ASCII;
    struct slice rest;
    enum guard_rule rule = read_scheme(guard, url, &rest);
    if (rule != GUARD_OK)
        return rule;
    size_t authority_length = length_before(rest, "/?#");
    rule = read_authority((struct slice){ rest.start, authority_length }, url);
    if (rule != GUARD_OK)
        return rule;
    if (has_odd_character(slice_from(rest, authority_length), "\\"))
        return GUARD_PATH;
    url->endpoint = (struct slice){ text.start, text.length - rest.length + length_before(rest, "?#") };
    write_origin(url);
    return url->host_kind == GUARD_HOST_IS_NAME ? GUARD_OK : guard_judge_address(guard, &url->literal);
}
