#include "consumer/base/json.h"

#include "consumer/base/moment.h"

static void begin(struct json *json, const char *name)
{
    if (name != NULL)
        text_append_member(json->text, name, json->comma);
    else if (json->comma)
        text_append_char(json->text, ',');
    json->comma = true;
}

static void begin_inside(struct json *json, char bracket)
{
    text_append_char(json->text, bracket);
    json->comma = false;
}

static void end_inside(struct json *json, char bracket)
{
    text_append_char(json->text, bracket);
    json->comma = true;
}

void json_open(struct json *json, struct text *text)
{
    json->text = text;
    begin_inside(json, '{');
}

void json_close(struct json *json)
{
    end_inside(json, '}');
}

void json_string(struct json *json, const char *name, struct slice value)
{
    begin(json, name);
    text_append_json(json->text, value);
}

void json_number(struct json *json, const char *name, int64_t value)
{
    begin(json, name);
    text_append_i64(json->text, value);
}

void json_bool(struct json *json, const char *name, bool value)
{
    json_raw(json, name, value ? SLICE("true") : SLICE("false"));
}

void json_null(struct json *json, const char *name)
{
    json_raw(json, name, SLICE("null"));
}

void json_moment(struct json *json, const char *name, int64_t ms)
{
    begin(json, name);
    size_t before = json->text->length;
    text_append_char(json->text, '"');
    if (ms > 0)
        moment_append(json->text, ms);
    if (json->text->length == before + 1) {
        json->text->length = before;
        text_append_string(json->text, "null");
    } else {
        text_append_char(json->text, '"');
    }
}

void json_raw(struct json *json, const char *name, struct slice value)
{
    begin(json, name);
    text_append(json->text, value);
}

void json_open_object(struct json *json, const char *name)
{
    begin(json, name);
    begin_inside(json, '{');
}

void json_close_object(struct json *json)
{
    end_inside(json, '}');
}

void json_open_array(struct json *json, const char *name)
{
    begin(json, name);
    begin_inside(json, '[');
}

void json_close_array(struct json *json)
{
    end_inside(json, ']');
}
