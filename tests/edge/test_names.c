#include "delivery/names.h"
#include "tests/edge/names_rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

/* What the names mean:
 *   two.example.com   both kinds of address     six.example.com   IPv6 only
 *   short.example.com TTL 1 s                   none.example.com  exists, without addresses
 *   broken.*          the server fails          silent.*          no answer
 *   half.*            IPv4 only, and no answer to the question for IPv6
 *   many.example.com  24 addresses              nNNN.*            10.0.x.y */
static void script_all(const char *name, int type, struct dns_answer *answer)
{
    static char address[1000][24];
    int number = 0;
    if (strcmp(name, "two.example.com") == 0 || strcmp(name, "short.example.com") == 0) {
        answer->ttl_s = name[0] == 's' ? 1 : 60;
        answer->count = 1;
        answer->addresses[0] = type == DNS_A ? "192.0.2.1" : "2001:db8::1";
    } else if (strcmp(name, "six.example.com") == 0) {
        answer->count = type == DNS_AAAA;
        answer->addresses[0] = "2001:db8::6";
    } else if (strcmp(name, "many.example.com") == 0) {
        answer->count = type == DNS_A ? 24 : 0;
        for (int i = 0; i < answer->count; i++)
            answer->addresses[i] = "192.0.2.9";
    } else if (sscanf(name, "n%d.", &number) == 1 && number >= 0 && number < 1000) {
        snprintf(address[number], sizeof(address[0]), "10.0.%d.%d", number / 250, number % 250);
        answer->count = type == DNS_A;
        answer->addresses[0] = address[number];
    } else if (strncmp(name, "broken.", 7) == 0) {
        answer->rcode = DNS_SERVER_FAILED;
    } else if (strncmp(name, "half.", 5) == 0) {
        answer->silent = type == DNS_AAAA;
        answer->count = 1;
        answer->addresses[0] = "192.0.2.1";
    } else if (strncmp(name, "silent.", 7) == 0) {
        answer->silent = true;
    } else if (strcmp(name, "none.example.com") != 0) {
        answer->rcode = DNS_NO_SUCH_NAME;
    }
}

static void begin_with(struct names_options options)
{
    names_rig_open(script_all, options);
}

static void begin(void)
{
    begin_with((struct names_options){ .timeout_ms = 3000 });
}

static bool has(const struct names_answer *answer, const char *text)
{
    struct guard_address address = { .v6 = strchr(text, ':') != NULL };
    inet_pton(address.v6 ? AF_INET6 : AF_INET, text, address.bytes);
    for (size_t i = 0; i < answer->count; i++)
        if (answer->addresses[i].v6 == address.v6 && memcmp(answer->addresses[i].bytes, address.bytes, address.v6 ? 16 : 4) == 0)
            return true;
    return false;
}

TestSuite(names, .init = begin, .fini = names_rig_close, .timeout = 60);

Test(names, finds_addresses_of_both_kinds)
{
    struct found found = look_up("two.example.com");
    cr_assert_eq(found.answer.result, NAMES_FOUND);
    cr_assert_eq(found.answer.count, 2);
    cr_assert(has(&found.answer, "192.0.2.1") && has(&found.answer, "2001:db8::1"));
}

Test(names, finds_a_name_that_has_only_ipv6)
{
    struct found found = look_up("six.example.com");
    cr_assert_eq(found.answer.result, NAMES_FOUND);
    cr_assert_eq(found.answer.count, 1);
    cr_assert(has(&found.answer, "2001:db8::6"));
}

Test(names, keeps_no_more_addresses_than_it_has_room_for)
{
    struct found found = look_up("many.example.com");
    cr_assert_eq(found.answer.count, NAMES_ADDRESSES_MAX);
}

Test(names, says_that_a_name_does_not_exist)
{
    cr_assert_eq(look_up("nowhere.example.com").answer.result, NAMES_NOT_FOUND);
}

Test(names, says_that_a_name_without_addresses_is_not_found)
{
    cr_assert_eq(look_up("none.example.com").answer.result, NAMES_NOT_FOUND);
}

Test(names, says_that_the_name_servers_failed)
{
    cr_assert_eq(look_up("broken.example.com").answer.result, NAMES_FAILED);
    cr_assert_eq(counter_read(&names_stats(names)->failures), 1);
}

/* Some name servers ignore what they do not know. */
Test(names, take_the_kind_of_address_that_was_answered)
{
    struct found found = look_up("half.example.com");
    cr_assert_eq(found.answer.result, NAMES_FOUND);
    cr_assert(found.answer.count == 1 && has(&found.answer, "192.0.2.1"));
}

Test(names, are_absolute_and_asked_for_as_they_are)
{
    cr_assert_eq(look_up("two").answer.result, NAMES_NOT_FOUND);
    cr_assert_eq(look_up("localhost.localdomain").answer.result, NAMES_NOT_FOUND);
    cr_assert_eq(look_up("TWO.Example.COM.").answer.result, NAMES_FOUND);
}

Test(names, come_from_the_cache_until_the_ttl_is_over)
{
    struct names_answer answer;
    cr_assert_not(names_cached(names, SLICE("short.example.com"), &answer));
    look_up("short.example.com");
    int asked = atomic_load(&server.queries);
    cr_assert(names_cached(names, SLICE("short.example.com"), &answer));
    cr_assert(names_cached(names, SLICE("Short.Example.Com"), &answer));
    cr_assert_eq(answer.count, 2);
    cr_assert_eq(look_up("short.example.com").answer.result, NAMES_FOUND);
    cr_assert_eq(atomic_load(&server.queries), asked);
    sleep_ms(1100);
    cr_assert_not(names_cached(names, SLICE("short.example.com"), &answer));
    look_up("short.example.com");
    cr_assert_gt(atomic_load(&server.queries), asked);
    cr_assert_eq(counter_read(&names_stats(names)->cached), 2);
    cr_assert_eq(counter_read(&names_stats(names)->lookups), 2);
}

Test(names, remember_that_there_is_no_such_name)
{
    struct names_answer answer;
    look_up("nowhere.example.com");
    cr_assert(names_cached(names, SLICE("nowhere.example.com"), &answer));
    cr_assert_eq(answer.result, NAMES_NOT_FOUND);
}

Test(names, asks_once_for_all_who_wait_for_a_name)
{
    struct found found[5];
    for (size_t i = 0; i < COUNT_OF(found); i++)
        find("two.example.com", &found[i]);
    for (size_t i = 0; i < COUNT_OF(found); i++)
        wait_for(&found[i]);
    cr_assert_eq(counter_read(&names_stats(names)->lookups), 1);
}

Test(names, of_a_silent_server_delay_nobody_else)
{
    struct found silent, other;
    look_up("six.example.com");
    find("silent.example.com", &silent);
    find("two.example.com", &other);
    wait_for(&other);
    cr_assert_eq(other.answer.result, NAMES_FOUND);
    struct names_answer answer;
    cr_assert(names_cached(names, SLICE("six.example.com"), &answer));
    cr_assert_eq(silent.calls, 0);
    wait_for(&silent);
    cr_assert_eq(silent.answer.result, NAMES_FAILED);
}

Test(names, are_never_answered_after_a_cancel)
{
    struct found cancelled, other;
    names_cancel(find("two.example.com", &cancelled));
    find("two.example.com", &other);
    wait_for(&other);
    struct names_query *cached = find("two.example.com", &cancelled);
    names_cancel(cached);
    look_up("six.example.com");
    cr_assert_eq(cancelled.calls, 0);
}

static void cancel_other(void *context, const struct names_answer *answer)
{
    struct names_query **other = context;
    (void)answer;
    names_cancel(*other);
    *other = NULL;
}

Test(names, may_be_cancelled_while_another_is_told)
{
    struct names_query *other = NULL;
    struct found found = { .calls = 0 }, last;
    names_find(names, SLICE("two.example.com"), cancel_other, &other);
    other = names_find(names, SLICE("two.example.com"), on_found, &found);
    find("two.example.com", &last);
    wait_for(&last);
    cr_assert_null(other);
    cr_assert_eq(found.calls, 0);
}

static struct found again;

static void find_again(void *context, const struct names_answer *answer)
{
    (void)answer;
    find(context, &again);
}

Test(names, may_be_looked_up_while_another_is_told)
{
    static char two[] = "two.example.com";
    again = (struct found){ .calls = 0 };
    names_find(names, SLICE("six.example.com"), find_again, two);
    wait_for(&again);
    cr_assert_eq(again.answer.count, 2);
    again = (struct found){ .calls = 0 };
    names_find(names, SLICE("two.example.com"), find_again, two);
    wait_for(&again);
}

Test(names, under_way_may_be_destroyed)
{
    struct found found[3];
    find("silent.example.com", &found[0]);
    find("two.example.com", &found[1]);
    uv_run(&loop, UV_RUN_NOWAIT);
    find("six.example.com", &found[2]);
    int before = found[0].calls + found[1].calls + found[2].calls;
    names_destroy(names);
    names = NULL;
    for (int i = 0; i < 20; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_eq(found[0].calls + found[1].calls + found[2].calls, before);
}

static void begin_narrow(void)
{
    begin_with((struct names_options){ .timeout_ms = 3000, .at_once_max = 50, .cache_max = 100 });
}

static void begin_forgetful(void)
{
    begin_with((struct names_options){ .timeout_ms = 3000, .ttl_max_s = 1 });
}

TestSuite(forgetful_names, .init = begin_forgetful, .fini = names_rig_close, .timeout = 60);

/* Whoever else might keep them: c-ares has a cache from 1.31 on. */
Test(forgetful_names, are_asked_for_again_when_we_keep_them_no_longer)
{
    look_up("two.example.com");
    int asked = atomic_load(&server.queries);
    sleep_ms(1100);
    cr_assert_eq(look_up("two.example.com").answer.result, NAMES_FOUND);
    cr_assert_gt(atomic_load(&server.queries), asked);
}

TestSuite(narrow_names, .init = begin_narrow, .fini = names_rig_close, .timeout = 60);

Test(narrow_names, thousand_are_found_with_fifty_at_once)
{
    static struct found found[1000];
    char host[48];
    for (int i = 0; i < 1000; i++) {
        snprintf(host, sizeof(host), "n%d.example%d.com", i, i);
        find(host, &found[i]);
        cr_assert_leq(gauge_read(&names_stats(names)->under_way), 50);
    }
    cr_assert_eq(gauge_read(&names_stats(names)->waiting), 950);
    for (int i = 0; i < 1000; i++) {
        wait_for(&found[i]);
        snprintf(host, sizeof(host), "10.0.%d.%d", i / 250, i % 250);
        cr_assert(has(&found[i].answer, host), "n%d", i);
    }
    cr_assert_eq(gauge_read(&names_stats(names)->waiting), 0);
    cr_assert_eq(gauge_read(&names_stats(names)->under_way), 0);
}

Test(narrow_names, keeps_the_most_recently_used_ones)
{
    char host[48];
    struct names_answer answer;
    look_up("two.example.com");
    for (int i = 0; i < 150; i++) {
        snprintf(host, sizeof(host), "n%d.example.com", i);
        look_up(host);
        cr_assert(names_cached(names, SLICE("two.example.com"), &answer));
    }
    cr_assert(names_cached(names, SLICE("n149.example.com"), &answer));
    cr_assert_not(names_cached(names, SLICE("n0.example.com"), &answer));
}

/* Begins to look up so many names of one domain whose server says nothing. */
static void find_silent(const char *domain, int count)
{
    static struct found silent[700];
    char host[48];
    for (int i = 0; i < count; i++) {
        snprintf(host, sizeof(host), "silent.n%d.%s", i, domain);
        find(host, &silent[i]);
    }
}

Test(narrow_names, that_hang_free_their_places_in_time)
{
    struct found found;
    find_silent("example.com", 60);
    find("two.example.com", &found); /* behind all of them */
    wait_for(&found);
    cr_assert_eq(found.answer.result, NAMES_FOUND);
}

static void expect_unhindered(const char *host, const char *silent_domain)
{
    struct found found;
    find_silent(silent_domain, 300);
    uint64_t lookups = counter_read(&names_stats(names)->lookups);
    find(host, &found);
    cr_expect_eq(counter_read(&names_stats(names)->lookups), lookups + 1, "there is a place");
    wait_for(&found);
    cr_expect_eq(found.answer.result, NAMES_NOT_FOUND);
    cr_expect_gt(gauge_read(&names_stats(names)->waiting), 100, "it waited for most of them");
}

Test(narrow_names, of_one_domain_hold_up_no_other)
{
    expect_unhindered("unknown.example.org", "example.com");
}

Test(narrow_names, of_one_domain_hold_up_no_other_of_a_country)
{
    expect_unhindered("unknown.co.uk", "example.co.uk");
}

/* As when the name servers of a provider are gone. */
Test(narrow_names, of_many_silent_domains_hold_up_no_other)
{
    static struct found silent[400], found[40];
    char host[48];
    for (int i = 0; i < 400; i++) {
        snprintf(host, sizeof(host), "silent.n%d.d%d.example", i, i % 80);
        find(host, &silent[i]);
    }
    for (int i = 0; i < 40; i++) {
        snprintf(host, sizeof(host), "unknown.other%d.example", i);
        find(host, &found[i]);
    }
    for (int i = 0; i < 40; i++) {
        wait_for(&found[i]);
        cr_expect_eq(found[i].answer.result, NAMES_NOT_FOUND);
    }
    cr_expect_gt(gauge_read(&names_stats(names)->waiting), 100, "they waited for most of the silent ones");
}

/* What is slow holds no place any more, but is not forgotten. */
Test(narrow_names, that_hang_are_under_way_within_bounds)
{
    enum { BOUND = 50 * 9 };
    find_silent("example.com", 700);
    while (gauge_read(&names_stats(names)->waiting) > 0) {
        sleep_ms(100);
        cr_assert_leq(gauge_read(&names_stats(names)->under_way), BOUND);
    }
    cr_expect_gt(gauge_read(&names_stats(names)->under_way), 100);
}

Test(narrow_names, that_wait_may_be_cancelled)
{
    static struct found found[100];
    struct names_query *queries[100];
    char host[48];
    for (int i = 0; i < 100; i++) {
        snprintf(host, sizeof(host), "n%d.example.com", i);
        queries[i] = find(host, &found[i]);
    }
    for (int i = 0; i < 100; i += 2)
        names_cancel(queries[i]);
    for (int i = 1; i < 100; i += 2)
        wait_for(&found[i]);
    for (int i = 0; i < 100; i += 2)
        cr_assert_eq(found[i].calls, 0);
    cr_assert_eq(counter_read(&names_stats(names)->lookups), 63); /* 13 of the cancelled ones had been asked for: half the places are for others */
}
