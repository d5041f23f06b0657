/* The rows behind settings.h: one for each variable, with the function that reads it. Only settings*.c include this. */
#ifndef JOBHOOK_CONSUMER_SETTINGS_TABLE_H
#define JOBHOOK_CONSUMER_SETTINGS_TABLE_H

#include "consumer/settings.h"

struct row;

/* Reads `value` into its field. On false `problem` holds a sentence without the value. */
typedef bool row_parse(const struct row *row, struct slice value, struct settings *settings, struct text *problem);

enum row_mask {
    ROW_SHOWN,
    ROW_MASKED,     /* a secret as a whole */
    ROW_URL_MASKED, /* a URL whose password is one */
};

struct row {
    struct settings_row shown;
    row_parse *parse;
    size_t offset;        /* of the field in struct settings */
    uint64_t least, most; /* numbers, durations in ms, sizes in bytes */
    enum row_mask mask;
};

extern const struct row settings_rows[];
extern const size_t settings_rows_count;

/* The types (settings_parse.c). */
row_parse parse_string;         /* "" is not set */
row_parse parse_name;           /* not empty, no spaces */
row_parse parse_optional_topic; /* "" is not set */
row_parse parse_topic;          /* as Kafka allows */
row_parse parse_count;          /* least … most */
row_parse parse_workers;        /* the same, or "auto" */
row_parse parse_duration;       /* 500ms, 10s, 5m, 24h */
row_parse parse_size;           /* 65536, 64KiB, 8MiB, 1GiB */
row_parse parse_bool;
row_parse parse_listen;
row_parse parse_delays;
row_parse parse_redis_url;
row_parse parse_redis_down;
row_parse parse_statuses;
row_parse parse_signing_keys;
row_parse parse_signing_scope;
row_parse parse_api_tokens;
row_parse parse_proxy;
row_parse parse_file;      /* readable now */
row_parse parse_hold_file; /* the same, and read */
row_parse parse_ca_file;   /* the same, or "system" */
row_parse parse_egress_allow;
row_parse parse_egress_deny;
row_parse parse_egress_nat64;
row_parse parse_log_level;
row_parse parse_log_format;
row_parse parse_otlp_endpoint;
row_parse parse_otlp_headers;

void settings_append_duration(struct text *text, uint64_t ms); /* canonical: 90000 is 90s */
void settings_append_size(struct text *text, uint64_t bytes);

#define SETTINGS_AUTO              "auto"    /* of JOBHOOK_WORKERS */
#define SETTINGS_GROUP_PLACEHOLDER "<group>" /* in JOBHOOK_REDIS_PREFIX: the consumer group's name */

/* What no value may break together with others (settings_check.c); one line for each mistake. */
void settings_check(const struct settings *settings, struct text *mistakes);
/* What librdkafka says about each property that is passed on. */
void settings_check_kafka(const struct settings *settings, struct text *mistakes);

/* The pass-through (settings_kafka.c). `name`: KAFKA_…, without _FILE. On false `problem` says why it is refused. */
MUST_USE bool settings_add_kafka(struct settings *settings, struct slice name, struct slice value, struct text *problem);
bool settings_kafka_is_secret(struct slice name); /* of a variable KAFKA_…: its value is never shown */

#endif
