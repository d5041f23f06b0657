#include "delivery/request.h"

#include "consumer/base/poison.h"

#include <openssl/evp.h>
#include <string.h>

enum {
    LINES_MAX = 4096,     /* all header lines together; the longest possible ones need less than half of it */
    TRACESTATE_MAX = 512, /* W3C Trace Context §3.3.1.1: what everyone must be able to pass on */
    SHA256_BYTES = 32,
    BASE62_DIGITS = 43, /* 62^43 > 2^256 */
};

/* A body is a little longer than the event it is made of, and Kafka's records are shorter than 2 GiB. */
static const size_t BODY_MAX = (size_t)INT32_MAX + 64;

void request_init(struct request *request)
{
    *request = (struct request){ 0 };
    text_init(&request->body, BODY_MAX);
    text_init(&request->lines, LINES_MAX);
}

void request_finish(struct request *request)
{
    text_finish(&request->body);
    text_finish(&request->lines);
}

/* ---- The body ---- */

static void append_member(struct text *body, const char *name_and_colon, struct slice raw)
{
    text_append_string(body, name_and_colon);
    text_append(body, raw);
}

void request_append_members(struct text *body, const struct event *event)
{
    append_member(body, "{\"task_id\":", event->raw_task_id);
    append_member(body, ",\"status\":", event->raw_status);
    append_member(body, ",\"task_type\":", event->raw_task_type);
    if (event->failed)
        append_member(body, ",\"error\":", event->raw_error);
    else
        append_member(body, ",\"result\":", event->raw_result);
}

static void compose_body(struct text *body, const struct event *event)
{
    text_clear(body);
    request_append_members(body, event);
    text_append_char(body, '}');
    assert(!body->overflowed);
}

/* ---- webhook-id ---- */

static bool is_plain_id(struct slice id)
{
    if (id.length == 0 || id.length > REQUEST_ID_MAX)
        return false;
    for (size_t i = 0; i < id.length; i++) {
        char c = id.start[i];
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!plain)
            return false;
    }
    return true;
}

/* Divides the number, most significant byte first, by 62 in place; returns the remainder. */
static unsigned divide_by_62(unsigned char number[SHA256_BYTES])
{
    unsigned remainder = 0;
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        unsigned dividend = remainder << 8 | number[i];
        number[i] = (unsigned char)(dividend / 62);
        remainder = dividend % 62;
    }
    return remainder;
}

/* The digest as one big-endian number, always 43 digits. */
static void write_base62(unsigned char digest[SHA256_BYTES], char digits[BASE62_DIGITS])
{
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (size_t i = BASE62_DIGITS; i > 0; i--)
        digits[i - 1] = alphabet[divide_by_62(digest)];
}

/* Receivers take the id for their own deduplication, and the signature covers it: dots, spaces and line ends of a foreign id would confuse both. */
void request_webhook_id(struct slice task_id, char id[REQUEST_ID_MAX + 1])
{
    static const char prefix[] = "msg_";
    const size_t prefix_length = sizeof(prefix) - 1;
    if (is_plain_id(task_id)) {
        memcpy(id, task_id.start, task_id.length);
        id[task_id.length] = '\0';
        return;
    }
    unsigned char digest[SHA256_BYTES];
    int done = EVP_Digest(task_id.start, task_id.length, digest, NULL, EVP_sha256(), NULL);
    assert(done == 1);
    memcpy(id, prefix, prefix_length);
    write_base62(digest, id + prefix_length);
    id[prefix_length + BASE62_DIGITS] = '\0';
}

/* ---- The headers ---- */

/* Printable ASCII that neither starts nor ends with a space. */
static bool is_tracestate(struct slice value)
{
    if (value.length == 0 || value.length > TRACESTATE_MAX || value.start[0] == ' ' || value.start[value.length - 1] == ' ')
        return false;
    for (size_t i = 0; i < value.length; i++) {
        if (value.start[i] < ' ' || value.start[i] > '~')
            return false;
    }
    return true;
}

/* Ends the line that was just written. `headers` points to it only after the last one: the storage may still move. */
static void end_line(struct request *request)
{
    assert(request->header_count < REQUEST_HEADERS_MAX);
    request->header_count++;
    text_append_char(&request->lines, '\0');
}

static void add_header(struct request *request, const char *name, struct slice value)
{
    text_append_string(&request->lines, name);
    text_append_string(&request->lines, ": ");
    text_append(&request->lines, value);
    end_line(request);
}

static void add_number(struct request *request, const char *name, uint64_t value)
{
    text_append_string(&request->lines, name);
    text_append_string(&request->lines, ": ");
    text_append_u64(&request->lines, value);
    end_line(request);
}

static void add_traceparent(struct request *request, struct slice given, const struct span *span)
{
    if (span == NULL) {
        add_header(request, "traceparent", given);
        return;
    }
    text_append_string(&request->lines, "traceparent: ");
    span_append_traceparent(span, &request->lines);
    end_line(request);
}

static void add_trace(struct request *request, const struct event *event, const struct request_options *options)
{
    struct slice traceparent = event_header(event, "traceparent");
    bool is_given = span_is_traceparent(traceparent);
    if (is_given || options->span != NULL)
        add_traceparent(request, traceparent, options->span);
    struct slice tracestate = event_header(event, "tracestate");
    if (is_given && options->pass_tracestate && is_tracestate(tracestate)) /* without a traceparent of its own it means nothing */
        add_header(request, "tracestate", tracestate);
}

/* Over the very bytes that are sent, with the time of this attempt. */
static void add_signature(struct request *request, struct slice id, const struct request_options *options)
{
    struct signed_request signed_request = { .scope = options->scope, .id = id, .timestamp_s = options->now_s, .body = text_slice(&request->body) };
    text_append_string(&request->lines, "webhook-signature: ");
    signature_append(options->signature, &signed_request, &request->lines);
    end_line(request);
}

static void point_to_lines(struct request *request)
{
    assert(!request->lines.overflowed);
    const char *line = request->lines.start;
    for (size_t i = 0; i < request->header_count; i++) {
        request->headers[i] = line;
        line += strlen(line) + 1;
    }
}

void request_compose(struct request *request, const struct event *event, const struct attempt *attempt, const struct request_options *options)
{
    POISON_POINT(event->value, "composing");
    compose_body(&request->body, event);
    text_clear(&request->lines);
    request->header_count = 0;
    add_header(request, "Content-Type", SLICE("application/json"));
    text_append_string(&request->lines, "User-Agent: jobhook/");
    text_append_string(&request->lines, options->version);
    end_line(request);
    char id[REQUEST_ID_MAX + 1];
    request_webhook_id(event->task_id, id);
    add_header(request, "webhook-id", slice_of(id));
    add_number(request, "webhook-timestamp", options->now_s < 0 ? 0 : (uint64_t)options->now_s);
    if (options->signature != NULL)
        add_signature(request, slice_of(id), options);
    add_number(request, "jobhook-attempt", attempt->number);
    if (attempt->epoch > 0)
        add_number(request, "jobhook-replay", attempt->epoch);
    if (options->test)
        add_header(request, "jobhook-test", SLICE("1"));
    add_trace(request, event, options);
    text_append_string(&request->lines, "Expect:"); /* with nothing behind it libcurl sends none, however large the body */
    end_line(request);
    point_to_lines(request);
}
