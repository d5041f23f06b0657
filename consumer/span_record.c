#include "consumer/span_record.h"

#include "consumer/base/json.h"

#include <inttypes.h>
#include <stdio.h>

enum { KIND_CLIENT = 3, STATUS_ERROR = 2, NUMBER_BYTES = 24 }; /* trace.proto: Span.SpanKind, Status.StatusCode */

static const int64_t NS_PER_MS = 1000000;

static void write_id(struct json *json, const char *name, const uint8_t *id, size_t bytes)
{
    struct text hex;
    text_init(&hex, 2 * SPAN_TRACE_BYTES + 1);
    span_append_hex(&hex, id, bytes);
    json_string(json, name, text_slice(&hex));
    text_finish(&hex);
}

/* JSON's numbers are doubles for many who read it: a string, as protocol buffers' encoding asks for. */
static void write_long(struct json *json, const char *name, int64_t value)
{
    char digits[NUMBER_BYTES];
    snprintf(digits, sizeof(digits), "%" PRId64, value);
    json_string(json, name, slice_of(digits));
}

static void open_attribute(struct json *json, const char *key)
{
    json_open_object(json, NULL);
    json_string(json, "key", slice_of(key));
    json_open_object(json, "value");
}

static void close_attribute(struct json *json)
{
    json_close_object(json);
    json_close_object(json);
}

static void write_text(struct json *json, const char *key, struct slice value)
{
    open_attribute(json, key);
    json_string(json, "stringValue", value);
    close_attribute(json);
}

static void write_number(struct json *json, const char *key, int64_t value)
{
    open_attribute(json, key);
    write_long(json, "intValue", value);
    close_attribute(json);
}

static void write_request(struct json *json, const struct attempted *attempted)
{
    const struct url *url = attempted->url;
    const struct outcome *outcome = attempted->outcome;
    write_text(json, "http.request.method", SLICE("POST"));
    write_text(json, "url.scheme", url->https ? SLICE("https") : SLICE("http"));
    write_text(json, "server.address", url->host);
    write_number(json, "server.port", url->port);
    if (outcome->kind == OUTCOME_ANSWERED)
        write_number(json, "http.response.status_code", outcome->status);
    if (attempted->attempt->error[0] != '\0')
        write_text(json, "error.type", slice_of(attempted->attempt->error));
    write_number(json, "jobhook.name_ms", outcome->name_ms);
    write_number(json, "jobhook.connect_ms", outcome->connect_ms);
    write_number(json, "jobhook.tls_ms", outcome->tls_ms);
    write_number(json, "jobhook.first_byte_ms", outcome->first_byte_ms);
}

static void write_event(struct json *json, const struct attempted *attempted)
{
    const struct attempt *attempt = attempted->attempt;
    char partition[NUMBER_BYTES];
    snprintf(partition, sizeof(partition), "%" PRId32, attempt->origin.partition);
    write_text(json, "jobhook.task_id", attempted->event->task_id);
    write_text(json, "jobhook.task_type", attempted->event->task_type);
    write_number(json, "jobhook.attempt", attempt->number);
    write_number(json, "jobhook.epoch", attempt->epoch);
    write_number(json, "jobhook.deferral", attempt->deferral);
    write_text(json, "messaging.system", SLICE("kafka"));
    write_text(json, "messaging.destination.name", attempt->origin.topic);
    write_text(json, "messaging.destination.partition.id", slice_of(partition));
    write_number(json, "messaging.kafka.offset", attempt->origin.offset);
}

/* Left open when it went well, as instrumentation should leave it. */
static void write_status(struct json *json, const char *error)
{
    json_open_object(json, "status");
    if (error[0] != '\0') {
        json_string(json, "message", slice_of(error));
        json_number(json, "code", STATUS_ERROR);
    }
    json_close_object(json);
}

void span_record_append(struct text *text, const struct attempted *attempted, int64_t end_ms)
{
    const struct span *span = attempted->span;
    struct json json;
    json_open(&json, text);
    write_id(&json, "traceId", span->trace, SPAN_TRACE_BYTES);
    write_id(&json, "spanId", span->id, SPAN_ID_BYTES);
    if (span->has_parent)
        write_id(&json, "parentSpanId", span->parent, SPAN_ID_BYTES);
    json_number(&json, "flags", span->flags);
    json_string(&json, "name", SLICE("POST"));
    json_number(&json, "kind", KIND_CLIENT);
    write_long(&json, "startTimeUnixNano", (end_ms - (int64_t)attempted->outcome->total_ms) * NS_PER_MS);
    write_long(&json, "endTimeUnixNano", end_ms * NS_PER_MS);
    json_open_array(&json, "attributes");
    write_request(&json, attempted);
    write_event(&json, attempted);
    json_close_array(&json);
    write_status(&json, attempted->attempt->error);
    json_close(&json);
}

void span_record_append_head(struct text *text, const struct span_source *source)
{
    struct json json;
    json_open(&json, text);
    json_open_array(&json, "resourceSpans");
    json_open_object(&json, NULL);
    json_open_object(&json, "resource");
    json_open_array(&json, "attributes");
    write_text(&json, "service.name", SLICE("jobhook"));
    write_text(&json, "service.version", slice_of(source->version));
    write_text(&json, "host.name", slice_of(source->host));
    write_number(&json, "process.pid", source->pid);
    json_close_array(&json);
    json_close_object(&json);
    json_open_array(&json, "scopeSpans");
    json_open_object(&json, NULL);
    json_open_object(&json, "scope");
    json_string(&json, "name", SLICE("jobhook"));
    json_string(&json, "version", slice_of(source->version));
    json_close_object(&json);
    json_open_array(&json, "spans");
}
