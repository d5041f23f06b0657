/* jobhook size: what a rate of events needs, from measured figures. Connects to nothing and reads no settings. */
#include "consumer/base/text.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/sizing.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_MS UINT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)

const char command_size_help[] =
    "usage: jobhook size --rate N [options]\n"
    "\n"
    "Says what N events a second need: copies, partitions, memory, Redis, Kafka's disk. The figures behind it were measured; --figures shows them.\n"
    "The rate is taken for all day: stores are as large as the peak, if it lasted, would make them.\n"
    "\n"
    "  --rate N             events a second at the peak, 1 to 1000000\n"
    "  --timeout-share P    percent of the events whose endpoint never answers (default 1)\n"
    "  --failure-share P    percent of the events that are answered quickly, and never with a 2xx (default 1)\n"
    "  --endpoints N        hosts that are called within a minute: their connections are kept, as far as memory allows (default 1000)\n"
    "  --latency-ms N       how long an answer takes (default 300)\n"
    "  --event-bytes N      of an event, on average (default 2048)\n"
    "  --state-ttl-h N      JOBHOOK_STATE_TTL in hours (default 24)\n"
    "  --retention-d N      of the input and retry topics, in days (default 7); dead letters are kept for 30\n"
    "  --replication N      of the topics (default 3)\n"
    "  --http               receivers without TLS\n"
    "  --figures            the measured figures, and where they come from\n";

static bool refuse(const char *name, const char *value, const char *rule)
{
    fprintf(stderr, "jobhook size: --%s %s: %s\n", name, value, rule);
    return false;
}

/* "2", "0.25", with or without a percent sign, as millionths. */
static bool read_percent(const char *name, const char *value, uint64_t *ppm)
{
    char *end;
    double percent = strtod(value, &end);
    if (*end == '%')
        end++;
    if (end == value || *end != '\0' || !(percent >= 0 && percent <= 100))
        return refuse(name, value, "wants percent from 0 to 100, e.g. 2 or 0.5");
    *ppm = (uint64_t)(percent * 10000 + 0.5);
    return true;
}

static const struct number {
    const char *name;
    uint64_t least, most, unit;
    size_t offset;
} numbers[] = {
    { "rate", 1, SIZING_RATE_MAX, 1, offsetof(struct sizing_asked, rate) },
    { "endpoints", 1, 1000000, 1, offsetof(struct sizing_asked, endpoints) },
    { "latency-ms", 1, 300000, 1, offsetof(struct sizing_asked, latency_ms) },
    { "event-bytes", 1, 512 << 20, 1, offsetof(struct sizing_asked, event_bytes) },
    { "state-ttl-h", 1, 720, HOUR_MS, offsetof(struct sizing_asked, state_ttl_ms) },
    { "retention-d", 1, 3650, DAY_MS, offsetof(struct sizing_asked, retention_ms) },
    { "replication", 1, 10, 1, offsetof(struct sizing_asked, replication) },
};

static bool read_number(const struct number *number, const char *value, struct sizing_asked *asked)
{
    uint64_t read;
    char rule[80];
    snprintf(rule, sizeof rule, "wants a number from %" PRIu64 " to %" PRIu64, number->least, number->most);
    if (!slice_to_u64(slice_of(value), number->most, &read) || read < number->least)
        return refuse(number->name, value, rule);
    *(uint64_t *)(void *)((char *)asked + number->offset) = read * number->unit;
    return true;
}

static bool read_named(const char *name, const char *value, struct sizing_asked *asked)
{
    if (strcmp(name, "timeout-share") == 0)
        return read_percent(name, value, &asked->timeout_ppm);
    if (strcmp(name, "failure-share") == 0)
        return read_percent(name, value, &asked->failure_ppm);
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (strcmp(name, numbers[i].name) == 0)
            return read_number(&numbers[i], value, asked);
    return false;
}

static int read_arguments(int argc, char **argv, struct sizing_asked *asked, bool *figures)
{
    static const struct option options[] = { { "rate", 1, NULL, 'v' },        { "timeout-share", 1, NULL, 'v' }, { "failure-share", 1, NULL, 'v' },
                                             { "endpoints", 1, NULL, 'v' },   { "latency-ms", 1, NULL, 'v' },    { "event-bytes", 1, NULL, 'v' },
                                             { "state-ttl-h", 1, NULL, 'v' }, { "retention-d", 1, NULL, 'v' },   { "replication", 1, NULL, 'v' },
                                             { "http", 0, NULL, 'h' },        { "figures", 0, NULL, 'f' },       { 0 } };
    int index = 0;
    optind = 0; /* glibc: start anew, whatever read options before */
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, &index)) != -1;) {
        if (option == 'h')
            asked->plain_http = true;
        else if (option == 'f')
            *figures = true;
        else if (option != 'v' || !read_named(options[index].name, optarg, asked))
            return COMMAND_USAGE;
    }
    if (asked->timeout_ppm + asked->failure_ppm > 1000000) {
        fputs("jobhook size: --timeout-share and --failure-share are more than 100 together\n", stderr);
        return COMMAND_USAGE;
    }
    return optind == argc && (*figures || asked->rate > 0) ? COMMAND_FINE : COMMAND_USAGE;
}

static const char *bytes_shown(uint64_t bytes, char shown[32])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
    size_t unit = 0;
    double value = (double)bytes;
    for (; value >= 1024 && unit + 1 < COUNT_OF(units); unit++)
        value /= 1024;
    snprintf(shown, 32, value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return shown;
}

static void print_needs(const struct sizing_asked *asked, const struct sizing_needs *needs)
{
    char memory[32], all[32], redis[32], input[32], retry[32], dead[32];
    printf("%" PRIu64 " events/s, %g %% without an answer, %g %% refused: %" PRIu64 " attempts/s\n\n", asked->rate,
           (double)asked->timeout_ppm / 10000, (double)asked->failure_ppm / 10000, needs->attempts_per_s);
    printf("copies            %" PRIu64 " with JOBHOOK_WORKERS=%" PRIu64 " (one may be away), %" PRIu64 " millicores together\n", needs->copies,
           needs->workers_per_copy, needs->cpu_millicores);
    printf("partitions        %" PRIu64 " of the input topic and of each retry topic\n", needs->partitions);
    printf("POSTs at once     %" PRIu64 " in all, before endpoints that do not answer are rested", needs->in_flight);
    if (needs->in_flight_per_worker > SIZING_IN_FLIGHT)
        printf("; JOBHOOK_MAX_IN_FLIGHT=%" PRIu64 ", or they wait for each other", needs->in_flight_per_worker);
    printf("\n");
    printf("memory            %s for each copy at the most", bytes_shown(needs->memory_bytes, memory));
    if (needs->connections_kept < needs->connections)
        printf("; with that as its limit it keeps %" PRIu64 " idle connections, with %s all %" PRIu64, needs->connections_kept,
               bytes_shown(needs->connections_bytes, all), needs->connections);
    printf("\n");
    printf("Redis             %s, %" PRIu64 " scripts/s: %" PRIu64 " %% of a core%s\n", bytes_shown(needs->redis_bytes, redis),
           needs->redis_scripts_per_s, needs->redis_percent,
           needs->redis_percent > 80 ? " - MORE THAN ONE REDIS CAN DO: divide the events among several installations" : "");
    printf("Kafka's disk      %s input, %s retries (%" PRIu64 "/s), %s dead letters (%" PRIu64 "/s); all replicas\n",
           bytes_shown(needs->input_disk_bytes, input), bytes_shown(needs->retry_disk_bytes, retry), needs->retries_per_s,
           bytes_shown(needs->dead_disk_bytes, dead), needs->dead_per_s);
}

static void print_figures(void)
{
    for (size_t i = 0; i < sizing_figure_count(); i++) {
        const struct sizing_figure *figure = sizing_figure(i);
        printf("%-62s %10" PRIu64 " %-6s %s\n", figure->what, figure->value, figure->unit, figure->source);
    }
}

int command_size(int argc, char **argv)
{
    struct sizing_asked asked = { .timeout_ppm = 10000,
                                  .failure_ppm = 10000,
                                  .endpoints = 1000,
                                  .latency_ms = 300,
                                  .event_bytes = 2048,
                                  .attempts = 6,
                                  .timeout_ms = 10000,
                                  .state_ttl_ms = DAY_MS,
                                  .retention_ms = 7 * DAY_MS,
                                  .dead_retention_ms = 30 * DAY_MS,
                                  .replication = 3 };
    struct sizing_needs needs;
    bool figures = false;
    int code = read_arguments(argc, argv, &asked, &figures);
    if (code != COMMAND_FINE) {
        fputs(command_size_help, stderr);
        return code;
    }
    if (asked.rate > 0) {
        sizing_compute(&asked, &needs);
        print_needs(&asked, &needs);
    }
    if (figures)
        print_figures();
    return fflush(stdout) == 0 ? COMMAND_FINE : COMMAND_FAILED;
}
