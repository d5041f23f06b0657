/* What the egress policy costs a delivery on a connection that is used again: the URL is read and judged, then the peer's address.
 *
 *   bench_guard [rounds]      default 200000
 *
 * Each line is the best of five runs, in microseconds of this thread's CPU time for one delivery, with 20 ranges allowed and 20 denied. */
#include "consumer/base/check.h"
#include "delivery/guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 5, RANGES = 20 };

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void make_ranges(char first, struct guard_cidr **cidrs, size_t *count)
{
    const char *problem;
    char text[RANGES * 32] = "";
    size_t length = 0;
    for (int i = 0; i < RANGES; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%c%d.%d.0.0/16", i > 0 ? "," : "", first, 1, i);
    if (!guard_cidrs_parse((struct slice){ text, length }, cidrs, count, &problem))
        abort();
}

static double run(const struct guard *guard, const char *text, const char *peer, size_t rounds)
{
    struct url url;
    struct guard_address address = { .v6 = strchr(peer, ':') != NULL };
    double start_us = cpu_us();
    for (size_t i = 0; i < rounds; i++) {
        if (guard_judge_url(guard, slice_of(text), &url) != GUARD_OK)
            abort();
        if (inet_pton(address.v6 ? AF_INET6 : AF_INET, peer, address.bytes) != 1 || guard_judge_address(guard, &address) != GUARD_OK)
            abort();
    }
    return (cpu_us() - start_us) / (double)rounds;
}

int main(int count, char **words)
{
    static const struct {
        const char *url, *peer;
    } cases[] = { { "https://hooks.customer.example.com/services/T0000/B0000?token=abcdefghijklmnop", "93.184.215.14" },
                  { "https://[2606:4700::1111]:8443/hook", "2606:4700::1111" } };
    size_t rounds = count > 1 ? strtoull(words[1], NULL, 10) : 200000;
    struct guard guard = { .allow_http = true };
    if (rounds == 0) {
        fputs("usage: bench_guard [rounds]\n", stderr);
        return 2;
    }
    make_ranges('1', &guard.allow, &guard.allow_count);
    make_ranges('2', &guard.deny, &guard.deny_count);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        double best_us = run(&guard, cases[i].url, cases[i].peer, rounds);
        for (int k = 1; k < RUNS; k++) {
            double us = run(&guard, cases[i].url, cases[i].peer, rounds);
            best_us = us < best_us ? us : best_us;
        }
        printf("egress policy, %-16s %8.2f us\n", i == 0 ? "name, IPv4" : "literal, IPv6", best_us);
    }
    free(guard.allow);
    free(guard.deny);
    return 0;
}
