/* Any bytes as the environment, one variable on each line: settings that are taken are within their limits and can be shown, mistakes are said, and
 * a secret shows in neither. Variables that name a file are left out: nothing is read here but the environment. */
#include "consumer/kafka.h"
#include "consumer/settings.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ENTRIES_MAX = 12, GIVEN = 3 };

#define SECRET "~7351~9024" /* nothing that is escaped, or written in lower case, becomes it */

bool kafka_property_check(const struct kafka_property *property, char *problem, size_t size) /* librdkafka's own parsers are not ours */
{
    (void)problem, (void)size;
    return property->name[0] != '\0';
}

bool redis_has_tls(void)
{
    return true;
}

static bool names_a_file(const char *entry)
{
    static const char *const files[] = { "JOBHOOK_CLIENT_CERT=", "JOBHOOK_CLIENT_KEY=", "JOBHOOK_CA_FILE=", "JOBHOOK_HOLD_FILE=" };
    size_t name_length = strcspn(entry, "=");
    for (size_t i = 0; i < COUNT_OF(files); i++)
        if (strncmp(entry, files[i], strlen(files[i])) == 0)
            return true;
    return name_length >= 5 && memcmp(entry + name_length - 5, "_FILE", 5) == 0;
}

/* The entries of the input, then what is required, in case it was not among them. */
static void split(char *text, char **environment)
{
    static char required[GIVEN][64] = { "JOBHOOK_KAFKA_BROKERS=k:9092", "JOBHOOK_REDIS_URL=redis://:" SECRET "@r", "KAFKA_SASL_PASSWORD=" SECRET };
    size_t count = 0;
    for (char *line = text, *next; line != NULL && count < ENTRIES_MAX; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (!names_a_file(line))
            environment[count++] = line;
    }
    for (size_t i = 0; i < GIVEN; i++)
        environment[count++] = required[i];
    environment[count] = NULL;
}

static void expect_within_limits(const struct settings *settings)
{
    assert(settings->kafka_brokers != NULL && settings->topic != NULL && settings->group != NULL && settings->redis_url != NULL);
    assert((settings->redis.host == NULL) != (settings->redis.path == NULL));
    assert(strlen(settings->redis_prefix) <= SETTINGS_REDIS_PREFIX_MAX);
    assert(settings->max_in_flight >= 1 && settings->workers >= 1 && settings->attempt_timeout_ms >= 100);
    assert(settings->max_event_bytes <= settings->max_held_bytes);
    assert(settings->state_ttl_ms >= retry_total_ms(&settings->schedule) + settings->give_up_after_ms);
    for (size_t i = 0; i < settings->schedule.defers.count; i++)
        assert(settings->state_ttl_ms >= settings->schedule.defers.ms[i]);
    for (size_t i = 0; i < settings->final_status_count; i++)
        assert(settings->final_statuses[i] >= 300 && settings->final_statuses[i] <= 599);
}

static void expect_shown(const struct settings *settings, bool secret_was_given)
{
    char *shown = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&shown, &length);
    settings_print(settings, file);
    fclose(file);
    assert(length > 0 && (secret_was_given || strstr(shown, SECRET) == NULL));
    free(shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings settings;
    struct text mistakes;
    char *environment[ENTRIES_MAX + GIVEN + 1], *input = malloc(size + 1);
    memcpy(input, data, size);
    input[size] = '\0';
    bool secret_was_given = strstr(input, SECRET) != NULL;
    split(input, environment);
    text_init(&mistakes, 64 * 1024);
    if (settings_read(&settings, environment, &mistakes)) {
        assert(mistakes.length == 0);
        expect_within_limits(&settings);
        expect_shown(&settings, secret_was_given);
        settings_finish(&settings);
    } else {
        assert(mistakes.length > 0 || mistakes.overflowed);
        assert(mistakes.length == 0 || secret_was_given || strstr(mistakes.start, SECRET) == NULL);
    }
    text_finish(&mistakes);
    free(input);
    return 0;
}
