#include "delivery/span.h"

#include "consumer/base/hash.h"

#include <string.h>

enum { SAMPLED = 1, AT_TRACE = 3, AT_PARENT = 36, AT_FLAGS = 53 };

static const char digits[] = "0123456789abcdef";

static bool is_lower_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_all_zeros(const char *hex, size_t count)
{
    while (count > 0 && hex[count - 1] == '0')
        count--;
    return count == 0;
}

/* What a producer wrote goes into an HTTP header, so anything else is left out rather than mended. */
bool span_is_traceparent(struct slice value)
{
    static const char form[] = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    if (value.length != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < value.length; i++) {
        bool fits = form[i] == 'x' ? is_lower_hex(value.start[i]) : value.start[i] == form[i];
        if (!fits)
            return false;
    }
    return !is_all_zeros(value.start + AT_TRACE, 2 * SPAN_TRACE_BYTES) && !is_all_zeros(value.start + AT_PARENT, 2 * SPAN_ID_BYTES);
}

static void read_hex(const char *hex, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(text_hex_value(hex[2 * i]) << 4 | text_hex_value(hex[2 * i + 1]));
}

/* Every attempt of a task, in whichever process, comes to the same trace. The keys are fixed and mean nothing. */
static void begin_trace(struct span *span, const struct span_root *root)
{
    static const uint64_t halves[] = { UINT64_C(0x6a6f62686f6f6b31), UINT64_C(0x6a6f62686f6f6b32) };
    for (size_t i = 0; i < 2; i++) {
        uint64_t half = hash_slice((struct hash_key){ halves[i], (uint64_t)root->first_ms }, root->task_id);
        memcpy(span->trace + i * sizeof(half), &half, sizeof(half));
    }
    span->flags = SAMPLED;
    span->has_parent = false;
    span->recorded = true;
}

void span_begin(struct span *span, struct slice traceparent, const struct span_root *root, const uint8_t id[SPAN_ID_BYTES])
{
    memcpy(span->id, id, SPAN_ID_BYTES);
    if (!span_is_traceparent(traceparent)) {
        begin_trace(span, root);
        return;
    }
    read_hex(traceparent.start + AT_TRACE, span->trace, SPAN_TRACE_BYTES);
    read_hex(traceparent.start + AT_PARENT, span->parent, SPAN_ID_BYTES);
    read_hex(traceparent.start + AT_FLAGS, &span->flags, 1);
    span->has_parent = true;
    span->recorded = (span->flags & SAMPLED) != 0;
}

void span_append_hex(struct text *text, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char pair[] = { digits[bytes[i] >> 4], digits[bytes[i] & 0xf] };
        text_append(text, (struct slice){ pair, sizeof(pair) });
    }
}

void span_append_traceparent(const struct span *span, struct text *text)
{
    text_append_string(text, "00-");
    span_append_hex(text, span->trace, SPAN_TRACE_BYTES);
    text_append_char(text, '-');
    span_append_hex(text, span->id, SPAN_ID_BYTES);
    text_append_char(text, '-');
    span_append_hex(text, &span->flags, 1);
}
