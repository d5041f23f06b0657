#include "consumer/settings_table.h"

#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/content.h"
#include "consumer/processors.h"
#include "delivery/guard_address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void *field_of(const struct row *row, struct settings *settings)
{
    return (char *)settings + row->offset;
}

static bool refuse(struct text *problem, const char *sentence)
{
    text_append_string(problem, sentence);
    return false;
}

static bool has_odd_bytes(struct slice value, bool spaces_are_odd)
{
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.start[i];
        if (c < ' ' || c == 0x7f || (c == ' ' && spaces_are_odd))
            return true;
    }
    return false;
}

static bool keep(const struct row *row, struct slice value, struct settings *settings)
{
    char **field = field_of(row, settings);
    *field = value.length == 0 ? NULL : memory_copy(value.start, value.length);
    return true;
}

/* --- text --- */

bool parse_string(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    if (has_odd_bytes(value, false))
        return refuse(problem, "must not hold control characters");
    return keep(row, value, settings);
}

bool parse_name(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    enum { NAME_MAX_BYTES = 4096 };
    if (value.length == 0 || value.length > NAME_MAX_BYTES || has_odd_bytes(value, true))
        return refuse(problem, "must be 1 to 4096 bytes without spaces or control characters");
    return keep(row, value, settings);
}

bool parse_topic(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    bool fine = value.length > 0 && !slice_is(value, ".") && !slice_is(value, "..");
    for (size_t i = 0; i < value.length; i++)
        fine = fine && memchr(allowed, value.start[i], sizeof(allowed) - 1) != NULL;
    if (!fine)
        return refuse(problem, "must be a topic's name: letters, digits, '.', '_' and '-'");
    return keep(row, value, settings);
}

bool parse_optional_topic(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    return value.length == 0 || parse_topic(row, value, settings, problem);
}

static bool choose(const char *const *names, struct slice value, unsigned *choice)
{
    for (unsigned i = 0; names[i] != NULL; i++) {
        if (slice_is(value, names[i])) {
            *choice = i;
            return true;
        }
    }
    return false;
}

bool parse_bool(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    bool *field = field_of(row, settings);
    unsigned choice;
    if (!choose((const char *const[]){ "false", "true", NULL }, value, &choice))
        return refuse(problem, "must be true or false");
    *field = choice == 1;
    return true;
}

bool parse_redis_down(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    unsigned choice;
    (void)row;
    if (!choose((const char *const[]){ [REDIS_DOWN_DELIVER] = "deliver", [REDIS_DOWN_WAIT] = "wait", NULL }, value, &choice))
        return refuse(problem, "must be deliver or wait");
    settings->redis_down = (enum redis_down)choice;
    return true;
}

bool parse_signing_keys(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    (void)row;
    return value.length == 0 || signature_keys_parse(value, &settings->signing_keys, problem);
}

bool parse_api_tokens(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    (void)row;
    return bearer_parse(value, &settings->api_tokens, problem);
}

bool parse_signing_scope(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    static const char *const names[] = { [SIGNATURE_SHARED] = "shared", [SIGNATURE_ORIGIN] = "origin", [SIGNATURE_URL] = "url", NULL };
    unsigned choice;
    (void)row;
    if (!choose(names, value, &choice))
        return refuse(problem, "must be shared, origin or url");
    settings->signing_scope = (enum signature_scope)choice;
    return true;
}

bool parse_log_level(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    (void)row;
    return log_level_parse(value, &settings->log_level) || refuse(problem, "must be debug, info, warn or error");
}

bool parse_log_format(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    unsigned choice;
    (void)row;
    if (!choose((const char *const[]){ [LOG_JSON] = "json", [LOG_TEXT] = "text", NULL }, value, &choice))
        return refuse(problem, "must be json or text");
    settings->log_format = (enum log_format)choice;
    return true;
}

/* --- numbers with units --- */

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { NULL, 0 } };
static const struct unit sizes[] = { { "GiB", 1 << 30 }, { "MiB", 1 << 20 }, { "KiB", 1 << 10 }, { "B", 1 }, { "", 1 }, { NULL, 0 } };

/* Largest unit that divides it; with 0 the smallest named one. */
static void append_amount(struct text *text, uint64_t amount, const struct unit *units)
{
    while (units->factor > 1 && (amount == 0 || amount % units->factor != 0))
        units++;
    text_append_u64(text, amount / units->factor);
    text_append_string(text, units->name);
}

void settings_append_duration(struct text *text, uint64_t ms)
{
    append_amount(text, ms, durations);
}

void settings_append_size(struct text *text, uint64_t bytes)
{
    append_amount(text, bytes, sizes);
}

static bool read_amount(struct slice value, const struct unit *units, uint64_t *amount)
{
    size_t digits = 0;
    while (digits < value.length && value.start[digits] >= '0' && value.start[digits] <= '9')
        digits++;
    for (; units->name != NULL; units++) {
        if (slice_is((struct slice){ value.start + digits, value.length - digits }, units->name)) {
            uint64_t number;
            if (!slice_to_u64((struct slice){ value.start, digits }, UINT64_MAX / units->factor, &number))
                return false;
            *amount = number * units->factor;
            return true;
        }
    }
    return false;
}

static bool parse_amount(const struct row *row, struct slice value, const struct unit *units, uint64_t *field)
{
    uint64_t amount;
    if (!read_amount(value, units, &amount) || amount < row->least || amount > row->most)
        return false;
    *field = amount;
    return true;
}

bool parse_duration(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    if (parse_amount(row, value, durations, field_of(row, settings)))
        return true;
    text_append_string(problem, "must be a duration from ");
    settings_append_duration(problem, row->least);
    text_append_string(problem, " to ");
    settings_append_duration(problem, row->most);
    return refuse(problem, ", a whole number with ms, s, m or h");
}

bool parse_size(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    if (parse_amount(row, value, sizes, field_of(row, settings)))
        return true;
    text_append_string(problem, "must be a size from ");
    settings_append_size(problem, row->least);
    text_append_string(problem, " to ");
    settings_append_size(problem, row->most);
    return refuse(problem, ", a whole number of bytes or one with KiB, MiB or GiB");
}

bool parse_count(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    uint64_t *field = field_of(row, settings), number;
    if (slice_to_u64(value, row->most, &number) && number >= row->least) {
        *field = number;
        return true;
    }
    text_printf(problem, "must be a whole number from %lu to %lu", (unsigned long)row->least, (unsigned long)row->most);
    return false;
}

bool parse_workers(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    if (!slice_is(value, SETTINGS_AUTO))
        return parse_count(row, value, settings, problem) || refuse(problem, ", or " SETTINGS_AUTO);
    uint64_t *field = field_of(row, settings), usable = processors_usable();
    *field = usable < row->most ? usable : row->most;
    return true;
}

/* --- lists --- */

/* Cuts the next item off `rest`; the items are separated by commas. */
static struct slice cut_item(struct slice *rest)
{
    const char *comma = memchr(rest->start, ',', rest->length);
    struct slice item = { rest->start, comma == NULL ? rest->length : (size_t)(comma - rest->start) };
    size_t used = item.length + (comma == NULL ? 0 : 1);
    *rest = (struct slice){ rest->start + used, rest->length - used };
    return item;
}

bool parse_statuses(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    int *statuses = memory_create((value.length + 1) * sizeof(*statuses));
    size_t count = 0;
    bool fine = value.length == 0 || value.start[value.length - 1] != ',';
    for (struct slice rest = value; fine && rest.length > 0;) {
        uint64_t status = 0;
        fine = slice_to_u64(cut_item(&rest), row->most, &status) && status >= row->least;
        statuses[count++] = (int)status;
    }
    if (!fine) {
        free(statuses);
        return refuse(problem, "must be HTTP statuses from 300 to 599 with commas between, e.g. 404,410");
    }
    settings->final_statuses = statuses;
    settings->final_status_count = count;
    return true;
}

bool parse_delays(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    const char *sentence = NULL;
    return retry_delays_parse(value, field_of(row, settings), &sentence) || refuse(problem, sentence);
}

bool parse_egress_allow(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    const char *sentence = NULL;
    (void)row;
    return value.length == 0 || guard_cidrs_parse(value, &settings->guard.allow, &settings->guard.allow_count, &sentence) ||
           refuse(problem, sentence);
}

bool parse_egress_deny(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    const char *sentence = NULL;
    (void)row;
    return value.length == 0 || guard_cidrs_parse(value, &settings->guard.deny, &settings->guard.deny_count, &sentence) || refuse(problem, sentence);
}

bool parse_egress_nat64(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    const char *sentence = NULL;
    (void)row;
    return guard_nat64_parse(value, &settings->guard, &sentence) || refuse(problem, sentence);
}

/* --- where things are --- */

bool parse_redis_url(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    const char *sentence = NULL;
    if (!redis_address_parse(value, &settings->redis, &sentence))
        return refuse(problem, sentence);
    return keep(row, value, settings);
}

static bool has_http_scheme(struct slice value)
{
    return slice_starts_with(value, "http://") || slice_starts_with(value, "https://");
}

static int take_brackets(struct slice *host)
{
    if (!slice_starts_with(*host, "[") || host->start[host->length - 1] != ']')
        return AF_INET;
    *host = (struct slice){ host->start + 1, host->length - 2 };
    return AF_INET6;
}

/* Splits "host:port" or "[host]:port"; false when it is neither. */
static bool split_port(struct slice value, struct slice *host, struct slice *port, int *family)
{
    const char *colon = memrchr(value.start, ':', value.length);
    if (colon == NULL)
        return false;
    *host = (struct slice){ value.start, (size_t)(colon - value.start) };
    *port = (struct slice){ colon + 1, value.length - host->length - 1 };
    *family = take_brackets(host);
    return true;
}

static bool is_address(struct slice host, int family)
{
    struct guard_address address;
    return family == AF_INET6 ? guard_address_read_v6(host, &address) : guard_address_read_v4(host, &address);
}

/* Labels of letters, digits, hyphens and underscores, with a last dot perhaps. */
static bool is_dns_name(struct slice host)
{
    enum { NAME_BYTES_MAX = 253, LABEL_BYTES_MAX = 63 };
    size_t label = 0;
    for (size_t i = 0; i < host.length; i++) {
        char c = host.start[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (c == '.' ? label == 0 : !plain || label == LABEL_BYTES_MAX)
            return false;
        label = c == '.' ? 0 : label + 1;
    }
    return host.length > 0 && host.length <= NAME_BYTES_MAX;
}

/* In brackets a zone may follow: fe80::1%25eth0. What consists of digits and dots is an address or nothing. */
static bool is_host(struct slice host, int family)
{
    const char *percent = family == AF_INET6 ? memchr(host.start, '%', host.length) : NULL;
    if (percent != NULL) {
        struct slice zone = { percent + 1, host.length - (size_t)(percent + 1 - host.start) };
        return is_dns_name(zone) && is_address((struct slice){ host.start, (size_t)(percent - host.start) }, family);
    }
    bool numeric = slice_trim(host, "0123456789.").length == 0;
    return family == AF_INET6 || numeric ? is_address(host, family) : is_dns_name(host);
}

/* libcurl ends them at the first '@', and goes to the receiver without the proxy when they decode to a control character. A % that begins no escape is
 * one to it, too. */
static bool are_credentials(struct slice value)
{
    for (size_t at = 0; at < value.length;) {
        bool ends = value.start[at] == '@';
        int byte = slice_take_decoded(value, &at);
        if (ends || (byte >= 0 && byte < ' '))
            return false;
    }
    return true;
}

static bool is_server(struct slice server)
{
    struct slice host, port;
    uint64_t number = 0;
    int family;
    return split_port(server, &host, &port, &family) && is_host(host, family) && slice_to_u64(port, UINT16_MAX, &number) && number > 0;
}

/* Without a port libcurl would take one of its own choice; a path it would leave out. */
static bool is_proxy(struct slice value)
{
    if (!has_http_scheme(value) || has_odd_bytes(value, true))
        return false;
    const char *start = strchr(value.start, '/') + 2, *end = value.start + value.length;
    if (strpbrk(start, "/?#\\") != NULL)
        return false;
    const char *at = memrchr(start, '@', (size_t)(end - start));
    if (at != NULL && !are_credentials((struct slice){ start, (size_t)(at - start) }))
        return false;
    if (at != NULL)
        start = at + 1;
    return is_server((struct slice){ start, (size_t)(end - start) });
}

bool parse_proxy(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    if (value.length > 0 && !is_proxy(value))
        return refuse(problem, "must be http://[user:password@]host:port or https://…, without a path, the host a name in DNS, an IPv4 or an [IPv6] "
                               "address; /, ?, #, @ and % in a password are written %2F, %3F, %23, %40 and %25, and it holds no control character");
    return keep(row, value, settings);
}

/* The port may be left out. */
static bool has_server(struct slice url)
{
    const char *start = strchr(url.start, '/') + 2;
    struct slice server = { start, strcspn(start, "/") }, host = server;
    bool has_port = memchr(start, ':', server.length) != NULL && start[server.length - 1] != ']';
    int family = take_brackets(&host);
    return has_port ? is_server(server) : is_host(host, family);
}

bool parse_otlp_endpoint(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    static const char path[] = "/v1/traces";
    enum { URL_MAX = 2048 };
    if (value.length == 0)
        return true;
    if (!has_http_scheme(value) || value.length > URL_MAX || value.start[value.length - 1] == '/' || has_odd_bytes(value, true))
        return refuse(problem, "must be http://host:port or https://…, without a slash at its end");
    if (memchr(value.start, '@', value.length) != NULL)
        return refuse(problem, "must not hold a login: JOBHOOK_OTLP_HEADERS is for that");
    if (memchr(value.start, '?', value.length) != NULL || memchr(value.start, '#', value.length) != NULL)
        return refuse(problem, "must not hold a query or a fragment");
    if (!has_server(value))
        return refuse(problem, "must name a host in DNS, an IPv4 or an [IPv6] address, and perhaps a port from 1 to 65535");
    if (value.length >= sizeof(path) - 1 && slice_is((struct slice){ value.start + value.length - (sizeof(path) - 1), sizeof(path) - 1 }, path))
        return refuse(problem, "must not end with /v1/traces: that is added");
    return keep(row, value, settings);
}

bool parse_otlp_headers(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    (void)row;
    return span_headers_parse(value, &settings->otlp_headers, problem);
}

/* Read again by those who need it; a wrong path is better told now than at the first POST. */
bool parse_file(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    char **field = field_of(row, settings);
    keep(row, value, settings);
    if (*field == NULL || access(*field, R_OK) == 0)
        return true;
    text_printf(problem, "must name a file that can be read: %s", strerror(errno));
    return false;
}

bool parse_hold_file(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    if (!keep(row, value, settings) || settings->hold_file == NULL)
        return true;
    char *content = content_read(settings->hold_file, problem);
    if (content == NULL)
        return false;
    settings->holds = hold_list_parse(slice_of(content), clock_monotonic_ms(), problem);
    content_destroy(content);
    return settings->holds != NULL;
}

bool parse_ca_file(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    return slice_is(value, "system") || parse_file(row, value, settings, problem);
}

bool parse_listen(const struct row *row, struct slice value, struct settings *settings, struct text *problem)
{
    struct listen_address *field = field_of(row, settings), address = { 0 };
    struct slice host, port;
    uint64_t number;
    int family;
    if (!split_port(value, &host, &port, &family) || !is_address(host, family) || !slice_to_u64(port, UINT16_MAX, &number))
        return refuse(problem, "must be a numeric address and a port, such as 0.0.0.0:8080, 127.0.0.1:0 or [::]:8080");
    assert(host.length < sizeof(address.host));
    memcpy(address.host, host.start, host.length);
    address.port = (uint16_t)number;
    *field = address;
    return true;
}
