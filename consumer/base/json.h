/* One JSON object, written member by member into a text: commas and quoting are done here. Pure.
 *
 *   struct json json;
 *   json_open(&json, &text), json_string(&json, "task_id", id), json_number(&json, "attempt", 2), json_close(&json); */
#ifndef JOBHOOK_BASE_JSON_H
#define JOBHOOK_BASE_JSON_H

#include "consumer/base/text.h"

struct json {
    struct text *text;
    bool comma; /* before the next member */
};

void json_open(struct json *json, struct text *text);
void json_close(struct json *json);
/* Names are literals of ours. Strings are made safe as text_append_json does it. */
void json_string(struct json *json, const char *name, struct slice value);
void json_number(struct json *json, const char *name, int64_t value);
void json_bool(struct json *json, const char *name, bool value);
void json_null(struct json *json, const char *name);
void json_moment(struct json *json, const char *name, int64_t ms);      /* RFC 3339; null for 0 and what it cannot say */
void json_raw(struct json *json, const char *name, struct slice value); /* JSON already */
/* An object or an array as a member; the array's items are then written with the name NULL. */
void json_open_object(struct json *json, const char *name);
void json_close_object(struct json *json);
void json_open_array(struct json *json, const char *name);
void json_close_array(struct json *json);

#endif
