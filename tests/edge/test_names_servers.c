/* Name servers with more to say than fits, and those that do not know how to say more. */
#include "delivery/names_servers.h"
#include "tests/edge/names_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SLOW_MS = 100 };

/* What the names mean:
 *   aNN.*    so many public addresses, the last one private
 *   slow.*   one address, after SLOW_MS
 *   late.nNN.* likewise, when it is asked for the second time
 *   broken.* the server fails
 *   odd.*    an answer that cannot be read
 *   silent.* the server says nothing
 *   half.*   likewise, when it is asked for IPv6
 *   else     one address */
static void script_all(const char *name, int type, struct dns_answer *answer)
{
    int count = 1, number = 0;
    answer->count = type == DNS_A;
    answer->addresses[0] = "8.8.8.8";
    if (sscanf(name, "a%d.", &count) == 1) {
        answer->count = type == DNS_A ? count : 0;
        for (int i = 0; i < count; i++)
            answer->addresses[i] = i + 1 < count ? "8.8.8.8" : "10.0.0.1";
    } else if (strncmp(name, "slow.", 5) == 0) {
        usleep(SLOW_MS * 1000);
    } else if (sscanf(name, "late.n%d.", &number) == 1) {
        static bool asked[100][2];
        answer->silent = !asked[number][type == DNS_A];
        asked[number][type == DNS_A] = true;
    } else if (strncmp(name, "odd.", 4) == 0) {
        answer->malformed = true;
    } else if (strncmp(name, "broken.", 7) == 0) {
        answer->rcode = DNS_SERVER_FAILED;
    } else if (strncmp(name, "silent.", 7) == 0) {
        answer->silent = true;
    } else if (strncmp(name, "half.", 5) == 0) {
        answer->silent = type == DNS_AAAA;
    }
}

static void begin_behind(const char *servers, dns_script *script)
{
    static const struct guard guard = { .allow_http = true };
    names_rig_open(script, (struct names_options){ .timeout_ms = 3000, .guard = &guard, .servers = servers });
}

static void begin_with(dns_script *script)
{
    begin_behind(NULL, script);
}

static void begin(void)
{
    begin_with(script_all);
}

static bool has_private(const struct names_answer *answer)
{
    static const unsigned char private[] = { 10, 0, 0, 1 };
    for (size_t i = 0; i < answer->count; i++)
        if (!answer->addresses[i].v6 && memcmp(answer->addresses[i].bytes, private, sizeof private) == 0)
            return true;
    return false;
}

/* Begins so many lookups, and waits for them. All are found. */
static void expect_found(const char *word, int count)
{
    static struct found found[100];
    char host[48];
    for (int i = 0; i < count; i++) {
        snprintf(host, sizeof host, "%s.n%d.example.com", word, i);
        find(host, &found[i]);
    }
    for (int i = 0; i < count; i++) {
        wait_for(&found[i]);
        cr_expect_eq(found[i].answer.result, NAMES_FOUND, "%d", i);
    }
}

TestSuite(name_servers, .init = begin, .fini = names_rig_close, .timeout = 60);

/* 60 addresses are 960 bytes: more than DNS has without EDNS. */
Test(name_servers, say_more_than_512_bytes_at_once)
{
    struct found found = look_up("a60.example.com");
    cr_assert_eq(found.answer.result, NAMES_FOUND);
    cr_assert(has_private(&found.answer), "all were judged");
    cr_assert_eq(atomic_load(&server.queries), 2);
}

Test(name_servers, have_answers_cut_off_of_which_the_rest_is_used)
{
    struct found found = look_up("a100.example.com");
    cr_assert_eq(found.answer.result, NAMES_FOUND);
    cr_assert_eq(found.answer.count, NAMES_ADDRESSES_MAX);
    cr_assert_not(has_private(&found.answer), "what was cut off is not dialled");
}

static void script_cut_to_nothing(const char *name, int type, struct dns_answer *answer)
{
    script_all(name, type, answer);
    if (name[0] == 'a')
        answer->bytes_max = 1;
}

static void begin_cut(void)
{
    begin_with(script_cut_to_nothing);
}

TestSuite(name_servers_cut, .init = begin_cut, .fini = names_rig_close, .timeout = 60);

Test(name_servers_cut, have_answers_cut_to_nothing_which_is_soon_forgotten)
{
    cr_assert_eq(look_up("a60.example.com").answer.result, NAMES_NOT_FOUND);
    int asked = atomic_load(&server.queries);
    sleep_ms(5200);
    cr_assert_eq(look_up("a60.example.com").answer.result, NAMES_NOT_FOUND);
    cr_assert_gt(atomic_load(&server.queries), asked);
}

/* By TCP, which is refused, each of them would use up the tries of all that is under way. */
Test(name_servers_cut, disturb_no_other_question)
{
    static struct found cut[20];
    struct found slow;
    char host[48];
    for (int i = 0; i < 20; i++) {
        snprintf(host, sizeof host, "a60.n%d.example.com", i);
        find(host, &cut[i]);
    }
    find("slow.example.com", &slow);
    wait_for(&slow);
    cr_assert_eq(slow.answer.result, NAMES_FOUND);
}

/* ---- name servers that do not know EDNS ---- */

enum { SILENCE = -1 };

static atomic_int refusal;

static void script_old(const char *name, int type, struct dns_answer *answer)
{
    script_all(name, type, answer);
    if (answer->bytes_max == 512 || refusal == DNS_NO_ERROR)
        return;
    answer->count = 0;
    answer->silent = refusal == SILENCE;
    answer->rcode = refusal;
}

static void begin_old(void)
{
    refusal = DNS_NOT_UNDERSTOOD;
    begin_with(script_old);
}

TestSuite(old_name_servers, .init = begin_old, .fini = names_rig_close, .timeout = 60);

Test(old_name_servers, that_do_not_understand_are_asked_in_plain)
{
    expect_found("first", 100); /* all under way when the first one comes back */
    expect_found("then", 100);
    cr_expect_eq(look_up("a60.example.com").answer.result, NAMES_FOUND);
}

static void expect_plain_after_a_while(void)
{
    expect_found("first", 5);
    int large = atomic_load(&server.large_queries);
    expect_found("then", 50);
    cr_expect_eq(atomic_load(&server.large_queries), large, "they were tried in vain often enough");
}

Test(old_name_servers, that_do_not_implement_it_are_asked_in_plain)
{
    refusal = DNS_NOT_IMPLEMENTED;
    expect_plain_after_a_while();
}

Test(old_name_servers, that_say_nothing_are_asked_in_plain)
{
    refusal = SILENCE;
    expect_plain_after_a_while();
}

/* It takes seconds to find out, in which a channel has had its questions: another one is asked by then. */
Test(old_name_servers, that_say_nothing_are_found_out_while_names_keep_coming)
{
    enum { NAMES = 300, PAUSE_MS = 20, TRIES_MAX = 3 };
    static struct found found[NAMES];
    refusal = SILENCE;
    for (int i = 0; i < NAMES; i++) {
        char host[48];
        snprintf(host, sizeof host, "first.n%d.example.com", i);
        find(host, &found[i]);
        sleep_ms(PAUSE_MS);
    }
    int large = atomic_load(&server.large_queries);
    expect_found("then", 50);
    cr_expect_leq(atomic_load(&server.large_queries), large + 2 * TRIES_MAX, "but for one that is asked to learn something");
}

Test(old_name_servers, that_were_but_slow_are_found_out)
{
    refusal = DNS_NOT_IMPLEMENTED;
    expect_found("first", 5);
    refusal = DNS_NO_ERROR;
    expect_found("then", 100);
    expect_found("later", 100);
    expect_found("finally", 100);
    struct found found = look_up("a60.example.com");
    cr_expect(has_private(&found.answer), "all that it says was read");
}

Test(name_servers, that_know_it_are_not_asked_again_when_they_fail)
{
    expect_found("first", 1);
    int plain = atomic_load(&server.queries) - atomic_load(&server.large_queries);
    cr_expect_eq(plain, 0);
    cr_expect_eq(look_up("broken.example.com").answer.result, NAMES_FAILED);
    cr_expect_eq(atomic_load(&server.queries), atomic_load(&server.large_queries));
}

/* As at the start of a machine: the name servers come later. */
Test(name_servers, that_failed_at_first_are_not_taken_for_old_ones)
{
    for (int i = 0; i < 5; i++) {
        char host[48];
        snprintf(host, sizeof host, "broken.n%d.example.com", i);
        cr_expect_eq(look_up(host).answer.result, NAMES_FAILED);
    }
    struct found found = look_up("a60.example.com");
    cr_expect(has_private(&found.answer), "all that it says was read");
}

/* Debian 13's c-ares ends the socket then, with all that is asked by it. */
static void expect_odd_ones_to_harm_no_others(void)
{
    enum { NAMES = 60 };
    static struct found found[2][NAMES];
    static const char *const kinds[] = { "odd", "then" };
    for (int i = 0; i < NAMES; i++)
        for (int kind = 0; kind < 2; kind++) {
            char host[48];
            snprintf(host, sizeof host, "%s.n%d.example.com", kinds[kind], i);
            find(host, &found[kind][i]);
        }
    for (int i = 0; i < NAMES; i++) {
        wait_for(&found[1][i]);
        cr_expect_eq(found[1][i].answer.result, NAMES_FOUND, "%d", i);
        wait_for(&found[0][i]);
        cr_expect_eq(found[0][i].answer.result, NAMES_FAILED, "%d", i);
    }
}

Test(name_servers, whose_answers_cannot_be_read_do_not_keep_others_from_being_heard)
{
    expect_odd_ones_to_harm_no_others();
}

/* Sockets are not shared before there are many. */
Test(several_names, are_heard_beside_others_that_cannot_be_read_where_descriptors_are_few)
{
    names_rig_open(script_all, (struct names_options){ .timeout_ms = 3000, .few_descriptors = true });
    expect_odd_ones_to_harm_no_others();
    names_rig_close();
}

/* Without one, the name servers have not been asked. */
Test(name_servers, are_asked_by_sockets)
{
    struct rlimit limit, none;
    int next = dup(0);
    close(next);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){ .rlim_cur = (rlim_t)next, .rlim_max = limit.rlim_max };
    setrlimit(RLIMIT_NOFILE, &none);
    struct found found = look_up("a1.example.com");
    setrlimit(RLIMIT_NOFILE, &limit);
    cr_expect_eq(found.answer.result, NAMES_NOT_ASKED);
}

/* Who wants to forge an answer has to guess the port, too. */
Test(name_servers, are_asked_from_other_ports_while_one_of_them_is_silent)
{
    static struct found silent;
    expect_found("first", 1);
    find("silent.example.com", &silent);
    for (int i = 0; i < 70; i++) {
        char host[48];
        snprintf(host, sizeof host, "then.n%d.example.com", i);
        cr_expect_eq(look_up(host).answer.result, NAMES_FOUND, "%d", i);
    }
    cr_expect_eq(silent.calls, 0);
    cr_expect_geq(atomic_load(&server.ports), 3);
}

static void say_nothing(const char *name, int type, struct dns_answer *answer)
{
    (void)name;
    (void)type;
    answer->silent = true;
}

/* Debian 12's c-ares would wait for it each time. */
Test(several_name_servers, are_not_all_waited_for_when_the_first_is_silent)
{
    struct dns_server silent;
    struct found found;
    dns_start(&silent, say_nothing);
    begin_behind(silent.address, script_all);
    for (int i = 0; i < 12; i++) {
        char host[48];
        snprintf(host, sizeof host, "first.n%d.example.com", i);
        cr_expect_eq(look_up(host).answer.result, NAMES_FOUND, "%d", i);
    }
    int in_vain = atomic_load(&silent.queries);
    cr_expect_gt(in_vain, 0);
    expect_found("then", 40);
    cr_expect_eq(atomic_load(&silent.queries), in_vain);
    find("silent.example.com", &found);
    wait_for(&found);
    cr_expect_gt(atomic_load(&silent.queries), in_vain, "it is asked when the others have no answer");
    names_rig_close();
    dns_stop(&silent);
}

/* Debian 13's c-ares has less patience with whom it has heard be quick, and more with whom it has heard be slow. */
Test(several_names, have_the_same_time_whatever_others_took)
{
    enum { FIRST_TRY_MS = 1000, LITTLE_MS = 100 };
    names_rig_open(script_all, (struct names_options){ .timeout_ms = 9 * FIRST_TRY_MS });
    for (int i = 0; i < 5; i++)
        expect_found("first", 1 + i);
    uint64_t since_ns = uv_hrtime();
    cr_expect_eq(look_up("late.n1.example.com").answer.result, NAMES_FOUND);
    cr_expect_geq((uv_hrtime() - since_ns) / 1000000, FIRST_TRY_MS - LITTLE_MS, "it was asked again too soon");
    names_rig_close();
}

/* Their own name servers may be far away. */
Test(several_name_servers, are_asked_in_the_same_order_whatever_names_are_slow)
{
    struct dns_server first;
    dns_start(&first, script_all);
    names_rig_open(say_nothing, (struct names_options){ .timeout_ms = 2700, .servers = first.address }); /* three hundred for the first try */
    expect_found("first", 1);
    expect_found("late", 12);
    int in_vain = atomic_load(&server.queries);
    expect_found("then", 20);
    cr_expect_eq(atomic_load(&server.queries), in_vain);
    names_rig_close();
    dns_stop(&first);
}

/* With one or two tries less there is time for all of them. */
Test(several_name_servers, that_answer_half_of_a_question_are_enough)
{
    struct dns_server others[3];
    char servers[100] = "";
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        dns_start(&others[i], script_all);
        snprintf(servers + strlen(servers), sizeof servers - strlen(servers), "%s%s", i > 0 ? "," : "", others[i].address);
        begin_behind(servers, script_all);
        cr_expect_eq(look_up("half.example.com").answer.result, NAMES_FOUND, "%zu name servers", i + 2);
        names_rig_close();
    }
    for (size_t i = 0; i < COUNT_OF(others); i++)
        dns_stop(&others[i]);
}
