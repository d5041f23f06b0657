#include "consumer/http/metrics.h"

#include "consumer/base/log.h"
#include "consumer/certificates.h"
#include "consumer/http/metrics_inside.h"
#include "consumer/http/process.h"
#include "consumer/intake_stats.h"
#include "consumer/reload.h"
#include "consumer/spans.h"
#include "dedupe/redis.h"
#include "delivery/lanes.h"
#include "delivery/names.h"
#include "delivery/stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum part { REDIS, LANES, NAMES, DELIVERY, INTAKE };
enum kind { COUNTER, GAUGE };
enum across { SUM, LEAST }; /* how the workers' values become one */

/* ---- what is shown ---- */

#define OF_REDIS(field)    REDIS, offsetof(struct redis_stats, field)
#define OF_LANES(field)    LANES, offsetof(struct lanes_stats, field)
#define OF_NAMES(field)    NAMES, offsetof(struct names_stats, field)
#define OF_DELIVERY(field) DELIVERY, offsetof(struct delivery_stats, field)
#define OF_INTAKE(field)   INTAKE, offsetof(struct intake_stats, field)

static const struct scalar {
    const char *name;
    enum kind kind;
    enum across across;
    enum part part;
    size_t offset;
    const char *help;
} scalars[] = {
    { "in_flight", GAUGE, SUM, OF_DELIVERY(in_flight), "POSTs under way." },
    { "held_bytes", GAUGE, SUM, OF_DELIVERY(held_bytes), "Bytes of the events held in memory." },
    { "endpoints", GAUGE, SUM, OF_DELIVERY(endpoints), "Endpoints known to the scheduler." },
    { "endpoints_resting", GAUGE, SUM, OF_DELIVERY(endpoints_resting), "Endpoints that are left alone for a while." },
    { "egress_up", GAUGE, LEAST, OF_DELIVERY(egress_up), "0 while nearly all origins fail to connect: the way out is broken, not they." },
    { "redis_clock_ahead_seconds", GAUGE, LEAST, OF_DELIVERY(redis_clock_ahead_s),
      "Redis's clock less this machine's, in whole seconds; 0 while Redis's is not known." },
    { "events_dropped_total", COUNTER, SUM, OF_DELIVERY(dropped),
      "Events given up unsent because their partition was revoked or the service stops." },
    { "claims_busy_total", COUNTER, SUM, OF_DELIVERY(busy), "Claims that found another owner's lease running." },
    { "records_foreign_total", COUNTER, SUM, OF_DELIVERY(foreign), "Writes that Redis left out because the task's record belongs to another event." },
    { "posts_unclaimed_total", COUNTER, SUM, OF_DELIVERY(unclaimed), "POSTs made without a claim because Redis was away." },
    { "failures_unrecorded_total", COUNTER, SUM, OF_DELIVERY(unfailed), "Failed attempts published without a record in Redis, which was away." },
    { "settles_given_up_total", COUNTER, SUM, OF_DELIVERY(unsettled), "Offsets released without a record in Redis, which was away." },

    { "posts_total", COUNTER, SUM, OF_LANES(posts), "POSTs handed to libcurl." },
    { "connections_opened_total", COUNTER, SUM, OF_LANES(connections), "Connections opened to receivers." },
    { "resends_refused_total", COUNTER, SUM, OF_LANES(resends_refused), "Silent second sends on a dead connection that were suppressed." },
    { "name_lookups_total", COUNTER, SUM, OF_NAMES(lookups), "Name lookups asked of the name servers." },
    { "name_lookups_cached_total", COUNTER, SUM, OF_NAMES(cached), "Name lookups answered from the cache." },
    { "name_lookup_failures_total", COUNTER, SUM, OF_NAMES(failures), "Name lookups that failed." },
    { "name_lookups_under_way", GAUGE, SUM, OF_NAMES(under_way), "Name lookups under way." },
    { "name_lookups_waiting", GAUGE, SUM, OF_NAMES(waiting), "Name lookups that wait for a place." },

    { "redis_up", GAUGE, LEAST, OF_REDIS(up), "1 while Redis is connected and answers." },
    { "redis_commands_total", COUNTER, SUM, OF_REDIS(commands), "Scripts sent to Redis." },
    { "redis_timeouts_total", COUNTER, SUM, OF_REDIS(timeouts), "Scripts that Redis did not answer in time." },
    { "redis_errors_total", COUNTER, SUM, OF_REDIS(errors), "Error replies of Redis." },
    { "redis_reconnects_total", COUNTER, SUM, OF_REDIS(reconnects), "Reconnects to Redis." },

    { "kafka_up", GAUGE, LEAST, OF_INTAKE(kafka_up), "0 while no broker answers." },
    { "partitions_assigned", GAUGE, SUM, OF_INTAKE(partitions_assigned), "Partitions of all topics that this process reads." },
    { "partitions_careful", GAUGE, SUM, OF_INTAKE(partitions_careful), "Partitions read one record at a time, because processes died at them." },
    { "records_total", COUNTER, SUM, OF_INTAKE(records), "Records taken from Kafka." },
    { "records_overtaken_total", COUNTER, SUM, OF_INTAKE(overtaken), "Records that were deleted from Kafka before they were delivered." },
    { "commits_total", COUNTER, SUM, OF_INTAKE(commits), "Offset commits." },
    { "commit_failures_total", COUNTER, SUM, OF_INTAKE(commit_failures), "Offset commits that failed." },
    { "produced_total", COUNTER, SUM, OF_INTAKE(produced), "Records that Kafka acknowledged: retries, deferrals, dead letters." },
    { "attempt_records_total", COUNTER, SUM, OF_INTAKE(attempts_recorded), "Records written for JOBHOOK_ATTEMPTS_TOPIC." },
    { "attempt_records_dropped_total", COUNTER, SUM, OF_INTAKE(attempts_unrecorded), "Records for JOBHOOK_ATTEMPTS_TOPIC that were dropped." },
    { "produce_retries_total", COUNTER, SUM, OF_INTAKE(produce_retries), "Records produced again after an error or no answer." },
};

static const char *reason_label(size_t reason)
{
    return reason == 0 ? NULL : dead_reason_name((enum dead_reason)reason);
}

static const char *rule_label(size_t rule)
{
    return rule == GUARD_OK ? NULL : guard_rule_name((enum guard_rule)rule);
}

static const char *settled_label(size_t settled)
{
    return settled_name((enum settled)settled);
}

static const char *held_label(size_t held)
{
    return held_name((enum held)held);
}

/* An answer is counted by its status, so that its kind's own slot stays empty. */
static const char *outcome_slot_label(size_t slot)
{
    return slot == STATS_ANSWERED_LABELS + OUTCOME_ANSWERED ? NULL : stats_attempt_label(slot);
}

static const char *source_label(size_t source)
{
    return source == 0 ? "input" : "retry";
}

_Static_assert(offsetof(struct delivery_stats, events_retry) == offsetof(struct delivery_stats, events_input) + sizeof(struct counter),
               "source_label reads the two as one array");

static const struct family { /* an array of counters or gauges, one label */
    const char *name;
    enum kind kind;
    enum part part;
    size_t offset;
    size_t count;
    const char *label;
    const char *(*value)(size_t slot); /* NULL: this slot is not shown */
    const char *help;
} families[] = {
    { "events_total", COUNTER, OF_DELIVERY(events_input), 2, "source", source_label, "Events taken up, by the topic they came from." },
    { "events_settled_total", COUNTER, OF_DELIVERY(settled), SETTLED_KINDS, "result", settled_label,
      "Events whose offset was released, by what became of them." },
    { "attempts_total", COUNTER, OF_DELIVERY(attempts), STATS_ANSWERED_LABELS + OUTCOME_KINDS, "outcome", outcome_slot_label,
      "Attempts, by what the wire said." },
    { "dead_letters_total", COUNTER, OF_DELIVERY(dead), DEAD_REASONS, "reason", reason_label, "Dead letters written, by reason." },
    { "blocked_total", COUNTER, OF_DELIVERY(blocked), GUARD_RULES, "reason", rule_label,
      "URLs and addresses refused by the egress policy, by rule." },
    { "held_events", GAUGE, OF_DELIVERY(held), HELD_KINDS, "waiting_for", held_label,
      "Events held in memory, by what they wait for: events_total less settled and dropped." },
};

static const struct distribution {
    const char *name;
    enum part part;
    size_t offset;
    const char *help;
} distributions[] = {
    { "attempt_duration_seconds", OF_DELIVERY(attempt_duration), "How long an attempt took." },
    { "delivery_latency_seconds", OF_DELIVERY(delivery_latency), "From the record's timestamp to the 2xx." },
    { "retry_lateness_seconds", OF_DELIVERY(retry_lateness), "From the moment an attempt was due to its POST." },
    { "redis_duration_seconds", OF_REDIS(duration), "From a script to its reply." },
};

/* ---- reading ---- */

static const char *part_of(const struct worker_status *worker, enum part part)
{
    const void *const parts[] = {
        [REDIS] = worker->redis, [LANES] = worker->lanes, [NAMES] = worker->names, [DELIVERY] = worker->delivery, [INTAKE] = worker->intake
    };
    return parts[part];
}

static int64_t value_at(const char *part, enum kind kind, size_t offset)
{
    const void *at = part + offset;
    return kind == COUNTER ? (int64_t)counter_read(at) : gauge_read(at);
}

/* False when no worker has that part. */
static bool read_scalar(const struct service_status *status, const struct scalar *scalar, int64_t *value)
{
    bool known = false;
    for (size_t i = 0; i < status->worker_count; i++) {
        const char *part = part_of(status->workers[i], scalar->part);
        if (part == NULL)
            continue;
        int64_t one = value_at(part, scalar->kind, scalar->offset);
        if (!known)
            *value = one;
        else if (scalar->across == SUM)
            *value += one;
        else if (one < *value)
            *value = one;
        known = true;
    }
    return known;
}

/* ---- writing ---- */

void metrics_write_head(struct text *text, const char *name, const char *type, const char *help)
{
    text_printf(text, "# HELP " METRICS_PREFIX "%s %s\n# TYPE " METRICS_PREFIX "%s %s\n", name, help, name, type);
}

static const char *type_of(enum kind kind)
{
    return kind == COUNTER ? "counter" : "gauge";
}

static void write_scalar(const struct service_status *status, const struct scalar *scalar, struct text *text)
{
    int64_t value;
    if (!read_scalar(status, scalar, &value))
        return;
    metrics_write_head(text, scalar->name, type_of(scalar->kind), scalar->help);
    text_printf(text, METRICS_PREFIX "%s %" PRId64 "\n", scalar->name, value);
}

static void write_family(const struct service_status *status, const struct family *family, struct text *text)
{
    bool headed = false;
    for (size_t slot = 0; slot < family->count; slot++) {
        struct scalar scalar = { family->name, family->kind, SUM, family->part, family->offset + slot * sizeof(struct counter), family->help };
        const char *label = family->value(slot);
        int64_t value;
        if (label == NULL || !read_scalar(status, &scalar, &value))
            continue;
        if (!headed)
            metrics_write_head(text, family->name, type_of(family->kind), family->help);
        headed = true;
        text_printf(text, METRICS_PREFIX "%s{%s=\"%s\"} %" PRId64 "\n", family->name, family->label, label, value);
    }
}

void metrics_write_histogram(struct text *text, const char *name, const char *help, const struct histogram *histogram)
{
    uint64_t count = 0, sum_us = counter_read(&histogram->sum_us);
    metrics_write_head(text, name, "histogram", help);
    for (size_t k = 0; k < HISTOGRAM_BOUNDS; k++) {
        count += counter_read(&histogram->buckets[k]);
        text_printf(text, METRICS_PREFIX "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, (double)histogram_bounds_us[k] / 1e6, count);
    }
    count += counter_read(&histogram->buckets[HISTOGRAM_BOUNDS]);
    text_printf(text, METRICS_PREFIX "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    text_printf(text, METRICS_PREFIX "%s_sum %" PRIu64 ".%06" PRIu64 "\n", name, sum_us / 1000000, sum_us % 1000000);
    text_printf(text, METRICS_PREFIX "%s_count %" PRIu64 "\n", name, count);
}

static void write_distribution(const struct service_status *status, const struct distribution *distribution, struct text *text)
{
    struct histogram all = { 0 };
    bool known = false;
    for (size_t i = 0; i < status->worker_count; i++) {
        const char *part = part_of(status->workers[i], distribution->part);
        if (part == NULL)
            continue;
        const struct histogram *histogram = (const void *)(part + distribution->offset);
        known = true;
        counter_add(&all.sum_us, counter_read(&histogram->sum_us));
        for (size_t k = 0; k <= HISTOGRAM_BOUNDS; k++)
            counter_add(&all.buckets[k], counter_read(&histogram->buckets[k]));
    }
    if (known)
        metrics_write_histogram(text, distribution->name, distribution->help, &all);
}

/* The oldest over the workers; 0 when nothing is open. */
static void write_oldest(const struct service_status *status, int64_t now_ms, struct text *text)
{
    int64_t oldest_ms = 0, age_ms;
    for (size_t i = 0; i < status->worker_count; i++) {
        const struct intake_stats *intake = status->workers[i]->intake;
        int64_t one = intake == NULL ? 0 : gauge_read(&intake->oldest_undelivered_ms);
        if (one > 0 && (oldest_ms == 0 || one < oldest_ms))
            oldest_ms = one;
    }
    age_ms = oldest_ms > 0 && oldest_ms < now_ms ? now_ms - oldest_ms : 0;
    metrics_write_head(text, "oldest_undelivered_age_seconds", "gauge",
                       "Age of the oldest record read whose offset is not yet released; 0 when there is none.");
    text_printf(text, METRICS_PREFIX "oldest_undelivered_age_seconds %" PRId64 ".%03" PRId64 "\n", age_ms / 1000, age_ms % 1000);
}

static void write_holds(const struct service_status *status, struct text *text)
{
    metrics_write_head(text, "hold_file_rules", "gauge", "Rules of the hold file in force: their events are put off (hold) or dead-lettered (dead).");
    text_printf(text, METRICS_PREFIX "hold_file_rules{action=\"hold\"} %" PRId64 "\n", gauge_read(&status->hold_rules));
    text_printf(text, METRICS_PREFIX "hold_file_rules{action=\"dead\"} %" PRId64 "\n", gauge_read(&status->dead_rules));
}

static void write_spans(const struct spans_stats *spans, struct text *text)
{
    if (spans == NULL)
        return;
    metrics_write_head(text, "spans_sent_total", "counter", "Spans of attempts that the collector took.");
    text_printf(text, METRICS_PREFIX "spans_sent_total %" PRIu64 "\n", counter_read(&spans->sent));
    metrics_write_head(text, "spans_dropped_total", "counter",
                       "Spans of attempts that were dropped: the buffer was full, or the collector did not take them.");
    text_printf(text, METRICS_PREFIX "spans_dropped_total %" PRIu64 "\n", counter_read(&spans->dropped));
}

/* The certificates are the lanes' business, the other files the service's. */
static void write_reload(const struct service_status *status, struct text *text)
{
    static const struct scalar certificates = { NULL, GAUGE, LEAST, OF_LANES(files_current), NULL };
    int64_t current = 1;
    if (status->reload == NULL)
        return;
    bool successful = (!read_scalar(status, &certificates, &current) || current == 1) && gauge_read(&status->reload->successful) == 1;
    metrics_write_head(text, "config_last_reload_successful", "gauge",
                       "0 while a file that changed is not taken: what was read before stays in use.");
    text_printf(text, METRICS_PREFIX "config_last_reload_successful %d\n", successful);
}

static void write_certificates(const struct certificates_stats *certificates, struct text *text)
{
    bool headed = false;
    for (size_t i = 0; certificates != NULL && i < certificates->count; i++) {
        int64_t expires_s = gauge_read(&certificates->expires_s[i]);
        if (expires_s == 0)
            continue;
        if (!headed)
            metrics_write_head(text, "certificate_expiry_timestamp_seconds", "gauge",
                               "When the certificate that ends first in the file of that setting ends, since 1970; absent while it cannot be read.");
        headed = true;
        text_printf(text, METRICS_PREFIX "certificate_expiry_timestamp_seconds{name=\"%s\"} %" PRId64 "\n", certificates->names[i], expires_s);
    }
}

void metrics_write(const struct service_status *status, int64_t now_ms, struct text *text)
{
    metrics_write_head(text, "build_info", "gauge", "Always 1; the version is in the label.");
    text_append_string(text, METRICS_PREFIX "build_info{version=\"" JOBHOOK_VERSION "\"} 1\n");
    for (size_t i = 0; i < COUNT_OF(families); i++)
        write_family(status, &families[i], text);
    for (size_t i = 0; i < COUNT_OF(distributions); i++)
        write_distribution(status, &distributions[i], text);
    for (size_t i = 0; i < COUNT_OF(scalars); i++)
        write_scalar(status, &scalars[i], text);
    write_oldest(status, now_ms, text);
    metrics_write_lag(status, text);
    metrics_write_job_status(status, text);
    write_spans(status->spans, text);
    write_reload(status, text);
    write_holds(status, text);
    write_certificates(status->certificates, text);
    metrics_write_head(text, "log_dropped_lines_total", "counter", "Log lines dropped because the log could not be written fast enough.");
    text_printf(text, METRICS_PREFIX "log_dropped_lines_total %" PRIu64 "\n", log_dropped_lines());
    process_write(text);
}
