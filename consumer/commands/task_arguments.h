/* The arguments of the commands that are about one task: its id, and flags. Behind "--" everything is an id. Pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_TASK_ARGUMENTS_H
#define JOBHOOK_CONSUMER_COMMANDS_TASK_ARGUMENTS_H

#include "consumer/base/text.h"

#include <stdbool.h>

struct task_flag {
    const char *name; /* "--json"; NULL ends the list */
    bool *given;      /* set to true when it is there */
};

/* `task_id` borrows of `argv`. False: there is not exactly one id of 1 to 256 bytes, or an option that is not in the list. */
MUST_USE bool task_arguments_read(int argc, char **argv, const struct task_flag *flags, struct slice *task_id);

#endif
