/* jobhook run: the service. */
#include "consumer/commands/commands.h"
#include "consumer/service.h"

int command_run(int argc, char **argv)
{
    struct settings settings;
    (void)argc;
    (void)argv;
    if (!command_settings(&settings))
        return COMMAND_FAILED;
    int code = service_run(&settings);
    settings_finish(&settings);
    return code;
}
