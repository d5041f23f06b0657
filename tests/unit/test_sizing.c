#include "consumer/commands/sizing.h"

#include "consumer/base/check.h"
#include "consumer/idle_connections.h"
#include "delivery/lanes.h"

#include <criterion/criterion.h>

#define DAY_MS UINT64_C(86400000)

static struct sizing_asked asked(uint64_t rate, uint64_t timeout_ppm, uint64_t failure_ppm)
{
    return (struct sizing_asked){ .rate = rate,
                                  .timeout_ppm = timeout_ppm,
                                  .failure_ppm = failure_ppm,
                                  .latency_ms = 300,
                                  .event_bytes = 2000,
                                  .attempts = 6,
                                  .timeout_ms = 10000,
                                  .state_ttl_ms = DAY_MS,
                                  .retention_ms = 7 * DAY_MS,
                                  .dead_retention_ms = 30 * DAY_MS,
                                  .replication = 3 };
}

static struct sizing_needs needs_of(struct sizing_asked question)
{
    struct sizing_needs needs;
    sizing_compute(&question, &needs);
    return needs;
}

Test(sizing, without_failures_it_is_little_s_law_and_multiplication)
{
    struct sizing_needs needs = needs_of(asked(1000, 0, 0));
    cr_assert_eq(needs.attempts_per_s, 1000);
    cr_assert_eq(needs.in_flight, 300);
    cr_assert_eq(needs.retries_per_s + needs.dead_per_s + needs.retry_disk_bytes + needs.dead_disk_bytes, 0);
    cr_assert_eq(needs.redis_scripts_per_s, 2000);
    cr_assert_eq(needs.redis_bytes, UINT64_C(1000) * 86400 * 197);
    cr_assert_eq(needs.input_disk_bytes, UINT64_C(1000) * 2000 * 7 * 86400 * 3);
}

Test(sizing, what_never_answers_holds_slots_for_all_its_attempts)
{
    struct sizing_needs needs = needs_of(asked(1000, 10000, 0));
    cr_assert_eq(needs.attempts_per_s, 1050);
    cr_assert_eq(needs.retries_per_s, 50);
    cr_assert_eq(needs.dead_per_s, 10);
    cr_assert_eq(needs.in_flight, 297 + 600);
    cr_assert_eq(needs.redis_scripts_per_s, 2100 + 60);
}

Test(sizing, a_quiet_service_still_survives_the_loss_of_a_copy)
{
    struct sizing_needs needs = needs_of(asked(1, 0, 0));
    cr_assert_eq(needs.copies, SIZING_COPIES_LEAST);
    cr_assert_eq(needs.workers_per_copy, 1);
    cr_assert_eq(needs.partitions, SIZING_PARTITIONS_LEAST);
}

/* At every rate: never more workers than partitions, enough of them when one copy is away, more for more, nothing wraps around. */
Test(sizing, it_holds_together_at_every_rate)
{
    struct sizing_needs last = { 0 };
    for (uint64_t rate = 1; rate <= SIZING_RATE_MAX; rate = rate * 3 / 2 + 1) {
        struct sizing_asked worst = asked(rate, 500000, 500000);
        worst.event_bytes = 512 << 10;
        struct sizing_needs needs = needs_of(worst);
        cr_assert_leq(needs.copies * needs.workers_per_copy, needs.partitions, "%llu", (unsigned long long)rate);
        cr_assert_geq((needs.copies - 1) * needs.workers_per_copy, needs.workers);
        cr_assert_leq(needs.workers_per_copy, SIZING_WORKERS_PER_COPY_MAX);
        cr_assert_geq(needs.in_flight, last.in_flight);
        cr_assert_geq(needs.cpu_millicores, last.cpu_millicores);
        cr_assert_geq(needs.redis_bytes, last.redis_bytes);
        cr_assert_gt(needs.input_disk_bytes, last.input_disk_bytes);
        cr_assert_gt(needs.retry_disk_bytes, last.retry_disk_bytes);
        last = needs;
    }
}

Test(sizing, tls_costs)
{
    struct sizing_asked plain = asked(10000, 0, 0);
    plain.plain_http = true;
    cr_assert_gt(needs_of(asked(10000, 0, 0)).cpu_millicores, needs_of(plain).cpu_millicores);
    cr_assert_gt(needs_of(asked(10000, 0, 0)).memory_bytes, needs_of(plain).memory_bytes);
}

/* Kept connections by TLS take memory, but a worker keeps only so many. */
Test(sizing, many_endpoints_cost_memory_up_to_a_bound)
{
    uint64_t bytes[3];
    for (int i = 0; i < 3; i++) {
        struct sizing_asked one = asked(1000, 0, 0);
        one.endpoints = (uint64_t[]){ 0, 10000, 1000000 }[i];
        bytes[i] = needs_of(one).memory_bytes;
    }
    cr_assert_eq(bytes[1] - bytes[0], 10000 * LANES_CONNECTION_BYTES);
    cr_assert_eq(bytes[2] - bytes[0], LANES_IDLE_CONNECTIONS * LANES_CONNECTION_BYTES);
}

/* A quarter of the memory may lie in them: the rest is for what the others are. */
Test(sizing, says_how_many_connections_its_memory_keeps)
{
    for (uint64_t endpoints = 1; endpoints <= 1000000; endpoints = endpoints * 3 / 2 + 1) {
        for (uint64_t rate = 1; rate <= SIZING_RATE_MAX; rate *= 10) {
            struct sizing_asked one = asked(rate, 0, 0);
            one.endpoints = endpoints;
            struct sizing_needs needs = needs_of(one);
            uint64_t workers = needs.workers_per_copy;
            cr_assert_leq(needs.connections_kept, needs.connections);
            cr_assert(needs.connections_kept == needs.connections ||
                      needs.connections_kept == workers * idle_connections_by_memory(needs.memory_bytes, workers));
            cr_assert_geq(workers * idle_connections_by_memory(needs.connections_bytes, workers), needs.connections);
            cr_assert(needs.connections_kept < needs.connections || needs.connections_bytes == needs.memory_bytes);
        }
    }
    struct sizing_asked few = asked(1000, 0, 0), many = few;
    few.endpoints = 100;
    many.endpoints = 10000;
    cr_expect_eq(needs_of(few).connections_kept, 100);
    cr_expect_lt(needs_of(many).connections_kept, 5000);
    many.plain_http = true;
    cr_expect_eq(needs_of(many).connections, 0);
}

Test(sizing, no_disk_is_too_large_for_it)
{
    struct sizing_asked most = asked(SIZING_RATE_MAX, 0, 1000000);
    most.event_bytes = 512 << 20;
    most.retention_ms = 3650 * DAY_MS;
    most.replication = 10;
    struct sizing_needs needs = needs_of(most);
    cr_assert(needs.input_disk_bytes == UINT64_MAX && needs.retry_disk_bytes == UINT64_MAX && needs.dead_disk_bytes == UINT64_MAX);
    most.rate = 10;
    cr_assert_eq(needs_of(most).input_disk_bytes, UINT64_C(10) * (512 << 20) * 3650 * 86400 * 10);
}

Test(sizing, every_figure_says_where_it_comes_from)
{
    for (size_t i = 0; i < sizing_figure_count(); i++) {
        const struct sizing_figure *figure = sizing_figure(i);
        cr_assert(figure->value > 0 && figure->what != NULL && figure->unit != NULL && figure->source != NULL, "%zu", i);
    }
}
