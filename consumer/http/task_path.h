/* Which task a request target asks for: /job-status/{task_id}. Pure.
 *
 * Everything behind /job-status/ is the id, percent-decoded exactly once: no byte is dropped, joined or normalised, so that no request is ever answered
 * with another task's record. A slash may stand as it is; a '?' may not, because a client that forgot to encode its id would otherwise be answered
 * for what stands before it. */
#ifndef JOBHOOK_CONSUMER_HTTP_TASK_PATH_H
#define JOBHOOK_CONSUMER_HTTP_TASK_PATH_H

#include "consumer/base/text.h"
#include "delivery/event.h"

enum task_path {
    TASK_PATH_FINE,
    TASK_PATH_ELSEWHERE, /* some other path */
    TASK_PATH_BAD,       /* no id that a task can have: `problem` says why */
};

struct task_id {
    size_t length;
    char bytes[EVENT_TASK_ID_MAX];
};

enum task_path task_path_read(struct slice target, struct task_id *id, const char **problem);

#endif
