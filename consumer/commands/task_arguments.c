#include "consumer/commands/task_arguments.h"

#include "delivery/event.h"

#include <string.h>

static bool take_flag(const struct task_flag *flags, const char *argument)
{
    for (; flags->name != NULL; flags++) {
        if (strcmp(flags->name, argument) == 0) {
            *flags->given = true;
            return true;
        }
    }
    return false;
}

bool task_arguments_read(int argc, char **argv, const struct task_flag *flags, struct slice *task_id)
{
    bool only_ids = false;
    *task_id = (struct slice){ 0 };
    for (int i = 1; i < argc; i++) {
        struct slice argument = slice_of(argv[i]);
        if (!only_ids && slice_is(argument, "--"))
            only_ids = true;
        else if (only_ids || !slice_starts_with(argument, "-")) {
            if (task_id->length > 0 || argument.length == 0 || argument.length > EVENT_TASK_ID_MAX)
                return false;
            *task_id = argument;
        } else if (!take_flag(flags, argv[i]))
            return false;
    }
    return task_id->length > 0;
}
