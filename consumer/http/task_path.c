#include "consumer/http/task_path.h"

static const char prefix[] = "/job-status/";

/* The byte at `*at`, which moves behind it; -1: not a percent sign and two hexadecimal digits. */
static int take_byte(struct slice rest, size_t *at)
{
    char c = rest.start[(*at)++];
    if (c != '%')
        return (unsigned char)c;
    if (rest.length - *at < 2)
        return -1;
    int high = text_hex_value(rest.start[*at]), low = text_hex_value(rest.start[*at + 1]);
    *at += 2;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static const char *decode(struct slice rest, struct task_id *id)
{
    id->length = 0;
    for (size_t at = 0; at < rest.length;) {
        if (rest.start[at] == '?' || rest.start[at] == '#')
            return "there are no parameters; '?' and '#' in a task_id are written %3F and %23";
        int byte = take_byte(rest, &at);
        if (byte < 0)
            return "'%' wants two hexadecimal digits; in a task_id it is written %25";
        if (byte < 0x20 || byte == 0x7f)
            return "a task_id holds no control characters";
        if (id->length == EVENT_TASK_ID_MAX)
            return "a task_id has at most 256 bytes";
        id->bytes[id->length++] = (char)byte;
    }
    if (id->length == 0)
        return "the task_id is missing: /job-status/{task_id}";
    if (!slice_is_utf8((struct slice){ id->bytes, id->length }))
        return "a task_id is UTF-8";
    return NULL;
}

enum task_path task_path_read(struct slice target, struct task_id *id, const char **problem)
{
    if (!slice_starts_with(target, prefix))
        return TASK_PATH_ELSEWHERE;
    *problem = decode((struct slice){ target.start + sizeof prefix - 1, target.length - (sizeof prefix - 1) }, id);
    return *problem == NULL ? TASK_PATH_FINE : TASK_PATH_BAD;
}
