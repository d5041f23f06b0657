/* Connections that are kept, lost and closed, and posts that are cancelled. */
#include "tests/edge/post_rig.h"
#include "tests/edge/scripted_dns.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rig rig;
static struct receiver receiver;

static struct dns_server dns;

static void say_nothing(const char *name, int type, struct dns_answer *answer)
{
    (void)name;
    (void)type;
    answer->silent = true;
}

static void begin_with(script *script, struct lanes_options options)
{
    dns_start(&dns, say_nothing);
    receiver_start(&receiver, script);
    rig_open(&rig, options, dns.address);
}

static void end(void)
{
    rig_close(&rig);
    receiver_stop(&receiver);
    dns_stop(&dns);
}

TestSuite(post_connections, .timeout = 60);

static bool answer_ok(const struct visit *visit)
{
    return say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

Test(post_connections, are_kept_and_used_again)
{
    begin_with(answer_ok, (struct lanes_options){ .lane_count = 0 });
    for (int i = 0; i < 20; i++)
        cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200);
    cr_assert_eq(atomic_load(&receiver.connections), 1);
    cr_assert_eq(atomic_load(&receiver.requests), 20);
    cr_assert_eq(counter_read(&lanes_stats(rig.lanes)->connections), 1);
    cr_assert_eq(counter_read(&lanes_stats(rig.lanes)->posts), 20);
    cr_assert_eq(gauge_read(&lanes_stats(rig.lanes)->in_flight), 0);
    end();
}

static int count_descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

/* As whoever asks whether the way out is broken does. */
Test(post_connections, may_be_made_without_sending_anything)
{
    char url[256];
    begin_with(answer_ok, (struct lanes_options){ .lane_count = 1 });
    rig_url(url, "http", "127.0.0.1", receiver.port, "");
    cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200);
    int open = count_descriptors();
    for (int i = 0; i < 3; i++)
        cr_assert(rig_connects(&rig, url));
    rig_run_ms(&rig, 300);
    cr_assert_eq(count_descriptors(), open, "they are closed at both ends");
    cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200);
    rig_run_ms(&rig, 100);
    cr_assert_eq(atomic_load(&receiver.connections), 4, "a new one each time, and the one for posts is still there");
    cr_assert_eq(atomic_load(&receiver.requests), 2);
    cr_assert_eq(counter_read(&lanes_stats(rig.lanes)->posts), 2);
    cr_assert_eq(gauge_read(&lanes_stats(rig.lanes)->in_flight), 0);
    receiver_stop(&receiver);
    cr_assert_not(rig_connects(&rig, url));
    rig_close(&rig);
    dns_stop(&dns);
}

static bool answer_as_http2(const struct visit *visit)
{
    return say(visit, "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n");
}

/* libcurl 7.88 would keep one more after each answer. */
Test(post_connections, that_cannot_be_used_again_are_closed)
{
    begin_with(answer_as_http2, (struct lanes_options){ .lane_count = 0 });
    for (int i = 0; i < 20; i++)
        cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200);
    while (atomic_load(&receiver.open) > 1)
        rig_run_ms(&rig, 10);
    end();
}

static bool answer_slowly(const struct visit *visit)
{
    return wait_ms(visit, 50) && answer_ok(visit);
}

enum { CROWD = 64 };

static bool answer_the_crowd(const struct visit *visit)
{
    while (atomic_load(&visit->receiver->requests) < CROWD * visit->number)
        if (!wait_ms(visit, 10))
            return false;
    return answer_ok(visit);
}

Test(post_connections, are_as_many_as_posts_in_flight)
{
    static struct posted posted[CROWD];
    char url[256];
    begin_with(answer_the_crowd, (struct lanes_options){ .lane_count = 0 });
    rig_url(url, "http", "127.0.0.1", receiver.port, "/");
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(posted); i++)
            rig_begin(&rig, url, &posted[i]);
        cr_assert_eq(gauge_read(&lanes_stats(rig.lanes)->in_flight), (int64_t)COUNT_OF(posted));
        for (size_t i = 0; i < COUNT_OF(posted); i++) {
            rig_wait(&rig, &posted[i]);
            cr_assert_eq(posted[i].outcome.status, 200);
        }
    }
    cr_assert_eq(atomic_load(&receiver.connections), (int)COUNT_OF(posted));
    end();
}

static bool answer_and_close(const struct visit *visit)
{
    answer_ok(visit);
    return false;
}

/* The close arrives while the connection is idle: nothing was sent on it, so the next post takes a fresh one. */
Test(post_connections, closed_while_idle_cost_no_attempt)
{
    begin_with(answer_and_close, (struct lanes_options){ .lane_count = 0 });
    for (int i = 1; i <= 5; i++) {
        struct posted posted = rig_post(&rig, &receiver, "/");
        cr_assert_eq(posted.outcome.status, 200, "%s", posted.detail);
        cr_assert_eq(atomic_load(&receiver.connections), i);
        rig_run_ms(&rig, 50);
    }
    cr_assert_eq(counter_read(&lanes_stats(rig.lanes)->resends_refused), 0);
    end();
}

static bool answer_and_reset(const struct visit *visit)
{
    wait_ms(visit, 20);
    say(visit, "HTTP/1.1 204 No Content\r\n\r\n");
    reset_at_close(visit);
    return false;
}

/* As of a receiver that closes without having read all. */
Test(post_connections, reset_behind_the_answer_cost_no_attempt)
{
    begin_with(answer_and_reset, (struct lanes_options){ .lane_count = 0 });
    for (int i = 1; i <= 5; i++) {
        struct posted posted = rig_post(&rig, &receiver, "/");
        cr_expect_eq(posted.outcome.status, 204, "%d %s", posted.outcome.kind, posted.detail);
        usleep(20000); /* the loop does not run meanwhile, so it cannot notice */
    }
    cr_expect_eq(counter_read(&lanes_stats(rig.lanes)->resends_refused), 0);
    end();
}

static bool answer_first_then_close(const struct visit *visit)
{
    return visit->number == 1 && answer_ok(visit);
}

/* The receiver has read the request when the connection dies: libcurl would send it once more by itself, and dial for it. */
Test(post_connections, that_die_under_a_post_never_send_it_twice)
{
    begin_with(answer_first_then_close, (struct lanes_options){ .lane_count = 0 });
    for (int i = 1; i <= 5; i++) {
        cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200);
        struct posted posted = rig_post(&rig, &receiver, "/");
        cr_assert_eq(posted.outcome.kind, OUTCOME_CONNECTION_LOST, "%s", posted.detail);
        cr_assert(posted.outcome.sent);
        cr_assert_not(posted.outcome.connected, "that it once was says nothing about the way out");
        cr_assert_eq(atomic_load(&receiver.requests), 2 * i);
        cr_assert_eq(atomic_load(&receiver.connections), i);
        cr_assert_eq(counter_read(&lanes_stats(rig.lanes)->resends_refused), (uint64_t)i);
    }
    end();
}

static bool leave_with_the_listener(const struct visit *visit)
{
    return visit->number == 1 ? answer_ok(visit) : (shutdown(visit->receiver->listener, SHUT_RDWR), false);
}

/* What a second connection meets would be told as what became of the request. */
Test(post_connections, that_die_with_their_receiver_are_lost_and_not_refused)
{
    begin_with(leave_with_the_listener, (struct lanes_options){ .lane_count = 1 });
    cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200);
    struct posted posted = rig_post(&rig, &receiver, "/");
    cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECTION_LOST, "%d %s", posted.outcome.kind, posted.detail);
    end();
}

static void say_loopback(const char *name, int type, struct dns_answer *answer)
{
    (void)name;
    answer->ttl_s = 60;
    answer->count = type == DNS_A ? 2 : 0;
    answer->addresses[0] = "127.0.0.1";
    answer->addresses[1] = "127.0.0.2";
}

static bool answer_first_then_close_late(const struct visit *visit)
{
    return visit->number == 1 ? answer_ok(visit) : wait_ms(visit, 3500) && false;
}

static void expect_lost_by_name(script *script, uint32_t most_ms)
{
    char url[256];
    struct posted posted;
    dns_start(&dns, say_loopback);
    receiver_start_anywhere(&receiver, script);
    rig_open(&rig, (struct lanes_options){ .lane_count = 1 }, dns.address);
    rig_url(url, "http", "hook.example.com", receiver.port, "/");
    for (int i = 0; i < 2; i++) {
        posted = rig_post_url(&rig, url);
        cr_expect_eq(posted.outcome.status, i == 0 ? 200 : 0);
    }
    cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECTION_LOST, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_lt(posted.outcome.total_ms, most_ms);
    cr_expect_eq(counter_read(&lanes_stats(rig.lanes)->resends_refused), 1);
    end();
}

/* libcurl 7.88 would try the next one when half of the time is over. */
Test(post_connections, that_die_under_a_post_try_no_other_address)
{
    expect_lost_by_name(answer_first_then_close, RIG_TIMEOUT_MS / 4);
}

/* libcurl has forgotten the addresses by then, and would ask the system's resolver for them, in a thread. */
Test(post_connections, that_die_late_under_a_post_look_for_no_name)
{
    expect_lost_by_name(answer_first_then_close_late, RIG_TIMEOUT_MS);
}

Test(post_connections, that_are_idle_for_long_are_closed)
{
    begin_with(answer_ok, (struct lanes_options){ .lane_count = 1, .idle_ms = 200 });
    size_t before = (size_t)dup(0);
    close((int)before);
    rig_post(&rig, &receiver, "/");
    rig_run_ms(&rig, 600); /* the whole lane is idle: its multi goes */
    size_t after = (size_t)dup(0);
    close((int)after);
    cr_assert_eq(before, after, "descriptors are left");
    cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200);
    cr_assert_eq(atomic_load(&receiver.connections), 2);
    end();
}

/* However busy they are: libcurl counts whole seconds. */
Test(post_connections, that_are_old_are_made_anew)
{
    begin_with(answer_ok, (struct lanes_options){ .lane_count = 1, .lifetime_s = 1 });
    for (int i = 0; i < 500 && atomic_load(&receiver.connections) < 3; i++) {
        cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200);
        rig_run_ms(&rig, 20);
    }
    cr_assert_eq(atomic_load(&receiver.connections), 3);
    cr_assert_eq(counter_read(&lanes_stats(rig.lanes)->resends_refused), 0);
    end();
}

static bool answer_when_told(const struct visit *visit)
{
    return strstr(visit->request, "POST /slow") == NULL ? answer_ok(visit) : wait_ms(visit, 1000) && answer_ok(visit);
}

/* The lane is busy with another post, so it stays: the idle connection alone is ended, and the next post notices. */
Test(post_connections, that_are_idle_beside_busy_ones_are_closed)
{
    struct posted slow;
    char url[256];
    begin_with(answer_when_told, (struct lanes_options){ .lane_count = 1, .idle_ms = 200 });
    rig_url(url, "http", "127.0.0.1", receiver.port, "/slow");
    rig_begin(&rig, url, &slow);
    rig_post(&rig, &receiver, "/");
    rig_run_ms(&rig, 500);
    cr_assert_eq(slow.calls, 0);
    cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200);
    cr_assert_eq(atomic_load(&receiver.connections), 3);
    rig_wait(&rig, &slow);
    cr_assert_eq(slow.outcome.status, 200);
    cr_assert_eq(counter_read(&lanes_stats(rig.lanes)->resends_refused), 0);
    end();
}

/* 127.0.0.1, 127.0.0.2 …: one origin each. */
Test(post_connections, beyond_the_number_to_keep_are_closed)
{
    static struct posted posted[40];
    begin_with(answer_ok, (struct lanes_options){ .lane_count = 2, .idle_connections = 10 });
    receiver_stop(&receiver);
    receiver_start_anywhere(&receiver, answer_ok);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < COUNT_OF(posted); i++) {
            char host[32], url[256];
            snprintf(host, sizeof(host), "127.0.0.%zu", i + 1);
            rig_url(url, "http", host, receiver.port, "/");
            rig_begin(&rig, url, &posted[i]);
            rig_wait(&rig, &posted[i]);
            cr_assert_eq(posted[i].outcome.status, 200, "%s", posted[i].detail);
        }
    rig_run_ms(&rig, 100);
    cr_assert_leq(atomic_load(&receiver.open), 2 * 10 + 2, "%d connections are open", atomic_load(&receiver.open));
    end();
}

/* All at once, each host an origin of its own. The most connections that were open at a time, by the receiver's count. */
static int open_at_once(struct posted *posted, size_t count, size_t first_host)
{
    int most = 0;
    for (size_t i = 0; i < count; i++) {
        char host[32], url[256];
        snprintf(host, sizeof(host), "127.0.%zu.%zu", (first_host + i) / 250, 1 + (first_host + i) % 250);
        rig_url(url, "http", host, receiver.port, "/");
        rig_begin(&rig, url, &posted[i]);
    }
    for (size_t i = 0; i < count; i++)
        while (posted[i].calls == 0) {
            rig_run_ms(&rig, 5);
            most = atomic_load(&receiver.open) > most ? atomic_load(&receiver.open) : most;
        }
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(posted[i].outcome.status, 200, "%s", posted[i].detail);
    return most;
}

/* A burst leaves its connections idle; the next one, to other hosts, must not come on top of them, whether they lie in lanes that it uses or not. */
Test(post_connections, of_a_burst_make_room_for_those_of_the_next)
{
    enum { BURST = 60, IDLE = 8 };
    static struct posted posted[BURST];
    for (uint32_t lane_count = 2; lane_count <= 256; lane_count *= 128) {
        begin_with(answer_slowly, (struct lanes_options){ .lane_count = lane_count, .idle_connections = IDLE });
        receiver_stop(&receiver);
        receiver_start_anywhere(&receiver, answer_slowly);
        for (size_t burst = 0; burst < 4; burst++) {
            memset(posted, 0, sizeof(posted));
            int most = open_at_once(posted, BURST, burst * BURST);
            /* The receiver may count those that are closed for a little longer. */
            cr_expect_leq(most, BURST + 4 * IDLE, "%u lanes, burst %zu: %d were open", lane_count, burst, most);
        }
        end();
    }
}

/* Turns the loop until only so many descriptors are open. The most that went in one turn. */
static int turn_until(int open)
{
    int most = 0;
    for (int now = count_descriptors(); now > open;) {
        uv_run(&rig.loop, UV_RUN_ONCE);
        int before = now;
        now = count_descriptors();
        most = before - now > most ? before - now : most;
    }
    return most;
}

static bool answer_and_stay(const struct visit *visit)
{
    return answer_ok(visit) && (wait_ms(visit, 100000), false);
}

/* By TLS it takes long to close one. */
Test(post_connections, of_many_lanes_are_not_all_closed_at_once)
{
    enum { BURST = 60 };
    static struct posted posted[BURST];
    begin_with(answer_and_stay, (struct lanes_options){ .lane_count = 64, .idle_ms = 1000 });
    receiver_stop(&receiver);
    receiver_start_anywhere(&receiver, answer_and_stay);
    int before = count_descriptors();
    open_at_once(posted, BURST, 0);
    int most = turn_until(before + BURST); /* the receiver's are left */
    cr_expect_leq(most, BURST / 4, "%d in one turn of the loop", most);
    end();
}

static bool never_answer(const struct visit *visit)
{
    while (wait_ms(visit, 10))
        ;
    return false;
}

Test(post_connections, cancelled_at_every_stage_call_nobody)
{
    static struct posted posted[40];
    char url[256];
    begin_with(never_answer, (struct lanes_options){ .lane_count = 1 });
    rig_url(url, "http", "127.0.0.1", receiver.port, "/");
    for (size_t turns = 0; turns < COUNT_OF(posted); turns++) {
        struct post *post = rig_begin(&rig, url, &posted[turns]);
        for (size_t i = 0; i < turns; i++)
            uv_run(&rig.loop, UV_RUN_NOWAIT);
        if (turns > 20)
            rig_run_ms(&rig, 5);
        lanes_cancel(post);
    }
    rig_run_ms(&rig, 50);
    for (size_t i = 0; i < COUNT_OF(posted); i++)
        cr_assert_eq(posted[i].calls, 0);
    cr_assert_eq(gauge_read(&lanes_stats(rig.lanes)->in_flight), 0);
    end();
}

Test(post_connections, cancelled_while_the_name_is_looked_up_call_nobody)
{
    struct posted posted;
    begin_with(answer_ok, (struct lanes_options){ .lane_count = 1 });
    struct post *post = rig_begin(&rig, "http://hook.example.com/", &posted);
    cr_assert_not(post_was_sent(post));
    rig_run_ms(&rig, 20);
    lanes_cancel(post);
    rig_run_ms(&rig, 20);
    cr_assert_eq(posted.calls, 0);
    end();
}

static bool say_half(const struct visit *visit)
{
    say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    return never_answer(visit);
}

Test(post_connections, cancelled_in_the_body_call_nobody)
{
    struct posted posted;
    char url[256];
    begin_with(say_half, (struct lanes_options){ .lane_count = 1 });
    rig_url(url, "http", "127.0.0.1", receiver.port, "/");
    struct post *post = rig_begin(&rig, url, &posted);
    rig_run_ms(&rig, 200);
    cr_assert(post_was_sent(post));
    lanes_cancel(post);
    rig_run_ms(&rig, 50);
    cr_assert_eq(posted.calls, 0);
    end();
}

struct chain {
    int left, done;
    struct post *victim;
};

static void on_link(void *context, const struct outcome *outcome)
{
    struct chain *chain = context;
    struct url url;
    char text[256];
    cr_assert_eq(outcome->status, 200);
    chain->done++;
    if (chain->victim != NULL)
        lanes_cancel(chain->victim);
    chain->victim = NULL;
    rig_url(text, "http", "127.0.0.1", receiver.port, "/");
    cr_assert_eq(guard_judge_url(&rig.guard, slice_of(text), &url), GUARD_OK);
    if (chain->left-- > 0)
        lanes_post(rig.lanes, &url, &rig.request, on_link, chain);
}

Test(post_connections, posts_may_be_made_and_cancelled_from_done)
{
    struct chain chain = { .left = 100 };
    struct posted victim;
    struct url url;
    char text[256];
    begin_with(answer_when_told, (struct lanes_options){ .lane_count = 0 });
    rig_url(text, "http", "127.0.0.1", receiver.port, "/slow");
    chain.victim = rig_begin(&rig, text, &victim);
    rig_url(text, "http", "127.0.0.1", receiver.port, "/");
    cr_assert_eq(guard_judge_url(&rig.guard, slice_of(text), &url), GUARD_OK);
    lanes_post(rig.lanes, &url, &rig.request, on_link, &chain);
    for (int i = 0; i < 10000 && chain.done < 101; i++)
        uv_run(&rig.loop, UV_RUN_ONCE);
    cr_assert_eq(chain.done, 101);
    cr_assert_eq(victim.calls, 0);
    end();
}

Test(post_connections, lanes_may_be_destroyed_with_posts_at_every_stage)
{
    static struct posted posted[30];
    char url[256];
    begin_with(say_half, (struct lanes_options){ .lane_count = 3 });
    rig_url(url, "http", "127.0.0.1", receiver.port, "/");
    for (size_t i = 0; i < COUNT_OF(posted); i++) {
        rig_begin(&rig, i % 3 == 0 ? "http://hook.example.com/" : url, &posted[i]);
        uv_run(&rig.loop, UV_RUN_NOWAIT);
        if (i < 10)
            rig_run_ms(&rig, 5);
    }
    end();
    for (size_t i = 0; i < COUNT_OF(posted); i++)
        cr_assert_eq(posted[i].calls, 0);
}
