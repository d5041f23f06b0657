/* What the members of an event must be (DESIGN §2), once event.c has found them. Pure; used by event.c only. */
#ifndef JOBHOOK_DELIVERY_EVENT_RULES_H
#define JOBHOOK_DELIVERY_EVENT_RULES_H

#include "delivery/event.h"

enum {
    EVENT_URL_MAX = 8192, /* an escaped webhook_url is cut one byte beyond it: enough for the guard to refuse it */
    EVENT_DECODED_MAX = EVENT_TASK_ID_MAX + 1 + EVENT_TASK_TYPE_MAX + 1 + EVENT_URL_MAX + 1,
};

/* The members that mean something; all others are ignored. */
enum event_member { MEMBER_TASK_ID, MEMBER_STATUS, MEMBER_TASK_TYPE, MEMBER_RESULT, MEMBER_ERROR, MEMBER_WEBHOOK_URL, MEMBERS };
extern const char *const event_member_names[MEMBERS];

enum event_value_kind { VALUE_ABSENT, VALUE_NULL, VALUE_STRING, VALUE_OBJECT, VALUE_OTHER };

struct event_value {
    enum event_value_kind kind;
    struct slice raw; /* as written; valid JSON */
};

/* Fills the event's members from `values` (one for each member). Returns the first problem, a fixed sentence, or NULL. */
const char *event_rules_apply(struct event *event, const struct event_value *values);

#endif
