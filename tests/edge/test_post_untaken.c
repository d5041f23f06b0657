/* Receivers that do not take the request, or not yet, whatever they answer. What of it waits in the kernel is counted by nobody. */
#include "tests/edge/post_rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/socket.h>

enum {
    LARGE = 1024 * 1024, /* more than the receiver's kernel takes for it, and no more than ours takes from libcurl at once */
    SEND_MS = 200,       /* for that, */
    SEND_ALL_MS = 2500,  /* and for that of all visitors on a busy machine */
    PATIENCE_MS = 1000,
    LEFT_MAX = 100, /* requests of that size may be left in the kernel, */
    VISITORS = 320, /* and not so many */
};

static struct rig rig;
static struct receiver receiver;
static const char answer_and_close[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
static const char *answer; /* NULL: none */
static int send_ms = SEND_MS;
static atomic_bool may_take;
static atomic_int visitors;

/* What became of each connection's request. */
static struct taking {
    atomic_bool over;
    int bytes;
    int error; /* errno at its end */
} takings[VISITORS];

/* Answers before anything is read; reads when it may, up to the end. */
static bool take_late(const struct visit *visit)
{
    char bytes[65536];
    struct taking *taking = &takings[atomic_fetch_add(&visitors, 1)];
    ssize_t count = 1;
    wait_ms(visit, send_ms);
    if (answer != NULL)
        say(visit, answer);
    while (!atomic_load(&may_take) && wait_ms(visit, 10))
        ;
    while (count > 0) {
        count = recv(visit->fd, bytes, sizeof(bytes), 0);
        taking->bytes += count > 0 ? (int)count : 0;
    }
    taking->error = count < 0 ? errno : 0;
    atomic_store(&taking->over, true);
    return false;
}

static void begin_with(const char *early_answer, uint64_t timeout_ms)
{
    answer = early_answer;
    receiver_start(&receiver, take_late);
    receiver.greet = take_late;
    rig_open(&rig, (struct lanes_options){ .attempt_timeout_ms = timeout_ms, .lane_count = 1 }, NULL);
    rig_fill_body(&rig, LARGE);
}

static void end(void)
{
    rig_close(&rig);
    receiver_stop(&receiver);
}

static const struct taking *let_first_take(void)
{
    atomic_store(&may_take, true);
    while (!atomic_load(&takings[0].over))
        rig_run_ms(&rig, 10);
    return &takings[0];
}

TestSuite(post_untaken, .timeout = 60);

Test(post_untaken, the_rest_of_a_request_goes_with_its_attempt)
{
    begin_with(NULL, PATIENCE_MS);
    struct posted posted = rig_post(&rig, &receiver, "/");
    cr_expect_eq(posted.outcome.kind, OUTCOME_TIMEOUT, "%d %s", posted.outcome.kind, posted.detail);
    const struct taking *taking = let_first_take();
    cr_expect_eq(taking->error, ECONNRESET, "the kernel went on: %d bytes, %d", taking->bytes, taking->error);
    end();
}

/* The next request would wait behind the rest of the first, and be answered by nobody. */
Test(post_untaken, a_connection_with_the_rest_of_a_request_is_not_used_again)
{
    begin_with("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", RIG_TIMEOUT_MS);
    for (int i = 1; i <= 2; i++) {
        struct posted posted = rig_post(&rig, &receiver, "/");
        cr_expect_eq(posted.outcome.status, 200, "%d %s", posted.outcome.kind, posted.detail);
        cr_expect_eq(atomic_load(&receiver.connections), i);
    }
    const struct taking *taking = let_first_take();
    cr_expect(taking->error == 0 && taking->bytes > LARGE, "an answered request is to be had in full: %d bytes, %d", taking->bytes, taking->error);
    end();
}

/* What becomes of a request that was answered before it was taken, when its receiver takes it after a pause. */
static const struct taking *take_after(uint64_t pause_ms, const char *early_answer, uint64_t timeout_ms)
{
    begin_with(early_answer, timeout_ms);
    struct posted posted = rig_post(&rig, &receiver, "/");
    cr_expect_eq(posted.outcome.status, 200, "%d %s", posted.outcome.kind, posted.detail);
    rig_run_ms(&rig, pause_ms);
    const struct taking *taking = let_first_take();
    end();
    return taking;
}

Test(post_untaken, a_receiver_that_answers_first_may_read_then)
{
    const struct taking *taking = take_after(SEND_MS, answer_and_close, RIG_TIMEOUT_MS);
    cr_expect(taking->error == 0 && taking->bytes > LARGE, "%d bytes, %d", taking->bytes, taking->error);
}

/* Its body took longer than we read one. */
Test(post_untaken, a_receiver_that_goes_on_answering_may_read_on)
{
    const struct taking *taking = take_after(0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", RIG_TIMEOUT_MS);
    cr_expect(taking->error == 0 && taking->bytes > LARGE, "%d bytes, %d", taking->bytes, taking->error);
}

Test(post_untaken, the_kernel_waits_no_longer_than_an_attempt_would)
{
    const struct taking *taking = take_after(4 * PATIENCE_MS, answer_and_close, PATIENCE_MS); /* it looks after a second, two, three */
    cr_expect_eq(taking->error, ECONNRESET, "the kernel went on: %d bytes, %d", taking->bytes, taking->error);
}

/* How many of so many, whose connections are closed when they have answered, see a reset. */
static int count_resets(int count)
{
    struct posted posted[VISITORS] = { 0 };
    char url[256];
    int resets = 0;
    send_ms = SEND_ALL_MS;
    begin_with(answer_and_close, RIG_TIMEOUT_MS);
    rig_url(url, "http", "127.0.0.1", receiver.port, "/");
    for (int i = 0; i < count; i++)
        rig_begin(&rig, url, &posted[i]);
    for (int i = 0; i < count; i++) {
        rig_wait(&rig, &posted[i]);
        cr_expect_eq(posted[i].outcome.status, 200, "%d %s", posted[i].outcome.kind, posted[i].detail);
    }
    atomic_store(&may_take, true);
    for (int i = 0; i < count; i++) {
        while (!atomic_load(&takings[i].over))
            rig_run_ms(&rig, 10);
        resets += takings[i].error == ECONNRESET;
    }
    end();
    return resets;
}

Test(post_untaken, a_hundred_receivers_that_answer_first_may_read_then)
{
    cr_expect_eq(count_resets(LEFT_MAX), 0);
}

Test(post_untaken, not_all_may_leave_their_requests_in_the_kernel)
{
    int resets = count_resets(VISITORS);
    cr_expect(resets > 0 && resets < VISITORS - LEFT_MAX, "%d of %d", resets, VISITORS);
}

static bool answer_ok(const struct visit *visit)
{
    return say(visit, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

Test(post_untaken, whoever_takes_the_request_keeps_the_connection)
{
    const size_t sizes[] = { 100, 16384, 65536, LARGE };
    receiver_start(&receiver, answer_ok);
    rig_open(&rig, (struct lanes_options){ .lane_count = 1 }, NULL);
    for (size_t i = 0; i < 5 * COUNT_OF(sizes); i++) {
        rig_fill_body(&rig, sizes[i % COUNT_OF(sizes)]);
        cr_assert_eq(rig_post(&rig, &receiver, "/").outcome.status, 200);
    }
    cr_expect_eq(atomic_load(&receiver.connections), 1);
    end();
}
