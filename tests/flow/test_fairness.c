/* One endpoint harms nobody else, whatever it does; and the way out may break. All in simulated time. */
#include "tests/flow/simulation.h"

#include "consumer/base/memory.h"
#include "delivery/egress.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

static void name_site(struct site *site, size_t number)
{
    snprintf(site->host, sizeof site->host, "host%zu.example", number);
    snprintf(site->path, sizeof site->path, "/hook");
}

/* One endpoint by itself. */
static void run_alone(struct site *site, uint64_t burst, uint64_t until_ms)
{
    struct simulation simulation;
    struct simulation_options options = { .seed = 1, .produce_until_ms = until_ms };
    name_site(site, 1);
    simulation_init(&simulation, &options, site, 1);
    simulation_produce(&simulation, site, burst);
    simulation_run(&simulation, until_ms);
    simulation_finish(&simulation);
}

Test(fairness, a_healthy_endpoint_soon_gets_its_whole_window)
{
    struct site site = { .receive = receive_well, .latency_ms = 50, .every_ms = 1 };
    run_alone(&site, 0, MINUTE);
    cr_assert_eq(site.active_max, 64);
    cr_assert_eq(site.deferrals, 0);
    cr_assert_lt(site.late_ms_max, 300, "late %llu", (unsigned long long)site.late_ms_max);
}

Test(fairness, a_backlog_drains_at_the_endpoints_pace)
{
    struct site site = { .receive = receive_well, .latency_ms = 50 };
    run_alone(&site, 100000, 90 * SECOND); /* 64 at once, 50 ms each: 78 s */
    cr_assert_eq(site.delivered, 100000, "delivered %llu", (unsigned long long)site.delivered);
    cr_assert_eq(site.attempts, 100000);
    cr_assert_lt(site.deferrals, 500000, "deferrals %llu", (unsigned long long)site.deferrals);
}

Test(fairness, a_slow_endpoint_is_used_to_its_limit_and_no_attempt_is_wasted)
{
    struct site site = { .receive = receive_well, .latency_ms = 9000, .every_ms = 10 };
    run_alone(&site, 0, 10 * MINUTE);
    cr_assert_gt(site.delivered, 10 * 60 * 64 / 9 * 90 / 100);
    cr_assert_eq(site.refused, 0);
    cr_assert_leq(site.active_max, 64);
}

Test(fairness, a_limit_on_concurrency_is_found_and_kept_to)
{
    for (uint32_t limit = 1; limit <= 32; limit *= 2) {
        struct site site = { .receive = receive_limited, .latency_ms = 100, .limit = limit, .every_ms = 2 };
        run_alone(&site, 0, 2 * MINUTE);
        uint64_t possible = 2 * 60 * 10 * limit;
        cr_expect_lt(site.refused * 8, site.attempts, "limit %u: %llu of %llu refused", limit, (unsigned long long)site.refused,
                     (unsigned long long)site.attempts);
        cr_expect_gt(site.delivered * 100, possible * 90, "limit %u: %llu of %llu", limit, (unsigned long long)site.delivered,
                     (unsigned long long)possible);
    }
}

Test(fairness, a_limit_that_refuses_slowly_costs_a_quarter_at_most)
{
    for (uint32_t limit = 1; limit <= 32; limit *= 2) {
        struct site site = { .receive = receive_limited_slowly, .latency_ms = 100, .limit = limit, .every_ms = 2 };
        run_alone(&site, 0, 2 * MINUTE);
        cr_expect_lt(site.refused * 4, site.attempts, "limit %u: %llu of %llu refused", limit, (unsigned long long)site.refused,
                     (unsigned long long)site.attempts);
    }
}

Test(fairness, noise_of_a_quarter_does_not_pin_the_window)
{
    for (uint32_t permille = 10; permille <= 250; permille = permille == 160 ? 250 : permille * 2) {
        struct site site = { .receive = receive_noisy, .latency_ms = 100, .permille = permille, .every_ms = 1 };
        run_alone(&site, 0, 2 * MINUTE);
        uint64_t window = site.attempts / (2 * 60 * 10); /* on average, starting phase included */
        cr_expect_gt(window, 32, "%u permille: %llu", permille, (unsigned long long)window);
        if (permille == 250)
            break;
    }
}

Test(fairness, a_quarter_of_timeouts_does_not_pin_the_window)
{
    struct site site = { .receive = receive_noisy_timeouts, .latency_ms = 100, .permille = 250, .every_ms = 2 };
    run_alone(&site, 0, 10 * MINUTE);
    cr_assert_gt(site.attempts, 600 * 1000 / 2575 * 64 * 3 / 4, "%llu", (unsigned long long)site.attempts);
}

Test(fairness, quick_errors_never_rest_and_keep_the_exact_schedule)
{
    receiver *const quick[] = { receive_500, receive_refusal };
    for (size_t i = 0; i < COUNT_OF(quick); i++) {
        struct site site = { .receive = quick[i], .latency_ms = 20, .every_ms = 2 };
        run_alone(&site, 0, 2 * MINUTE);
        cr_expect_eq(site.deferrals, 0);
        cr_expect_lt(site.late_ms_max, 50, "late %llu", (unsigned long long)site.late_ms_max);
        cr_expect_gt(site.dead, 40000);
    }
}

Test(fairness, a_dead_endpoint_gets_a_probe_per_rest)
{
    struct site site = { .receive = receive_never, .every_ms = 2 };
    run_alone(&site, 0, HOUR / 2);
    /* until the rest, then after 16, 32, 64 … and every 300 s */
    cr_assert_lt(site.attempts, 40, "%llu attempts", (unsigned long long)site.attempts);
    cr_assert_gt(site.attempts, 25);
    cr_assert_leq(site.active_max, 8);
}

Test(fairness, a_dead_host_with_a_path_per_task_is_one_endpoint)
{
    struct site site = { .receive = receive_nothing, .every_ms = 2, .path_per_task = true };
    struct simulation simulation;
    struct simulation_options options = { .seed = 1, .produce_until_ms = 10 * MINUTE };
    name_site(&site, 1);
    simulation_init(&simulation, &options, &site, 1);
    simulation_run(&simulation, 10 * MINUTE);
    struct scheduler_counts counts = scheduler_counts(simulation.scheduler);
    cr_assert_eq(counts.endpoints, 0);
    cr_assert_eq(counts.origins, 1);
    cr_assert_lt(site.attempts, 40, "%llu attempts", (unsigned long long)site.attempts);
    simulation_finish(&simulation);
}

Test(fairness, what_waited_for_a_dead_endpoint_is_delivered_when_it_is_back)
{
    struct site site = { .receive = receive_well, .latency_ms = 50, .every_ms = 2, .from_ms = MINUTE, .until_ms = 5 * MINUTE };
    struct simulation simulation;
    struct simulation_options options = { .seed = 1, .produce_until_ms = 6 * MINUTE };
    name_site(&site, 1);
    simulation_init(&simulation, &options, &site, 1);
    simulation_run(&simulation, 5 * MINUTE);
    uint64_t before = site.delivered;
    simulation_run(&simulation, 10 * MINUTE);
    cr_assert_gt(site.delivered, before, "a probe must have found it");
    simulation_run(&simulation, 30 * MINUTE);
    cr_assert_eq(site.delivered, site.events);
    cr_assert_eq(site.dead, 0);
    cr_assert_lt(site.refused, 100);
    simulation_finish(&simulation);
}

Test(fairness, retry_after_is_kept_to)
{
    struct site site = { .receive = receive_asking_for_rest, .every_ms = 10 };
    run_alone(&site, 0, 10 * MINUTE);
    cr_assert_leq(site.attempts, 10 * 60 / 30 + 4, "%llu attempts", (unsigned long long)site.attempts);
}

/* ---- F7: one of a hundred ---- */

struct others {
    uint64_t delivered, p99_ms;
};

static int ascending(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static struct others look_at_others(const struct site *sites, size_t count)
{
    size_t total = 0, at = 0;
    for (size_t i = 1; i < count; i++)
        total += sites[i].delivered;
    uint64_t *all = memory_create(total * sizeof *all);
    for (size_t i = 1; i < count; i++)
        for (size_t k = 0; k < sites[i].delivered; k++)
            all[at++] = sites[i].latencies_ms[k];
    qsort(all, total, sizeof *all, ascending);
    struct others others = { total, all[(total - 1) * 99 / 100] };
    free(all);
    return others;
}

struct crowd {
    struct site bad;
    uint32_t slots;
    uint32_t event_bytes;
    uint64_t others_every_ms;
};

enum { CROWD = 100 };

static struct others run_crowd(const struct crowd *crowd, bool with_bad)
{
    struct simulation simulation;
    struct simulation_options options = { .seed = 3, .produce_until_ms = MINUTE, .event_bytes = crowd->event_bytes };
    struct site *sites = memory_create(CROWD * sizeof *sites);
    options.scheduler.max_in_flight = crowd->slots;
    sites[0] = crowd->bad;
    if (!with_bad)
        sites[0].every_ms = 0;
    for (size_t i = 0; i < CROWD; i++) {
        name_site(&sites[i], i);
        if (i > 0)
            sites[i] = (struct site){ .receive = receive_well, .latency_ms = 20, .every_ms = crowd->others_every_ms };
        name_site(&sites[i], i);
    }
    simulation_init(&simulation, &options, sites, CROWD);
    simulation_run(&simulation, MINUTE);
    struct others others = look_at_others(sites, CROWD);
    cr_expect_leq(simulation.in_flight_max, options.scheduler.max_in_flight == 0 ? 4096 : options.scheduler.max_in_flight);
    simulation_finish(&simulation);
    free(sites);
    return others;
}

static void expect_no_harm(const char *what, const struct crowd *crowd)
{
    struct others without = run_crowd(crowd, false), with = run_crowd(crowd, true);
    cr_expect_leq(with.p99_ms * 10, without.p99_ms * 12, "%s: p99 %llu ms, without it %llu ms", what, (unsigned long long)with.p99_ms,
                  (unsigned long long)without.p99_ms);
    cr_expect_geq(with.delivered * 100, without.delivered * 95, "%s: %llu delivered, without it %llu", what, (unsigned long long)with.delivered,
                  (unsigned long long)without.delivered);
}

static struct reply receive_by_turns(struct simulation *simulation, struct site *site)
{
    return simulation->now_ms / (15 * SECOND) % 2 == 0 ? receive_well(simulation, site) : receive_never(simulation, site);
}

Test(fairness, one_of_a_hundred_harms_nobody_whatever_it_does)
{
    static const struct {
        const char *what;
        struct site bad;
    } cases[] = {
        { "never answers", { .receive = receive_never } },
        { "black hole", { .receive = receive_nothing } },
        { "path per task on a black hole", { .receive = receive_nothing, .path_per_task = true } },
        { "refuses connections", { .receive = receive_refusal } },
        { "asks for rest", { .receive = receive_asking_for_rest } },
        { "fails quickly", { .receive = receive_500, .latency_ms = 20 } },
        { "takes 9 s", { .receive = receive_well, .latency_ms = 9000 } },
        { "dies after a good start", { .receive = receive_well, .latency_ms = 20, .from_ms = MINUTE / 2, .until_ms = HOUR } },
        { "flaps", { .receive = receive_by_turns, .latency_ms = 20 } },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct crowd crowd = { .bad = cases[i].bad, .others_every_ms = 22 }; /* 4,500 a second */
        crowd.bad.every_ms = 2;                                              /* and 500: 10 % */
        expect_no_harm(cases[i].what, &crowd);
    }
}

Test(fairness, one_of_a_hundred_harms_nobody_when_slots_are_few)
{
    static const struct {
        const char *what;
        struct site bad;
    } cases[] = {
        { "64 slots: never answers", { .receive = receive_never } },
        { "64 slots: black hole", { .receive = receive_nothing } },
        { "64 slots: refuses connections", { .receive = receive_refusal } },
        { "64 slots: asks for rest", { .receive = receive_asking_for_rest } },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct crowd crowd = { .bad = cases[i].bad, .slots = 64, .others_every_ms = 44 }; /* 2,250 a second need 45 slots */
        crowd.bad.every_ms = 4;
        expect_no_harm(cases[i].what, &crowd);
    }
}

Test(fairness, a_customer_with_nine_tenths_of_all_events_and_9_s_each_harms_nobody)
{
    struct crowd crowd = { .bad = { .receive = receive_well, .latency_ms = 9000, .every_ms = 1 }, .others_every_ms = 990 };
    expect_no_harm("90 %", &crowd);
}

Test(fairness, large_events_for_a_dead_endpoint_harm_nobody)
{
    struct crowd crowd = { .bad = { .receive = receive_never, .every_ms = 10 }, .others_every_ms = 200, .event_bytes = 300000 };
    expect_no_harm("300 kB each", &crowd);
}

/* ---- many ---- */

Test(fairness, ten_thousand_endpoints_a_hundred_of_them_dead)
{
    enum { COUNT = 10000, DEAD = 100 };
    struct simulation simulation;
    struct simulation_options options = { .seed = 5, .produce_until_ms = 5 * MINUTE };
    struct site *sites = memory_create(COUNT * sizeof *sites);
    for (size_t i = 0; i < COUNT; i++) {
        sites[i] = (struct site){ .receive = i < DEAD ? receive_never : receive_well, .latency_ms = 100, .every_ms = 10 * SECOND };
        name_site(&sites[i], i);
    }
    simulation_init(&simulation, &options, sites, COUNT);
    simulation_run(&simulation, 5 * MINUTE + 10 * SECOND);
    for (size_t i = DEAD; i < COUNT; i++) {
        cr_assert_eq(sites[i].delivered, sites[i].events);
        cr_assert_leq(sites[i].late_ms_max, 1);
    }
    struct scheduler_counts counts = scheduler_counts(simulation.scheduler);
    cr_assert_eq(counts.origins, COUNT);
    cr_assert_gt(counts.endpoints, COUNT * 99 / 100); /* 30 tasks each; a few still share a place among the sightings */
    simulation_run(&simulation, 20 * HOUR);
    for (int i = 0; i < COUNT * 2; i++) { /* two are forgotten with each call */
        simulation_produce(&simulation, &sites[COUNT - 1], 1);
        simulation_run(&simulation, simulation.now_ms + 1);
    }
    counts = scheduler_counts(simulation.scheduler);
    cr_assert_lt(counts.origins, 110, "%zu", counts.origins);
    cr_assert_lt(counts.endpoints, 110, "%zu", counts.endpoints);
    simulation_finish(&simulation);
    free(sites);
}

Test(fairness, thousands_of_silent_origins_of_one_stranger_leave_half_of_the_slots_to_others)
{
    enum { WELL = 50, SILENT = 5000, EACH = 5 };
    struct simulation simulation;
    struct simulation_options options = { .seed = 13, .produce_until_ms = 3 * MINUTE };
    struct site *sites = memory_create((WELL + SILENT) * sizeof *sites);
    for (size_t i = 0; i < WELL + SILENT; i++) {
        sites[i] = (struct site){ .receive = i < WELL ? receive_well : receive_never, .latency_ms = 50, .every_ms = i < WELL ? SECOND : 0 };
        name_site(&sites[i], i);
    }
    simulation_init(&simulation, &options, sites, WELL + SILENT);
    simulation_run(&simulation, 10 * SECOND);
    for (size_t k = 0; k < EACH; k++)
        for (size_t i = WELL; i < WELL + SILENT; i++)
            simulation_produce(&simulation, &sites[i], 1);
    simulation_run(&simulation, 4 * MINUTE);
    for (size_t i = 0; i < WELL; i++) {
        uint64_t half_ms = site_latency_ms(&sites[i], 50), worst_ms = site_latency_ms(&sites[i], 100);
        cr_expect_eq(sites[i].delivered, sites[i].events);
        cr_expect_lt(half_ms, 200, "%llu ms", (unsigned long long)half_ms);
        cr_expect_lt(worst_ms, 30 * SECOND, "%llu ms: those that came right behind the others, until the intake had taken all",
                     (unsigned long long)worst_ms);
    }
    simulation_finish(&simulation);
    free(sites);
}

/* ---- when it is us ---- */

enum { ORIGINS = 50 };

static void make_origins(struct site sites[ORIGINS])
{
    for (size_t i = 0; i < ORIGINS; i++) {
        sites[i] = (struct site){ .receive = receive_well, .latency_ms = 50, .every_ms = 200 };
        name_site(&sites[i], i);
    }
}

Test(fairness, no_attempt_is_used_up_after_the_way_out_broke)
{
    struct simulation simulation;
    struct simulation_options options = { .seed = 7, .produce_until_ms = 30 * MINUTE };
    struct site *sites = memory_create(ORIGINS * sizeof *sites);
    make_origins(sites);
    simulation_init(&simulation, &options, sites, ORIGINS);
    simulation.broken_from_ms = 5 * MINUTE;
    simulation.broken_until_ms = 20 * MINUTE;
    simulation_run(&simulation, 21 * MINUTE);
    cr_assert_neq(simulation.tripped_ms, 0);
    cr_assert_lt(simulation.tripped_ms, 5 * MINUTE + 15 * SECOND);
    cr_assert_gt(simulation.mended_ms, 20 * MINUTE);
    cr_assert_lt(simulation.mended_ms, 20 * MINUTE + 5 * SECOND, "mended after %llu ms",
                 (unsigned long long)(simulation.mended_ms - simulation.broken_until_ms));
    cr_assert_eq(simulation.attempts_used_while_down, 0);
    simulation_run(&simulation, 60 * MINUTE);
    for (size_t i = 0; i < ORIGINS; i++) {
        cr_assert_eq(sites[i].delivered, sites[i].events);
        cr_assert_lt(sites[i].ours + sites[i].refused, 2 * 15 * MINUTE / EGRESS_PROBE_MS / ORIGINS, "%llu + %llu: twice its share of the probes",
                     (unsigned long long)sites[i].ours, (unsigned long long)sites[i].refused);
    }
    simulation_finish(&simulation);
    free(sites);
}

enum { EVIL = 200, HONEST = 3 };

/* Strangers' origins answer once and then refuse: that trips it. */
static struct reply receive_once(struct simulation *simulation, struct site *site)
{
    return site->attempts == 1 ? receive_well(simulation, site) : receive_refusal(simulation, site);
}

/* And these answer again in between. */
static struct reply receive_every_other(struct simulation *simulation, struct site *site)
{
    return site->attempts % 2 == 1 ? receive_well(simulation, site) : receive_refusal(simulation, site);
}

static void expect_no_long_wait(const char *what, receiver *receive)
{
    struct simulation simulation;
    struct simulation_options options = { .seed = 11, .produce_until_ms = 5 * MINUTE };
    struct site *sites = memory_create((HONEST + EVIL) * sizeof *sites);
    for (size_t i = 0; i < HONEST + EVIL; i++) {
        sites[i] = (struct site){ .receive = i < HONEST ? receive_well : receive, .latency_ms = 50, .every_ms = i < HONEST ? 5 * SECOND : 0 };
        name_site(&sites[i], i);
        if (i >= HONEST)
            snprintf(sites[i].host, sizeof sites[i].host, "host%zu.evil.example", i);
    }
    simulation_init(&simulation, &options, sites, HONEST + EVIL);
    for (uint64_t now_ms = 20 * SECOND; now_ms <= 5 * MINUTE; now_ms += 20 * SECOND) {
        simulation_run(&simulation, now_ms);
        for (size_t i = HONEST; i < HONEST + EVIL; i++)
            simulation_produce(&simulation, &sites[i], 1);
    }
    simulation_run(&simulation, 6 * MINUTE);
    cr_expect_neq(simulation.tripped_ms, 0, "%s", what);
    for (size_t i = 0; i < HONEST; i++) {
        cr_expect_eq(sites[i].delivered, sites[i].events, "%s: %llu of %llu", what, (unsigned long long)sites[i].delivered,
                     (unsigned long long)sites[i].events);
        cr_expect_leq(site_latency_ms(&sites[i], 100), 3 * SECOND, "%s: %llu ms", what, (unsigned long long)site_latency_ms(&sites[i], 100));
    }
    simulation_finish(&simulation);
    free(sites);
}

Test(fairness, one_stranger_with_many_origins_stops_nobodys_sending)
{
    expect_no_long_wait("answer once, then refuse", receive_once);
    expect_no_long_wait("answer and refuse in turn", receive_every_other);
}

/* Twelve origins of one site answer, then refuse, and have so many events that nothing else is read. */
static void expect_others_are_heard(size_t events, uint32_t event_bytes)
{
    enum { ALL = 13 };
    struct simulation simulation;
    struct simulation_options options = { .seed = 5, .produce_until_ms = 5 * MINUTE, .event_bytes = event_bytes };
    struct site sites[ALL] = { { .receive = receive_well, .latency_ms = 50, .every_ms = 5 * SECOND } };
    name_site(&sites[0], 0);
    for (size_t i = 1; i < ALL; i++) {
        sites[i] = (struct site){ .receive = receive_well, .latency_ms = 50 };
        snprintf(sites[i].host, sizeof sites[i].host, "host%zu.evil.example", i);
    }
    simulation_init(&simulation, &options, sites, ALL);
    simulation_run(&simulation, 20 * SECOND);
    for (size_t i = 1; i < ALL; i++)
        simulation_produce(&simulation, &sites[i], 1);
    simulation_run(&simulation, 40 * SECOND);
    for (size_t i = 1; i < ALL; i++) {
        sites[i].receive = receive_refusal;
        simulation_produce(&simulation, &sites[i], events / (ALL - 1));
    }
    simulation_run(&simulation, 6 * MINUTE);
    cr_expect_neq(simulation.tripped_ms, 0, "%zu events", events);
    cr_expect_eq(sites[0].delivered, sites[0].events, "%zu events: %llu of %llu", events, (unsigned long long)sites[0].delivered,
                 (unsigned long long)sites[0].events);
    cr_expect_leq(site_latency_ms(&sites[0], 100), 12 * SECOND, "%zu events: %llu ms", events, (unsigned long long)site_latency_ms(&sites[0], 100));
    simulation_finish(&simulation);
}

Test(fairness, whoever_waits_behind_a_dead_customers_events_is_heard)
{
    expect_others_are_heard(16000, 1000);
    expect_others_are_heard(600, 300 * 1000);
}

/* With a domain or a network for each. */
Test(fairness, a_stranger_with_many_sites_stops_nobody_for_long)
{
    enum { SITES = 200, WELL = 3 };
    struct simulation simulation;
    struct simulation_options options = { .seed = 6, .produce_until_ms = 5 * MINUTE };
    struct site *sites = memory_create((WELL + SITES) * sizeof *sites);
    for (size_t i = 0; i < WELL + SITES; i++) {
        sites[i] = (struct site){ .receive = i < WELL ? receive_well : receive_every_other, .latency_ms = 50, .every_ms = i < WELL ? 5 * SECOND : 0 };
        name_site(&sites[i], i);
    }
    simulation_init(&simulation, &options, sites, WELL + SITES);
    for (uint64_t now_ms = 20 * SECOND; now_ms <= 5 * MINUTE; now_ms += 20 * SECOND) {
        simulation_run(&simulation, now_ms);
        for (size_t i = WELL; i < WELL + SITES; i++)
            simulation_produce(&simulation, &sites[i], 1);
    }
    simulation_run(&simulation, 6 * MINUTE);
    cr_expect_neq(simulation.tripped_ms, 0);
    for (size_t i = 0; i < WELL; i++) {
        cr_expect_eq(sites[i].delivered, sites[i].events);
        cr_expect_leq(site_latency_ms(&sites[i], 100), 5 * SECOND, "%llu ms", (unsigned long long)site_latency_ms(&sites[i], 100));
    }
    simulation_finish(&simulation);
    free(sites);
}

Test(fairness, a_thousand_dead_names_of_one_customer_never_trip_the_breaker)
{
    enum { NAMES = 1000, WELL = 5 };
    struct simulation simulation;
    struct simulation_options options = { .seed = 9, .produce_until_ms = 10 * MINUTE };
    struct site *sites = memory_create((WELL + NAMES) * sizeof *sites);
    for (size_t i = 0; i < WELL + NAMES; i++) {
        sites[i] = (struct site){ .receive = i < WELL ? receive_well : receive_refusal, .latency_ms = 50, .every_ms = SECOND };
        name_site(&sites[i], i);
    }
    simulation_init(&simulation, &options, sites, WELL + NAMES);
    simulation_run(&simulation, 10 * MINUTE);
    cr_assert_eq(simulation.tripped_ms, 0);
    for (size_t i = 0; i < WELL; i++)
        cr_assert_leq(sites[i].late_ms_max, 1);
    simulation_finish(&simulation);
    free(sites);
}
