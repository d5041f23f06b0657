/* jobhook version. */
#include "consumer/commands/commands.h"

#include <stdio.h>

int command_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("jobhook %s\n", JOBHOOK_VERSION);
    return fflush(stdout) == 0 ? COMMAND_FINE : COMMAND_FAILED;
}
