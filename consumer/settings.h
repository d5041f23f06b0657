/* The settings: one table (settings_table) that the start, `check`, the README and the chart's tests read. The only file that reads the environment.
 *
 * Every JOBHOOK_X may also come from the file named by JOBHOOK_X_FILE (trailing newline cut off); both at once is a mistake. All mistakes are
 * reported together, each naming variable, value (masked when secret) and rule. Unknown JOBHOOK_* names are mistakes, except those that Kubernetes
 * injects for services (*_SERVICE_HOST, *_SERVICE_PORT*, *_PORT, *_PORT_*), which are ignored, for KAFKA_* too. KAFKA_A_B (and KAFKA_A_B_FILE)
 * passes the librdkafka property a.b; those that safety rests on are refused.
 *
 * Secrets are wiped when the settings are finished, and where they came from the process's own environment, there at once. */
#ifndef JOBHOOK_CONSUMER_SETTINGS_H
#define JOBHOOK_CONSUMER_SETTINGS_H

#include "consumer/base/log.h"
#include "consumer/base/text.h"
#include "consumer/bearer.h"
#include "consumer/span_headers.h"
#include "dedupe/redis.h"
#include "delivery/guard.h"
#include "delivery/hold_list.h"
#include "delivery/retry.h"
#include "delivery/signature_keys.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { SETTINGS_REDIS_PREFIX_MAX = 1024 }; /* bytes, the group's name put in */

struct settings_given; /* where each value came from (settings.c) */

enum redis_down { REDIS_DOWN_DELIVER, REDIS_DOWN_WAIT };

struct listen_address {
    char host[64]; /* numeric IPv4 or IPv6 */
    uint16_t port; /* 0: any free one (the log says which) */
};

struct kafka_property {
    char *name, *value;
    char *file; /* it was read from; NULL: the environment */
    bool secret;
};

struct settings { /* strings owned; NULL when not set */
    char *kafka_brokers;
    char *topic;
    char *group;
    char *redis_url;            /* masked when shown */
    struct redis_address redis; /* with the names of the next three */
    char *redis_ca_file, *redis_client_cert, *redis_client_key;
    struct retry_schedule schedule; /* RETRY_DELAYS, DEFER_DELAYS */
    uint64_t max_event_age_ms;
    char *hold_file;
    struct hold_list *holds; /* what it held at the start; NULL: not set */
    uint64_t attempt_timeout_ms;
    uint64_t max_in_flight, endpoint_max_in_flight, origin_max_connections;
    uint64_t workers;
    uint64_t lease_margin_ms;
    enum redis_down redis_down;
    uint64_t redis_wait_ms;
    char *redis_prefix; /* never NULL: jobhook:<group>: by default */
    uint64_t max_event_bytes, max_held_bytes, prefetch_bytes;
    uint64_t give_up_after_ms;
    int *final_statuses;
    size_t final_status_count;
    uint64_t state_ttl_ms;
    char *attempts_topic;
    struct signature_keys signing_keys;
    enum signature_scope signing_scope;
    char *proxy, *client_cert, *client_key;
    bool pass_tracestate;
    struct guard guard; /* ALLOW_HTTP, EGRESS_ALLOW, EGRESS_DENY, EGRESS_NAT64 */
    bool http2;
    char *ca_file;
    struct listen_address http_listen, api_listen;
    struct bearer_tokens api_tokens; /* of /job-status; none: it is off */
    uint64_t snippet_bytes;
    uint64_t drain_timeout_ms;
    enum log_level log_level;
    enum log_format log_format;
    char *otlp_endpoint, *otlp_ca_file;
    struct span_headers otlp_headers;
    bool no_color;                /* NO_COLOR (no-color.org): no colours even on a terminal */
    struct kafka_property *kafka; /* the pass-through, names as librdkafka's */
    size_t kafka_count;
    struct settings_given *given;
};

/* Reads `environment` ("NAME=value", NULL-terminated; NULL: the process's own). False when there were mistakes: `mistakes` holds one line for
 * each, and `settings` nothing. */
MUST_USE bool settings_read(struct settings *settings, char *const *environment, struct text *mistakes);
/* The same for a command that needs only the variables whose names begin with `prefix`: all else is neither read, nor required, nor checked. */
MUST_USE bool settings_read_part(struct settings *settings, const char *prefix, char *const *environment, struct text *mistakes);
void settings_finish(struct settings *settings); /* takes a zeroed one, too */
/* The file that the variable was read from; NULL when it was none. */
const char *settings_file(const struct settings *settings, const char *name);
/* Every effective setting, one `NAME=value  # where from` line each, secrets masked. */
void settings_print(const struct settings *settings, FILE *file);

struct settings_row {          /* what README and chart are checked against */
    const char *name;          /* JOBHOOK_… */
    const char *default_value; /* "" none */
    const char *meaning;
    bool secret, required;
};
size_t settings_row_count(void);
const struct settings_row *settings_row(size_t index);

#endif
