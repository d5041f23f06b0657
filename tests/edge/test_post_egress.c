/* Names, and addresses that may not be called: whatever a name server says, and whenever it says it. */
#include "tests/edge/post_rig.h"
#include "tests/edge/scripted_dns.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct rig rig;
static struct receiver receiver;
static struct dns_server dns;
static atomic_int rebound; /* how often the changing name was asked for */

static bool answer_ok(const struct visit *visit)
{
    return say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

/*   hook.example.com   loopback, which this guard allows
 *   inside.example.com a private address           mixed.example.com  loopback and a private one
 *   crowd.example.com  more loopback addresses than are kept, then a private one
 *   mapped.example.com ::ffff:10.0.0.1             nat64.example.com  64:ff9b::a00:1
 *   rebind.example.com loopback at first, then a private address
 *   dead.example.com   does not exist              silent.example.com no answer
 *   two.example.com    two loopback addresses */
static void script_all(const char *name, int type, struct dns_answer *answer)
{
    const char *address = NULL;
    if (strncmp(name, "hook.", 5) == 0)
        address = "127.0.0.1";
    else if (strncmp(name, "inside.", 7) == 0)
        address = "10.0.0.1";
    else if (strncmp(name, "rebind.", 7) == 0)
        address = atomic_load(&rebound) == 0 ? "127.0.0.1" : "169.254.169.254";
    answer->ttl_s = 0;
    if (address != NULL && type == DNS_A) {
        answer->count = 1;
        answer->addresses[0] = address;
    } else if (strncmp(name, "mixed.", 6) == 0 && type == DNS_A) {
        answer->count = 2;
        answer->addresses[0] = "127.0.0.1";
        answer->addresses[1] = "192.168.1.1";
    } else if (strncmp(name, "two.", 4) == 0 && type == DNS_A) {
        answer->count = 2;
        answer->addresses[0] = "127.0.0.2";
        answer->addresses[1] = "127.0.0.1";
    } else if (strncmp(name, "crowd.", 6) == 0 && type == DNS_A) {
        for (answer->count = 0; answer->count < NAMES_ADDRESSES_MAX + 3; answer->count++)
            answer->addresses[answer->count] = "127.0.0.1";
        answer->addresses[answer->count++] = "192.168.1.1";
    } else if (type == DNS_AAAA && (strncmp(name, "mapped.", 7) == 0 || strncmp(name, "nat64.", 6) == 0)) {
        answer->count = 1;
        answer->addresses[0] = name[0] == 'm' ? "::ffff:10.0.0.1" : "64:ff9b::a00:1";
    } else if (strncmp(name, "dead.", 5) == 0) {
        answer->rcode = DNS_NO_SUCH_NAME;
    } else if (strncmp(name, "silent.", 7) == 0) {
        answer->silent = true;
    }
}

static void begin(void)
{
    dns_start(&dns, script_all);
    receiver_start(&receiver, answer_ok);
    rig_open(&rig, (struct lanes_options){ .lane_count = 2 }, dns.address);
}

static void end(void)
{
    rig_close(&rig);
    receiver_stop(&receiver);
    dns_stop(&dns);
}

static struct posted post_to(const char *host)
{
    char url[256];
    rig_url(url, "http", host, receiver.port, "/");
    return rig_post_url(&rig, url);
}

TestSuite(post_egress, .init = begin, .fini = end, .timeout = 60);

Test(post_egress, a_name_is_looked_up_and_its_host_header_kept)
{
    for (int i = 0; i < 3; i++) {
        struct posted posted = post_to("hook.example.com");
        cr_assert_eq(posted.outcome.status, 200, "%s", posted.detail);
        char host[64];
        snprintf(host, sizeof(host), "\r\nHost: hook.example.com:%u\r\n", (unsigned)receiver.port);
        cr_assert_not_null(strstr(receiver.last_request, host));
    }
    cr_assert_eq(atomic_load(&receiver.connections), 1);
}

Test(post_egress, names_and_addresses_take_turns)
{
    static const char *const hosts[] = { "hook.example.com", "127.0.0.1", "HOOK.Example.COM", "hook.example.org", "127.0.0.1", "hook.example.com" };
    for (size_t i = 0; i < 3 * COUNT_OF(hosts); i++) {
        struct posted posted = post_to(hosts[i % COUNT_OF(hosts)]);
        cr_assert_eq(posted.outcome.status, 200, "%s: %s", hosts[i % COUNT_OF(hosts)], posted.detail);
    }
}

Test(post_egress, a_name_with_a_refused_address_is_blocked)
{
    static const char *const hosts[] = { "inside.example.com", "mixed.example.com", "crowd.example.com", "mapped.example.com", "nat64.example.com" };
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct posted posted = post_to(hosts[i]);
        cr_expect_eq(posted.outcome.kind, OUTCOME_BLOCKED_ADDRESS, "%s: %s", hosts[i], posted.detail);
        cr_expect_not(posted.outcome.sent || posted.outcome.connected);
        cr_expect_null(strstr(posted.detail, "10.0"), "a log would show it");
    }
    cr_assert_eq(atomic_load(&receiver.connections), 0);
}

Test(post_egress, a_name_that_changes_its_mind_is_blocked)
{
    cr_assert_eq(post_to("rebind.example.com").outcome.status, 200);
    atomic_store(&rebound, 1);
    rig_run_ms(&rig, 1100); /* the answer's TTL is over */
    struct posted posted = post_to("rebind.example.com");
    cr_assert_eq(posted.outcome.kind, OUTCOME_BLOCKED_ADDRESS, "%s", posted.detail);
    cr_assert_eq(atomic_load(&receiver.requests), 1);
}

Test(post_egress, a_connection_that_stands_is_judged_as_well)
{
    cr_assert_eq(post_to("hook.example.com").outcome.status, 200);
    size_t count = rig.guard.allow_count;
    rig.guard.allow_count = 0; /* loopback is no longer allowed */
    char text[256];
    struct url url;
    struct posted posted;
    rig_url(text, "http", "hook.example.com", receiver.port, "/");
    posted = rig_post_url(&rig, text);
    cr_expect_eq(posted.outcome.kind, OUTCOME_BLOCKED_ADDRESS, "%s", posted.detail);
    /* A literal address is judged before it gets here; were it not, the peer is. */
    rig.guard.allow_count = count;
    rig_url(text, "http", "127.0.0.1", receiver.port, "/");
    cr_assert_eq(guard_judge_url(&rig.guard, slice_of(text), &url), GUARD_OK);
    cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200);
    int requests = atomic_load(&receiver.requests);
    rig_begin(&rig, text, &posted);
    rig.guard.allow_count = 0;
    rig_wait(&rig, &posted);
    rig.guard.allow_count = count;
    cr_expect_eq(posted.outcome.kind, OUTCOME_BLOCKED_ADDRESS, "%s", posted.detail);
    cr_expect_not(posted.outcome.sent);
    cr_expect_eq(atomic_load(&receiver.requests), requests);
}

Test(post_egress, an_address_is_judged_when_it_is_dialled)
{
    struct posted posted;
    char text[256];
    size_t count = rig.guard.allow_count;
    rig_url(text, "http", "127.0.0.1", receiver.port, "/");
    rig_begin(&rig, text, &posted);
    rig.guard.allow_count = 0;
    rig_wait(&rig, &posted);
    rig.guard.allow_count = count;
    cr_expect_eq(posted.outcome.kind, OUTCOME_BLOCKED_ADDRESS, "%s", posted.detail);
    cr_expect_eq(atomic_load(&receiver.connections), 0);
}

Test(post_egress, a_dead_name_is_not_found)
{
    for (int i = 0; i < 2; i++) {
        struct posted posted = post_to("dead.example.com");
        cr_assert_eq(posted.outcome.kind, OUTCOME_NAME_NOT_FOUND, "%s", posted.detail);
        cr_assert_not(posted.outcome.sent || posted.outcome.connected);
    }
}

/* A listener whose queue is full drops further connections: they hang. */
static void listen_in_vain(const char *host, uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(host) };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(listener, 0) == 0);
    for (int i = 0; i < 8; i++)
        connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (struct sockaddr *)&address, sizeof(address));
}

/* The name server gives them in the same order each time. */
Test(post_egress, addresses_of_which_the_first_is_silent_take_turns)
{
    enum { ATTEMPTS = 40 };
    bool answered = false;
    rig_close(&rig);
    rig_open(&rig, (struct lanes_options){ .attempt_timeout_ms = RIG_SHORT_MS }, dns.address);
    listen_in_vain("127.0.0.2", receiver.port);
    for (int i = 0; i < ATTEMPTS && !answered; i++)
        answered = post_to("two.example.com").outcome.status == 200;
    cr_assert(answered);
}

Test(post_egress, a_name_that_nobody_answers_for_fails_at_the_deadline)
{
    rig_close(&rig);
    rig_open(&rig, (struct lanes_options){ .attempt_timeout_ms = RIG_SHORT_MS }, dns.address);
    struct posted posted = post_to("silent.example.com");
    cr_assert_eq(posted.outcome.kind, OUTCOME_NAME_FAILED, "%s", posted.detail);
    cr_assert_geq(posted.outcome.total_ms, RIG_SHORT_MS - 1);
    cr_assert_eq(post_to("hook.example.com").outcome.status, 200);
}

/* A URL that says one thing to our parser and another to libcurl's goes nowhere. The lie is told by hand: the parsers agree on what the guard lets
 * through. */
Test(post_egress, two_parsers_must_agree_on_the_host)
{
    static const struct {
        const char *before, *after; /* the port */
        bool harmless;              /* libcurl reads it as the address itself */
    } lies[] = {
        { "http://127.0.0.2:", "/", false }, { "https://127.0.0.1:", "/", false },    { "http://user@127.0.0.1:", "/", false },
        { "ftp://127.0.0.1:", "/", false },  { "http://127.0.0.1:", "1/", false },    { "http://127.0.0.1:", "\\@127.0.0.2/", false },
        { "http://127.1:", "/", true },      { "http://127.0.0.1:", "/\x01", false }, { "http://127.0.0.1:", "/a b", false },
        { "127.0.0.1:", "/", false },        { "http:/127.0.0.1:", "/", true },       { "http://127.0.0.1:", "@127.0.0.2/", false },
    };
    char truth[256], lie[256];
    struct url url;
    rig_url(truth, "http", "127.0.0.1", receiver.port, "/");
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        struct posted posted;
        snprintf(lie, sizeof(lie), "%s%u%s", lies[i].before, (unsigned)receiver.port, lies[i].after);
        cr_assert_eq(guard_judge_url(&rig.guard, slice_of(truth), &url), GUARD_OK);
        url.text = slice_of(lie);
        rig_begin_url(&rig, &url, &posted);
        rig_wait(&rig, &posted);
        if (lies[i].harmless)
            cr_expect_eq(posted.outcome.status, 200, "%s: %s", lie, posted.detail);
        else
            cr_expect_eq(posted.outcome.kind, OUTCOME_BLOCKED_ADDRESS, "%s: %s", lie, posted.detail);
    }
}
