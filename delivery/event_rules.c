#include "delivery/event_rules.h"

#include "delivery/json_string.h"

const char *const event_member_names[MEMBERS] = {
    [MEMBER_TASK_ID] = "task_id", [MEMBER_STATUS] = "status", [MEMBER_TASK_TYPE] = "task_type",
    [MEMBER_RESULT] = "result",   [MEMBER_ERROR] = "error",   [MEMBER_WEBHOOK_URL] = "webhook_url",
};

/* A string with escapes is decoded into `*space`, its first `most` bytes that is; one without is pointed to, however long. The space suffices:
 * a decoded string is no longer than what was written, and the members' limits are in EVENT_DECODED_MAX. */
static bool decode_string(struct slice raw, size_t most, char **space, struct slice *decoded)
{
    if (json_string_is_plain(raw)) {
        *decoded = json_string_inside(raw);
        return true;
    }
    size_t length;
    if (!json_string_decode(raw, *space, most, &length))
        return false;
    *decoded = (struct slice){ *space, length < most ? length : most };
    *space += decoded->length;
    return true;
}

/* C0, DEL and C1, the last two bytes long in UTF-8. */
static bool text_has_control(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.start[i];
        if (c < 0x20 || c == 0x7f)
            return true;
        if (c == 0xc2 && i + 1 < text.length && (unsigned char)text.start[i + 1] <= 0x9f)
            return true;
    }
    return false;
}

/* A string that every event must have, and that must be fit for logs and HTTP headers. */
struct label_rule {
    enum event_member member;
    size_t most;
    const char *missing, *not_a_string, *half_pair, *length, *control;
};

static const struct label_rule task_id_rule = {
    .member = MEMBER_TASK_ID,
    .most = EVENT_TASK_ID_MAX,
    .missing = "member task_id is missing",
    .not_a_string = "member task_id is not a string",
    .half_pair = "member task_id holds half of a surrogate pair",
    .length = "member task_id is not 1 to 256 bytes long",
    .control = "member task_id holds a control character",
};

static const struct label_rule task_type_rule = {
    .member = MEMBER_TASK_TYPE,
    .most = EVENT_TASK_TYPE_MAX,
    .missing = "member task_type is missing",
    .not_a_string = "member task_type is not a string",
    .half_pair = "member task_type holds half of a surrogate pair",
    .length = "member task_type is not 1 to 128 bytes long",
    .control = "member task_type holds a control character",
};

static const char *check_label(const struct event_value *values, const struct label_rule *rule, char **space, struct slice *label)
{
    const struct event_value *value = &values[rule->member];
    if (value->kind == VALUE_ABSENT)
        return rule->missing;
    if (value->kind != VALUE_STRING)
        return rule->not_a_string;
    struct slice decoded;
    if (!decode_string(value->raw, rule->most + 1, space, &decoded))
        return rule->half_pair;
    if (decoded.length == 0 || decoded.length > rule->most)
        return rule->length;
    if (text_has_control(decoded))
        return rule->control;
    *label = decoded;
    return NULL;
}

static const char *check_status(const struct event_value *value, bool *failed)
{
    if (value->kind == VALUE_ABSENT)
        return "member status is missing";
    *failed = value->kind == VALUE_STRING && json_string_is(value->raw, "failed");
    if (!*failed && (value->kind != VALUE_STRING || !json_string_is(value->raw, "completed")))
        return "member status is neither \"completed\" nor \"failed\"";
    return NULL;
}

static bool is_given(const struct event_value *value)
{
    return value->kind != VALUE_ABSENT && value->kind != VALUE_NULL;
}

/* The one of result and error that belongs to the status is there, and the other is not; null counts as absent. */
static const char *check_ending(const struct event_value *values, bool failed)
{
    const struct event_value *result = &values[MEMBER_RESULT], *error = &values[MEMBER_ERROR];
    if (failed && is_given(result))
        return "member result is given although the status is failed";
    if (!failed && is_given(error))
        return "member error is given although the status is completed";
    if (failed && !is_given(error))
        return "member error is missing although the status is failed";
    if (!failed && !is_given(result))
        return "member result is missing although the status is completed";
    if (failed && error->kind != VALUE_STRING)
        return "member error is not a string";
    if (!failed && result->kind != VALUE_OBJECT)
        return "member result is not an object";
    return NULL;
}

/* Whether the URL may be called is the guard's to say. */
static const char *check_webhook_url(const struct event_value *value, char **space, struct slice *url)
{
    if (!is_given(value))
        return NULL;
    if (value->kind != VALUE_STRING)
        return "member webhook_url is not a string";
    if (!decode_string(value->raw, EVENT_URL_MAX + 1, space, url))
        return "member webhook_url holds half of a surrogate pair";
    if (url->length == 0)
        return "member webhook_url is empty: leave it out, or write null, when nothing is to be sent";
    return NULL;
}

static void set_raw_members(struct event *event, const struct event_value *values)
{
    event->raw_task_id = values[MEMBER_TASK_ID].raw;
    event->raw_status = values[MEMBER_STATUS].raw;
    event->raw_task_type = values[MEMBER_TASK_TYPE].raw;
    if (event->failed)
        event->raw_error = values[MEMBER_ERROR].raw;
    else
        event->raw_result = values[MEMBER_RESULT].raw;
}

const char *event_rules_apply(struct event *event, const struct event_value *values)
{
    char *space = event->decoded;
    const char *problem = check_label(values, &task_id_rule, &space, &event->task_id);
    if (problem == NULL)
        problem = check_status(&values[MEMBER_STATUS], &event->failed);
    if (problem == NULL)
        problem = check_label(values, &task_type_rule, &space, &event->task_type);
    if (problem == NULL)
        problem = check_ending(values, event->failed);
    if (problem == NULL)
        problem = check_webhook_url(&values[MEMBER_WEBHOOK_URL], &space, &event->webhook_url);
    if (problem == NULL)
        set_raw_members(event, values);
    return problem;
}
