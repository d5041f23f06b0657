/* jobhook check: the effective settings, or all mistakes in them. Connects to nothing. */
#include "consumer/commands/commands.h"

#include <stdio.h>

int command_check(int argc, char **argv)
{
    struct settings settings;
    (void)argc;
    (void)argv;
    if (!command_settings(&settings))
        return COMMAND_FAILED;
    settings_print(&settings, stdout);
    settings_finish(&settings);
    if (fflush(stdout) == 0)
        return COMMAND_FINE;
    perror("jobhook check: standard output");
    return COMMAND_FAILED;
}
