/* Any bytes as an event: what passes becomes a payload that is an event itself and says the same, and headers that cannot be broken out of. */
#include "delivery/event.h"
#include "delivery/request.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct event *event_of(struct slice value, struct slice header)
{
    const struct event_header headers[] = { { SLICE("traceparent"), header, true }, { SLICE("tracestate"), header, true } };
    const struct event_record record = { .has_value = true, .value = value, .headers = headers, .header_count = COUNT_OF(headers) };
    return event_create(&record);
}

static void expect_decoded_members(const struct event *event)
{
    assert(event->task_id.length >= 1 && event->task_id.length <= EVENT_TASK_ID_MAX && slice_is_utf8(event->task_id));
    assert(event->task_type.length >= 1 && event->task_type.length <= EVENT_TASK_TYPE_MAX && slice_is_utf8(event->task_type));
    for (size_t i = 0; i < event->task_id.length; i++)
        assert((unsigned char)event->task_id.start[i] >= 0x20 && event->task_id.start[i] != 0x7f);
    assert(event->failed ? event->raw_error.start[0] == '"' : event->raw_result.start[0] == '{');
    assert((event->raw_error.length == 0) == !event->failed && (event->raw_result.length == 0) == event->failed);
}

static void expect_headers(const struct request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        for (const char *c = request->headers[i]; *c != '\0'; c++)
            assert(*c >= ' ' && *c <= '~');
    }
}

/* The payload holds the same bytes, and nothing of the event beside them. */
static void expect_payload(struct event *event, struct slice payload)
{
    struct event *again = event_of(payload, SLICE(""));
    const char *problem;
    bool passed = event_parse(again, &problem);
    assert(passed);
    assert(slice_equal(again->raw_result, event->raw_result) && slice_equal(again->raw_error, event->raw_error));
    assert(slice_equal(again->task_id, event->task_id) && slice_equal(again->task_type, event->task_type) && again->failed == event->failed);
    event->webhook_url = SLICE("");
    assert(event_digest(again) == event_digest(event));
    event_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct attempt attempt = { .number = 1, .epoch = 1 };
    static const struct request_options options = { .version = "0", .pass_tracestate = true };
    struct slice value = { (const char *)data, size };
    char id[REQUEST_ID_MAX + 1];
    request_webhook_id(value, id);
    struct event *event = event_of(value, value);
    const char *problem = NULL;
    if (event_parse(event, &problem)) {
        struct request request;
        request_init(&request);
        request_compose(&request, event, &attempt, &options);
        expect_decoded_members(event);
        expect_headers(&request);
        expect_payload(event, text_slice(&request.body));
        request_finish(&request);
    } else {
        assert(problem != NULL);
    }
    event_destroy(event);
    return 0;
}
