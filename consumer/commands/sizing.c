#include "consumer/commands/sizing.h"

#include "consumer/base/check.h"
#include "consumer/idle_connections.h"
#include "delivery/lanes.h"

#define MILLION UINT64_C(1000000)
#define MIB     (UINT64_C(1) << 20)

enum figure { CPU_NS, CPU_TLS_NS, FLIGHT_BYTES, TLS_BYTES, COPY_BYTES, HELD_BYTES, SCRIPTS_PER_S, TASK_BYTES, HEADER_BYTES, FIGURES };

static const struct sizing_figure figures[FIGURES] = {
    [CPU_NS] = { "CPU of one attempt over http, all that belongs to it included", "ns", "tests/bench/run.sh delivery, the worse of the README's runs",
                 60700 },
    [CPU_TLS_NS] = { "added by TLS on a kept connection", "ns", "Debian 12's libcurl by itself: 55 µs against 25 µs", 30000 },
    [FLIGHT_BYTES] = { "memory of one POST under way", "bytes", "tests/bench/https.sh, Debian 13; 17,000 on Debian 12", 28000 },
    [TLS_BYTES] = { "added by TLS and HTTP/2 to a connection, in use or kept for a minute", "bytes",
                    "tests/bench/https.sh, Debian 13; less on Debian 12", LANES_CONNECTION_BYTES },
    [COPY_BYTES] = { "memory of a copy that idles", "bytes", "tests/bench/run.sh idle", 16 * MIB },
    [HELD_BYTES] = { "memory of a worker for events held and read ahead", "bytes", "JOBHOOK_MAX_HELD_BYTES and JOBHOOK_PREFETCH_BYTES, by default",
                     192 * MIB },
    [SCRIPTS_PER_S] = { "scripts that one Redis runs", "1/s", "pipelined EVALSHA, Redis 7.0 on one core", 160000 },
    [TASK_BYTES] = { "memory of one task in Redis, its key of 44 bytes included", "bytes", "Redis 7.0, a value of 44 bytes with a TTL", 197 },
    [HEADER_BYTES] = { "added to a record by jobhook's headers", "bytes",
                       "the headers of a retry in tests/unit/test_golden.c and their frames, rounded up", 256 },
};

size_t sizing_figure_count(void)
{
    return FIGURES;
}

const struct sizing_figure *sizing_figure(size_t index)
{
    assert(index < FIGURES);
    return &figures[index];
}

static uint64_t at_least(uint64_t value, uint64_t least)
{
    return value > least ? value : least;
}

static uint64_t divided_up(uint64_t value, uint64_t by)
{
    return (value + by - 1) / by;
}

/* Records written each second, kept that long, on that many brokers. 16 EiB stand for all that is more. */
static uint64_t disk_bytes(const struct sizing_asked *asked, uint64_t per_million_s, uint64_t bytes, uint64_t keep_ms)
{
    __extension__ typedef unsigned __int128 wide;
    wide all = (wide)per_million_s * bytes / MILLION * (keep_ms / 1000) * asked->replication;
    return all > UINT64_MAX ? UINT64_MAX : (uint64_t)all;
}

static void compute_load(const struct sizing_asked *asked, struct sizing_needs *needs)
{
    uint64_t failing_ppm = asked->timeout_ppm + asked->failure_ppm;
    uint64_t retries = asked->attempts - 1;
    needs->attempts_per_s = asked->rate + divided_up(asked->rate * failing_ppm * retries, MILLION);
    needs->retries_per_s = divided_up(asked->rate * failing_ppm * retries, MILLION);
    needs->dead_per_s = divided_up(asked->rate * failing_ppm, MILLION);
    uint64_t answered = asked->rate * (MILLION - asked->timeout_ppm) + asked->rate * asked->failure_ppm * retries;
    uint64_t silent = asked->rate * asked->timeout_ppm * asked->attempts;
    needs->in_flight = at_least(divided_up(answered * asked->latency_ms + silent * asked->timeout_ms, 1000 * MILLION), 1);
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

/* By TLS, of a copy that serves all endpoints. */
static void compute_connections(const struct sizing_asked *asked, struct sizing_needs *needs)
{
    uint64_t workers = needs->workers_per_copy;
    needs->connections = asked->plain_http ? 0 : at_most(asked->endpoints, workers * LANES_IDLE_CONNECTIONS);
    needs->memory_bytes += needs->connections * figures[TLS_BYTES].value;
    needs->connections_kept = at_most(needs->connections, workers * idle_connections_by_memory(needs->memory_bytes, workers));
    needs->connections_bytes = at_least(idle_connections_memory(needs->connections, workers), needs->memory_bytes);
}

static void compute_copies(const struct sizing_asked *asked, struct sizing_needs *needs)
{
    uint64_t cpu_ns = figures[CPU_NS].value + (asked->plain_http ? 0 : figures[CPU_TLS_NS].value);
    needs->cpu_millicores = at_least(divided_up(needs->attempts_per_s * cpu_ns, MILLION), 1);
    needs->workers = at_least(divided_up(needs->cpu_millicores, 10 * SIZING_LOAD_PERCENT), 1);
    needs->copies = at_least(divided_up(needs->workers, SIZING_WORKERS_PER_COPY_MAX) + 1, SIZING_COPIES_LEAST); /* one may be away */
    needs->workers_per_copy = divided_up(needs->workers, needs->copies - 1);
    needs->in_flight_per_worker = divided_up(needs->in_flight, (needs->copies - 1) * needs->workers_per_copy);
    needs->partitions = at_least(2 * needs->copies * needs->workers_per_copy, SIZING_PARTITIONS_LEAST); /* room to double */
    uint64_t flight = divided_up(needs->in_flight, needs->copies - 1);
    needs->memory_bytes = figures[COPY_BYTES].value + needs->workers_per_copy * figures[HELD_BYTES].value + flight * figures[FLIGHT_BYTES].value;
    if (!asked->plain_http)
        needs->memory_bytes += flight * figures[TLS_BYTES].value;
    compute_connections(asked, needs);
}

static void compute_stores(const struct sizing_asked *asked, struct sizing_needs *needs)
{
    uint64_t failing_ppm = asked->timeout_ppm + asked->failure_ppm;
    /* A claim and a settlement for each attempt, and the failure of those that fail. */
    needs->redis_scripts_per_s = 2 * needs->attempts_per_s + divided_up(asked->rate * failing_ppm * asked->attempts, MILLION);
    needs->redis_percent = divided_up(100 * needs->redis_scripts_per_s, figures[SCRIPTS_PER_S].value);
    needs->redis_bytes = asked->rate * (asked->state_ttl_ms / 1000) * figures[TASK_BYTES].value;
    uint64_t larger = asked->event_bytes + figures[HEADER_BYTES].value;
    needs->input_disk_bytes = disk_bytes(asked, asked->rate * MILLION, asked->event_bytes, asked->retention_ms);
    needs->retry_disk_bytes = disk_bytes(asked, asked->rate * failing_ppm * (asked->attempts - 1), larger, asked->retention_ms);
    needs->dead_disk_bytes = disk_bytes(asked, asked->rate * failing_ppm, larger, asked->dead_retention_ms);
}

void sizing_compute(const struct sizing_asked *asked, struct sizing_needs *needs)
{
    assert(asked->attempts >= 1 && asked->timeout_ppm + asked->failure_ppm <= MILLION);
    *needs = (struct sizing_needs){ 0 };
    compute_load(asked, needs);
    compute_copies(asked, needs);
    compute_stores(asked, needs);
}
