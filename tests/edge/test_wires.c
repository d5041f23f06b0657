/* Owners that take long when they are told that something happened, and peers that make much happen. */
#include "delivery/wires.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { PATIENCE_MS = 10000, PAIRS = 12, LONG_MS = 25, TURNS_MAX = PAIRS + 2 };

static uv_loop_t loop;
static struct wires *wires;
static int pairs[PAIRS][2];
static int told[PAIRS];

/* Reads nothing: there is something for it in every turn. */
static void take_long(void *owner, int fd, unsigned events)
{
    int *count = owner;
    (void)fd;
    cr_expect_eq(events, WIRE_READ);
    ++*count;
    usleep(LONG_MS * 1000);
}

static void start(void)
{
    uv_loop_init(&loop);
    wires = wires_create(&loop, take_long, PATIENCE_MS);
    for (int i = 0; i < PAIRS; i++) {
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[i]), 0);
        cr_assert_eq(write(pairs[i][1], "x", 1), 1);
        wires_watch(wires, &told[i], pairs[i][0], WIRE_READ);
    }
}

static void stop(void)
{
    wires_destroy(wires);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    for (int i = 0; i < PAIRS; i++) {
        close(pairs[i][0]);
        close(pairs[i][1]);
    }
}

TestSuite(wires, .init = start, .fini = stop, .timeout = 60);

static int sum_told(void)
{
    int sum = 0;
    for (int i = 0; i < PAIRS; i++)
        sum += told[i];
    return sum;
}

static bool all_were_told(void)
{
    for (int i = 0; i < PAIRS; i++)
        if (told[i] == 0)
            return false;
    return true;
}

Test(wires, whose_owners_take_long_let_the_loop_turn)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    cr_expect(sum_told() >= 1 && sum_told() <= 3, "%d in one turn", sum_told());
}

Test(wires, that_are_always_ready_hold_up_no_other)
{
    int turns = 0;
    for (; !all_were_told() && turns < TURNS_MAX; turns++)
        uv_run(&loop, UV_RUN_NOWAIT);
    cr_expect(all_were_told(), "after %d turns", turns);
    cr_expect_eq(sum_told(), PAIRS, "nobody twice before everybody once");
}

/* ---- a crowd of new ones, and one that is used again ---- */

static int fd, peer; /* of one that wires_open made */

static void connect_one(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, length), 0);
    cr_assert_eq(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&address, &length);
    fd = wires_open(wires, AF_INET, SOCK_STREAM, 0);
    (void)connect(fd, (struct sockaddr *)&address, length); /* in progress, until it is accepted */
    peer = accept(listener, NULL, NULL);
    cr_assert_geq(peer, 0);
    close(listener);
}

Test(wires, that_are_used_again_wait_for_no_crowd)
{
    int kept = 0, turns = 0;
    connect_one();
    wires_watch(wires, &kept, fd, WIRE_READ);
    wires_watch(wires, &kept, fd, 0); /* the first answer was there */
    cr_assert_eq(wires_idle_count(wires), 1);
    wires_watch(wires, &kept, fd, WIRE_READ);
    cr_assert_eq(write(peer, "x", 1), 1);
    for (; kept == 0 && turns < TURNS_MAX; turns++)
        uv_run(&loop, UV_RUN_NOWAIT);
    cr_expect_leq(turns, 2);
    cr_expect_leq(sum_told(), 6, "%d of the crowd before it", sum_told());
    wires_close(wires, fd, false);
    close(peer);
}

/* ---- peers that say a byte at a time ---- */

enum { HEARD_MAX = 256, REST_MS = 10, TURNS = 4 * HEARD_MAX };

static int heard, answered; /* bytes for each that was heard */

static void read_nothing(void *owner, int ready_fd, unsigned events)
{
    char bytes[2048] = { 0 };
    (void)owner;
    (void)ready_fd;
    cr_expect_eq(events, WIRE_READ);
    heard++;
    if (answered > 0)
        cr_expect_eq(write(fd, bytes, (size_t)answered), answered);
}

static void start_one(void)
{
    uv_loop_init(&loop);
    wires = wires_create(&loop, read_nothing, PATIENCE_MS);
    connect_one();
    cr_assert_eq(write(peer, "x", 1), 1);
    wires_watch(wires, &heard, fd, WIRE_READ);
}

static void stop_one(void)
{
    wires_close(wires, fd, false);
    wires_destroy(wires);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(wires_with_much_to_hear, .init = start_one, .fini = stop_one, .timeout = 60);

/* As often as without a rest. */
static void turn_often(void)
{
    for (int i = 0; i < TURNS; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

Test(wires_with_much_to_hear, rest_and_go_on)
{
    uint64_t began_ns = uv_hrtime();
    turn_often();
    uint64_t rests = (uv_hrtime() - began_ns) / 1000000 / REST_MS;
    cr_expect_geq(heard, HEARD_MAX);
    cr_expect_leq((uint64_t)heard, HEARD_MAX + 2 + rests);
    for (int before = heard; heard == before;)
        uv_run(&loop, UV_RUN_ONCE);
    close(peer);
}

/* When libcurl is done with them for a reason of its own. */
Test(wires_with_much_to_hear, notice_their_end_while_they_are_idle)
{
    char byte;
    turn_often();
    cr_assert_eq(read(fd, &byte, 1), 1);
    wires_watch(wires, &heard, fd, 0);
    cr_assert_eq(wires_idle_count(wires), 1);
    close(peer);
    for (int i = 0; i < TURNS && wires_idle_count(wires) > 0; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    cr_expect_eq(wires_idle_count(wires), 0);
}

/* By what the kernel takes from the peer, the peer's own buffer included. */
Test(wires_with_much_to_hear, leave_little_in_the_kernel)
{
    const char bytes[4096] = { 0 };
    const int least = 1;
    size_t taken = 0;
    cr_assert_eq(setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
    cr_assert_eq(fcntl(peer, F_SETFL, O_NONBLOCK), 0);
    for (int failed = 0; failed < 20;) {
        ssize_t count = write(peer, bytes, sizeof(bytes));
        taken += count > 0 ? (size_t)count : 0;
        failed += count < 0;
        usleep(count < 0 ? 1000 : 0);
    }
    cr_expect_leq(taken, 48 * 1024, "%zu bytes", taken);
    close(peer);
}

Test(wires_with_much_to_hear, are_heard_anew_with_the_next_request)
{
    char byte;
    turn_often();
    cr_assert_eq(read(fd, &byte, 1), 1);
    wires_watch(wires, &heard, fd, 0);
    wires_watch(wires, &heard, fd, WIRE_READ);
    heard = 0;
    cr_assert_eq(write(peer, "x", 1), 1);
    turn_often();
    cr_expect_geq(heard, HEARD_MAX);
    close(peer);
}

/* As a receiver does by HTTP/2 that takes a large request in small pieces. */
Test(wires_with_much_to_hear, do_not_rest_while_what_is_said_is_that_the_request_is_taken)
{
    char bytes[2048];
    answered = 1024;
    for (int i = 0; i < TURNS; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        while (recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
            ;
        cr_assert_eq(write(peer, "x", 1), 1);
    }
    cr_expect_eq(heard, TURNS, "%d of %d", heard, TURNS);
    answered = 1;
    turn_often();
    cr_expect_lt(heard, 2 * TURNS, "it rests when they are few bytes");
    close(peer);
}
