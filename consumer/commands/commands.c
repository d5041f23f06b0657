#include "consumer/commands/commands.h"

#include "consumer/base/text.h"
#include "consumer/commands/shown.h"

#include <stdio.h>

enum { SUBJECT_BYTES_MAX = 1024 * 1024 }; /* an argument has 128 KiB at most, an escape 8 bytes */

bool command_complain(const char *command, const char *subject, const char *problem)
{
    struct text shown;
    text_init(&shown, SUBJECT_BYTES_MAX);
    shown_append(&shown, slice_of(subject), SIZE_MAX);
    fprintf(stderr, "jobhook %s: %s%s%s\n", command, shown.length > 0 ? shown.start : "", shown.length > 0 ? ": " : "", problem);
    text_finish(&shown);
    return false;
}

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
