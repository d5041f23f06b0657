/* URLs as text: layers 1 and 2 of the guard, and what it tells its callers about a URL. */
#include "delivery/guard.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct guard guard = { .allow_http = true };

static enum guard_rule judged(const char *text, struct url *url)
{
    return guard_judge_url(&guard, slice_of(text), url);
}

struct rule_case {
    const char *url;
    enum guard_rule rule;
};

static void expect_rules(const struct rule_case *cases, size_t count)
{
    struct url url;
    for (size_t i = 0; i < count; i++) {
        enum guard_rule rule = judged(cases[i].url, &url);
        cr_expect_eq(rule, cases[i].rule, "%s: %s, not %s", cases[i].url, guard_rule_name(rule), guard_rule_name(cases[i].rule));
    }
}

#define EXPECT_RULES(cases) expect_rules((cases), COUNT_OF(cases))

Test(guard, takes_nothing_but_http_and_https)
{
    static const struct rule_case cases[] = {
        { "http://example.com", GUARD_OK },
        { "https://example.com", GUARD_OK },
        { "HtTpS://example.com", GUARD_OK },
        { "", GUARD_SCHEME },
        { "http", GUARD_SCHEME },
        { "http:", GUARD_SCHEME },
        { "http:/example.com", GUARD_SCHEME },
        { "https:example.com", GUARD_SCHEME },
        { "httpss://example.com", GUARD_SCHEME },
        { " http://example.com", GUARD_SCHEME },
        { "ftp://example.com", GUARD_SCHEME },
        { "file:///etc/passwd", GUARD_SCHEME },
        { "//example.com", GUARD_SCHEME },
        { "example.com", GUARD_SCHEME },
        { "gopher://example.com", GUARD_SCHEME },
        { "javascript:1", GUARD_SCHEME },
        { "http\t://example.com", GUARD_SCHEME },
        { "\x01http://example.com", GUARD_SCHEME },
    };
    EXPECT_RULES(cases);
}

Test(guard, refuses_http_when_the_settings_say_so)
{
    const struct guard strict = { .allow_http = false };
    struct url url;
    cr_assert_eq(guard_judge_url(&strict, SLICE("http://example.com/"), &url), GUARD_HTTP_NOT_ALLOWED);
    cr_assert_eq(guard_judge_url(&strict, SLICE("https://example.com/"), &url), GUARD_OK);
}

Test(guard, takes_8192_bytes_and_not_one_more)
{
    static char text[GUARD_URL_MAX + 1];
    struct url url;
    memset(text, 'a', sizeof(text));
    memcpy(text, "https://example.com/", 20);
    cr_assert_eq(guard_judge_url(&guard, (struct slice){ text, GUARD_URL_MAX }, &url), GUARD_OK);
    cr_assert_eq(guard_judge_url(&guard, (struct slice){ text, GUARD_URL_MAX + 1 }, &url), GUARD_URL_TOO_LONG);
}

Test(guard, takes_ascii_only)
{
    static const struct rule_case cases[] = {
        { "https://b\xc3\xbc"
          "cher.example/",
          GUARD_URL_NOT_ASCII },
        { "https://example.com/\xc3\xbc", GUARD_URL_NOT_ASCII },
        { "https://example.com/?q=\xff", GUARD_URL_NOT_ASCII },
        { "\xef\xbb\xbfhttps://example.com/", GUARD_URL_NOT_ASCII },
        { "https://example\xe3\x80\x82"
          "com/",
          GUARD_URL_NOT_ASCII },
    };
    EXPECT_RULES(cases);
}

/* Every byte at a place in the host, in the port, and behind the authority. */
Test(guard, judges_every_byte_by_its_place)
{
    static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    for (int byte = 0; byte < 256; byte++) {
        char host[] = "https://exa?mple.com/", port[] = "https://example.com:4?3/", path[] = "https://example.com/a?b";
        struct url url;
        bool ends_authority = byte == '/' || byte == '?' || byte == '#';
        host[11] = (char)byte;
        bool host_passes = (byte != 0 && strchr(name_bytes, byte) != NULL);
        cr_expect_eq(guard_judge_url(&guard, (struct slice){ host, sizeof(host) - 1 }, &url) == GUARD_OK, host_passes, "host, byte %d", byte);
        port[21] = (char)byte;
        bool port_passes = (byte >= '0' && byte <= '9') || ends_authority;
        cr_expect_eq(guard_judge_url(&guard, (struct slice){ port, sizeof(port) - 1 }, &url) == GUARD_OK, port_passes, "port, byte %d", byte);
        path[21] = (char)byte;
        bool path_passes = byte > ' ' && byte < 0x7f && byte != '\\';
        cr_expect_eq(guard_judge_url(&guard, (struct slice){ path, sizeof(path) - 1 }, &url) == GUARD_OK, path_passes, "path, byte %d", byte);
    }
}

Test(guard, refuses_what_parsers_read_differently_in_the_authority)
{
    static const struct rule_case cases[] = {
        { "https://", GUARD_AUTHORITY },
        { "https:///example.com", GUARD_AUTHORITY },
        { "https://?example.com", GUARD_AUTHORITY },
        { "https://#example.com", GUARD_AUTHORITY },
        { "https://example.com\\@evil.example/", GUARD_AUTHORITY },
        { "https://example.com\\.evil.example/", GUARD_AUTHORITY },
        { "https://example%2ecom/", GUARD_AUTHORITY },
        { "https://example.com%00.evil.example/", GUARD_AUTHORITY },
        { "https://[fe80::1%25eth0]/", GUARD_AUTHORITY },
        { "https://[fe80::1%eth0]/", GUARD_AUTHORITY },
        { "https://exa mple.com/", GUARD_AUTHORITY },
        { "https://example.com\r\n/", GUARD_AUTHORITY },
        { "https://example.com\t/", GUARD_AUTHORITY },
        { "https://exam\x7fple.com/", GUARD_AUTHORITY },
        { "https://user@example.com/", GUARD_USER_INFO },
        { "https://user:secret@example.com/", GUARD_USER_INFO },
        { "https://@example.com/", GUARD_USER_INFO },
        { "https://a@b@example.com/", GUARD_USER_INFO },
        { "https://example.com@/", GUARD_USER_INFO },
        { "https://example.com/@path", GUARD_OK },
        { "https://example.com/a:b@c?d@e#f@g", GUARD_OK },
        { "https://example.com?user@host", GUARD_OK },
        { "https://example.com#user@host", GUARD_OK },
    };
    EXPECT_RULES(cases);
}

Test(guard, refuses_control_characters_spaces_and_backslashes_behind_the_authority)
{
    static const struct rule_case cases[] = {
        { "https://example.com/a b", GUARD_PATH },
        { "https://example.com/a\\b", GUARD_PATH },
        { "https://example.com/a\r\nX-Header: y", GUARD_PATH },
        { "https://example.com/?a b", GUARD_PATH },
        { "https://example.com/#a\tb", GUARD_PATH },
        { "https://example.com?\x7f", GUARD_PATH },
        { "https://example.com/%0d%0aX:%20y", GUARD_OK },
        { "https://example.com/{a}|^`\"<>", GUARD_OK },
    };
    EXPECT_RULES(cases);
    struct url url;
    cr_assert_eq(guard_judge_url(&guard, SLICE("https://example.com/a\0b"), &url), GUARD_PATH);
}

Test(guard, takes_canonical_ports_only)
{
    static const struct rule_case cases[] = {
        { "https://example.com:1/", GUARD_OK },
        { "https://example.com:65535/", GUARD_OK },
        { "https://example.com:443", GUARD_OK },
        { "https://example.com:80?q", GUARD_OK },
        { "https://93.184.215.14:8443#f", GUARD_OK },
        { "https://[2606:4700::1111]:8443/", GUARD_OK },
        { "https://example.com:/", GUARD_PORT },
        { "https://example.com:0/", GUARD_PORT },
        { "https://example.com:65536/", GUARD_PORT },
        { "https://example.com:080/", GUARD_PORT },
        { "https://example.com:+80/", GUARD_PORT },
        { "https://example.com:-1/", GUARD_PORT },
        { "https://example.com:80a/", GUARD_PORT },
        { "https://example.com:0x50/", GUARD_PORT },
        { "https://example.com:80:80/", GUARD_PORT },
        { "https://example.com:4294967376/", GUARD_PORT },
        { "https://example.com:18446744073709551696/", GUARD_PORT },
        { "https://[2606:4700::1111]:/", GUARD_PORT },
        { "https://93.184.215.14:/", GUARD_PORT },
    };
    EXPECT_RULES(cases);
}

Test(guard, takes_names_of_two_labels_whose_last_is_not_numeric)
{
    static const struct rule_case cases[] = {
        { "https://example.com", GUARD_OK },
        { "https://a.b", GUARD_OK },
        { "https://xn--bcher-kva.example/", GUARD_OK },
        { "https://my_host.example.com", GUARD_OK },
        { "https://1.2.3.4.example.com", GUARD_OK },
        { "https://0x7f.example.com", GUARD_OK },
        { "https://example.c0m", GUARD_OK },
        { "https://example.0xg", GUARD_OK },
        { "https://a--b.example", GUARD_OK },
        { "https://example", GUARD_HOST_FORM },
        { "https://kubernetes/", GUARD_HOST_FORM },
        { "https://.", GUARD_HOST_FORM },
        { "https://..", GUARD_HOST_FORM },
        { "https://.example.com", GUARD_HOST_FORM },
        { "https://example.com.", GUARD_HOST_FORM },
        { "https://example..com", GUARD_HOST_FORM },
        { "https://-a.example", GUARD_HOST_FORM },
        { "https://a-.example", GUARD_HOST_FORM },
        { "https://example.123", GUARD_HOST_FORM },
        { "https://example.0x7f", GUARD_HOST_FORM },
        { "https://example.0x", GUARD_HOST_FORM },
        { "https://example.0XFF", GUARD_HOST_FORM },
        { "https://:80/", GUARD_HOST_FORM },
        { "https://*.example.com", GUARD_HOST_FORM },
        { "https://exa,mple.com", GUARD_HOST_FORM },
        { "https://exa'mple.com", GUARD_HOST_FORM },
        { "https://[example.com]", GUARD_HOST_FORM },
    };
    EXPECT_RULES(cases);
}

Test(guard, takes_labels_of_63_and_names_of_253_bytes_and_not_one_more)
{
    char label63[64] = "", url_text[400];
    struct url url;
    memset(label63, 'a', 63);
    snprintf(url_text, sizeof(url_text), "https://%s.example/", label63);
    cr_assert_eq(judged(url_text, &url), GUARD_OK);
    snprintf(url_text, sizeof(url_text), "https://a%s.example/", label63);
    cr_assert_eq(judged(url_text, &url), GUARD_HOST_FORM);
    snprintf(url_text, sizeof(url_text), "https://%s.%s.%s.%.61s:65535/", label63, label63, label63, label63);
    cr_assert_eq(judged(url_text, &url), GUARD_OK);
    cr_assert_eq(url.host.length, GUARD_HOST_MAX);
    cr_assert_eq(url.origin_length, strlen("https://") + GUARD_HOST_MAX + strlen(":65535"));
    snprintf(url_text, sizeof(url_text), "https://%s.%s.%s.%.62s/", label63, label63, label63, label63);
    cr_assert_eq(judged(url_text, &url), GUARD_HOST_FORM);
}

Test(guard, refuses_names_of_hosts_files_local_networks_and_clusters)
{
    static const struct rule_case cases[] = {
        { "http://localhost/", GUARD_HOST_NAME },
        { "http://LOCALHOST/", GUARD_HOST_NAME },
        { "http://a.localhost/", GUARD_HOST_NAME },
        { "http://localhost.localdomain", GUARD_HOST_NAME },
        { "http://redis.default/", GUARD_HOST_NAME },
        { "http://printer.local", GUARD_HOST_NAME },
        { "http://metadata.google.internal/", GUARD_HOST_NAME },
        { "http://api.prod.svc", GUARD_HOST_NAME },
        { "http://a.b.svc.cluster.local", GUARD_HOST_NAME },
        { "http://nas.home.arpa", GUARD_HOST_NAME },
        { "http://1.0.0.127.in-addr.arpa", GUARD_HOST_NAME },
        { "http://a.onion", GUARD_HOST_NAME },
        { "http://a.invalid", GUARD_HOST_NAME },
        { "http://a.test", GUARD_HOST_NAME },
        { "http://a.Internal:8080/x", GUARD_HOST_NAME },
        { "http://localhost.", GUARD_HOST_FORM },
        { "http://ip6-localhost", GUARD_HOST_FORM },
        { "http://localhost.example.com", GUARD_OK },
        { "http://local.example.com", GUARD_OK },
        { "http://notlocal.example", GUARD_OK },
        { "http://a.nolocal", GUARD_OK },
        { "http://internal.test.example", GUARD_OK },
    };
    EXPECT_RULES(cases);
}

Test(guard, takes_canonical_dotted_quads_and_no_other_spelling)
{
    static const struct rule_case cases[] = {
        { "http://93.184.215.14/", GUARD_OK },   { "http://255.1.2.3", GUARD_ADDRESS },     { "http://10.0.0.1", GUARD_ADDRESS },
        { "http://1.2.3", GUARD_HOST_FORM },     { "http://1.2.3.4.5", GUARD_HOST_FORM },   { "http://1.2.3.256", GUARD_HOST_FORM },
        { "http://1.2.3.04", GUARD_HOST_FORM },  { "http://01.2.3.4", GUARD_HOST_FORM },    { "http://1.2.3.0x4", GUARD_HOST_FORM },
        { "http://16909060/", GUARD_HOST_FORM }, { "http://0x01020304/", GUARD_HOST_FORM }, { "http://1.2.3.4.", GUARD_HOST_FORM },
        { "http://.1.2.3.4", GUARD_HOST_FORM },  { "http://1..2.3", GUARD_HOST_FORM },      { "http://1.2.3.-4", GUARD_HOST_FORM },
        { "http://1.2.3.4:80", GUARD_OK },       { "http://1.2.3.4?q", GUARD_OK },          { "http://1.2.3.4a/", GUARD_OK },
    };
    EXPECT_RULES(cases);
}

Test(guard, takes_ipv6_addresses_in_brackets)
{
    static const struct rule_case cases[] = {
        { "http://[2606:4700::1111]/", GUARD_OK },
        { "http://[2606:4700:0:0:0:0:0:1111]", GUARD_OK },
        { "http://[2606:4700::1.2.3.4]", GUARD_OK },
        { "http://[2606:4700::ABCD]?q", GUARD_OK },
        { "http://[::1]/", GUARD_ADDRESS },
        { "http://[fe80::1]/", GUARD_ADDRESS },
        { "http://[::ffff:93.184.215.14]/", GUARD_HOST_FORM },
        { "http://[::ffff:5db8:d70e]/", GUARD_HOST_FORM },
        { "http://2606:4700::1111/", GUARD_HOST_FORM },
        { "http://[2606:4700::1111/", GUARD_HOST_FORM },
        { "http://2606:4700::1111]/", GUARD_HOST_FORM },
        { "http://[]/", GUARD_HOST_FORM },
        { "http://[", GUARD_HOST_FORM },
        { "http://[:]/", GUARD_HOST_FORM },
        { "http://[1::2::3]/", GUARD_HOST_FORM },
        { "http://[2606:4700::1111]x/", GUARD_HOST_FORM },
        { "http://[2606:4700::11111]/", GUARD_HOST_FORM },
        { "http://[[2606:4700::1111]]/", GUARD_HOST_FORM },
        { "http://[1.2.3.4]/", GUARD_HOST_FORM },
        { "http://[2606:4700::1111]]/", GUARD_HOST_FORM },
        { "http://[2606:4700:1:2:3:4:5:6:7]/", GUARD_HOST_FORM },
        { "http://[2606:4700::01.2.3.4]/", GUARD_HOST_FORM },
        { "http://[v1.2606]/", GUARD_HOST_FORM },
    };
    EXPECT_RULES(cases);
}

struct parts_case {
    const char *url;
    bool https;
    enum guard_host kind;
    const char *host;
    uint16_t port;
    const char *endpoint, *origin;
};

Test(guard, tells_the_parts_of_a_url)
{
    static const struct parts_case cases[] = {
        { "https://example.com", true, GUARD_HOST_IS_NAME, "example.com", 443, "https://example.com", "https://example.com" },
        { "http://example.com/", false, GUARD_HOST_IS_NAME, "example.com", 80, "http://example.com/", "http://example.com" },
        { "HTTP://Example.COM:80/In?q=1", false, GUARD_HOST_IS_NAME, "Example.COM", 80, "HTTP://Example.COM:80/In", "http://example.com" },
        { "https://example.com:80/a#f", true, GUARD_HOST_IS_NAME, "example.com", 80, "https://example.com:80/a", "https://example.com:80" },
        { "http://example.com:443?q", false, GUARD_HOST_IS_NAME, "example.com", 443, "http://example.com:443", "http://example.com:443" },
        { "https://example.com:443/a/b?c#d?e", true, GUARD_HOST_IS_NAME, "example.com", 443, "https://example.com:443/a/b", "https://example.com" },
        { "https://example.com#a/b?c", true, GUARD_HOST_IS_NAME, "example.com", 443, "https://example.com", "https://example.com" },
        { "https://93.184.215.14:8443/x", true, GUARD_HOST_IS_IPV4, "93.184.215.14", 8443, "https://93.184.215.14:8443/x",
          "https://93.184.215.14:8443" },
        { "https://[2606:4700::1111]/x?y", true, GUARD_HOST_IS_IPV6, "2606:4700::1111", 443, "https://[2606:4700::1111]/x",
          "https://[2606:4700::1111]" },
        { "http://[2606:4700:0:0::ABCD]:81/", false, GUARD_HOST_IS_IPV6, "2606:4700:0:0::ABCD", 81, "http://[2606:4700:0:0::ABCD]:81/",
          "http://[2606:4700::abcd]:81" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct url url;
        cr_assert_eq(judged(cases[i].url, &url), GUARD_OK, "%s", cases[i].url);
        cr_expect(slice_is(url.text, cases[i].url));
        cr_expect_eq(url.https, cases[i].https);
        cr_expect_eq(url.host_kind, cases[i].kind);
        cr_expect(slice_is(url.host, cases[i].host), "%s: " SLICE_FORMAT, cases[i].url, SLICE_ARGS(url.host));
        cr_expect_eq(url.port, cases[i].port);
        cr_expect(slice_is(url.endpoint, cases[i].endpoint), "%s: " SLICE_FORMAT, cases[i].url, SLICE_ARGS(url.endpoint));
        cr_expect_str_eq(url.origin, cases[i].origin);
        cr_expect_eq(url.origin_length, strlen(cases[i].origin));
    }
}

Test(guard, gives_the_address_of_a_literal_host)
{
    struct url url;
    cr_assert_eq(judged("http://93.184.215.14", &url), GUARD_OK);
    cr_assert_not(url.literal.v6);
    cr_assert_arr_eq(url.literal.bytes, ((const uint8_t[]){ 93, 184, 215, 14 }), 4);
    cr_assert_eq(judged("http://[2606:4700::1111]", &url), GUARD_OK);
    cr_assert(url.literal.v6);
    cr_assert_arr_eq(url.literal.bytes, ((const uint8_t[]){ 0x26, 0x06, 0x47, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x11, 0x11 }), 16);
}

Test(guard, judges_literal_addresses_by_the_settings)
{
    struct guard_cidr loopback = { { false, { 127 } }, 8 };
    const struct guard open = { .allow_http = true, .allow = &loopback, .allow_count = 1 };
    struct url url;
    cr_assert_eq(guard_judge_url(&open, SLICE("http://127.0.0.1:8080/x"), &url), GUARD_OK);
    cr_assert_eq(guard_judge_url(&open, SLICE("http://10.0.0.1:8080/x"), &url), GUARD_ADDRESS);
    cr_assert_eq(guard_judge_url(&open, SLICE("http://127.1:8080/x"), &url), GUARD_HOST_FORM);
    cr_assert_eq(guard_judge_url(&open, SLICE("http://[::ffff:127.0.0.1]/x"), &url), GUARD_HOST_FORM);
    cr_assert_eq(guard_judge_url(&open, SLICE("http://localhost:8080/x"), &url), GUARD_HOST_NAME);
}

Test(guard, names_every_rule_and_no_two_alike)
{
    for (unsigned a = 0; a < GUARD_RULES; a++) {
        cr_assert_not_null(guard_rule_name((enum guard_rule)a));
        for (unsigned b = 0; b < a; b++)
            cr_assert_str_neq(guard_rule_name((enum guard_rule)a), guard_rule_name((enum guard_rule)b));
    }
}

Test(guard, survives_every_cut_of_a_url)
{
    static const char text[] = "https://[2606:4700::1111]:8443/a/b?c=d#e";
    for (size_t length = 0; length < sizeof(text); length++) {
        char *copy = malloc(length + 1); /* so that a sanitizer sees a step beyond the end */
        memcpy(copy, text, length);
        copy = realloc(copy, length > 0 ? length : 1);
        struct url url;
        enum guard_rule rule = guard_judge_url(&guard, (struct slice){ copy, length }, &url);
        bool whole = length == strlen("https://[2606:4700::1111]") || length >= strlen("https://[2606:4700::1111]:8");
        cr_expect_eq(rule == GUARD_OK, whole, "%zu bytes", length);
        free(copy);
    }
}
