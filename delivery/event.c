#include "delivery/event.h"

#include "consumer/base/hash.h"
#include "consumer/base/memory.h"
#include "consumer/base/poison.h"
#include "delivery/event_rules.h"
#include "delivery/json_string.h"

#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

enum { EVENT_MEMBERS_MAX = 256 }; /* at the top level; more are malformed, so that looking for doubles stays cheap */

/* One pass of the parser over a value: notes where the members are, and judges none of them. */
struct reading {
    yajl_handle parser;
    struct slice text;
    unsigned depth;           /* of open arrays and objects */
    size_t position;          /* just behind the last token at the top level */
    size_t value_start;       /* of the array or object that is open at the top level */
    enum event_member member; /* whose value comes next; MEMBERS: one to ignore */
    bool complete;            /* the object has been closed */
    const char *problem;
    struct event_value values[MEMBERS];
    size_t name_count;
    struct slice names[EVENT_MEMBERS_MAX];
    bool hashed;                        /* one of them has escapes */
    uint64_t hashes[EVENT_MEMBERS_MAX]; /* of the names, then */
};

/* ---- The record ---- */

static size_t decoded_room(struct slice value)
{
    if (value.length == 0 || memchr(value.start, '\\', value.length) == NULL)
        return 0;
    return value.length < EVENT_DECODED_MAX ? value.length : EVENT_DECODED_MAX;
}

static size_t bytes_of_record(const struct event_record *record)
{
    size_t bytes = sizeof(struct event) + record->header_count * sizeof(struct event_header);
    bytes += record->key.length + record->value.length + decoded_room(record->value);
    for (size_t i = 0; i < record->header_count; i++)
        bytes += record->headers[i].name.length + record->headers[i].value.length;
    return bytes;
}

/* Copies a slice to `*space` and moves that on. */
static struct slice copy_slice(struct slice slice, char **space)
{
    struct slice copy = { *space, slice.length };
    if (slice.length > 0)
        memcpy(*space, slice.start, slice.length);
    *space += slice.length;
    return copy;
}

struct event *event_create(const struct event_record *record)
{
    size_t bytes = bytes_of_record(record);
    struct event *event = memory_resize(NULL, bytes);
    struct event_header *headers = (struct event_header *)(event + 1);
    char *space = (char *)(headers + record->header_count);
    *event = (struct event){
        .has_key = record->has_key,
        .has_value = record->has_value,
        .headers = headers,
        .header_count = record->header_count,
        .timestamp_ms = record->timestamp_ms,
        .bytes = bytes,
    };
    event->key = copy_slice(record->key, &space);
    event->value = copy_slice(record->value, &space);
    for (size_t i = 0; i < record->header_count; i++) {
        headers[i].name = copy_slice(record->headers[i].name, &space);
        headers[i].value = copy_slice(record->headers[i].value, &space);
        headers[i].has_value = record->headers[i].has_value;
    }
    event->decoded = space;
    return event;
}

void event_destroy(struct event *event)
{
    free(event);
}

struct slice event_header(const struct event *event, const char *name)
{
    for (size_t i = event->header_count; i > 0; i--) {
        const struct event_header *header = &event->headers[i - 1];
        if (slice_is(header->name, name))
            return header->value;
    }
    return SLICE("");
}

/* ---- Reading: what the parser calls. 0 ends the parse, 1 goes on ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The first byte at `position` or behind it that is neither white space nor `separator`. */
static size_t skip(struct slice text, size_t position, char separator)
{
    while (position < text.length && (is_space(text.start[position]) || text.start[position] == separator))
        position++;
    return position;
}

static struct slice part(const struct reading *reading, size_t start, size_t end)
{
    assert(start < end && end <= reading->text.length);
    return (struct slice){ reading->text.start + start, end - start };
}

static int refuse(struct reading *reading, const char *problem)
{
    reading->problem = problem;
    return 0;
}

/* Notes the value that ends here, at the top level. */
static int keep_value(struct reading *reading, enum event_value_kind kind, size_t start)
{
    size_t end = yajl_get_bytes_consumed(reading->parser);
    reading->position = end;
    if (reading->member != MEMBERS)
        reading->values[reading->member] = (struct event_value){ kind, part(reading, start, end) };
    return 1;
}

static int take_scalar(struct reading *reading, enum event_value_kind kind)
{
    if (reading->depth > 1)
        return 1;
    return keep_value(reading, kind, skip(reading->text, reading->position, ':'));
}

static int on_null(void *context)
{
    return take_scalar(context, VALUE_NULL);
}

static int on_boolean(void *context, int value)
{
    (void)value;
    return take_scalar(context, VALUE_OTHER);
}

static int on_number(void *context, const char *start, size_t length)
{
    (void)start;
    (void)length;
    return take_scalar(context, VALUE_OTHER);
}

static int on_string(void *context, const unsigned char *start, size_t length)
{
    (void)start;
    (void)length;
    return take_scalar(context, VALUE_STRING);
}

static enum event_member find_member(struct slice name)
{
    enum event_member member = 0;
    while (member < MEMBERS && !json_string_is(name, event_member_names[member]))
        member++;
    return member;
}

static void begin_to_hash(struct reading *reading)
{
    reading->hashed = true;
    for (size_t i = 0; i < reading->name_count; i++)
        reading->hashes[i] = json_string_hash(reading->names[i]);
}

/* Long names with escapes that differ at their ends only would take seconds to compare each with each. */
static bool is_noted(const struct reading *reading, struct slice name, uint64_t hash)
{
    for (size_t i = 0; i < reading->name_count; i++)
        if ((!reading->hashed || reading->hashes[i] == hash) && json_string_equal(reading->names[i], name))
            return true;
    return false;
}

static const char *note_name(struct reading *reading, struct slice name)
{
    size_t length;
    bool plain = json_string_is_plain(name);
    if (!plain && !json_string_decode(name, NULL, 0, &length))
        return "the name of a member holds half of a surrogate pair";
    if (reading->name_count == EVENT_MEMBERS_MAX)
        return "there are more than 256 members at the top level";
    if (!plain && !reading->hashed)
        begin_to_hash(reading);
    uint64_t hash = reading->hashed ? json_string_hash(name) : 0;
    if (is_noted(reading, name, hash))
        return "a member is given twice at the top level";
    reading->hashes[reading->name_count] = hash;
    reading->names[reading->name_count++] = name;
    return NULL;
}

static int on_key(void *context, const unsigned char *start, size_t length)
{
    (void)start;
    (void)length;
    struct reading *reading = context;
    if (reading->depth > 1)
        return 1;
    size_t end = yajl_get_bytes_consumed(reading->parser);
    struct slice name = part(reading, skip(reading->text, reading->position, ','), end);
    reading->position = end;
    const char *problem = note_name(reading, name);
    if (problem != NULL)
        return refuse(reading, problem);
    reading->member = find_member(name);
    return 1;
}

static int on_open(void *context)
{
    struct reading *reading = context;
    size_t end = yajl_get_bytes_consumed(reading->parser);
    if (reading->depth == 0)
        reading->position = end;
    else if (reading->depth == 1)
        reading->value_start = end - 1;
    if (reading->depth == EVENT_DEPTH_MAX)
        return refuse(reading, "arrays and objects are nested more than 512 deep");
    reading->depth++;
    return 1;
}

static int close_value(struct reading *reading, enum event_value_kind kind)
{
    reading->depth--;
    if (reading->depth == 1)
        return keep_value(reading, kind, reading->value_start);
    if (reading->depth == 0) {
        reading->complete = true;
        reading->position = yajl_get_bytes_consumed(reading->parser);
    }
    return 1;
}

static int on_close_object(void *context)
{
    return close_value(context, VALUE_OBJECT);
}

static int on_close_array(void *context)
{
    return close_value(context, VALUE_OTHER);
}

/* Numbers come as they are written: 1e400 is nobody's overflow. */
static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_open,
    .yajl_map_key = on_key,
    .yajl_end_map = on_close_object,
    .yajl_start_array = on_open,
    .yajl_end_array = on_close_array,
};

/* ---- Checking ---- */

/* Whether any of the eight bytes is below 0x20: subtracting borrows into the top bit of such a byte, if of nothing before it. */
static bool has_low_byte(const char *eight)
{
    uint64_t word;
    memcpy(&word, eight, sizeof(word));
    return ((word - UINT64_C(0x2020202020202020)) & ~word & UINT64_C(0x8080808080808080)) != 0;
}

/* White space apart, no control character may stand in JSON as it is. yajl lets form feeds and vertical tabs pass. */
static bool has_control_character(struct slice text)
{
    size_t i = 0;
    while (i < text.length) {
        if (text.length - i >= 8 && !has_low_byte(text.start + i)) {
            i += 8;
            continue;
        }
        unsigned char c = (unsigned char)text.start[i++];
        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
            return true;
    }
    return false;
}

/* Ours come on top: an event must not become malformed on its way through the retry topics. */
static size_t count_headers(const struct event *event)
{
    size_t count = 0;
    for (size_t i = 0; i < event->header_count; i++)
        count += !slice_starts_with(event->headers[i].name, "jobhook-");
    return count;
}

/* What can be said before parsing. */
static const char *check_bytes(const struct event *event)
{
    struct slice value = event->value;
    if (event->header_count > EVENT_HEADERS_MAX && count_headers(event) > EVENT_HEADERS_MAX)
        return "the record has more than 256 headers";
    if (!event->has_value)
        return "the record has no value (a tombstone)";
    if (value.length >= 5 && value.start[0] == '\0')
        return "the value starts with a schema-registry frame: write plain JSON, without the serialiser's five bytes in front";
    if (slice_starts_with(value, "\xef\xbb\xbf"))
        return "the value starts with a byte order mark";
    if (!slice_is_utf8(value))
        return "the value is not valid UTF-8";
    if (has_control_character(value))
        return "the value holds a control character that JSON does not allow";
    size_t start = skip(value, 0, ' ');
    if (start == value.length)
        return "the value is empty";
    if (value.start[start] != '{')
        return "the value is not a JSON object";
    return NULL;
}

/* The table of names is left as it is: clearing it would cost more than reading a small event. */
static void reading_init(struct reading *reading, struct slice text)
{
    reading->text = text;
    reading->depth = 0;
    reading->position = reading->value_start = 0;
    reading->member = MEMBERS;
    reading->complete = false;
    reading->problem = NULL;
    memset(reading->values, 0, sizeof(reading->values));
    reading->name_count = 0;
    reading->hashed = false;
}

static const char *read_members(struct reading *reading)
{
    struct slice text = reading->text;
    yajl_status status = yajl_parse(reading->parser, (const unsigned char *)text.start, text.length);
    if (status == yajl_status_client_canceled)
        return reading->problem;
    if (reading->complete && skip(text, reading->position, ' ') < text.length)
        return "something follows the JSON object";
    if (status != yajl_status_ok)
        return "the value is not valid JSON";
    /* yajl_complete_parse is of no use: it would only say the same, and forgive an unfinished word behind the object. */
    return reading->complete ? NULL : "the value ends in the middle of the JSON object";
}

/* yajl does not look whether its memory is there; ours always is. A parser cannot be used twice, and making one takes less than a tenth of the
 * time for a small event, so there is no pool. */
static void *parser_malloc(void *context, size_t size)
{
    (void)context;
    return memory_resize(NULL, size);
}

static void *parser_realloc(void *context, void *memory, size_t size)
{
    (void)context;
    return memory_resize(memory, size);
}

static void parser_free(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static const char *read_value(struct reading *reading)
{
    yajl_alloc_funcs memory = { .malloc = parser_malloc, .realloc = parser_realloc, .free = parser_free };
    reading->parser = yajl_alloc(&callbacks, &memory, reading);
    assert(reading->parser != NULL);
    yajl_config(reading->parser, yajl_dont_validate_strings, 1); /* the whole value was checked before */
    const char *problem = read_members(reading);
    yajl_free(reading->parser);
    return problem;
}

bool event_parse(struct event *event, const char **problem)
{
    POISON_POINT(event->value, "parsing");
    *problem = check_bytes(event);
    if (*problem != NULL)
        return false;
    struct reading reading;
    reading_init(&reading, event->value);
    *problem = read_value(&reading);
    if (*problem == NULL)
        *problem = event_rules_apply(event, reading.values);
    return *problem == NULL;
}

/* ---- The digest ---- */

static void put_little_endian(unsigned char *bytes, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(number >> 8 * i);
}

/* The members' lengths and hashes are hashed, so that no byte can move from one member to the next unnoticed, and a large result is not copied.
 * The key is fixed and the order, too: records in Redis outlive a process. */
uint64_t event_digest(const struct event *event)
{
    static const struct hash_key key = { UINT64_C(0x6a6f62686f6f6b20), UINT64_C(0x6576656e74207631) };
    const struct slice members[] = {
        event->raw_task_id, event->raw_status, event->raw_task_type, event->raw_result, event->raw_error, event->webhook_url,
    };
    unsigned char summary[COUNT_OF(members) * 16];
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        put_little_endian(summary + 16 * i, members[i].length);
        put_little_endian(summary + 16 * i + 8, hash_slice(key, members[i]));
    }
    return hash_slice(key, (struct slice){ (const char *)summary, sizeof(summary) });
}
