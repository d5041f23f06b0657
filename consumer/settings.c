#include "consumer/settings_table.h"

#include "consumer/base/memory.h"
#include "consumer/content.h"

#include <stdlib.h>
#include <string.h>

extern char **environ;

enum {
    VALUE_SHOWN_MAX = 120, /* of a value in a mistake */
    NEAR_MISS_MAX = 3,     /* edits between an unknown name and the one that was probably meant */
};

#define FILE_SUFFIX "_FILE"
#define MASK        "***"

struct settings_given {
    char *value; /* as given, or the default */
    char *file;  /* that it was read from, else NULL */
    bool is_default;
};

struct reading {
    char *const *environment;
    struct settings *settings;
    struct text *mistakes;
};

/* --- names --- */

/* The value of an entry of that name, else NULL. */
static const char *value_in(const char *entry, struct slice name)
{
    return strncmp(entry, name.start, name.length) == 0 && entry[name.length] == '=' ? entry + name.length + 1 : NULL;
}

/* A name may stand there twice: the first counts, as it does for getenv. */
static const char *find(char *const *environment, struct slice name)
{
    const char *value = NULL;
    for (; *environment != NULL && value == NULL; environment++)
        value = value_in(*environment, name);
    return value;
}

static struct slice name_of(const char *entry)
{
    return (struct slice){ entry, strcspn(entry, "=") };
}

static bool ends_with(struct slice name, const char *suffix)
{
    size_t length = strlen(suffix);
    return name.length >= length && slice_is((struct slice){ name.start + name.length - length, length }, suffix);
}

/* JOBHOOK_X_FILE → JOBHOOK_X. */
static struct slice without_file(struct slice name)
{
    return ends_with(name, FILE_SUFFIX) ? (struct slice){ name.start, name.length - strlen(FILE_SUFFIX) } : name;
}

static bool is_row(struct slice name)
{
    for (size_t i = 0; i < settings_rows_count; i++)
        if (slice_is(name, settings_rows[i].shown.name))
            return true;
    return false;
}

/* What Kubernetes puts into every container for a service called jobhook… or kafka… */
static bool is_from_kubernetes(struct slice name)
{
    char *copy = memory_copy(name.start, name.length);
    bool found =
        ends_with(name, "_SERVICE_HOST") || strstr(copy, "_SERVICE_PORT") != NULL || ends_with(name, "_PORT") || strstr(copy, "_PORT_") != NULL;
    free(copy);
    return found;
}

/* --- what is said about a value --- */

/* A URL up to its last '@' but for scheme and user: nothing of a password survives, however the URL is written. */
static void append_masked_url(struct text *text, struct slice url)
{
    const char *at = memrchr(url.start, '@', url.length);
    if (at == NULL) {
        text_append(text, url);
        return;
    }
    const char *scheme_end = memmem(url.start, (size_t)(at - url.start), "://", 3);
    const char *user = scheme_end == NULL ? url.start : scheme_end + 3;
    const char *colon = scheme_end == NULL ? NULL : memchr(user, ':', (size_t)(at - user));
    text_append(text, (struct slice){ url.start, (size_t)((colon == NULL ? user : colon + 1) - url.start) });
    text_append_string(text, MASK);
    text_append(text, (struct slice){ at, url.length - (size_t)(at - url.start) });
}

/* A key may stand where another value belongs: its file's name, or the scope of keys. */
static bool is_key(struct slice value)
{
    return slice_starts_with(value, "-----BEGIN") || slice_starts_with(value, "whsec_") || slice_starts_with(value, "whsk_");
}

/* NAME="value" (from the file F): — with the value masked when it is a secret. */
static void start_mistake(struct text *mistakes, struct slice name, struct slice value, bool secret, const char *file)
{
    text_append(mistakes, name);
    text_append_char(mistakes, '=');
    if (secret || is_key(value))
        text_append_string(mistakes, MASK);
    else
        text_append_json(mistakes, (struct slice){ value.start, value.length < VALUE_SHOWN_MAX ? value.length : VALUE_SHOWN_MAX });
    if (file != NULL)
        text_printf(mistakes, " (from the file %s)", file);
    text_append_string(mistakes, ": ");
}

/* --- values --- */

/* Makes the process forget a secret of its own environment, which anyone who may read /proc would find there. */
static void forget(const struct reading *reading, struct slice name)
{
    if (reading->environment != environ)
        return;
    for (char *const *entry = environ; *entry != NULL; entry++) {
        const char *value = value_in(*entry, name);
        if (value != NULL)
            explicit_bzero((char *)(uintptr_t)value, strlen(value));
    }
}

/* A secret that stands where the name of its file belongs is one still: only what can be nothing but a path is shown. */
static void report_unreadable(struct reading *reading, struct slice name, struct slice file, const char *why)
{
    bool is_path = slice_starts_with(file, "/") || slice_starts_with(file, "./") || slice_starts_with(file, "../");
    start_mistake(reading->mistakes, name, file, !is_path, NULL);
    text_printf(reading->mistakes, "%s%s\n", why, is_path ? "" : " (not shown, it may be a secret itself: a path begins with /, ./ or ../)");
}

/* Fills `given` from NAME or NAME_FILE; false when there was a mistake. A value that is set nowhere stays NULL. */
static bool take(struct reading *reading, struct slice name, struct settings_given *given)
{
    struct text file_name, problem;
    text_init(&file_name, SIZE_MAX / 2);
    text_init(&problem, 1000);
    text_append(&file_name, name);
    text_append_string(&file_name, FILE_SUFFIX);
    const char *value = find(reading->environment, name), *file = find(reading->environment, text_slice(&file_name));
    if (value != NULL && file != NULL) {
        text_printf(reading->mistakes, SLICE_FORMAT " and %s are both set: set one of them\n", SLICE_ARGS(name), file_name.start);
    } else if (file != NULL) {
        given->value = content_read(file, &problem);
        given->file = memory_copy(file, strlen(file));
        if (given->value == NULL)
            report_unreadable(reading, text_slice(&file_name), slice_of(file), problem.start);
    } else if (value != NULL) {
        given->value = memory_copy(value, strlen(value));
    }
    bool fine = given->value != NULL || (value == NULL && file == NULL);
    text_finish(&problem);
    text_finish(&file_name);
    return fine;
}

/* Whoever names a file wants what is in it: an empty one, such as a secret that is not there yet, must not mean that there is none. */
static bool refuse_empty(struct reading *reading, struct slice name, const struct settings_given *given)
{
    if (given->file == NULL || given->value[0] != '\0')
        return false;
    text_printf(reading->mistakes, SLICE_FORMAT "%s=%s: holds nothing\n", SLICE_ARGS(name), FILE_SUFFIX, given->file);
    return true;
}

static void read_row(struct reading *reading, const struct row *row, struct settings_given *given)
{
    if (!take(reading, slice_of(row->shown.name), given))
        return;
    if (row->shown.secret)
        forget(reading, slice_of(row->shown.name));
    given->is_default = given->value == NULL;
    if (given->is_default)
        given->value = memory_copy(row->shown.default_value, strlen(row->shown.default_value));
    if (row->shown.required && given->value[0] == '\0') {
        text_printf(reading->mistakes, "%s is not set: %s\n", row->shown.name, row->shown.meaning);
        return;
    }
    bool may_be_empty = row->parse == parse_otlp_headers; /* they may come into their file later, which is read again */
    if (!may_be_empty && refuse_empty(reading, slice_of(row->shown.name), given))
        return;
    struct text problem;
    text_init(&problem, 1000);
    bool fine = row->parse(row, slice_of(given->value), reading->settings, &problem);
    if (!fine) {
        start_mistake(reading->mistakes, slice_of(row->shown.name), slice_of(given->value), row->mask != ROW_SHOWN, given->file);
        text_append(reading->mistakes, text_slice(&problem));
        text_append_char(reading->mistakes, '\n');
    }
    if (row->mask == ROW_MASKED && given->value[0] != '\0') { /* read, and never shown: only that it was given is kept */
        content_destroy(given->value);
        given->value = memory_copy(MASK, strlen(MASK));
    }
    text_finish(&problem);
}

/* KAFKA_… and KAFKA_…_FILE; `entry` is that of the first of them. */
static void read_kafka(struct reading *reading, struct slice name)
{
    struct settings_given given = { 0 };
    struct text problem;
    text_init(&problem, 1000);
    bool taken = take(reading, name, &given) && !refuse_empty(reading, name, &given);
    if (taken && settings_add_kafka(reading->settings, name, slice_of(given.value), &problem)) {
        reading->settings->kafka[reading->settings->kafka_count - 1].file = given.file;
        given.file = NULL;
    } else if (taken) {
        start_mistake(reading->mistakes, name, slice_of(given.value), settings_kafka_is_secret(name), given.file);
        text_append(reading->mistakes, text_slice(&problem));
        text_append_char(reading->mistakes, '\n');
    }
    if (settings_kafka_is_secret(name))
        forget(reading, name);
    text_finish(&problem);
    content_destroy(given.value);
    free(given.file);
}

/* --- names that nobody knows --- */

/* Insertions, deletions and replacements from one name to the other (Levenshtein 1966). */
static size_t distance(struct slice a, struct slice b)
{
    enum { NAME_LENGTH_MAX = 64 };
    size_t row[NAME_LENGTH_MAX + 1];
    if (a.length > NAME_LENGTH_MAX || b.length > NAME_LENGTH_MAX)
        return SIZE_MAX;
    if (a.length > b.length + NEAR_MISS_MAX || b.length > a.length + NEAR_MISS_MAX) /* too far away, whatever the letters */
        return SIZE_MAX;
    while (a.length > 0 && b.length > 0 && a.start[0] == b.start[0]) { /* what both begin with takes no edit */
        a = (struct slice){ a.start + 1, a.length - 1 };
        b = (struct slice){ b.start + 1, b.length - 1 };
    }
    for (size_t j = 0; j <= b.length; j++)
        row[j] = j;
    for (size_t i = 1, least = 0; i <= a.length && least <= NEAR_MISS_MAX; i++) { /* no row's least is below that of the row before it */
        size_t diagonal = row[0];
        row[0] = least = i;
        for (size_t j = 1; j <= b.length; j++) {
            size_t replaced = diagonal + (a.start[i - 1] != b.start[j - 1]);
            size_t shifted = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < shifted ? replaced : shifted;
            least = row[j] < least ? row[j] : least;
        }
    }
    return row[b.length];
}

/* A name with fewer than `*edits` differences; then that is how many. */
static const char *nearest(struct slice name, size_t *edits)
{
    const char *found = NULL;
    for (size_t i = 0; i < settings_rows_count; i++) {
        size_t more = distance(name, slice_of(settings_rows[i].shown.name));
        if (more < *edits) {
            *edits = more;
            found = settings_rows[i].shown.name;
        }
    }
    return found;
}

static void report_unknown(struct reading *reading, struct slice name)
{
    size_t edits = NEAR_MISS_MAX + 1;
    const char *suffix = "", *meant = nearest(name, &edits);
    const char *meant_file = ends_with(name, FILE_SUFFIX) ? nearest(without_file(name), &edits) : NULL;
    if (meant_file != NULL) {
        meant = meant_file;
        suffix = FILE_SUFFIX;
    }
    text_append(reading->mistakes, name);
    text_append_string(reading->mistakes, " is not a setting");
    if (meant != NULL)
        text_printf(reading->mistakes, ": did you mean %s%s?", meant, suffix);
    text_append_char(reading->mistakes, '\n');
}

static void read_entry(struct reading *reading, const char *entry)
{
    struct slice name = name_of(entry), base = without_file(name);
    if (slice_starts_with(name, "JOBHOOK_")) {
        if (!is_row(name) && !is_row(base) && !is_from_kubernetes(name))
            report_unknown(reading, name);
    } else if (slice_starts_with(name, "KAFKA_") && !slice_starts_with(base, "KAFKA_")) { /* KAFKA_FILE: the file of nothing */
        report_unknown(reading, name);
    } else if (slice_starts_with(name, "KAFKA_") && !is_from_kubernetes(name)) {
        bool told_already = base.length != name.length && find(reading->environment, base) != NULL; /* both are set: once is enough */
        bool counts = find(reading->environment, name) == value_in(entry, name);
        if (counts && !told_already)
            read_kafka(reading, base);
    }
}

/* --- all of it --- */

/* <group> in the prefix becomes the group's name. */
static void complete_prefix(struct settings *settings)
{
    struct text prefix;
    text_init(&prefix, SIZE_MAX / 2);
    const char *at = settings->redis_prefix, *found;
    while ((found = strstr(at, SETTINGS_GROUP_PLACEHOLDER)) != NULL) {
        text_append(&prefix, (struct slice){ at, (size_t)(found - at) });
        text_append_string(&prefix, settings->group);
        at = found + strlen(SETTINGS_GROUP_PLACEHOLDER);
    }
    text_append_string(&prefix, at);
    free(settings->redis_prefix);
    settings->redis_prefix = prefix.start;
}

static void read_no_color(const struct reading *reading)
{
    const char *no_color = find(reading->environment, SLICE("NO_COLOR"));
    reading->settings->no_color = no_color != NULL && no_color[0] != '\0';
}

bool settings_read(struct settings *settings, char *const *environment, struct text *mistakes)
{
    *settings = (struct settings){ 0 };
    struct reading reading = { .environment = environment != NULL ? environment : environ, .settings = settings, .mistakes = mistakes };
    settings->given = memory_create(settings_rows_count * sizeof(*settings->given));
    for (size_t i = 0; i < settings_rows_count; i++)
        read_row(&reading, &settings_rows[i], &settings->given[i]);
    for (char *const *entry = reading.environment; *entry != NULL; entry++)
        read_entry(&reading, *entry);
    read_no_color(&reading);
    settings_check_kafka(settings, mistakes);
    if (mistakes->length == 0)
        settings_check(settings, mistakes);
    if (mistakes->length > 0 || mistakes->overflowed) {
        settings_finish(settings);
        return false;
    }
    complete_prefix(settings);
    settings->redis.ca_file = settings->redis_ca_file;
    settings->redis.client_cert = settings->redis_client_cert;
    settings->redis.client_key = settings->redis_client_key;
    return true;
}

bool settings_read_part(struct settings *settings, const char *prefix, char *const *environment, struct text *mistakes)
{
    *settings = (struct settings){ 0 };
    struct reading reading = { .environment = environment != NULL ? environment : environ, .settings = settings, .mistakes = mistakes };
    settings->given = memory_create(settings_rows_count * sizeof(*settings->given));
    for (size_t i = 0; i < settings_rows_count; i++)
        if (slice_starts_with(slice_of(settings_rows[i].shown.name), prefix))
            read_row(&reading, &settings_rows[i], &settings->given[i]);
    for (char *const *entry = reading.environment; *entry != NULL; entry++)
        if (slice_starts_with(slice_of(*entry), prefix))
            read_entry(&reading, *entry);
    read_no_color(&reading);
    if (mistakes->length == 0 && !mistakes->overflowed)
        return true;
    settings_finish(settings);
    return false;
}

const char *settings_file(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings_rows_count; i++)
        if (strcmp(settings_rows[i].shown.name, name) == 0)
            return settings->given[i].file;
    return NULL;
}

static void finish_strings(struct settings *settings)
{
    char *const strings[] = { settings->kafka_brokers,
                              settings->topic,
                              settings->group,
                              settings->redis_url,
                              settings->hold_file,
                              settings->redis_prefix,
                              settings->proxy,
                              settings->client_cert,
                              settings->attempts_topic,
                              settings->client_key,
                              settings->ca_file,
                              settings->redis_ca_file,
                              settings->redis_client_cert,
                              settings->redis_client_key,
                              settings->otlp_endpoint,
                              settings->otlp_ca_file };
    for (size_t i = 0; i < COUNT_OF(strings); i++)
        content_destroy(strings[i]);
}

void settings_finish(struct settings *settings)
{
    finish_strings(settings);
    hold_list_destroy(settings->holds);
    signature_keys_wipe(&settings->signing_keys);
    bearer_wipe(&settings->api_tokens);
    span_headers_wipe(&settings->otlp_headers);
    redis_address_finish(&settings->redis);
    free(settings->guard.allow);
    free(settings->guard.deny);
    free(settings->final_statuses);
    for (size_t i = 0; i < settings->kafka_count; i++) {
        free(settings->kafka[i].name);
        free(settings->kafka[i].file);
        content_destroy(settings->kafka[i].value);
    }
    free(settings->kafka);
    for (size_t i = 0; settings->given != NULL && i < settings_rows_count; i++) {
        content_destroy(settings->given[i].value);
        free(settings->given[i].file);
    }
    free(settings->given);
    *settings = (struct settings){ 0 };
}

/* --- shown --- */

static void append_effective(struct text *line, const struct settings *settings, size_t index)
{
    const struct row *row = &settings_rows[index];
    const struct settings_given *given = &settings->given[index];
    struct slice value =
        slice_of(row->parse == parse_name && row->offset == offsetof(struct settings, redis_prefix) ? settings->redis_prefix : given->value);
    text_printf(line, "%s=", row->shown.name);
    if (row->mask == ROW_URL_MASKED)
        append_masked_url(line, value);
    else
        text_append(line, value);
    if (given->file != NULL)
        text_printf(line, "  # from the file %s\n", given->file);
    else if (given->is_default)
        text_append_string(line, value.length > 0 ? "  # default\n" : "  # not set\n");
    else
        text_append_string(line, "  # from the environment\n");
    if (row->parse == parse_workers && slice_is(value, SETTINGS_AUTO)) {
        line->length--; /* the newline */
        text_printf(line, ": %lu here\n", (unsigned long)settings->workers);
    }
}

static void append_kafka(struct text *line, const struct kafka_property *property)
{
    text_append_string(line, "KAFKA_");
    for (const char *at = property->name; *at != '\0'; at++)
        text_append_char(line, *at == '.' ? '_' : (char)(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at));
    text_append_char(line, '=');
    if (property->secret)
        text_append_string(line, MASK);
    else
        text_append(line, slice_of(property->value));
    if (property->file != NULL)
        text_printf(line, "  # librdkafka's %s, from the file %s\n", property->name, property->file);
    else
        text_printf(line, "  # librdkafka's %s, from the environment\n", property->name);
}

void settings_print(const struct settings *settings, FILE *file)
{
    struct text lines;
    text_init(&lines, SIZE_MAX / 2);
    for (size_t i = 0; i < settings_rows_count; i++)
        append_effective(&lines, settings, i);
    for (size_t i = 0; i < settings->kafka_count; i++)
        append_kafka(&lines, &settings->kafka[i]);
    fwrite(lines.start, 1, lines.length, file);
    text_finish(&lines);
}
