#include "consumer/commands/attempt_row.h"

#include "consumer/base/moment.h"
#include "delivery/json_string.h"

#include <string.h>

enum { STRING_BYTES_MAX = 64 * 1024 };

void attempt_row_init(struct attempt_row *row)
{
    *row = (struct attempt_row){ 0 };
    struct text *const texts[] = { &row->task_id, &row->origin, &row->outcome, &row->response };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        text_init(texts[i], STRING_BYTES_MAX);
}

void attempt_row_finish(struct attempt_row *row)
{
    text_finish(&row->task_id);
    text_finish(&row->origin);
    text_finish(&row->outcome);
    text_finish(&row->response);
}

/* ---- finding members ---- */

static void skip_spaces(struct slice json, size_t *at)
{
    while (*at < json.length && json.start[*at] != '\0' && strchr(" \t\r\n", json.start[*at]) != NULL)
        ++*at;
}

static bool take_string(struct slice json, size_t *at)
{
    for (++*at; *at < json.length; ++*at) {
        if (json.start[*at] == '\\')
            ++*at;
        else if (json.start[*at] == '"')
            return ++*at <= json.length;
    }
    return false;
}

/* Passes over one value, whatever it is, by its brackets and strings alone. */
static bool take_value(struct slice json, size_t *at)
{
    size_t depth = 0, start = *at;
    while (*at < json.length) {
        char c = json.start[*at];
        if (c == '"') {
            if (!take_string(json, at))
                return false;
        } else if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
            break;
        } else {
            depth += c == '{' || c == '[';
            depth -= c == '}' || c == ']';
            ++*at;
        }
    }
    return depth == 0 && *at > start;
}

bool attempt_row_find(struct slice object, const char *name, struct slice *raw)
{
    size_t at = 0;
    skip_spaces(object, &at);
    if (at >= object.length || object.start[at++] != '{')
        return false;
    for (;;) {
        skip_spaces(object, &at);
        size_t name_at = at;
        if (at >= object.length || object.start[at] != '"' || !take_string(object, &at))
            return false;
        struct slice found = { object.start + name_at + 1, at - name_at - 2 };
        skip_spaces(object, &at);
        if (at >= object.length || object.start[at++] != ':')
            return false;
        skip_spaces(object, &at);
        size_t value_at = at;
        if (!take_value(object, &at))
            return false;
        *raw = (struct slice){ object.start + value_at, at - value_at };
        if (slice_is(found, name))
            return true;
        if (at >= object.length || object.start[at++] != ',')
            return false;
    }
}

/* ---- one row ---- */

/* In one line and closed, as jobhook writes it: whoever prints it as it is, alone or within other JSON, is not led astray. */
static bool is_one_object(struct slice value)
{
    static const char no_member[] = "\""; /* no name is written so: all members are passed over */
    struct slice last;
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.start[i], next = i + 1 < value.length ? (unsigned char)value.start[i + 1] : 0;
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && next < 0xa0)) /* C0, DEL and C1 */
            return false;
    }
    return slice_is_utf8(value) && !attempt_row_find(value, no_member, &last) && value.start[value.length - 1] == '}' &&
           last.start + last.length == value.start + value.length - 1;
}

/* Decoded a member of ours is no longer than it is written. */
static bool read_string(struct slice value, const char *name, struct text *decoded)
{
    char bytes[STRING_BYTES_MAX];
    struct slice raw;
    size_t length;
    text_clear(decoded);
    if (!attempt_row_find(value, name, &raw) || raw.length > sizeof bytes || !json_string_is_well_formed(raw) || !slice_is_utf8(raw) ||
        !json_string_decode(raw, bytes, sizeof bytes, &length))
        return false;
    text_append(decoded, (struct slice){ bytes, length });
    return true;
}

static bool read_number(struct slice value, const char *name, uint64_t *number)
{
    struct slice raw;
    return attempt_row_find(value, name, &raw) && slice_to_u64(raw, INT64_MAX, number);
}

static bool read_time(struct slice value, int64_t *ms)
{
    struct slice raw;
    return attempt_row_find(value, "time", &raw) && raw.length > 2 && moment_parse((struct slice){ raw.start + 1, raw.length - 2 }, 0, ms);
}

bool attempt_row_read(struct attempt_row *row, struct slice value)
{
    struct slice durations;
    return value.length <= STRING_BYTES_MAX && read_string(value, "task_id", &row->task_id) && read_string(value, "origin", &row->origin) &&
           read_string(value, "outcome", &row->outcome) && read_string(value, "response", &row->response) && read_time(value, &row->time_ms) &&
           read_number(value, "attempt", &row->attempt) && read_number(value, "epoch", &row->epoch) && attempt_row_find(value, "ms", &durations) &&
           read_number(durations, "total", &row->total_ms) && is_one_object(value);
}
