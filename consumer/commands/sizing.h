/* How much of everything a rate of events needs: arithmetic from figures that were measured, which stand in one table with where they come from. Pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_SIZING_H
#define JOBHOOK_CONSUMER_COMMANDS_SIZING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sizing_asked {
    uint64_t rate;         /* events each second, at the peak */
    uint64_t timeout_ppm;  /* of a million events those whose endpoint never answers */
    uint64_t failure_ppm;  /* those that are answered quickly, and never with a 2xx */
    uint64_t endpoints;    /* hosts that are called within a minute */
    uint64_t latency_ms;   /* of an answer */
    uint64_t event_bytes;  /* on average */
    bool plain_http;       /* no TLS to receivers */
    uint64_t attempts;     /* at most, of one event */
    uint64_t timeout_ms;   /* JOBHOOK_ATTEMPT_TIMEOUT */
    uint64_t state_ttl_ms; /* JOBHOOK_STATE_TTL */
    uint64_t retention_ms; /* of the input and retry topics */
    uint64_t dead_retention_ms;
    uint64_t replication;
};

struct sizing_needs {
    uint64_t attempts_per_s;
    uint64_t in_flight;            /* POSTs at once, before endpoints that do not answer are rested */
    uint64_t in_flight_per_worker; /* while one copy is away */
    uint64_t cpu_millicores;       /* all copies together, at the peak */
    uint64_t workers;              /* event loops, at most at SIZING_LOAD_PERCENT of a core */
    uint64_t copies;
    uint64_t workers_per_copy;
    uint64_t partitions;
    uint64_t memory_bytes;      /* of one copy */
    uint64_t connections;       /* that it would keep */
    uint64_t connections_kept;  /* with no more memory than that: a part of it only may lie in them */
    uint64_t connections_bytes; /* of memory, to keep all */
    uint64_t redis_bytes;
    uint64_t redis_scripts_per_s;
    uint64_t redis_percent; /* of the one core that Redis has */
    uint64_t retries_per_s, dead_per_s;
    uint64_t input_disk_bytes, retry_disk_bytes, dead_disk_bytes; /* in Kafka, all replicas */
};

enum {
    SIZING_RATE_MAX = 1000000,
    SIZING_LOAD_PERCENT = 60, /* of a core for each worker: the rest is for peaks, rebalances and the copy that is away */
    SIZING_COPIES_LEAST = 3,  /* one may be restarted while another fails */
    SIZING_PARTITIONS_LEAST = 12,
    SIZING_WORKERS_PER_COPY_MAX = 4,
    SIZING_IN_FLIGHT = 4096, /* JOBHOOK_MAX_IN_FLIGHT, by default */
};

/* The figures: what they are, how much, and where they were measured. */
struct sizing_figure {
    const char *what, *unit, *source;
    uint64_t value;
};
size_t sizing_figure_count(void);
const struct sizing_figure *sizing_figure(size_t index);

void sizing_compute(const struct sizing_asked *asked, struct sizing_needs *needs);

#endif
