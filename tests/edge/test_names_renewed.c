/* Names in use, which are asked for anew before their answer ends. */
#include "delivery/names.h"
#include "tests/edge/names_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOST   "renewed.example.com"
#define SILENT "silent.example.net"

/* Of which names the server says, from now on: */
static atomic_int ttl_s, last_byte, rcode; /* this address, 192.0.2.x, or that there is none */
static atomic_bool silent, held;           /* it says nothing, or nothing yet */
static char asked[16][64];                 /* what it was asked for, in turn: the test looks when it is asked no more */
static atomic_uint asked_count;

static bool is_silent(const char *name)
{
    return strcmp(name, SILENT) == 0;
}

static void script(const char *name, int type, struct dns_answer *answer)
{
    static const char *const addresses[] = { "192.0.2.0", "192.0.2.1", "192.0.2.2" };
    if (type == DNS_A && !is_silent(name))
        snprintf(asked[atomic_fetch_add(&asked_count, 1) % COUNT_OF(asked)], sizeof(asked[0]), "%s", name);
    while (atomic_load(&held))
        usleep(1000);
    answer->silent = atomic_load(&silent) || is_silent(name);
    answer->rcode = atomic_load(&rcode);
    answer->ttl_s = (uint32_t)atomic_load(&ttl_s);
    answer->count = answer->rcode == DNS_NO_ERROR && type == DNS_A;
    answer->addresses[0] = addresses[atomic_load(&last_byte)];
}

static void begin_with(struct names_options options)
{
    atomic_store(&ttl_s, 2);
    atomic_store(&last_byte, 1);
    options.negative_ttl_s = 1;
    names_rig_open(script, options);
}

static void begin(void)
{
    begin_with((struct names_options){ .timeout_ms = 3000 });
}

static void begin_narrow(void)
{
    begin_with((struct names_options){ .timeout_ms = 3000, .at_once_max = 1, .cache_max = 3 });
}

static void begin_patient(void)
{
    begin_with((struct names_options){ .timeout_ms = 9000, .at_once_max = 1 });
}

/* When it was known. Its answer ended that long after it, at the latest. */
static uint64_t get_to_know(const char *host)
{
    cr_assert_eq(look_up(host).answer.result, NAMES_FOUND);
    return uv_now(&loop);
}

static bool is_known(const char *host, struct names_answer *answer)
{
    sleep_ms(10);
    return names_cached(names, slice_of(host), answer);
}

static uint64_t lookups(void)
{
    return counter_read(&names_stats(names)->lookups);
}

/* Uses it until it is asked for anew. Its answer holds. */
static void use_until_renewal(const char *host)
{
    struct names_answer answer;
    uint64_t before = lookups() + (uint64_t)gauge_read(&names_stats(names)->waiting);
    do
        cr_assert(is_known(host, &answer));
    while (lookups() + (uint64_t)gauge_read(&names_stats(names)->waiting) == before);
}

/* Whoever uses it never waits, until it is answered so. */
static void expect_answer(enum names_result result, unsigned char byte)
{
    struct names_answer answer;
    do
        cr_assert(is_known(HOST, &answer));
    while (answer.result != result || (result == NAMES_FOUND && answer.addresses[0].bytes[3] != byte));
}

TestSuite(names_renewed, .init = begin, .fini = names_rig_close, .timeout = 60);

Test(names_renewed, are_never_waited_for)
{
    struct names_answer answer;
    for (uint64_t start = get_to_know(HOST); uv_now(&loop) < start + 7000;)
        cr_assert(is_known(HOST, &answer));
    cr_expect_geq(lookups(), 4);
    cr_expect_leq(lookups(), 8, "twice for each answer at most");
}

Test(names_renewed, are_those_that_are_found_as_well)
{
    struct names_answer answer;
    uint64_t start = get_to_know(HOST);
    while (lookups() == 1) {
        struct found found;
        find(HOST, &found);
        sleep_ms(20);
        cr_assert_eq(found.calls, 1);
    }
    cr_expect_lt(uv_now(&loop), start + 2000, "it held");
    while (uv_now(&loop) < start + 2000)
        is_known(HOST, &answer);
    cr_expect(is_known(HOST, &answer));
}

Test(names_renewed, are_not_those_that_nobody_uses)
{
    struct names_answer answer;
    get_to_know(HOST);
    sleep_ms(2100);
    cr_expect_not(is_known(HOST, &answer));
    cr_expect_eq(lookups(), 1);
}

Test(names_renewed, are_not_those_that_do_not_exist)
{
    struct names_answer answer;
    atomic_store(&rcode, DNS_NO_SUCH_NAME);
    look_up(HOST);
    while (is_known(HOST, &answer))
        cr_assert_eq(answer.result, NAMES_NOT_FOUND);
    cr_expect_eq(lookups(), 1);
}

Test(names_renewed, are_where_they_are_now)
{
    uint64_t start = get_to_know(HOST);
    atomic_store(&last_byte, 2);
    expect_answer(NAMES_FOUND, 2);
    cr_expect_lt(uv_now(&loop), start + 2000);
}

Test(names_renewed, are_not_found_when_they_are_gone)
{
    get_to_know(HOST);
    atomic_store(&rcode, DNS_NO_SUCH_NAME);
    expect_answer(NAMES_NOT_FOUND, 0);
}

/* It is asked for once, and what is known is known to its end, and no longer. */
static void expect_renewal_in_vain(uint64_t start)
{
    struct names_answer answer;
    while (is_known(HOST, &answer)) {
        cr_assert_eq(answer.result, NAMES_FOUND);
        cr_assert_lt(uv_now(&loop), start + 2000);
    }
    cr_expect_geq(uv_now(&loop), start + 1500, "not much sooner");
    cr_expect_eq(lookups(), 2);
    cr_expect_eq(look_up(HOST).answer.result, NAMES_FAILED);
}

Test(names_renewed, hold_no_longer_when_the_server_says_nothing)
{
    uint64_t start = get_to_know(HOST);
    atomic_store(&silent, true);
    expect_renewal_in_vain(start);
}

Test(names_renewed, hold_no_longer_when_the_server_fails)
{
    uint64_t start = get_to_know(HOST);
    atomic_store(&rcode, DNS_SERVER_FAILED);
    expect_renewal_in_vain(start);
}

Test(names_renewed, are_waited_for_when_the_answer_comes_after_the_end)
{
    struct found found;
    struct names_answer answer;
    get_to_know(HOST);
    atomic_store(&last_byte, 2);
    atomic_store(&held, true);
    while (is_known(HOST, &answer))
        ;
    find(HOST, &found);
    cr_expect_eq(lookups(), 2);
    sleep_ms(50);
    cr_expect_eq(found.calls, 0);
    atomic_store(&held, false);
    wait_for(&found);
    cr_expect_eq(found.answer.result, NAMES_FOUND);
    cr_expect_eq(found.answer.addresses[0].bytes[3], 2);
    cr_expect_eq(lookups(), 2);
}

/* A renewal that comes to nothing after the end is not what they came for. */
Test(names_renewed, give_those_who_come_after_the_end_a_lookup_of_their_own)
{
    struct found found;
    struct names_answer answer;
    get_to_know(HOST);
    atomic_store(&silent, true);
    while (is_known(HOST, &answer))
        ;
    find(HOST, &found);
    cr_expect_eq(lookups(), 2);
    while (lookups() == 2 && found.calls == 0)
        sleep_ms(10);
    atomic_store(&silent, false);
    wait_for(&found);
    cr_expect_eq(found.answer.result, NAMES_FOUND);
}

Test(names_renewed, may_be_destroyed_meanwhile)
{
    struct found found;
    get_to_know(HOST);
    atomic_store(&silent, true);
    use_until_renewal(HOST);
    find(HOST, &found);
    names_destroy(names);
    names = NULL;
    cr_expect_eq(found.calls, 0);
}

/* With one place, which a silent name of another domain has, so that they wait for their turn. */
TestSuite(waiting_names_renewed, .init = begin_narrow, .fini = names_rig_close, .timeout = 60);

static void wait_for_renewal(const char *host)
{
    static struct found other;
    struct names_answer answer;
    sleep_ms(1100);
    find(SILENT, &other);
    cr_assert(names_cached(names, slice_of(host), &answer), "this machine is too slow");
    cr_assert_eq(gauge_read(&names_stats(names)->waiting), 1);
}

Test(waiting_names_renewed, are_so_when_it_is_their_turn)
{
    get_to_know(HOST);
    wait_for_renewal(HOST);
    atomic_store(&last_byte, 2);
    expect_answer(NAMES_FOUND, 2);
}

Test(waiting_names_renewed, are_so_although_who_wanted_them_does_no_more)
{
    struct found found;
    get_to_know(HOST);
    wait_for_renewal(HOST);
    names_cancel(find(HOST, &found));
    atomic_store(&last_byte, 2);
    expect_answer(NAMES_FOUND, 2);
    cr_expect_eq(found.calls, 0);
}

/* Or those that never have their turn would keep the cache from being bounded. */
Test(waiting_names_renewed, make_room_as_any_other)
{
    struct found more;
    struct names_answer answer;
    cr_assert_eq(look_up(SILENT).answer.result, NAMES_FAILED);
    get_to_know(HOST);
    get_to_know("other.example.org"); /* there is no room for more */
    wait_for_renewal(HOST);
    cr_assert(names_cached(names, slice_of("other.example.org"), &answer)); /* now HOST was used longer ago */
    find("more.example.org", &more);
    cr_expect_not(is_known(HOST, &answer));
    cr_expect(is_known("other.example.org", &answer));
    wait_for(&more);
}

Test(waiting_names_renewed, let_those_of_their_domain_go_first_that_are_waited_for)
{
    struct found first;
    get_to_know(HOST);
    wait_for_renewal(HOST);
    unsigned count = atomic_load(&asked_count);
    atomic_store(&last_byte, 2);
    find("first.example.com", &first);
    expect_answer(NAMES_FOUND, 2);
    wait_for(&first);
    cr_expect_str_eq(asked[count % COUNT_OF(asked)], "first.example.com");
    cr_expect_str_eq(asked[(count + 1) % COUNT_OF(asked)], HOST);
}

/* Likewise, for longer than the answer holds. */
TestSuite(long_waiting_names, .init = begin_patient, .fini = names_rig_close, .timeout = 60);

Test(long_waiting_names, are_renewed_no_more)
{
    get_to_know(HOST);
    wait_for_renewal(HOST);
    uint64_t before = lookups();
    while (gauge_read(&names_stats(names)->waiting) > 0)
        sleep_ms(50);
    cr_expect_eq(lookups(), before);
    cr_expect_eq(look_up(HOST).answer.result, NAMES_FOUND);
    cr_expect_eq(lookups(), before + 1);
}
