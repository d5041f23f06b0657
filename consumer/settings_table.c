#include "consumer/settings_table.h"

#include "delivery/outcome.h"

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define KIB    UINT64_C(1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)

#define ROW(variable, value, sentence) .shown.name = (variable), .shown.default_value = (value), .shown.meaning = (sentence)
#define TO(field)                      .offset = offsetof(struct settings, field)
#define RANGE(lo, hi)                  .least = (lo), .most = (hi)

/* In the order of the README's table, which tests/rules holds against this one. The defaults go through the same functions as what is given. */
/* clang-format off */
const struct row settings_rows[] = {
    { ROW("JOBHOOK_KAFKA_BROKERS", "", "bootstrap servers, host:port with commas between"),
      .parse = parse_name, TO(kafka_brokers), .shown.required = true },
    { ROW("JOBHOOK_TOPIC", "jobs.completed", "input topic; the retry and dead-letter topics take their names from it"),
      .parse = parse_topic, TO(topic) },
    { ROW("JOBHOOK_GROUP", "jobhook", "consumer group"),
      .parse = parse_name, TO(group) },
    { ROW("JOBHOOK_REDIS_URL", "", "redis://, rediss:// or unix://"),
      .parse = parse_redis_url, TO(redis_url), .mask = ROW_URL_MASKED, .shown.secret = true, .shown.required = true },
    { ROW("JOBHOOK_REDIS_CA_FILE", "system", "CA bundle for rediss://"),
      .parse = parse_ca_file, TO(redis_ca_file) },
    { ROW("JOBHOOK_REDIS_CLIENT_CERT", "", "client certificate (PEM) for a Redis that asks for one"),
      .parse = parse_file, TO(redis_client_cert) },
    { ROW("JOBHOOK_REDIS_CLIENT_KEY", "", "its private key (PEM)"),
      .parse = parse_file, TO(redis_client_key) },
    { ROW("JOBHOOK_RETRY_DELAYS", "1s,2s,4s,8s,16s", "the schedule: one retry topic per delay"),
      .parse = parse_delays, TO(schedule.retries) },
    { ROW("JOBHOOK_DEFER_DELAYS", "1m,5m", "further delay topics, for deferrals only"),
      .parse = parse_delays, TO(schedule.defers) },
    { ROW("JOBHOOK_MAX_EVENT_AGE", "24h", "older events are not POSTed; not above the state TTL"),
      .parse = parse_duration, TO(max_event_age_ms), RANGE(SECOND, 30 * DAY) },
    { ROW("JOBHOOK_HOLD_FILE", "", "URL prefixes with hold (defer until lifted) or dead; read again when it changes"),
      .parse = parse_hold_file, TO(hold_file) },
    { ROW("JOBHOOK_ATTEMPT_TIMEOUT", "10s", "whole attempt: name lookup, connect, TLS, headers"),
      .parse = parse_duration, TO(attempt_timeout_ms), RANGE(100, 5 * MINUTE) },
    { ROW("JOBHOOK_MAX_IN_FLIGHT", "4096", "POSTs at once, per worker"),
      .parse = parse_count, TO(max_in_flight), RANGE(1, 100000) },
    { ROW("JOBHOOK_ENDPOINT_MAX_IN_FLIGHT", "64", "POSTs at once to one endpoint"),
      .parse = parse_count, TO(endpoint_max_in_flight), RANGE(1, 100000) },
    { ROW("JOBHOOK_ORIGIN_MAX_CONNECTIONS", "256", "connections to one origin (scheme, host, port)"),
      .parse = parse_count, TO(origin_max_connections), RANGE(1, 100000) },
    { ROW("JOBHOOK_WORKERS", "1", "share-nothing event loops in this process, or auto: one for each CPU it may use"),
      .parse = parse_workers, TO(workers), RANGE(1, 64) },
    { ROW("JOBHOOK_LEASE_MARGIN", "10s", "added to the attempt timeout: how long a claim is respected after its worker fell silent"),
      .parse = parse_duration, TO(lease_margin_ms), RANGE(SECOND, HOUR) },
    { ROW("JOBHOOK_REDIS_DOWN", "deliver", "what to do after Redis has been away for JOBHOOK_REDIS_WAIT: deliver or wait"),
      .parse = parse_redis_down, TO(redis_down) },
    { ROW("JOBHOOK_REDIS_WAIT", "1m", "how long events wait for Redis before JOBHOOK_REDIS_DOWN decides"),
      .parse = parse_duration, TO(redis_wait_ms), RANGE(0, DAY) },
    { ROW("JOBHOOK_REDIS_PREFIX", "jobhook:<group>:", "in front of every key; <group> stands for the consumer group. Two groups in one Redis must not be named a and a:b"),
      .parse = parse_name, TO(redis_prefix) },
    { ROW("JOBHOOK_MAX_EVENT_BYTES", "8MiB", "largest event"),
      .parse = parse_size, TO(max_event_bytes), RANGE(KIB, 512 * MIB) },
    { ROW("JOBHOOK_MAX_HELD_BYTES", "128MiB", "event bytes held at once; intake stops there"),
      .parse = parse_size, TO(max_held_bytes), RANGE(MIB, 64 * GIB) },
    { ROW("JOBHOOK_PREFETCH_BYTES", "64MiB", "read ahead of need, all partitions together"),
      .parse = parse_size, TO(prefetch_bytes), RANGE(MIB, 64 * GIB) },
    { ROW("JOBHOOK_GIVE_UP_AFTER", "1h", "how long an endpoint without a 2xx may hold an event up"),
      .parse = parse_duration, TO(give_up_after_ms), RANGE(SECOND, 30 * DAY) },
    { ROW("JOBHOOK_FINAL_STATUSES", "", "HTTP statuses that are not retried, e.g. 410"),
      .parse = parse_statuses, TO(final_statuses), RANGE(300, 599) },
    { ROW("JOBHOOK_STATE_TTL", "24h", "how long a finished task is remembered; not below the schedule + give-up, nor the longest deferral"),
      .parse = parse_duration, TO(state_ttl_ms), RANGE(MINUTE, 30 * DAY) },
    { ROW("JOBHOOK_ATTEMPTS_TOPIC", "", "where attempts are recorded"),
      .parse = parse_optional_topic, TO(attempts_topic) },
    { ROW("JOBHOOK_SIGNING_KEYS", "", "whsec_… and whsk_… keys, space separated, newest first"),
      .parse = parse_signing_keys, .mask = ROW_MASKED, .shown.secret = true },
    { ROW("JOBHOOK_SIGNING_SCOPE", "shared", "shared: keys as they are; origin or url: each whsec_ key is a master for a receiver's own secret"),
      .parse = parse_signing_scope },
    { ROW("JOBHOOK_PROXY", "", "egress proxy, http:// or https://; it then decides which addresses are reached"),
      .parse = parse_proxy, TO(proxy), .mask = ROW_URL_MASKED, .shown.secret = true },
    { ROW("JOBHOOK_CLIENT_CERT", "", "client certificate (PEM) for receivers that ask for one"),
      .parse = parse_file, TO(client_cert) },
    { ROW("JOBHOOK_CLIENT_KEY", "", "its private key (PEM)"),
      .parse = parse_file, TO(client_key) },
    { ROW("JOBHOOK_ALLOW_HTTP", "true", "accept http:// URLs"),
      .parse = parse_bool, TO(guard.allow_http) },
    { ROW("JOBHOOK_PASS_TRACESTATE", "false", "pass tracestate on with traceparent: it may tell receivers about our inside"),
      .parse = parse_bool, TO(pass_tracestate) },
    { ROW("JOBHOOK_EGRESS_ALLOW", "", "CIDRs added to what may be dialled"),
      .parse = parse_egress_allow },
    { ROW("JOBHOOK_EGRESS_DENY", "", "CIDRs taken from what may be dialled"),
      .parse = parse_egress_deny },
    { ROW("JOBHOOK_EGRESS_NAT64", "", "the network's NAT64 prefix, e.g. 64:ff9b::/96: addresses in it are judged by the IPv4 address inside"),
      .parse = parse_egress_nat64 },
    { ROW("JOBHOOK_HTTP2", "true", "offer HTTP/2 to https:// receivers"),
      .parse = parse_bool, TO(http2) },
    { ROW("JOBHOOK_CA_FILE", "system", "CA bundle for receivers"),
      .parse = parse_ca_file, TO(ca_file) },
    { ROW("JOBHOOK_HTTP_LISTEN", "0.0.0.0:8080", "health and metrics"),
      .parse = parse_listen, TO(http_listen) },
    { ROW("JOBHOOK_API_LISTEN", "0.0.0.0:8081", "/job-status"),
      .parse = parse_listen, TO(api_listen) },
    { ROW("JOBHOOK_API_TOKENS", "", "bearer tokens of /job-status, space separated; no token: it is off"),
      .parse = parse_api_tokens, .mask = ROW_MASKED, .shown.secret = true },
    { ROW("JOBHOOK_RESPONSE_SNIPPET_BYTES", "256", "how much of an answer is kept for the attempt log; 0 keeps none"),
      .parse = parse_size, TO(snippet_bytes), RANGE(0, OUTCOME_SNIPPET_MAX) },
    { ROW("JOBHOOK_DRAIN_TIMEOUT", "25s", "how long SIGTERM waits for attempts in flight"),
      .parse = parse_duration, TO(drain_timeout_ms), RANGE(0, HOUR) },
    { ROW("JOBHOOK_LOG_LEVEL", "info", "debug, info, warn or error"),
      .parse = parse_log_level, TO(log_level) },
    { ROW("JOBHOOK_LOG_FORMAT", "json", "json or text"),
      .parse = parse_log_format, TO(log_format) },
    { ROW("JOBHOOK_OTLP_ENDPOINT", "", "collector of traces, http://host:4318 or https://…: each attempt becomes a span (OTLP/HTTP, JSON)"),
      .parse = parse_otlp_endpoint, TO(otlp_endpoint), .mask = ROW_URL_MASKED },
    { ROW("JOBHOOK_OTLP_HEADERS", "", "headers for the collector, name=value with commas between, values percent-encoded"),
      .parse = parse_otlp_headers, .mask = ROW_MASKED, .shown.secret = true },
    { ROW("JOBHOOK_OTLP_CA_FILE", "system", "CA bundle for the collector"),
      .parse = parse_ca_file, TO(otlp_ca_file) },
};
/* clang-format on */

const size_t settings_rows_count = COUNT_OF(settings_rows);

size_t settings_row_count(void)
{
    return settings_rows_count;
}

const struct settings_row *settings_row(size_t index)
{
    assert(index < settings_rows_count);
    return &settings_rows[index].shown;
}
