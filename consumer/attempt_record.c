#include "consumer/attempt_record.h"

#include "consumer/base/json.h"
#include "delivery/verdict.h"

#include <string.h>

static struct slice origin_of(const struct url *url)
{
    return (struct slice){ url->origin, url->origin_length };
}

/* How many bytes from `at` on are to be blanked: C0, DEL, C1 (two bytes), and the bidirectional controls (two or three). */
static size_t unsafe_bytes(struct slice bytes, size_t at)
{
    const unsigned char *c = (const unsigned char *)bytes.start + at;
    size_t left = bytes.length - at;
    if (c[0] < 0x20 || c[0] == 0x7f)
        return 1;
    if (c[0] == 0xc2 && left > 1 && c[1] >= 0x80 && c[1] <= 0x9f)
        return 2;
    if (c[0] == 0xd8 && left > 1 && c[1] == 0x9c)
        return 2;
    if (c[0] == 0xe2 && left > 2 &&
        ((c[1] == 0x80 && ((c[2] >= 0xaa && c[2] <= 0xae) || c[2] == 0x8e || c[2] == 0x8f)) || (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9)))
        return 3;
    return 0;
}

static void append_snippet(struct json *json, const struct outcome *outcome)
{
    char safe[OUTCOME_SNIPPET_MAX];
    size_t length = outcome->snippet_bytes < sizeof safe ? outcome->snippet_bytes : sizeof safe;
    if (length > 0)
        memcpy(safe, outcome->snippet, length);
    for (size_t at = 0, unsafe; at<length; at += unsafe> 0 ? unsafe : 1) {
        unsafe = unsafe_bytes((struct slice){ safe, length }, at);
        memset(safe + at, ' ', unsafe);
    }
    json_string(json, "response", (struct slice){ safe, length });
}

static void append_durations(struct json *json, const struct outcome *outcome)
{
    json_open_object(json, "ms");
    json_number(json, "name", outcome->name_ms);
    json_number(json, "connect", outcome->connect_ms);
    json_number(json, "tls", outcome->tls_ms);
    json_number(json, "first_byte", outcome->first_byte_ms);
    json_number(json, "total", outcome->total_ms);
    json_close_object(json);
}

static void append_outcome(struct json *json, const struct attempted *attempted)
{
    char name[ATTEMPT_ERROR_MAX + 1];
    const struct outcome *outcome = attempted->outcome;
    int status = outcome->kind == OUTCOME_ANSWERED ? outcome->status : 0;
    verdict_outcome_name(verdict_outcome_code(attempted->attempt->error, status), name);
    json_string(json, "outcome", name[0] == '\0' ? SLICE("other") : slice_of(name));
    if (status == 0)
        json_null(json, "status");
    else
        json_number(json, "status", status);
    append_durations(json, outcome);
    append_snippet(json, outcome);
}

void attempt_record_append(struct text *text, const struct attempt_record *record)
{
    const struct attempted *attempted = record->attempted;
    const struct attempt *attempt = attempted->attempt;
    struct json json;
    json_open(&json, text);
    json_moment(&json, "time", record->now_ms);
    json_string(&json, "task_id", attempted->event->task_id);
    json_string(&json, "task_type", attempted->event->task_type);
    json_string(&json, "origin", origin_of(attempted->url));
    json_number(&json, "attempt", attempt->number);
    json_number(&json, "epoch", attempt->epoch);
    append_outcome(&json, attempted);
    json_string(&json, "worker", slice_of(record->worker));
    json_open_object(&json, "event");
    json_string(&json, "topic", attempt->origin.topic);
    json_number(&json, "partition", attempt->origin.partition);
    json_number(&json, "offset", attempt->origin.offset);
    json_close_object(&json);
    json_close(&json);
}
