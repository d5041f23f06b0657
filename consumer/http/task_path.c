#include "consumer/http/task_path.h"

static const char prefix[] = "/job-status/";

static const char *decode(struct slice rest, struct task_id *id)
{
    id->length = 0;
    for (size_t at = 0; at < rest.length;) {
        if (rest.start[at] == '?' || rest.start[at] == '#')
            return "there are no parameters; '?' and '#' in a task_id are written %3F and %23";
        int byte = slice_take_decoded(rest, &at);
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
