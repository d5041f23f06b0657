/* The little writer of JSON objects. */
#include "consumer/base/json.h"

#include <criterion/criterion.h>

Test(json, writes_members_of_all_kinds)
{
    struct text text;
    struct json json;
    text_init(&text, 4096);
    json_open(&json, &text);
    json_string(&json, "s", SLICE("a\"\n"));
    json_number(&json, "least", INT64_MIN);
    json_bool(&json, "b", true);
    json_null(&json, "n");
    json_moment(&json, "t", INT64_C(1772366400250));
    json_moment(&json, "never", 0);
    json_moment(&json, "unsayable", INT64_MAX);
    json_open_object(&json, "o");
    json_close_object(&json);
    json_open_array(&json, "a");
    json_number(&json, NULL, 1);
    json_open_object(&json, NULL);
    json_raw(&json, "r", SLICE("[1e400]"));
    json_close_object(&json);
    json_close_array(&json);
    json_number(&json, "z", 0);
    json_close(&json);
    cr_expect(slice_is(text_slice(&text), "{\"s\":\"a\\\"\\n\",\"least\":-9223372036854775808,\"b\":true,\"n\":null,"
                                          "\"t\":\"2026-03-01T12:00:00.250Z\",\"never\":null,\"unsayable\":null,\"o\":{},"
                                          "\"a\":[1,{\"r\":[1e400]}],\"z\":0}"),
              "%s", text.start);
    text_finish(&text);
}
