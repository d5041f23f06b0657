/* Owners that take long when they are told that something happened. */
#include "delivery/wires.h"

#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { PAIRS = 12, LONG_MS = 25, TURNS_MAX = PAIRS + 2 };

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
    wires = wires_create(&loop, take_long);
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
