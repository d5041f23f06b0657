#include "consumer/settings.h"

#include "consumer/processors.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

/* --- an environment, and what came of it --- */

#define BROKERS "JOBHOOK_KAFKA_BROKERS=127.0.0.1:9092"
#define REDIS   "JOBHOOK_REDIS_URL=redis://127.0.0.1:6379"

static struct settings settings;
static struct text mistakes;

/* The two required settings and the given ones. */
static bool read_with(const char *const *more)
{
    char *environment[40] = { (char *)BROKERS, (char *)REDIS };
    size_t count = 2;
    for (; *more != NULL; more++)
        environment[count++] = (char *)*more;
    text_finish(&mistakes);
    text_init(&mistakes, 1 << 20);
    bool fine = settings_read(&settings, environment, &mistakes);
    cr_assert_eq(fine, mistakes.length == 0, "mistakes are told exactly when there are some");
    return fine;
}
#define READ(...) read_with((const char *const[]){ __VA_ARGS__, NULL })

/* Reads one more setting that must be fine. */
static void must_read(const char *entry)
{
    cr_assert(READ(entry), "%s: %s", entry, mistakes.start);
}

static void finish(void)
{
    settings_finish(&settings);
    text_finish(&mistakes);
}
TestSuite(settings, .fini = finish);

/* Exactly one line, and this one. */
static void expect_mistake(const char *line)
{
    cr_expect(mistakes.length == strlen(line) + 1 && strncmp(mistakes.start, line, strlen(line)) == 0, "expected: %s\ngot: %s", line,
              mistakes.length > 0 ? mistakes.start : "nothing");
}

static char *printed(void)
{
    static char bytes[65536];
    FILE *file = fmemopen(bytes, sizeof(bytes) - 1, "w");
    memset(bytes, 0, sizeof(bytes));
    settings_print(&settings, file);
    fclose(file);
    return bytes;
}

static const char *temporary_file(const char *content, size_t length)
{
    static char paths[4][40];
    static size_t used;
    char *path = paths[used++ % COUNT_OF(paths)];
    snprintf(path, sizeof(paths[0]), "/tmp/jobhook_settings_XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, content, length), (ssize_t)length);
    close(fd);
    return path;
}

PRINTF_LIKE(1, 2) static const char *entry(const char *format, ...)
{
    static char entries[4][300];
    static size_t used;
    char *made = entries[used++ % COUNT_OF(entries)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(made, sizeof(entries[0]), format, arguments);
    va_end(arguments);
    return made;
}

/* --- defaults and the table --- */

Test(settings, defaults_are_those_of_the_readme)
{
    cr_assert(READ(NULL), "%s", mistakes.start);
    cr_expect_str_eq(settings.kafka_brokers, "127.0.0.1:9092");
    cr_expect_str_eq(settings.topic, "jobs.completed");
    cr_expect_str_eq(settings.group, "jobhook");
    cr_expect_str_eq(settings.redis_url, "redis://127.0.0.1:6379");
    cr_expect_str_eq(settings.redis.host, "127.0.0.1");
    cr_expect_eq(settings.redis.port, 6379);
    cr_expect_eq(settings.schedule.retries.count, 5);
    cr_expect_eq(settings.schedule.retries.ms[4], 16000);
    cr_expect_eq(settings.schedule.defers.count, 2);
    cr_expect_eq(settings.schedule.defers.ms[1], 300000);
    cr_expect_eq(settings.max_event_age_ms, 24 * 3600 * 1000);
    cr_expect_eq(settings.attempt_timeout_ms, 10000);
    cr_expect_eq(settings.max_in_flight, 4096);
    cr_expect_eq(settings.endpoint_max_in_flight, 64);
    cr_expect_eq(settings.origin_max_connections, 256);
    cr_expect_eq(settings.workers, 1);
    cr_expect_eq(settings.lease_margin_ms, 10000);
    cr_expect_eq(settings.redis_down, REDIS_DOWN_DELIVER);
    cr_expect_eq(settings.redis_wait_ms, 60000);
    cr_expect_str_eq(settings.redis_prefix, "jobhook:jobhook:");
    cr_expect_eq(settings.max_event_bytes, 8 << 20);
    cr_expect_eq(settings.max_held_bytes, 128 << 20);
    cr_expect_eq(settings.prefetch_bytes, 64 << 20);
    cr_expect_eq(settings.give_up_after_ms, 3600000);
    cr_expect_eq(settings.final_status_count, 0);
    cr_expect_eq(settings.state_ttl_ms, 24 * 3600 * 1000);
    cr_expect_eq(settings.signing_scope, SIGNATURE_SHARED);
    cr_expect_eq(settings.signing_keys.count, 0);
    cr_expect(settings.guard.allow_http);
    cr_expect_eq(settings.guard.allow_count + settings.guard.deny_count, 0);
    cr_expect_str_eq(settings.http_listen.host, "0.0.0.0");
    cr_expect_eq(settings.http_listen.port, 8080);
    cr_expect_eq(settings.api_listen.port, 8081);
    cr_expect_eq(settings.snippet_bytes, 256);
    cr_expect_eq(settings.drain_timeout_ms, 25000);
    cr_expect_eq(settings.log_level, LOG_INFO);
    cr_expect_eq(settings.log_format, LOG_JSON);
    cr_expect_not(settings.no_color);
    const char *const unset[] = { settings.hold_file,  settings.attempts_topic, settings.proxy,         settings.client_cert,
                                  settings.client_key, settings.ca_file,        settings.otlp_endpoint, settings.otlp_ca_file };
    cr_expect_eq(settings.api_tokens.count, 0);
    for (size_t i = 0; i < COUNT_OF(unset); i++)
        cr_expect_null(unset[i], "%zu", i);
}

Test(settings, a_collector_of_traces_is_a_plain_base_url)
{
    static const struct {
        const char *value, *mistake;
    } cases[] = {
        { "collector:4318", "must be http://host:port or https://…, without a slash at its end" },
        { "http://collector:4318/", "must be http://host:port or https://…, without a slash at its end" },
        { "https://key@collector", "must not hold a login: JOBHOOK_OTLP_HEADERS is for that" },
        { "https://collector?a=b", "must not hold a query or a fragment" },
        { "http://collector:4318/v1/traces", "must not end with /v1/traces: that is added" },
        { "http://", "must be http://host:port or https://…, without a slash at its end" },
        { "http://:", "must name a host in DNS, an IPv4 or an [IPv6] address, and perhaps a port from 1 to 65535" },
        { "http://[::", "must name a host in DNS, an IPv4 or an [IPv6] address, and perhaps a port from 1 to 65535" },
        { "http://user:hush", "must name a host in DNS, an IPv4 or an [IPv6] address, and perhaps a port from 1 to 65535" },
        { "http://127.0.0.1:99999", "must name a host in DNS, an IPv4 or an [IPv6] address, and perhaps a port from 1 to 65535" },
        { "https://a b/c", "must be http://host:port or https://…, without a slash at its end" },
    };
    static const char *const fine[] = { "http://collector", "http://collector/otlp", "https://[::1]", "https://[::1]:4318/a:b",
                                        "http://127.0.0.1:4318" };
    for (size_t i = 0; i < COUNT_OF(fine); i++) {
        cr_expect(READ(entry("JOBHOOK_OTLP_ENDPOINT=%s", fine[i])), "%s: %s", fine[i], mistakes.start);
        settings_finish(&settings);
    }
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_expect_not(READ(entry("JOBHOOK_OTLP_ENDPOINT=%s", cases[i].value)));
        expect_mistake(entry("JOBHOOK_OTLP_ENDPOINT=***: %s", cases[i].mistake)); /* a login that must not be there is one all the same */
    }
    cr_assert(READ("JOBHOOK_OTLP_ENDPOINT=https://traces.example.com/otlp", "JOBHOOK_OTLP_HEADERS=x-key=secret"));
    cr_assert_str_eq(settings.otlp_endpoint, "https://traces.example.com/otlp");
    cr_assert_eq(settings.otlp_headers.count, 1);
    settings_finish(&settings);
    cr_expect_not(READ("JOBHOOK_OTLP_HEADERS=x-key=secret"));
    expect_mistake("JOBHOOK_OTLP_HEADERS and JOBHOOK_OTLP_CA_FILE are for JOBHOOK_OTLP_ENDPOINT, which is not set");
    cr_expect_not(READ("JOBHOOK_OTLP_HEADERS_FILE=/dev/null"), "headers may come into the file later");
    expect_mistake("JOBHOOK_OTLP_HEADERS and JOBHOOK_OTLP_CA_FILE are for JOBHOOK_OTLP_ENDPOINT, which is not set");
    cr_expect_not(READ("JOBHOOK_OTLP_ENDPOINT=http://collector:4318", "JOBHOOK_OTLP_CA_FILE=/etc/hostname"));
    expect_mistake("JOBHOOK_OTLP_CA_FILE is for https:// only: JOBHOOK_OTLP_ENDPOINT is none");
}

Test(settings, rows_have_names_and_meanings_and_no_name_twice)
{
    for (size_t i = 0; i < settings_row_count(); i++) {
        const struct settings_row *row = settings_row(i);
        cr_expect_eq(strncmp(row->name, "JOBHOOK_", 8), 0);
        cr_expect_gt(strlen(row->meaning), 5, "%s", row->name);
        cr_expect(!row->required || row->default_value[0] == '\0', "%s", row->name);
        for (size_t j = 0; j < i; j++)
            cr_expect_str_neq(row->name, settings_row(j)->name);
    }
    cr_expect_gt(settings_row_count(), 30);
}

Test(settings, required_ones_and_all_other_mistakes_are_told_together)
{
    char *environment[] = { "JOBHOOK_WORKERS=0", "JOBHOOK_LOG_LEVEL=loud", "JOBHOOK_REDIS_URL=", NULL };
    text_init(&mistakes, 1 << 20);
    cr_assert_not(settings_read(&settings, environment, &mistakes));
    expect_mistake("JOBHOOK_KAFKA_BROKERS is not set: bootstrap servers, host:port with commas between\n"
                   "JOBHOOK_REDIS_URL is not set: redis://, rediss:// or unix://\n"
                   "JOBHOOK_WORKERS=\"0\": must be a whole number from 1 to 64, or auto\n"
                   "JOBHOOK_LOG_LEVEL=\"loud\": must be debug, info, warn or error");
    cr_assert_null(settings.topic, "nothing is left after mistakes");
    cr_assert_null(settings.given);
}

/* --- types --- */

Test(settings, durations)
{
    static const struct {
        const char *value;
        uint64_t ms; /* 0: refused */
    } cases[] = {
        { "100ms", 100 }, { "1500ms", 1500 }, { "10s", 10000 }, { "5m", 300000 }, { "300s", 300000 }, { "99ms", 0 },
        { "301s", 0 },    { "6m", 0 },        { "1h", 0 },      { "10", 0 },      { "s", 0 },         { "", 0 },
        { "-1s", 0 },     { "+1s", 0 },       { "1.5s", 0 },    { "01s", 0 },     { "1 s", 0 },       { " 1s", 0 },
        { "1s ", 0 },     { "1S", 0 },        { "1sec", 0 },    { "1d", 0 },      { "1s,2s", 0 },     { "99999999999999999999h", 0 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool fine = READ(entry("JOBHOOK_ATTEMPT_TIMEOUT=%s", cases[i].value));
        cr_expect_eq(fine, cases[i].ms > 0, "%s: %s", cases[i].value, fine ? "" : mistakes.start);
        cr_expect_eq(settings.attempt_timeout_ms, cases[i].ms, "%s", cases[i].value);
        settings_finish(&settings);
    }
    READ("JOBHOOK_ATTEMPT_TIMEOUT=90");
    expect_mistake("JOBHOOK_ATTEMPT_TIMEOUT=\"90\": must be a duration from 100ms to 5m, a whole number with ms, s, m or h");
}

Test(settings, a_duration_of_nothing_where_it_makes_sense)
{
    must_read("JOBHOOK_DRAIN_TIMEOUT=0s");
    cr_assert_eq(settings.drain_timeout_ms, 0);
    settings_finish(&settings);
    cr_assert_not(READ("JOBHOOK_LEASE_MARGIN=999ms"));
    expect_mistake("JOBHOOK_LEASE_MARGIN=\"999ms\": must be a duration from 1s to 1h, a whole number with ms, s, m or h");
}

Test(settings, sizes)
{
    static const struct {
        const char *value;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        { "1024", 1024 },
        { "65536", 65536 },
        { "65536B", 65536 },
        { "64KiB", 65536 },
        { "8MiB", 8 << 20 },
        { "1023", 0 },
        { "1GiB", 0 },
        { "513MiB", 0 },
        { "64KB", 0 },
        { "64k", 0 },
        { "64kib", 0 },
        { "", 0 },
        { "KiB", 0 },
        { "0x400", 0 },
        { "1.5MiB", 0 },
        { "1024 B", 0 },
        { "-1024", 0 },
        { "99999999999999999999", 0 },
        { "18014398509481985KiB", 0 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_expect_eq(READ(entry("JOBHOOK_MAX_EVENT_BYTES=%s", cases[i].value)), cases[i].bytes > 0, "%s", cases[i].value);
        cr_expect_eq(settings.max_event_bytes, cases[i].bytes, "%s", cases[i].value);
        settings_finish(&settings);
    }
    READ("JOBHOOK_MAX_EVENT_BYTES=9GB");
    expect_mistake("JOBHOOK_MAX_EVENT_BYTES=\"9GB\": must be a size from 1KiB to 512MiB, a whole number of bytes or one with KiB, MiB or GiB");
}

Test(settings, a_snippet_of_nothing)
{
    must_read("JOBHOOK_RESPONSE_SNIPPET_BYTES=0");
    cr_assert_eq(settings.snippet_bytes, 0);
    settings_finish(&settings);
    cr_assert_not(READ("JOBHOOK_RESPONSE_SNIPPET_BYTES=4097"));
    expect_mistake("JOBHOOK_RESPONSE_SNIPPET_BYTES=\"4097\": must be a size from 0B to 4KiB, a whole number of bytes or one with KiB, MiB or GiB");
}

Test(settings, counts)
{
    static const char *const refused[] = { "", "0", "100001", "-1", "1e3", "many", "1 ", "0x10", "99999999999999999999999" };
    must_read("JOBHOOK_MAX_IN_FLIGHT=1");
    cr_assert_eq(settings.max_in_flight, 1);
    settings_finish(&settings);
    must_read("JOBHOOK_MAX_IN_FLIGHT=100000");
    cr_assert_eq(settings.max_in_flight, 100000);
    settings_finish(&settings);
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        cr_expect_not(READ(entry("JOBHOOK_MAX_IN_FLIGHT=%s", refused[i])), "%s", refused[i]);
    READ("JOBHOOK_MAX_IN_FLIGHT=0");
    expect_mistake("JOBHOOK_MAX_IN_FLIGHT=\"0\": must be a whole number from 1 to 100000");
}

Test(settings, booleans_and_choices)
{
    must_read("JOBHOOK_ALLOW_HTTP=false");
    cr_assert_not(settings.guard.allow_http);
    settings_finish(&settings);
    must_read("JOBHOOK_REDIS_DOWN=wait");
    cr_assert_eq(settings.redis_down, REDIS_DOWN_WAIT);
    settings_finish(&settings);
    must_read("JOBHOOK_LOG_LEVEL=error");
    cr_assert_eq(settings.log_level, LOG_ERROR);
    settings_finish(&settings);
    must_read("JOBHOOK_LOG_FORMAT=text");
    cr_assert_eq(settings.log_format, LOG_TEXT);
    settings_finish(&settings);
    static const char *const refused[][2] = {
        { "JOBHOOK_ALLOW_HTTP=yes", "JOBHOOK_ALLOW_HTTP=\"yes\": must be true or false" },
        { "JOBHOOK_ALLOW_HTTP=", "JOBHOOK_ALLOW_HTTP=\"\": must be true or false" },
        { "JOBHOOK_ALLOW_HTTP=TRUE", "JOBHOOK_ALLOW_HTTP=\"TRUE\": must be true or false" },
        { "JOBHOOK_REDIS_DOWN=die", "JOBHOOK_REDIS_DOWN=\"die\": must be deliver or wait" },
        { "JOBHOOK_LOG_FORMAT=xml", "JOBHOOK_LOG_FORMAT=\"xml\": must be json or text" },
        { "JOBHOOK_SIGNING_SCOPE=host", "JOBHOOK_SIGNING_SCOPE=\"host\": must be shared, origin or url" },
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_expect_not(READ(refused[i][0]));
        expect_mistake(refused[i][1]);
    }
}

Test(settings, listen_addresses)
{
    static const struct {
        const char *value, *host; /* NULL: refused */
        int port;
    } cases[] = {
        { "127.0.0.1:0", "127.0.0.1", 0 },
        { "[::]:8080", "::", 8080 },
        { "[2001:db8::1]:65535", "2001:db8::1", 65535 },
        { "::1:8080", NULL, 0 },
        { "localhost:8080", NULL, 0 },
        { ":8080", NULL, 0 },
        { "8080", NULL, 0 },
        { "127.0.0.1", NULL, 0 },
        { "127.0.0.1:", NULL, 0 },
        { "127.0.0.1:65536", NULL, 0 },
        { "127.0.0.1:080", NULL, 0 },
        { "127.1:80", NULL, 0 },
        { "[127.0.0.1]:80", NULL, 0 },
        { "[]:80", NULL, 0 },
        { "[:80", NULL, 0 },
        { "[::1:80", NULL, 0 },
        { "[::1]80", NULL, 0 },
        { "", NULL, 0 },
        { "[0000000000000000000000000000000000000000000000000000000000000000000]:80", NULL, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool fine = READ(entry("JOBHOOK_HTTP_LISTEN=%s", cases[i].value));
        cr_expect_eq(fine, cases[i].host != NULL, "%s", cases[i].value);
        if (fine) {
            cr_expect_str_eq(settings.http_listen.host, cases[i].host);
            cr_expect_eq(settings.http_listen.port, cases[i].port);
        }
        settings_finish(&settings);
    }
}

Test(settings, topics_and_names)
{
    static const char *const fine[] = { "JOBHOOK_TOPIC=a", "JOBHOOK_TOPIC=A.b_c-9", "JOBHOOK_GROUP=team/blue" };
    static const char *const refused[] = {
        "JOBHOOK_TOPIC=",    "JOBHOOK_TOPIC=.", "JOBHOOK_TOPIC=..",  "JOBHOOK_TOPIC=a b", "JOBHOOK_TOPIC=\xc3\xa4",
        "JOBHOOK_TOPIC=a/b", "JOBHOOK_GROUP=",  "JOBHOOK_GROUP=a b", "JOBHOOK_GROUP=a\n", "JOBHOOK_REDIS_PREFIX="
    };
    for (size_t i = 0; i < COUNT_OF(fine); i++) {
        must_read(fine[i]);
        settings_finish(&settings);
    }
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        cr_expect_not(READ(refused[i]), "%s", refused[i]);
}

Test(settings, the_prefix_takes_the_groups_name)
{
    static const char *const cases[][3] = {
        { "JOBHOOK_GROUP=blue", "JOBHOOK_LOG_LEVEL=info", "jobhook:blue:" },
        { "JOBHOOK_GROUP=blue", "JOBHOOK_REDIS_PREFIX=x:", "x:" },
        { "JOBHOOK_GROUP=blue", "JOBHOOK_REDIS_PREFIX=<group>/<group>!", "blue/blue!" },
        { "JOBHOOK_GROUP=<group>", "JOBHOOK_REDIS_PREFIX=<group>", "<group>" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_assert(READ(cases[i][0], cases[i][1]), "%s", mistakes.start);
        cr_expect_str_eq(settings.redis_prefix, cases[i][2]);
        settings_finish(&settings);
    }
}

/* A key of all prefixes would overflow: then all tasks would share one. */
Test(settings, the_prefix_has_at_most_1024_bytes_with_the_groups_name)
{
    char group[sizeof("JOBHOOK_GROUP=") + 512] = "JOBHOOK_GROUP=";
    memset(group + strlen(group), 'g', 512);
    group[sizeof(group) - 1] = '\0';
    must_read(group);
    settings_finish(&settings);
    cr_assert(READ(group, "JOBHOOK_REDIS_PREFIX=<group><group>"), "%s", mistakes.start);
    cr_expect_eq(strlen(settings.redis_prefix), SETTINGS_REDIS_PREFIX_MAX);
    settings_finish(&settings);
    cr_assert_not(READ(group, "JOBHOOK_REDIS_PREFIX=<group><group>:"));
    expect_mistake("JOBHOOK_REDIS_PREFIX must have at most 1024 bytes, the name of JOBHOOK_GROUP put in: it has 1025");
}

Test(settings, delays_come_through_the_schedules_parser)
{
    must_read("JOBHOOK_RETRY_DELAYS=500ms,1m");
    cr_assert_eq(settings.schedule.retries.count, 2);
    cr_assert_eq(settings.schedule.retries.ms[0], 500);
    settings_finish(&settings);
    must_read("JOBHOOK_DEFER_DELAYS=");
    cr_assert_eq(settings.schedule.defers.count, 0);
    settings_finish(&settings);
    cr_assert_not(READ("JOBHOOK_RETRY_DELAYS=1s;2s"));
    cr_assert_eq(strncmp(mistakes.start, "JOBHOOK_RETRY_DELAYS=\"1s;2s\": ", 30), 0);
}

Test(settings, statuses)
{
    static const char *const refused[] = { "200", "299", "600", "41O", "410,", ",410", "410,,404", "410 404", "410, 404" };
    must_read("JOBHOOK_FINAL_STATUSES=404,410");
    cr_assert_eq(settings.final_status_count, 2);
    cr_assert_eq(settings.final_statuses[0], 404);
    cr_assert_eq(settings.final_statuses[1], 410);
    settings_finish(&settings);
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_expect_not(READ(entry("JOBHOOK_FINAL_STATUSES=%s", refused[i])));
        expect_mistake(entry("JOBHOOK_FINAL_STATUSES=\"%s\": must be HTTP statuses from 300 to 599 with commas between, e.g. 404,410", refused[i]));
    }
}

Test(settings, egress_ranges)
{
    cr_assert(READ("JOBHOOK_EGRESS_ALLOW=127.0.0.0/8,::1/128", "JOBHOOK_EGRESS_DENY=8.8.8.0/24"), "%s", mistakes.start);
    cr_assert_eq(settings.guard.allow_count, 2);
    cr_assert_eq(settings.guard.deny_count, 1);
    settings_finish(&settings);
    cr_assert(READ("JOBHOOK_EGRESS_ALLOW=", "JOBHOOK_EGRESS_DENY="));
    cr_assert_eq(settings.guard.allow_count, 0);
    settings_finish(&settings);
    cr_assert_not(READ("JOBHOOK_EGRESS_ALLOW=127.0.0.1/8"));
    cr_assert_not(READ("JOBHOOK_EGRESS_DENY=everything"));
}

Test(settings, nat64_prefix)
{
    static const char *const refused[] = {
        "64:ff9b::", "64:ff9b::/95", "64:ff9b::1/96", "10.0.0.0/8", "64:ff9b::/96,2001:db8::/96", "64:ff9b::/128"
    };
    cr_assert(READ("JOBHOOK_EGRESS_NAT64=2001:67c:2e8:64::/96"), "%s", mistakes.start);
    cr_assert(settings.guard.has_nat64 && settings.guard.nat64.bits == 96 && settings.guard.nat64.address.bytes[1] == 0x01);
    settings_finish(&settings);
    must_read("JOBHOOK_EGRESS_NAT64=");
    cr_assert_not(settings.guard.has_nat64);
    settings_finish(&settings);
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_expect_not(READ(entry("JOBHOOK_EGRESS_NAT64=%s", refused[i])), "%s", refused[i]);
        expect_mistake(entry("JOBHOOK_EGRESS_NAT64=\"%s\": must be one IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits with nothing set behind it, "
                             "e.g. 64:ff9b::/96",
                             refused[i]));
    }
}

Test(settings, proxies)
{
    static const char *const taken[] = { "http://u:50%off@proxy:1",    "http://user:pass@proxy:3128", "https://u:p%40ss@192.0.2.1:1",
                                         "http://[2001:db8::1]:65535", "http://[fe80::1%25eth0]:1",   "http://a_b.example.com.:1",
                                         "http://\xc3\xa4:@proxy:1" };
    static const char *const refused[] = {
        "proxy:3128",
        "socks5://proxy:1080",
        "http://proxy:3128/",
        "http://pro xy:3128",
        "http://proxy",
        "http://proxy:",
        "http://proxy:0",
        "http://proxy:65536",
        "http://proxy:+80",
        "http://proxy:3128/way",
        "http://proxy:3128?x",
        "http://proxy:3128#x",
        "http://:3128",
        "http://u:p@:3128",
        "http://u:p/w@proxy:80",
        "http://2001:db8::1:3128",
        "http://[::1]",
        "http://[::1]3128",
        "http://u\\@proxy:3128",
        "http://",
        "https://user:p@proxy",
        /* What libcurl cannot use, or would leave out, so that receivers were called without the proxy. */
        "http://[zzz]:1",
        "http://[]:1",
        "http://[::1%]:1",
        "http://[proxy]:1",
        "http://a%zzb:1",
        "http://a%41b:1",
        "http://*:1",
        "http://ex\xc3\xa4mple:1",
        "http://a..b:1",
        "http://.:1",
        "http://1.2.3.256:1",
        "http://u:p@w@proxy:1",
        "http://u:%00@proxy:1",
        "http://u%0a@proxy:1",
    };
    for (size_t i = 0; i < COUNT_OF(taken); i++) {
        must_read(entry("JOBHOOK_PROXY=%s", taken[i]));
        cr_expect_str_eq(settings.proxy, taken[i]);
        settings_finish(&settings);
    }
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_expect_not(READ(entry("JOBHOOK_PROXY=%s", refused[i])), "%s", refused[i]);
        expect_mistake("JOBHOOK_PROXY=***: must be http://[user:password@]host:port or https://…, without a path, the host a name in DNS, an IPv4 "
                       "or an [IPv6] address; /, ?, #, @ and % in a password are written %2F, %3F, %23, %40 and %25, and it holds no control "
                       "character");
    }
    const char *file = temporary_file("http://u:hush%00@proxy:1", 24);
    cr_expect_not(READ(entry("JOBHOOK_PROXY_FILE=%s", file)));
    cr_expect_null(strstr(mistakes.start, "hush"));
    unlink(file);
}

Test(settings, files_must_be_readable)
{
    const char *file = temporary_file("x", 1);
    cr_assert(READ(entry("JOBHOOK_CA_FILE=%s", file), entry("JOBHOOK_CLIENT_CERT=%s", file), entry("JOBHOOK_CLIENT_KEY=%s", file)), "%s",
              mistakes.start);
    cr_assert_str_eq(settings.ca_file, file);
    settings_finish(&settings);
    must_read("JOBHOOK_CA_FILE=system");
    cr_assert_null(settings.ca_file);
    settings_finish(&settings);
    cr_assert_not(READ("JOBHOOK_CA_FILE=/nonexistent/ca.pem"));
    expect_mistake("JOBHOOK_CA_FILE=\"/nonexistent/ca.pem\": must name a file that can be read: No such file or directory");
    unlink(file);
}

/* --- values from files --- */

Test(settings, every_setting_may_come_from_a_file_without_its_last_newline)
{
    static const struct {
        const char *content, *topic; /* NULL: refused */
    } cases[] = { { "abc", "abc" }, { "abc\n", "abc" }, { "abc\r\n", "abc" }, { "abc\n\n", NULL }, { "abc ", NULL }, { "", NULL }, { "\n", NULL } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *file = temporary_file(cases[i].content, strlen(cases[i].content));
        bool fine = READ(entry("JOBHOOK_TOPIC_FILE=%s", file));
        cr_expect_eq(fine, cases[i].topic != NULL, "case %zu", i);
        if (fine)
            cr_expect_str_eq(settings.topic, cases[i].topic);
        settings_finish(&settings);
        unlink(file);
    }
}

Test(settings, mistakes_in_a_file_name_the_file)
{
    const char *file = temporary_file("no topic", 8), *binary = temporary_file("a\0b", 3);
    READ(entry("JOBHOOK_TOPIC_FILE=%s", file));
    expect_mistake(entry("JOBHOOK_TOPIC=\"no topic\" (from the file %s): must be a topic's name: letters, digits, '.', '_' and '-'", file));
    READ(entry("JOBHOOK_TOPIC_FILE=%s", binary));
    expect_mistake(entry("JOBHOOK_TOPIC_FILE=\"%s\": holds a NUL byte", binary));
    READ("JOBHOOK_TOPIC_FILE=/nonexistent");
    expect_mistake("JOBHOOK_TOPIC_FILE=\"/nonexistent\": cannot be read: No such file or directory");
    READ("JOBHOOK_TOPIC_FILE=/");
    expect_mistake("JOBHOOK_TOPIC_FILE=\"/\": cannot be read: Is a directory");
    READ("JOBHOOK_TOPIC_FILE=/dev/zero");
    expect_mistake("JOBHOOK_TOPIC_FILE=\"/dev/zero\": is larger than 1 MiB");
    unlink(file);
    unlink(binary);
}

Test(settings, a_value_and_a_file_at_once_is_a_mistake)
{
    READ("JOBHOOK_TOPIC=a", "JOBHOOK_TOPIC_FILE=/dev/null");
    expect_mistake("JOBHOOK_TOPIC and JOBHOOK_TOPIC_FILE are both set: set one of them");
    READ("KAFKA_SASL_PASSWORD=a", "KAFKA_SASL_PASSWORD_FILE=/dev/null");
    expect_mistake("KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE are both set: set one of them");
}

Test(settings, a_setting_whose_name_ends_in_file_is_not_mistaken_for_one)
{
    const char *file = temporary_file("system", 6);
    must_read(entry("JOBHOOK_CA_FILE_FILE=%s", file));
    cr_assert_null(settings.ca_file);
    cr_assert_not_null(strstr(printed(), entry("JOBHOOK_CA_FILE=system  # from the file %s\n", file)));
    unlink(file);
}

/* --- names --- */

Test(settings, unknown_names_are_mistakes_with_a_hint)
{
    static const char *const cases[][2] = {
        { "JOBHOOK_TOPICS=a", "JOBHOOK_TOPICS is not a setting: did you mean JOBHOOK_TOPIC?" },
        { "JOBHOOK_MAX_INFLIGHT=1", "JOBHOOK_MAX_INFLIGHT is not a setting: did you mean JOBHOOK_MAX_IN_FLIGHT?" },
        { "JOBHOOK_REDIS_UR_FILE=x", "JOBHOOK_REDIS_UR_FILE is not a setting: did you mean JOBHOOK_REDIS_URL_FILE?" },
        { "JOBHOOK_COMPLETELY_ELSEWHERE=1", "JOBHOOK_COMPLETELY_ELSEWHERE is not a setting" },
        { "JOBHOOK_=1", "JOBHOOK_ is not a setting" },
        { "KAFKA_FILE=1", "KAFKA_FILE is not a setting" },
        { "JOBHOOK_topic=a", "JOBHOOK_topic is not a setting" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_expect_not(READ(cases[i][0]));
        expect_mistake(cases[i][1]);
    }
}

Test(settings, what_kubernetes_and_others_put_there_is_ignored)
{
    cr_assert(READ("JOBHOOK_SERVICE_HOST=10.0.0.1", "JOBHOOK_SERVICE_PORT=8080", "JOBHOOK_SERVICE_PORT_HTTP=8080", "JOBHOOK_PORT=tcp://10.0.0.1:8080",
                   "JOBHOOK_PORT_8080_TCP=tcp://10.0.0.1:8080", "JOBHOOK_PORT_8080_TCP_ADDR=10.0.0.1", "JOBHOOK_API_SERVICE_HOST=10.0.0.1",
                   "JOBHOOK_API_PORT_8081_TCP_PROTO=tcp", "KAFKA_PORT=tcp://10.0.0.2:9092", "KAFKA_SERVICE_HOST=10.0.0.2",
                   "KAFKA_PORT_9092_TCP_PORT=9092", "JOBHOOKS=1", "MY_JOBHOOK_X=1", "PATH=/bin", "odd entry"),
              "%s", mistakes.start);
    cr_assert_eq(settings.kafka_count, 0);
}

Test(settings, no_color)
{
    must_read("NO_COLOR=1");
    cr_assert(settings.no_color);
    settings_finish(&settings);
    must_read("NO_COLOR=");
    cr_assert_not(settings.no_color);
}

Test(settings, without_an_environment_the_processs_own_is_read)
{
    setenv("JOBHOOK_KAFKA_BROKERS", "127.0.0.1:1", 1);
    setenv("JOBHOOK_REDIS_URL", "redis://127.0.0.1", 1);
    text_init(&mistakes, 1 << 20);
    cr_assert(settings_read(&settings, NULL, &mistakes), "%s", mistakes.start);
    cr_assert_str_eq(settings.kafka_brokers, "127.0.0.1:1");
}

/* --- librdkafka's properties --- */

static const struct kafka_property *property(const char *name)
{
    for (size_t i = 0; i < settings.kafka_count; i++)
        if (strcmp(settings.kafka[i].name, name) == 0)
            return &settings.kafka[i];
    return NULL;
}

Test(settings, kafka_variables_become_properties)
{
    const char *file = temporary_file("hush\n", 5);
    cr_assert(READ("KAFKA_SECURITY_PROTOCOL=SASL_SSL", entry("KAFKA_SASL_PASSWORD_FILE=%s", file), "KAFKA_SSL_KEY_PEM=k",
                   "KAFKA_SASL_OAUTHBEARER_CONFIG=c", "KAFKA_SSL_KEYSTORE_PASSWORD=s", "KAFKA_CLIENT_RACK="),
              "%s", mistakes.start);
    cr_expect_not_null(strstr(printed(), entry("\nKAFKA_SASL_PASSWORD=***  # librdkafka's sasl.password, from the file %s\n", file)), "%s",
                       printed());
    cr_assert_eq(settings.kafka_count, 6);
    cr_assert_str_eq(property("security.protocol")->value, "SASL_SSL");
    cr_assert_not(property("security.protocol")->secret);
    cr_assert_str_eq(property("sasl.password")->value, "hush");
    cr_assert(property("sasl.password")->secret);
    cr_assert(property("ssl.key.pem")->secret);
    cr_assert(property("sasl.oauthbearer.config")->secret);
    cr_assert(property("ssl.keystore.password")->secret);
    cr_assert_str_eq(property("client.rack")->value, "");
    unlink(file);
}

Test(settings, properties_that_safety_rests_on_are_refused)
{
    static const char *const names[] = { "ENABLE_AUTO_COMMIT",
                                         "AUTO_COMMIT_ENABLE",
                                         "AUTO_COMMIT_INTERVAL_MS",
                                         "ENABLE_AUTO_OFFSET_STORE",
                                         "ACKS",
                                         "REQUEST_REQUIRED_ACKS",
                                         "DELIVERY_REPORT_ONLY_ERROR",
                                         "ENABLE_IDEMPOTENCE",
                                         "ENABLE_GAPLESS_GUARANTEE",
                                         "TOPIC_BLACKLIST",
                                         "TRANSACTIONAL_ID",
                                         "GROUP_PROTOCOL",
                                         "INTERNAL_TERMINATION_SIGNAL",
                                         "TEST_MOCK_NUM_BROKERS",
                                         "TEST_MOCK_BROKER_RTT",
                                         "ISOLATION_LEVEL",
                                         "AUTO_OFFSET_RESET",
                                         "GROUP_ID",
                                         "PARTITION_ASSIGNMENT_STRATEGY",
                                         "ENABLE_PARTITION_EOF",
                                         "enable_auto_commit" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        cr_expect_not(READ(entry("KAFKA_%s=1", names[i])), "%s", names[i]);
        cr_expect(strstr(mistakes.start, " cannot be changed: ") != NULL || strstr(mistakes.start, " is not set here: ") != NULL, "%s",
                  mistakes.start);
    }
    READ("KAFKA_ACKS=1");
    expect_mistake("KAFKA_ACKS=\"1\": acks cannot be changed: a retry record counts only when all replicas have it");
    READ("KAFKA_TEST_MOCK_NUM_BROKERS=1");
    expect_mistake("KAFKA_TEST_MOCK_NUM_BROKERS=\"1\": test.mock.num.brokers cannot be changed: librdkafka would play the brokers itself, and none "
                   "of those that are set would be asked");
    READ("KAFKA_BOOTSTRAP_SERVERS=a:1");
    expect_mistake("KAFKA_BOOTSTRAP_SERVERS=\"a:1\": bootstrap.servers is not set here: use JOBHOOK_KAFKA_BROKERS");
    READ("KAFKA_METADATA_BROKER_LIST=a:1");
    expect_mistake("KAFKA_METADATA_BROKER_LIST=\"a:1\": metadata.broker.list is not set here: use JOBHOOK_KAFKA_BROKERS");
    READ("KAFKA_=a");
    expect_mistake("KAFKA_=\"a\": names no property");
}

/* 10 ms, and a consumer on a busy machine never had its partitions; -1 is librdkafka's "never". */
Test(settings, topics_are_known_for_a_second_at_least)
{
    static const char *const names[][2] = { { "KAFKA_METADATA_MAX_AGE_MS", "metadata.max.age.ms" },
                                            { "KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS", "topic.metadata.refresh.interval.ms" } };
    static const char *const refused[] = { "1", "10", "999", "0", "-1", "soon", "" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        for (size_t j = 0; j < COUNT_OF(refused); j++) {
            cr_expect_not(READ(entry("%s=%s", names[i][0], refused[j])), "%s=%s", names[i][0], refused[j]);
            expect_mistake(entry("%s=\"%s\": %s must be a whole number from 1000: librdkafka would forget the topics before it has joined them, or "
                                 "never see new ones",
                                 names[i][0], refused[j], names[i][1]));
        }
        must_read(entry("%s=1000", names[i][0]));
        settings_finish(&settings);
    }
}

/* Five minutes, and a copy that joined a quiet group read nothing for as long. */
Test(settings, brokers_hold_no_fetch_for_longer_than_ten_seconds)
{
    static const char *const refused[] = { "10001", "300000", "-1", "soon", "" };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_expect_not(READ(entry("KAFKA_FETCH_WAIT_MAX_MS=%s", refused[i])), "%s", refused[i]);
        expect_mistake(
            entry("KAFKA_FETCH_WAIT_MAX_MS=\"%s\": fetch.wait.max.ms must be a whole number up to 10000: a partition that is assigned while a "
                  "broker waits is not read before",
                  refused[i]));
    }
    must_read("KAFKA_FETCH_WAIT_MAX_MS=10000");
    settings_finish(&settings);
}

Test(settings, properties_that_librdkafka_does_not_take_are_told_with_the_other_mistakes)
{
    cr_assert_not(READ("KAFKA_NO_SUCH_PROPERTY=1", "KAFKA_SESSION_TIMEOUT_MS=soon", "JOBHOOK_LOG_LEVEL=loud"));
    cr_assert_not_null(strstr(mistakes.start, "JOBHOOK_LOG_LEVEL=\"loud\": "), "%s", mistakes.start);
    cr_assert_not_null(strstr(mistakes.start, "\nKAFKA_NO_SUCH_PROPERTY: librdkafka "), "%s", mistakes.start);
    cr_assert_not_null(strstr(mistakes.start, "\nKAFKA_SESSION_TIMEOUT_MS=soon: "), "%s", mistakes.start);
}

/* --- what does not fit together --- */

Test(settings, the_state_must_outlive_the_schedule_and_the_events)
{
    READ("JOBHOOK_STATE_TTL=1h", "JOBHOOK_MAX_EVENT_AGE=1h");
    expect_mistake("JOBHOOK_STATE_TTL (1h) must be at least the delays of JOBHOOK_RETRY_DELAYS together (31s) + JOBHOOK_GIVE_UP_AFTER (1h) = 3631s");
    READ("JOBHOOK_DEFER_DELAYS=168h,1m");
    expect_mistake(
        "JOBHOOK_STATE_TTL (24h) must be at least the longest of JOBHOOK_DEFER_DELAYS (168h): a task would be forgotten before its event comes back");
    READ("JOBHOOK_STATE_TTL=2h");
    expect_mistake("JOBHOOK_MAX_EVENT_AGE (24h) must be at most JOBHOOK_STATE_TTL (2h): an older event could be delivered again");
    cr_assert(READ("JOBHOOK_STATE_TTL=3631s", "JOBHOOK_MAX_EVENT_AGE=3631s"), "exactly enough is enough");
}

Test(settings, an_event_must_fit_into_what_is_held)
{
    READ("JOBHOOK_MAX_HELD_BYTES=4MiB");
    expect_mistake("JOBHOOK_MAX_EVENT_BYTES (8MiB) must be at most JOBHOOK_MAX_HELD_BYTES (4MiB): one event of that size could never be taken up");
    must_read("JOBHOOK_MAX_HELD_BYTES=8MiB");
}

Test(settings, what_is_in_flight_must_fit_into_what_is_held)
{
    READ("JOBHOOK_MAX_HELD_BYTES=1MiB", "JOBHOOK_MAX_EVENT_BYTES=64KiB", "JOBHOOK_MAX_IN_FLIGHT=8192");
    expect_mistake(
        "JOBHOOK_MAX_IN_FLIGHT (8192) x 256 B, about what the smallest event takes, = 2MiB must be at most JOBHOOK_MAX_HELD_BYTES (1MiB): so "
        "many could never be in flight");
    cr_assert(READ("JOBHOOK_MAX_HELD_BYTES=1MiB", "JOBHOOK_MAX_EVENT_BYTES=64KiB", "JOBHOOK_MAX_IN_FLIGHT=4096"), "exactly enough is enough");
}

Test(settings, a_claim_is_remembered_for_as_long_as_its_lease)
{
    READ("JOBHOOK_STATE_TTL=10m", "JOBHOOK_MAX_EVENT_AGE=10m", "JOBHOOK_GIVE_UP_AFTER=1m", "JOBHOOK_ATTEMPT_TIMEOUT=5m", "JOBHOOK_LEASE_MARGIN=6m");
    expect_mistake(
        "JOBHOOK_ATTEMPT_TIMEOUT (5m) + JOBHOOK_LEASE_MARGIN (6m) = 11m must be at most JOBHOOK_STATE_TTL (10m): a claim would be forgotten "
        "while it is respected");
    cr_assert(READ("JOBHOOK_STATE_TTL=10m", "JOBHOOK_MAX_EVENT_AGE=10m", "JOBHOOK_GIVE_UP_AFTER=1m", "JOBHOOK_ATTEMPT_TIMEOUT=5m",
                   "JOBHOOK_LEASE_MARGIN=5m"));
}

Test(settings, at_least_one_delay_is_needed)
{
    READ("JOBHOOK_RETRY_DELAYS=", "JOBHOOK_DEFER_DELAYS=");
    expect_mistake("JOBHOOK_RETRY_DELAYS and JOBHOOK_DEFER_DELAYS are both empty: at least one delay is needed");
    must_read("JOBHOOK_RETRY_DELAYS=");
}

Test(settings, the_names_of_the_retry_topics_must_fit_kafka)
{
    char topic[300] = "JOBHOOK_TOPIC=";
    size_t start = strlen(topic);
    memset(topic + start, 'a', 239); /* + ".retry.16s" is 249 */
    topic[start + 239] = '\0';
    must_read(topic);
    settings_finish(&settings);
    topic[start + 239] = 'a';
    topic[start + 240] = '\0';
    cr_assert_not(READ(topic));
    cr_assert_not_null(strstr(mistakes.start, "has 250 bytes, a topic's name at most 249\n"));
}

Test(settings, certificate_and_key_go_together)
{
    READ("JOBHOOK_CLIENT_CERT=/dev/null");
    expect_mistake("JOBHOOK_CLIENT_CERT and JOBHOOK_CLIENT_KEY must be set together");
}

Test(settings, the_certificate_for_receivers_is_not_for_a_proxy)
{
    READ("JOBHOOK_CLIENT_CERT=/dev/null", "JOBHOOK_CLIENT_KEY=/dev/null", "JOBHOOK_PROXY=https://proxy:3128");
    expect_mistake("JOBHOOK_CLIENT_CERT would be shown to an https:// JOBHOOK_PROXY as well: reach the proxy by http://, TLS to receivers goes "
                   "through it untouched");
    cr_assert(READ("JOBHOOK_CLIENT_CERT=/dev/null", "JOBHOOK_CLIENT_KEY=/dev/null", "JOBHOOK_PROXY=http://proxy:3128"), "%s", mistakes.start);
}

Test(settings, those_of_redis_go_together_too)
{
    READ("JOBHOOK_REDIS_CLIENT_KEY=/dev/null");
    expect_mistake("JOBHOOK_REDIS_CLIENT_CERT and JOBHOOK_REDIS_CLIENT_KEY must be set together");
}

Test(settings, what_is_for_tls_is_refused_without)
{
    READ("JOBHOOK_REDIS_CA_FILE=/dev/null");
    expect_mistake("JOBHOOK_REDIS_CA_FILE and JOBHOOK_REDIS_CLIENT_CERT are for rediss:// only: JOBHOOK_REDIS_URL is none");
}

/* --- signing --- */

#define KEY_ONE "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
#define KEY_TWO "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

Test(settings, signing_keys_are_read_newest_first)
{
    must_read("JOBHOOK_SIGNING_KEYS=" KEY_TWO " " KEY_ONE);
    cr_assert_eq(settings.signing_keys.count, 2);
    cr_assert_eq(settings.signing_keys.keys[1].bytes[23], 23);
    cr_assert_eq(settings.signing_scope, SIGNATURE_SHARED);
    cr_assert_null(settings_file(&settings, "JOBHOOK_SIGNING_KEYS"));
    settings_finish(&settings);
    cr_assert(READ("JOBHOOK_SIGNING_KEYS=" KEY_ONE, "JOBHOOK_SIGNING_SCOPE=origin"));
    cr_assert_eq(settings.signing_scope, SIGNATURE_ORIGIN);
    settings_finish(&settings);
    cr_assert(READ("JOBHOOK_SIGNING_KEYS=" KEY_ONE, "JOBHOOK_SIGNING_SCOPE=url"));
    cr_assert_eq(settings.signing_scope, SIGNATURE_URL);
}

Test(settings, signing_keys_come_from_a_file_that_is_named_for_reading_it_again)
{
    const char *file = temporary_file(KEY_ONE "\n" KEY_TWO "\n", strlen(KEY_ONE KEY_TWO) + 2);
    cr_assert(READ(entry("JOBHOOK_SIGNING_KEYS_FILE=%s", file)), "%s", mistakes.start);
    cr_assert_eq(settings.signing_keys.count, 2);
    cr_assert_str_eq(settings_file(&settings, "JOBHOOK_SIGNING_KEYS"), file);
    unlink(file);
}

Test(settings, a_file_with_nothing_is_no_way_to_leave_a_setting_out)
{
    static const char *const names[] = { "JOBHOOK_PROXY", "JOBHOOK_EGRESS_DENY", "JOBHOOK_SIGNING_KEYS", "JOBHOOK_CA_FILE", "KAFKA_SASL_PASSWORD" };
    for (size_t length = 0; length < 2; length++) {
        const char *file = temporary_file("\n", length);
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            char name[128], mistake[256];
            snprintf(name, sizeof(name), "%s_FILE=%s", names[i], file);
            snprintf(mistake, sizeof(mistake), "%s: holds nothing", name);
            cr_assert_not(READ(name));
            expect_mistake(mistake);
        }
        unlink(file);
    }
}

#define TOKEN "0123456789abcdef0123456789abcdef"

Test(settings, api_tokens_are_read_and_a_mistake_names_the_token_and_not_its_content)
{
    cr_assert(READ("JOBHOOK_API_TOKENS=" TOKEN " " TOKEN "x"));
    cr_assert_eq(settings.api_tokens.count, 2);
    settings_finish(&settings);
    cr_expect_not(READ("JOBHOOK_API_TOKENS=" TOKEN " secret"));
    expect_mistake(
        "JOBHOOK_API_TOKENS=***: token 2: is shorter than 32 characters, so that it could be guessed: openssl rand -hex 32 makes a good one");
    const char *file = temporary_file(" \n", 2);
    cr_assert_not(READ(entry("JOBHOOK_API_TOKENS_FILE=%s", file)));
    expect_mistake(entry("JOBHOOK_API_TOKENS_FILE=%s: holds no token", file));
    unlink(file);
}

Test(settings, two_listeners_do_not_share_a_port)
{
    static const struct {
        const char *http, *api;
        bool fine;
    } cases[] = {
        { "127.0.0.1:80", "127.0.0.1:80", false }, { "0.0.0.0:80", "127.0.0.1:80", false },  { "127.0.0.1:80", "0.0.0.0:80", false },
        { "[::]:80", "127.0.0.1:80", false },      { "[::1]:80", "[::]:80", false },         { "127.0.0.1:80", "127.0.0.2:80", true },
        { "0.0.0.0:80", "[::1]:80", true },        { "127.0.0.1:80", "127.0.0.1:81", true }, { "127.0.0.1:0", "127.0.0.1:0", true },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *http = entry("JOBHOOK_HTTP_LISTEN=%s", cases[i].http), *api = entry("JOBHOOK_API_LISTEN=%s", cases[i].api);
        cr_expect_eq(READ(http, api, "JOBHOOK_API_TOKENS=" TOKEN), cases[i].fine, "%s %s", http, api);
        if (!cases[i].fine)
            expect_mistake("JOBHOOK_HTTP_LISTEN and JOBHOOK_API_LISTEN must not be the same address and port: only one of them could listen");
        settings_finish(&settings);
        cr_expect(READ(http, api), "without tokens there is one");
        settings_finish(&settings);
    }
}

Test(settings, mistakes_in_signing_keys_name_the_key_and_not_its_content)
{
    cr_assert_not(READ("JOBHOOK_SIGNING_KEYS=" KEY_ONE " whsec_aHVzaA=="));
    expect_mistake("JOBHOOK_SIGNING_KEYS=***: must be whsec_… and whsk_… keys, newest first, with spaces between: key 2 is too short: a whsec_ key "
                   "has 24 to 64 bytes");
    cr_assert_null(strstr(mistakes.start, "aHVzaA"));
    cr_assert_eq(settings.signing_keys.count, 0);
}

Test(settings, a_part_of_them_is_read_without_the_rest)
{
    char *environment[] = { "JOBHOOK_SIGNING_KEYS=" KEY_ONE, "JOBHOOK_SIGNING_SCOPE=url", "JOBHOOK_LOG_LEVEL=nonsense", "JOBHOOK_TYPO=1", NULL };
    text_init(&mistakes, 1 << 20);
    cr_assert(settings_read_part(&settings, "JOBHOOK_SIGNING_", environment, &mistakes), "%s", mistakes.start);
    cr_assert_eq(settings.signing_keys.count, 1);
    cr_assert_eq(settings.signing_scope, SIGNATURE_URL);
    cr_assert_null(settings.kafka_brokers);
    settings_finish(&settings);
    environment[1] = "JOBHOOK_SIGNING_SCOPE=x";
    environment[3] = "JOBHOOK_SIGNING_KEY=" KEY_TWO;
    cr_assert_not(settings_read_part(&settings, "JOBHOOK_SIGNING_", environment, &mistakes));
    cr_assert_not_null(strstr(mistakes.start, "JOBHOOK_SIGNING_SCOPE=\"x\": must be shared, origin or url\n"));
    cr_assert_not_null(strstr(mistakes.start, "JOBHOOK_SIGNING_KEY is not a setting: did you mean JOBHOOK_SIGNING_KEYS?\n"));
    cr_assert_null(settings.given);
}

static char *own_environment[] = { "JOBHOOK_KAFKA_BROKERS=b", NULL, NULL, NULL, NULL };

Test(settings, secrets_of_the_own_environment_are_gone_once_they_are_read)
{
    char url[] = "JOBHOOK_REDIS_URL=redis://:hush@h", keys[] = "JOBHOOK_SIGNING_KEYS=" KEY_ONE, password[] = "KAFKA_SASL_PASSWORD=hush";
    own_environment[1] = url;
    own_environment[2] = keys;
    own_environment[3] = password;
    environ = own_environment;
    text_init(&mistakes, 1 << 20);
    cr_assert(settings_read(&settings, NULL, &mistakes), "%s", mistakes.start);
    cr_assert_eq(settings.signing_keys.count, 1);
    cr_expect_str_eq(url, "JOBHOOK_REDIS_URL=");
    cr_expect_str_eq(keys, "JOBHOOK_SIGNING_KEYS=");
    cr_expect_str_eq(password, "KAFKA_SASL_PASSWORD=");
    cr_expect_not_null(strstr(printed(), "JOBHOOK_SIGNING_KEYS=***  # from the environment\n"));
    settings_finish(&settings);
}

/* As execve may leave it. */
Test(settings, secrets_that_stand_in_the_environment_twice_are_gone_twice)
{
    char url[] = "JOBHOOK_REDIS_URL=redis://:hush@h", other_url[] = "JOBHOOK_REDIS_URL=redis://:hush@other";
    char password[] = "KAFKA_SASL_PASSWORD=hush", other_password[] = "KAFKA_SASL_PASSWORD=other";
    char *environment[] = { "JOBHOOK_KAFKA_BROKERS=b", url, password, other_url, other_password, NULL };
    environ = environment;
    text_init(&mistakes, 1 << 20);
    cr_assert(settings_read(&settings, NULL, &mistakes), "%s", mistakes.start);
    cr_expect_str_eq(settings.redis.host, "h", "the first counts");
    cr_expect_eq(settings.kafka_count, 1);
    cr_expect_str_eq(settings.kafka[0].value, "hush");
    char *const entries[] = { url, password, other_url, other_password };
    for (size_t i = 0; i < COUNT_OF(entries); i++)
        cr_expect_eq(strlen(entries[i]), strcspn(entries[i], "=") + 1, "%s", entries[i]);
    environ = own_environment;
}

Test(settings, the_topic_of_attempts_is_one_of_its_own)
{
    static const char *const wrong[] = { "jobs.completed", "jobs.completed.dlq", "jobs.completed.retry.1s", "jobs.completed.retry.7m" };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        cr_expect_not(READ(entry("JOBHOOK_ATTEMPTS_TOPIC=%s", wrong[i])));
        expect_mistake(entry("JOBHOOK_ATTEMPTS_TOPIC=%s: must be a topic of its own, not the input, a retry or the dead-letter topic", wrong[i]));
    }
    char name[251] = "";
    memset(name, 'a', sizeof(name) - 1);
    cr_expect_not(READ(entry("JOBHOOK_ATTEMPTS_TOPIC=%s", name)));
    expect_mistake("JOBHOOK_ATTEMPTS_TOPIC is too long: it has 250 bytes, a topic's name at most 249");
    cr_assert(READ("JOBHOOK_ATTEMPTS_TOPIC=jobs.completed.attempts"));
    cr_assert_str_eq(settings.attempts_topic, "jobs.completed.attempts");
}

Test(settings, workers_are_a_number_or_as_many_as_there_are_processors)
{
    must_read("JOBHOOK_WORKERS=3");
    cr_expect_eq(settings.workers, 3);
    settings_finish(&settings);
    must_read("JOBHOOK_WORKERS=auto");
    cr_expect_eq(settings.workers, processors_usable() < 64 ? processors_usable() : 64);
    cr_expect_not_null(strstr(printed(), entry("JOBHOOK_WORKERS=auto  # from the environment: %lu here\n", (unsigned long)settings.workers)), "%s",
                       printed());
    settings_finish(&settings);
    cr_expect_not(READ("JOBHOOK_WORKERS=0"));
    expect_mistake("JOBHOOK_WORKERS=\"0\": must be a whole number from 1 to 64, or auto");
    cr_expect_not(READ("JOBHOOK_WORKERS=Auto"));
    expect_mistake("JOBHOOK_WORKERS=\"Auto\": must be a whole number from 1 to 64, or auto");
}

Test(settings, the_hold_file_is_read_at_the_start)
{
    static const char rules[] = "https://a.example.com hold\nhttps://b.example.com dead\n";
    must_read(entry("JOBHOOK_HOLD_FILE=%s", temporary_file(rules, sizeof(rules) - 1)));
    cr_expect_eq(hold_list_length(settings.holds), 2);
    settings_finish(&settings);
    must_read("JOBHOOK_HOLD_FILE=");
    cr_expect_null(settings.holds);
    settings_finish(&settings);
    cr_expect_not(READ("JOBHOOK_HOLD_FILE=/nowhere/at/all"));
    expect_mistake("JOBHOOK_HOLD_FILE=\"/nowhere/at/all\": cannot be read: No such file or directory");
    const char *path = temporary_file("\nb.example.com hold", 19);
    cr_expect_not(READ(entry("JOBHOOK_HOLD_FILE=%s", path)));
    expect_mistake(
        entry("JOBHOOK_HOLD_FILE=\"%s\": line 2: the prefix must be a URL that could be called, such as https://a.example.com/path: refused "
              "by scheme",
              path));
}

/* --- what is shown --- */

Test(settings, secrets_are_never_shown_in_mistakes)
{
    char *environment[] = {
        BROKERS, "JOBHOOK_REDIS_URL=redis:/u:hush@h", "JOBHOOK_PROXY=ftp://u:hush@p", "JOBHOOK_SIGNING_KEYS=hush\x01", "JOBHOOK_API_TOKENS=hush", NULL
    };
    text_init(&mistakes, 1 << 20);
    cr_assert_not(settings_read(&settings, environment, &mistakes));
    cr_assert_null(strstr(mistakes.start, "hush"), "%s", mistakes.start);
    cr_assert_not_null(strstr(mistakes.start, "JOBHOOK_REDIS_URL=***: must begin with"));
}

/* People write secrets where the names of their files belong, and the words of other clients. */
Test(settings, secrets_in_the_wrong_place_are_not_shown_either)
{
    static const char *const entries[] = { "JOBHOOK_SIGNING_KEYS_FILE=whsec_hush",
                                           "KAFKA_SASL_PASSWORD_FILE=hush",
                                           "JOBHOOK_CLIENT_KEY=-----BEGIN PRIVATE KEY-----\nhush",
                                           "JOBHOOK_SIGNING_SCOPE=whsec_hush",
                                           "JOBHOOK_LOG_LEVEL=whsk_hush",
                                           "KAFKA_ACKS=whsec_hush",
                                           "KAFKA_SASL_JAAS_CONFIG=org.apache.kafka.PlainLoginModule required password=\"hush\";",
                                           "JOBHOOK_OTLP_ENDPOINT=http://user:hush@collector:4318",
                                           "JOBHOOK_OTLP_ENDPOINT=http://collector:4318?token=hush" };
    for (size_t i = 0; i < COUNT_OF(entries); i++) {
        cr_expect_not(READ(entries[i]), "%s", entries[i]);
        cr_expect_null(strstr(mistakes.start, "hush"), "%s", mistakes.start);
    }
    READ("JOBHOOK_API_TOKENS_FILE=hush");
    expect_mistake("JOBHOOK_API_TOKENS_FILE=***: cannot be read: No such file or directory (not shown, it may be a secret itself: a path begins with "
                   "/, ./ or ../)");
    READ("JOBHOOK_API_TOKENS_FILE=./nowhere");
    expect_mistake("JOBHOOK_API_TOKENS_FILE=\"./nowhere\": cannot be read: No such file or directory");
}

Test(settings, long_and_odd_values_are_shortened_and_escaped_in_mistakes)
{
    char long_entry[2000] = "JOBHOOK_LOG_LEVEL=\x1b[2J\n";
    size_t start = strlen(long_entry);
    memset(long_entry + start, 'x', 1000);
    long_entry[start + 1000] = '\0';
    READ(long_entry);
    cr_assert_eq(strncmp(mistakes.start, "JOBHOOK_LOG_LEVEL=\"\\u001b[2J\\nxxx", 33), 0, "%s", mistakes.start);
    cr_assert_lt(mistakes.length, 250);
}

Test(settings, all_effective_values_are_printed_with_their_source_and_secrets_masked)
{
    const char *file = temporary_file("redis://app:hu@sh@127.0.0.1:6379/1", 34);
    char *environment[] = { BROKERS,
                            (char *)entry("JOBHOOK_REDIS_URL_FILE=%s", file),
                            "JOBHOOK_PROXY=http://me:hush@proxy:3128",
                            "JOBHOOK_GROUP=blue",
                            "KAFKA_SASL_PASSWORD=hush",
                            "KAFKA_SECURITY_PROTOCOL=SASL_SSL",
                            NULL };
    text_init(&mistakes, 1 << 20);
    cr_assert(settings_read(&settings, environment, &mistakes), "%s", mistakes.start);
    const char *text = printed();
    static const char *const lines[] = {
        "JOBHOOK_KAFKA_BROKERS=127.0.0.1:9092  # from the environment\n",
        "\nJOBHOOK_TOPIC=jobs.completed  # default\n",
        "\nJOBHOOK_PROXY=http://me:***@proxy:3128  # from the environment\n",
        "\nJOBHOOK_REDIS_PREFIX=jobhook:blue:  # default\n",
        "\nJOBHOOK_HOLD_FILE=  # not set\n",
        "\nJOBHOOK_API_TOKENS=  # not set\n",
        "\nKAFKA_SASL_PASSWORD=***  # librdkafka's sasl.password, from the environment\n",
        "\nKAFKA_SECURITY_PROTOCOL=SASL_SSL  # librdkafka's security.protocol, from the environment\n",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        cr_expect_not_null(strstr(text, lines[i]), "%s\nnot in:\n%s", lines[i], text);
    cr_expect_not_null(strstr(text, entry("\nJOBHOOK_REDIS_URL=redis://app:***@127.0.0.1:6379/1  # from the file %s\n", file)), "%s", text);
    cr_expect_null(strstr(text, "hush"));
    cr_expect_null(strstr(text, "hu@sh"));
    for (size_t i = 0; i < settings_row_count(); i++)
        cr_expect_not_null(strstr(text, entry("%s=", settings_row(i)->name)));
    unlink(file);
}

Test(settings, finish_takes_a_zeroed_one_and_one_that_is_finished)
{
    settings_finish(&settings);
    must_read("JOBHOOK_TOPIC=a");
    settings_finish(&settings);
    settings_finish(&settings);
    cr_assert_null(settings.topic);
}
