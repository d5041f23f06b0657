/* Addresses: what may be dialled, and the ranges that the settings open and close. */
#include "delivery/guard.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static const struct guard closed = { .allow_http = true };

static struct guard_address address_of(const char *text)
{
    struct guard_address address = { .v6 = strchr(text, ':') != NULL };
    cr_assert_eq(inet_pton(address.v6 ? AF_INET6 : AF_INET, text, address.bytes), 1, "%s", text);
    return address;
}

static bool passes(const struct guard *guard, const char *text)
{
    struct guard_address address = address_of(text);
    enum guard_rule rule = guard_judge_address(guard, &address);
    cr_assert(rule == GUARD_OK || rule == GUARD_ADDRESS);
    return rule == GUARD_OK;
}

struct ranges {
    struct guard_cidr *cidrs;
    size_t count;
};

static struct ranges ranges_of(const char *text)
{
    struct ranges ranges;
    const char *problem = NULL;
    cr_assert(guard_cidrs_parse(slice_of(text), &ranges.cidrs, &ranges.count, &problem), "%s: %s", text, problem);
    return ranges;
}

/* First, last and the neighbours outside, where these are public. */
struct range_case {
    const char *first, *last, *before, *after;
};

static const struct range_case refused_ranges[] = {
    { "0.0.0.0", "0.255.255.255", NULL, "1.0.0.0" },
    { "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0" },
    { "100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0" },
    { "127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0" },
    { "168.63.129.16", "168.63.129.16", "168.63.129.15", "168.63.129.17" },
    { "169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0" },
    { "172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0" },
    { "192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0" },
    { "192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0" },
    { "192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0" },
    { "192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0" },
    { "198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0" },
    { "198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0" },
    { "203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0" },
    { "224.0.0.0", "255.255.255.255", "223.255.255.255", NULL },
    { "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, "2000::" },
    { "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::" },
    { "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::" },
    { "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::" },
    { "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::" },
    { "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL },
};

Test(guard_address, refuses_each_special_range_from_its_first_address_to_its_last)
{
    for (size_t i = 0; i < COUNT_OF(refused_ranges); i++) {
        const struct range_case *range = &refused_ranges[i];
        cr_expect_not(passes(&closed, range->first), "%s", range->first);
        cr_expect_not(passes(&closed, range->last), "%s", range->last);
        cr_expect(range->before == NULL || passes(&closed, range->before), "%s", range->before);
        cr_expect(range->after == NULL || passes(&closed, range->after), "%s", range->after);
    }
}

Test(guard_address, refuses_everything_that_stands_for_something_inside)
{
    static const char *const cases[] = {
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::1",
        "100::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "5f00::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2002:808:808::1",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_not(passes(&closed, cases[i]), "%s", cases[i]);
}

Test(guard_address, lets_public_addresses_pass)
{
    static const char *const cases[] = { "1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700::1111", "2a00:1450:4001:81b::200e", "2620:fe::fe" };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect(passes(&closed, cases[i]), "%s", cases[i]);
}

Test(guard_address, judges_a_mapped_address_as_ipv4)
{
    struct ranges loopback = ranges_of("127.0.0.0/8"), dns = ranges_of("8.8.8.8/32");
    const struct guard guard = { .allow = loopback.cidrs, .allow_count = 1, .deny = dns.cidrs, .deny_count = 1 };
    cr_expect(passes(&guard, "::ffff:93.184.215.14"));
    cr_expect(passes(&guard, "::ffff:127.0.0.1"));
    cr_expect_not(passes(&guard, "::ffff:10.0.0.1"));
    cr_expect_not(passes(&guard, "::ffff:8.8.8.8"));
    free(loopback.cidrs);
    free(dns.cidrs);
}

Test(guard_address, deny_goes_before_allow_and_allow_before_the_built_in_list)
{
    struct ranges allow = ranges_of("10.0.0.0/8,fd00::/8"), deny = ranges_of("10.1.0.0/16,fd00:1::/32,1.1.1.1/32,2606:4700::/32");
    const struct guard guard = { .allow = allow.cidrs, .allow_count = allow.count, .deny = deny.cidrs, .deny_count = deny.count };
    static const struct {
        const char *address;
        bool passes;
    } cases[] = {
        { "10.0.0.1", true },   { "10.1.0.1", false }, { "10.2.0.1", true },         { "11.0.0.1", true },
        { "127.0.0.1", false }, { "1.1.1.1", false },  { "1.1.1.2", true },          { "fd00::1", true },
        { "fd00:1::1", false }, { "fc00::1", false },  { "2606:4700::1111", false }, { "2606:4701::", true },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(passes(&guard, cases[i].address), cases[i].passes, "%s", cases[i].address);
    free(allow.cidrs);
    free(deny.cidrs);
}

/* The examples of RFC 6052 §2.4, with 192.0.2.33 (refused) and 192.0.3.33 (public). */
Test(guard_address, judges_an_address_of_the_nat64_prefix_by_the_ipv4_address_inside)
{
    static const struct {
        const char *prefix, *refused, *public;
    } cases[] = {
        { "2a0d:db8::/32", "2a0d:db8:c000:221::", "2a0d:db8:c000:321::" },
        { "2a0d:db8:100::/40", "2a0d:db8:1c0:2:21::", "2a0d:db8:1c0:3:21::" },
        { "2a0d:db8:122::/48", "2a0d:db8:122:c000:2:2100::", "2a0d:db8:122:c000:3:2100::" },
        { "2a0d:db8:122:300::/56", "2a0d:db8:122:3c0:0:221::", "2a0d:db8:122:3c0:0:321::" },
        { "2a0d:db8:122:344::/64", "2a0d:db8:122:344:c0:2:2100::", "2a0d:db8:122:344:c0:3:2100::" },
        { "2a0d:db8:122:344::/96", "2a0d:db8:122:344::192.0.2.33", "2a0d:db8:122:344::192.0.3.33" },
        { "64:ff9b::/96", "64:ff9b::192.0.2.33", "64:ff9b::192.0.3.33" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ranges prefix = ranges_of(cases[i].prefix);
        const struct guard guard = { .has_nat64 = true, .nat64 = prefix.cidrs[0] };
        cr_expect_not(passes(&guard, cases[i].refused), "%s", cases[i].refused);
        cr_expect(passes(&guard, cases[i].public), "%s", cases[i].public);
        cr_expect_not(passes(&guard, "::1"));
        cr_expect(passes(&guard, "2606:4700::1111"));
        free(prefix.cidrs);
    }
}

Test(guard_address, refuses_nat64_addresses_that_nobody_can_read)
{
    struct ranges odd_length = ranges_of("2a0d:db8::/33"), with_byte_8 = ranges_of("2a0d:db8::/32");
    const struct guard odd = { .has_nat64 = true, .nat64 = odd_length.cidrs[0] }, known = { .has_nat64 = true, .nat64 = with_byte_8.cidrs[0] };
    cr_expect_not(passes(&odd, "2a0d:db8:808:808::"));
    cr_expect(passes(&odd, "2a0d:db9::"));
    cr_expect(passes(&known, "2a0d:db8:808:808::"));
    cr_expect_not(passes(&known, "2a0d:db8:808:808:100::"));
    free(odd_length.cidrs);
    free(with_byte_8.cidrs);
}

/* A connection to it is one to loopback, which may be denied. */
Test(guard_address, refuses_the_unspecified_address_whatever_is_allowed)
{
    struct ranges all = ranges_of("0.0.0.0/0,::/0"), loopback = ranges_of("127.0.0.0/8,::1/128");
    const struct guard guard = { .allow = all.cidrs, .allow_count = all.count, .deny = loopback.cidrs, .deny_count = loopback.count };
    cr_expect_not(passes(&guard, "0.0.0.0"));
    cr_expect_not(passes(&guard, "::"));
    cr_expect_not(passes(&guard, "::ffff:0.0.0.0"));
    cr_expect(passes(&guard, "0.0.0.1"));
    cr_expect(passes(&guard, "10.0.0.0"));
    cr_expect(passes(&guard, "::2"));
    free(all.cidrs);
    free(loopback.cidrs);
}

Test(guard_address, denies_and_allows_both_forms_of_a_nat64_address)
{
    struct ranges prefix = ranges_of("64:ff9b::/96"), private = ranges_of("10.0.0.0/8"), whole = ranges_of("64:ff9b::/96"),
                  dns = ranges_of("8.8.8.8/32");
    struct guard guard = { .has_nat64 = true, .nat64 = prefix.cidrs[0] };
    cr_expect_not(passes(&guard, "64:ff9b::10.0.0.1"));
    guard.allow = private.cidrs, guard.allow_count = 1;
    cr_expect(passes(&guard, "64:ff9b::10.0.0.1"));
    cr_expect_not(passes(&guard, "64:ff9b::127.0.0.1"));
    guard.allow = whole.cidrs;
    cr_expect(passes(&guard, "64:ff9b::127.0.0.1"));
    guard.deny = dns.cidrs, guard.deny_count = 1;
    cr_expect_not(passes(&guard, "64:ff9b::8.8.8.8"));
    guard.deny = whole.cidrs;
    cr_expect_not(passes(&guard, "64:ff9b::1.1.1.1"));
    free(prefix.cidrs);
    free(private.cidrs);
    free(whole.cidrs);
    free(dns.cidrs);
}

static enum guard_rule judged_v4(const char *text)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(443) };
    inet_pton(AF_INET, text, &address.sin_addr);
    return guard_judge_sockaddr(&closed, (const struct sockaddr *)&address);
}

static enum guard_rule judged_v6(const char *text)
{
    struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(443) };
    inet_pton(AF_INET6, text, &address.sin6_addr);
    return guard_judge_sockaddr(&closed, (const struct sockaddr *)&address);
}

Test(guard_address, judges_the_address_that_is_dialled)
{
    cr_expect_eq(judged_v4("93.184.215.14"), GUARD_OK);
    cr_expect_eq(judged_v4("127.0.0.1"), GUARD_ADDRESS);
    cr_expect_eq(judged_v6("2606:4700::1111"), GUARD_OK);
    cr_expect_eq(judged_v6("::1"), GUARD_ADDRESS);
    cr_expect_eq(judged_v6("::ffff:93.184.215.14"), GUARD_OK);
    cr_expect_eq(judged_v6("::ffff:169.254.169.254"), GUARD_ADDRESS);
    struct sockaddr_un local = { .sun_family = AF_UNIX };
    cr_expect_eq(guard_judge_sockaddr(&closed, (const struct sockaddr *)&local), GUARD_ADDRESS);
}

Test(guard_address, reads_ranges_in_order)
{
    struct ranges ranges = ranges_of("10.0.0.0/8,fd00::/8,1.2.3.4/32,0.0.0.0/0,::/0,2606:4700::1111/128");
    static const struct {
        const char *address;
        uint8_t bits;
    } cases[] = { { "10.0.0.0", 8 }, { "fd00::", 8 }, { "1.2.3.4", 32 }, { "0.0.0.0", 0 }, { "::", 0 }, { "2606:4700::1111", 128 } };
    cr_assert_eq(ranges.count, COUNT_OF(cases));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct guard_address wanted = address_of(cases[i].address);
        cr_expect_eq(ranges.cidrs[i].address.v6, wanted.v6);
        cr_expect_arr_eq(ranges.cidrs[i].address.bytes, wanted.bytes, 16);
        cr_expect_eq(ranges.cidrs[i].bits, cases[i].bits);
    }
    free(ranges.cidrs);
}

Test(guard_address, takes_an_empty_text_for_no_ranges)
{
    struct ranges ranges = ranges_of("");
    cr_assert_eq(ranges.count, 0);
    cr_assert_null(ranges.cidrs);
}

Test(guard_address, refuses_what_is_not_a_range_and_leaves_nothing_behind)
{
    static const char *const cases[] = {
        "10.0.0.0",
        "10.0.0.0/",
        "/8",
        "10.0.0.0/33",
        "fd00::/129",
        "10.0.0.1/8",
        "10.128.0.0/8",
        "fd00::1/64",
        "10.0.0/8",
        "10.0.0.0/08",
        "10.0.0.0/-1",
        "10.0.0.0/8,",
        ",10.0.0.0/8",
        "10.0.0.0/8,,fd00::/8",
        "10.0.0.0/8 ",
        " 10.0.0.0/8",
        "10.0.0.0/8, fd00::/8",
        "[fd00::]/8",
        "fd00::%1/8",
        "::ffff:0.0.0.0/96",
        "::ffff:10.0.0.0/104",
        "10.0.0.0/255.0.0.0",
        "localhost/8",
        ",",
        "010.0.0.0/8",
        "0x0a000000/8",
        "10.0.0.0//8",
        "10.0.0.0/8/8",
        "1.2.3.4/31,1.2.3.5/31",
        "::1/127",
        "2000::/2",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ranges ranges = { (struct guard_cidr *)1, 9 };
        const char *problem = NULL;
        cr_expect_not(guard_cidrs_parse(slice_of(cases[i]), &ranges.cidrs, &ranges.count, &problem), "%s", cases[i]);
        cr_expect_not_null(problem);
        cr_expect_null(ranges.cidrs);
        cr_expect_eq(ranges.count, 0);
    }
}

/* For every prefix length: the range of an address holds the address and its network, and not the address with the last bit of the prefix flipped. */
Test(guard_address, compares_exactly_as_many_bits_as_the_prefix_has)
{
    const struct guard_address address = address_of("a5a5:5a5a:a5a5:5a5a:a5a5:5a5a:a5a5:5a5a");
    for (unsigned bits = 1; bits <= 128; bits++) {
        struct guard_cidr cidr = { .address = address, .bits = (uint8_t)bits };
        const struct guard guard = { .allow = &cidr, .allow_count = 1 };
        struct guard_address other = address;
        cr_expect_eq(guard_judge_address(&guard, &other), GUARD_OK, "/%u", bits);
        if (bits < 128) {
            other.bytes[bits / 8] ^= (uint8_t)(0x80 >> bits % 8); /* the first bit behind the prefix */
            cr_expect_eq(guard_judge_address(&guard, &other), GUARD_OK, "/%u", bits);
        }
        other = address;
        other.bytes[(bits - 1) / 8] ^= (uint8_t)(0x80 >> (bits - 1) % 8);
        cr_expect_eq(guard_judge_address(&guard, &other) == GUARD_OK, other.bytes[0] >> 5 == 1, "/%u", bits);
    }
}
