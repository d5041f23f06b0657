#include "consumer/commands/commands.h"

#include <stdio.h>

bool command_settings(struct settings *settings)
{
    enum { MISTAKES_BYTES_MAX = 256 * 1024 };
    struct text mistakes;
    text_init(&mistakes, MISTAKES_BYTES_MAX);
    bool fine = settings_read(settings, NULL, &mistakes);
    if (fine) {
        log_set(settings->log_level, settings->log_format);
        log_set_colours(!settings->no_color);
    } else {
        fprintf(stderr, "jobhook: the settings hold mistakes:\n%s", mistakes.length > 0 ? mistakes.start : "");
    }
    text_finish(&mistakes);
    return fine;
}

bool command_settings_quietly(struct settings *settings)
{
    if (!command_settings(settings))
        return false;
    log_set(settings->log_level == LOG_INFO ? LOG_WARN : settings->log_level, LOG_TEXT);
    return true;
}
