/* Request targets of /job-status: an id that is taken is one that a task can have, and encoded again it is found again. */
#include "consumer/http/task_path.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same_when_encoded(const struct task_id *id)
{
    struct text target;
    struct task_id again;
    const char *problem;
    text_init(&target, 4096);
    text_append_string(&target, "/job-status/");
    for (size_t i = 0; i < id->length; i++)
        text_printf(&target, "%%%02X", (unsigned char)id->bytes[i]);
    enum task_path what = task_path_read(text_slice(&target), &again, &problem);
    assert(what == TASK_PATH_FINE);
    assert(slice_equal((struct slice){ id->bytes, id->length }, (struct slice){ again.bytes, again.length }));
    text_finish(&target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice target = { (const char *)data, size };
    struct task_id id;
    const char *problem = NULL;
    enum task_path what = task_path_read(target, &id, &problem);
    assert((what == TASK_PATH_BAD) == (problem != NULL));
    assert((what == TASK_PATH_ELSEWHERE) == !slice_starts_with(target, "/job-status/"));
    if (what != TASK_PATH_FINE)
        return 0;
    struct slice bytes = { id.bytes, id.length };
    assert(bytes.length > 0 && bytes.length <= EVENT_TASK_ID_MAX && slice_is_utf8(bytes));
    for (size_t i = 0; i < bytes.length; i++)
        assert((unsigned char)bytes.start[i] >= 0x20 && bytes.start[i] != 0x7f);
    expect_same_when_encoded(&id);
    return 0;
}
