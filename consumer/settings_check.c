#include "consumer/settings_table.h"

#include "consumer/kafka.h"
#include "delivery/attempt.h"

#include <string.h>

enum { EVENT_BYTES_LEAST = 256 };

static void append_sum(struct text *mistakes, const struct settings *settings, uint64_t sum_ms)
{
    text_append_string(mistakes, "the delays of JOBHOOK_RETRY_DELAYS together (");
    settings_append_duration(mistakes, retry_total_ms(&settings->schedule));
    text_append_string(mistakes, ") + JOBHOOK_GIVE_UP_AFTER (");
    settings_append_duration(mistakes, settings->give_up_after_ms);
    text_append_string(mistakes, ") = ");
    settings_append_duration(mistakes, sum_ms);
}

/* A task that is forgotten while it can still come back would be delivered twice. */
static void check_state_ttl(const struct settings *settings, struct text *mistakes)
{
    uint64_t sum_ms = retry_total_ms(&settings->schedule) + settings->give_up_after_ms;
    if (settings->state_ttl_ms < sum_ms) {
        text_append_string(mistakes, "JOBHOOK_STATE_TTL (");
        settings_append_duration(mistakes, settings->state_ttl_ms);
        text_append_string(mistakes, ") must be at least ");
        append_sum(mistakes, settings, sum_ms);
        text_append_char(mistakes, '\n');
    }
    uint64_t deferral_ms = retry_longest_ms(&settings->schedule.defers);
    if (settings->state_ttl_ms < deferral_ms) {
        text_append_string(mistakes, "JOBHOOK_STATE_TTL (");
        settings_append_duration(mistakes, settings->state_ttl_ms);
        text_append_string(mistakes, ") must be at least the longest of JOBHOOK_DEFER_DELAYS (");
        settings_append_duration(mistakes, deferral_ms);
        text_append_string(mistakes, "): a task would be forgotten before its event comes back\n");
    }
    if (settings->max_event_age_ms > settings->state_ttl_ms) {
        text_append_string(mistakes, "JOBHOOK_MAX_EVENT_AGE (");
        settings_append_duration(mistakes, settings->max_event_age_ms);
        text_append_string(mistakes, ") must be at most JOBHOOK_STATE_TTL (");
        settings_append_duration(mistakes, settings->state_ttl_ms);
        text_append_string(mistakes, "): an older event could be delivered again\n");
    }
}

/* A claim that is forgotten while its lease runs would be granted again. */
static void check_lease(const struct settings *settings, struct text *mistakes)
{
    uint64_t lease_ms = settings->attempt_timeout_ms + settings->lease_margin_ms;
    if (lease_ms <= settings->state_ttl_ms)
        return;
    text_append_string(mistakes, "JOBHOOK_ATTEMPT_TIMEOUT (");
    settings_append_duration(mistakes, settings->attempt_timeout_ms);
    text_append_string(mistakes, ") + JOBHOOK_LEASE_MARGIN (");
    settings_append_duration(mistakes, settings->lease_margin_ms);
    text_append_string(mistakes, ") = ");
    settings_append_duration(mistakes, lease_ms);
    text_append_string(mistakes, " must be at most JOBHOOK_STATE_TTL (");
    settings_append_duration(mistakes, settings->state_ttl_ms);
    text_append_string(mistakes, "): a claim would be forgotten while it is respected\n");
}

static void check_slots(const struct settings *settings, struct text *mistakes)
{
    uint64_t bytes = settings->max_in_flight * EVENT_BYTES_LEAST;
    if (bytes <= settings->max_held_bytes)
        return;
    text_printf(mistakes, "JOBHOOK_MAX_IN_FLIGHT (%lu) x %d B, about what the smallest event takes, = ", (unsigned long)settings->max_in_flight,
                EVENT_BYTES_LEAST);
    settings_append_size(mistakes, bytes);
    text_append_string(mistakes, " must be at most JOBHOOK_MAX_HELD_BYTES (");
    settings_append_size(mistakes, settings->max_held_bytes);
    text_append_string(mistakes, "): so many could never be in flight\n");
}

static void check_bytes(const struct settings *settings, struct text *mistakes)
{
    check_slots(settings, mistakes);
    if (settings->max_event_bytes <= settings->max_held_bytes)
        return;
    text_append_string(mistakes, "JOBHOOK_MAX_EVENT_BYTES (");
    settings_append_size(mistakes, settings->max_event_bytes);
    text_append_string(mistakes, ") must be at most JOBHOOK_MAX_HELD_BYTES (");
    settings_append_size(mistakes, settings->max_held_bytes);
    text_append_string(mistakes, "): one event of that size could never be taken up\n");
}

static void check_topic_length(const struct settings *settings, uint64_t delay_ms, struct text *mistakes)
{
    struct text name;
    text_init(&name, SIZE_MAX / 2);
    retry_topic_write(settings->topic, delay_ms, &name);
    if (name.length > ATTEMPT_TOPIC_MAX)
        text_printf(mistakes, "JOBHOOK_TOPIC is too long: %s has %zu bytes, a topic's name at most %d\n", name.start, name.length, ATTEMPT_TOPIC_MAX);
    text_finish(&name);
}

static void check_delays(const struct settings *settings, struct text *mistakes)
{
    struct retry_delays distinct;
    retry_distinct_delays(&settings->schedule, &distinct);
    if (distinct.count == 0)
        text_append_string(mistakes, "JOBHOOK_RETRY_DELAYS and JOBHOOK_DEFER_DELAYS are both empty: at least one delay is needed\n");
    size_t mistakes_before = mistakes->length;
    for (size_t i = 0; i < distinct.count && mistakes->length == mistakes_before; i++) /* one long name is enough to say so */
        check_topic_length(settings, distinct.ms[i], mistakes);
}

/* The prefix still holds <group>, any number of times. */
static void check_prefix(const struct settings *settings, struct text *mistakes)
{
    size_t length = strlen(settings->redis_prefix), group_length = strlen(settings->group);
    for (const char *at = settings->redis_prefix; (at = strstr(at, SETTINGS_GROUP_PLACEHOLDER)) != NULL; at++)
        length += group_length - strlen(SETTINGS_GROUP_PLACEHOLDER);
    if (length > SETTINGS_REDIS_PREFIX_MAX)
        text_printf(mistakes, "JOBHOOK_REDIS_PREFIX must have at most %d bytes, the name of JOBHOOK_GROUP put in: it has %zu\n",
                    SETTINGS_REDIS_PREFIX_MAX, length);
}

void settings_check_kafka(const struct settings *settings, struct text *mistakes)
{
    char problem[512];
    for (size_t i = 0; i < settings->kafka_count; i++)
        if (!kafka_property_check(&settings->kafka[i], problem, sizeof(problem)))
            text_printf(mistakes, "%s\n", problem);
}

/* Whoever names a file wants to be asked: one without tokens must not mean that there are none. */
static void check_tokens(const struct settings *settings, struct text *mistakes)
{
    const char *tokens = settings_file(settings, "JOBHOOK_API_TOKENS");
    if (tokens != NULL && settings->api_tokens.count == 0)
        text_printf(mistakes, "JOBHOOK_API_TOKENS_FILE=%s: holds no token\n", tokens);
}

/* Events would be read as attempts, and attempts as events. */
static void check_attempts_topic(const struct settings *settings, struct text *mistakes)
{
    struct slice name = slice_of(settings->attempts_topic), rest = { name.start + strlen(settings->topic), name.length - strlen(settings->topic) };
    uint64_t delay_ms;
    if (name.length > ATTEMPT_TOPIC_MAX)
        text_printf(mistakes, "JOBHOOK_ATTEMPTS_TOPIC is too long: it has %zu bytes, a topic's name at most %d\n", name.length, ATTEMPT_TOPIC_MAX);
    if (!slice_starts_with(name, settings->topic))
        return;
    if (rest.length == 0 || slice_is(rest, ".dlq") || retry_topic_read(settings->topic, name, &delay_ms))
        text_printf(mistakes, "JOBHOOK_ATTEMPTS_TOPIC=%s: must be a topic of its own, not the input, a retry or the dead-letter topic\n",
                    settings->attempts_topic);
}

/* A file of headers counts also when it is empty: it is read again when it changes. */
static void check_otlp(const struct settings *settings, struct text *mistakes)
{
    bool headers = settings->otlp_headers.count > 0 || settings_file(settings, "JOBHOOK_OTLP_HEADERS") != NULL;
    if (settings->otlp_endpoint == NULL && (headers || settings->otlp_ca_file != NULL))
        text_append_string(mistakes, "JOBHOOK_OTLP_HEADERS and JOBHOOK_OTLP_CA_FILE are for JOBHOOK_OTLP_ENDPOINT, which is not set\n");
    if (settings->otlp_endpoint != NULL && settings->otlp_ca_file != NULL && !slice_starts_with(slice_of(settings->otlp_endpoint), "https://"))
        text_append_string(mistakes, "JOBHOOK_OTLP_CA_FILE is for https:// only: JOBHOOK_OTLP_ENDPOINT is none\n");
}

/* [::] takes the addresses of IPv4 as well. */
static bool takes_from(const struct listen_address *a, const struct listen_address *b)
{
    bool all_v4 = strcmp(a->host, "0.0.0.0") == 0 && strchr(b->host, ':') == NULL;
    return all_v4 || strcmp(a->host, "::") == 0 || strcmp(a->host, b->host) == 0;
}

/* Port 0 is any that is free; without tokens /job-status is off. */
static void check_listeners(const struct settings *settings, struct text *mistakes)
{
    const struct listen_address *http = &settings->http_listen, *api = &settings->api_listen;
    if (settings->api_tokens.count == 0 || http->port != api->port || http->port == 0)
        return;
    if (takes_from(http, api) || takes_from(api, http))
        text_append_string(mistakes,
                           "JOBHOOK_HTTP_LISTEN and JOBHOOK_API_LISTEN must not be the same address and port: only one of them could listen\n");
}

/* libcurl equips the TLS to a proxy and the TLS through it alike, so that the proxy could ask for what says to receivers who calls. */
static void check_client_certificate(const struct settings *settings, struct text *mistakes)
{
    if ((settings->client_cert == NULL) != (settings->client_key == NULL))
        text_append_string(mistakes, "JOBHOOK_CLIENT_CERT and JOBHOOK_CLIENT_KEY must be set together\n");
    if (settings->client_cert != NULL && settings->proxy != NULL && slice_starts_with(slice_of(settings->proxy), "https://"))
        text_append_string(mistakes, "JOBHOOK_CLIENT_CERT would be shown to an https:// JOBHOOK_PROXY as well: reach the proxy by http://, TLS to "
                                     "receivers goes through it untouched\n");
}

void settings_check(const struct settings *settings, struct text *mistakes)
{
    check_prefix(settings, mistakes);
    check_state_ttl(settings, mistakes);
    check_lease(settings, mistakes);
    check_bytes(settings, mistakes);
    check_delays(settings, mistakes);
    check_tokens(settings, mistakes);
    if (settings->attempts_topic != NULL)
        check_attempts_topic(settings, mistakes);
    check_otlp(settings, mistakes);
    check_listeners(settings, mistakes);
    if ((settings->redis_client_cert == NULL) != (settings->redis_client_key == NULL))
        text_append_string(mistakes, "JOBHOOK_REDIS_CLIENT_CERT and JOBHOOK_REDIS_CLIENT_KEY must be set together\n");
    if (!settings->redis.tls && (settings->redis_ca_file != NULL || settings->redis_client_cert != NULL))
        text_append_string(mistakes, "JOBHOOK_REDIS_CA_FILE and JOBHOOK_REDIS_CLIENT_CERT are for rediss:// only: JOBHOOK_REDIS_URL is none\n");
    check_client_certificate(settings, mistakes);
}
