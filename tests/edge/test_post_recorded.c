/* No request reaches a receiver that no outcome tells of, whatever receivers do to their connections: answer, close, reset and half-close at random,
 * before a request, under it, behind its answer, and a moment later, when the connection may carry the next one already.
 *
 *   JOBHOOK_TEST_SENDS=100000 .build/asan/tests/edge_test_post_recorded      (5000 otherwise) */
#include "tests/edge/post_rig.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { SENDS_DEFAULT = 5000, SENDS_MAX = 10000000, AT_ONCE = 64, EVENTS = 64, FDS_MAX = 65536, REQUEST_BYTES = 4096, LATER_TURNS_MAX = 4 };

static struct {
    int listener, epoll;
    uint16_t port;
    unsigned first_seed, seed;
    atomic_bool stopping;
    pthread_t thread;
    uint8_t *seen;           /* how often each id came */
    uint8_t doomed[FDS_MAX]; /* turns of the loop until it is closed; 0: it is not */
    bool deaf[FDS_MAX];      /* half closed: nothing more is answered */
    struct linger at_once;
} chaos = { .at_once = { 1, 0 } };

static unsigned dice(unsigned sides)
{
    return (unsigned)rand_r(&chaos.seed) % sides;
}

static void drop(int fd, bool reset)
{
    if (reset)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &chaos.at_once, sizeof(chaos.at_once));
    epoll_ctl(chaos.epoll, EPOLL_CTL_DEL, fd, NULL);
    chaos.doomed[fd] = 0;
    chaos.deaf[fd] = false;
    close(fd);
}

/* Whatever has arrived counts, answered or not. False: the peer is gone, or there was nothing. */
static bool take_request(int fd)
{
    char bytes[REQUEST_BYTES];
    ssize_t count = recv(fd, bytes, sizeof(bytes) - 1, MSG_DONTWAIT);
    if (count <= 0)
        return false;
    bytes[count] = '\0';
    for (const char *id = strstr(bytes, "webhook-id: "); id != NULL; id = strstr(id + 1, "webhook-id: "))
        chaos.seen[strtoul(id + 12, NULL, 10)]++;
    return true;
}

static void answer(int fd)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    if (send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL) < 0)
        chaos.deaf[fd] = true;
}

static void act(int fd)
{
    unsigned roll = dice(100);
    if (roll < 82 && !chaos.deaf[fd])
        answer(fd);
    if (roll < 60)
        return;
    if (roll < 70) /* answered, and closed a moment later */
        chaos.doomed[fd] = (uint8_t)(1 + dice(LATER_TURNS_MAX));
    else if (roll < 90) /* with its answer until 82, without from then on */
        drop(fd, roll % 2 == 0);
    else {
        shutdown(fd, SHUT_WR);
        chaos.deaf[fd] = true;
    }
}

static void take_connection(void)
{
    int fd = accept(chaos.listener, NULL, NULL);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    if (fd < 0)
        return;
    epoll_ctl(chaos.epoll, EPOLL_CTL_ADD, fd, &event);
    if (dice(100) < 3)
        drop(fd, dice(2) == 0);
}

static void close_doomed(void)
{
    for (int fd = 0; fd < FDS_MAX; fd++)
        if (chaos.doomed[fd] > 0 && --chaos.doomed[fd] == 0) {
            take_request(fd);
            drop(fd, dice(2) == 0);
        }
}

static void *receive(void *unused)
{
    struct epoll_event events[EVENTS];
    (void)unused;
    while (!atomic_load(&chaos.stopping)) {
        int count = epoll_wait(chaos.epoll, events, EVENTS, 1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == chaos.listener)
                take_connection();
            else if (take_request(fd))
                act(fd);
            else
                drop(fd, false);
        }
        close_doomed();
    }
    return NULL;
}

static void chaos_start(size_t sends)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    chaos.first_seed = chaos.seed = (unsigned)getpid();
    chaos.seen = calloc(sends, 1);
    chaos.listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(bind(chaos.listener, (struct sockaddr *)&address, length) == 0 && listen(chaos.listener, 256) == 0);
    getsockname(chaos.listener, (struct sockaddr *)&address, &length);
    chaos.port = ntohs(address.sin_port);
    chaos.epoll = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = chaos.listener };
    epoll_ctl(chaos.epoll, EPOLL_CTL_ADD, chaos.listener, &event);
    pthread_create(&chaos.thread, NULL, receive, NULL);
}

struct tally {
    struct rig rig;
    struct url url;
    size_t sends, begun, ended;
    uint8_t *sent, *answered; /* what the outcomes said of each id */
    struct one {
        struct tally *tally;
        size_t id;
    } ones[AT_ONCE];
};

static void begin(struct one *one);

static void on_done(void *context, const struct outcome *outcome)
{
    struct one *one = context;
    struct tally *tally = one->tally;
    tally->sent[one->id] = outcome->sent;
    tally->answered[one->id] = outcome->kind == OUTCOME_ANSWERED;
    tally->ended++;
    if (tally->begun < tally->sends)
        begin(one);
}

static void begin(struct one *one)
{
    struct tally *tally = one->tally;
    char line[64];
    one->id = tally->begun++;
    snprintf(line, sizeof(line), "webhook-id: %zu", one->id);
    tally->rig.request.headers[2] = line;
    lanes_post(tally->rig.lanes, &tally->url, &tally->rig.request, on_done, one);
}

static size_t sends_wanted(void)
{
    const char *wanted = getenv("JOBHOOK_TEST_SENDS");
    size_t sends = wanted == NULL ? SENDS_DEFAULT : strtoul(wanted, NULL, 10);
    cr_assert(sends >= AT_ONCE && sends <= SENDS_MAX, "JOBHOOK_TEST_SENDS must be %d to %d", AT_ONCE, SENDS_MAX);
    return sends;
}

static void expect_all_recorded(const struct tally *tally)
{
    size_t twice = 0, untold = 0, imagined = 0, arrived = 0, answered = 0;
    for (size_t id = 0; id < tally->sends; id++) {
        arrived += chaos.seen[id];
        answered += tally->answered[id];
        twice += chaos.seen[id] > 1;
        untold += chaos.seen[id] > 0 && !tally->sent[id];
        imagined += tally->answered[id] && chaos.seen[id] == 0;
    }
    printf("seed %u: %zu POSTs, %zu arrived, %zu answered; %zu arrived twice, %zu arrived untold; %zu second sends refused\n", chaos.first_seed,
           tally->sends, arrived, answered, twice, untold, (size_t)counter_read(&lanes_stats(tally->rig.lanes)->resends_refused));
    cr_assert_eq(twice, 0);
    cr_assert_eq(untold, 0);
    cr_assert_eq(imagined, 0);
    cr_assert_gt(answered, tally->sends / 2);
    cr_assert_lt(answered, tally->sends);
    cr_assert_gt(counter_read(&lanes_stats(tally->rig.lanes)->resends_refused), 0, "nothing was put to the test");
}

Test(post_recorded, every_request_that_arrives_is_told_once, .timeout = 3600)
{
    static struct tally tally;
    static char text[64];
    tally.sends = sends_wanted();
    tally.sent = calloc(tally.sends, 1);
    tally.answered = calloc(tally.sends, 1);
    chaos_start(tally.sends);
    rig_open(&tally.rig, (struct lanes_options){ .attempt_timeout_ms = 5000, .lane_count = 2 }, NULL);
    snprintf(text, sizeof(text), "http://127.0.0.1:%u/", (unsigned)chaos.port);
    cr_assert_eq(guard_judge_url(&tally.rig.guard, slice_of(text), &tally.url), GUARD_OK);
    for (size_t i = 0; i < AT_ONCE; i++) {
        tally.ones[i].tally = &tally;
        begin(&tally.ones[i]);
    }
    while (tally.ended < tally.sends)
        uv_run(&tally.rig.loop, UV_RUN_ONCE);
    atomic_store(&chaos.stopping, true);
    pthread_join(chaos.thread, NULL);
    expect_all_recorded(&tally);
    rig_close(&tally.rig);
    close(chaos.epoll);
    close(chaos.listener);
    free(chaos.seen);
    free(tally.sent);
    free(tally.answered);
}
