/* The program's commands: one file and one function each. consumer/main.c has the table. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_COMMANDS_H
#define JOBHOOK_CONSUMER_COMMANDS_COMMANDS_H

#include "consumer/settings.h"

#include <stdbool.h>

enum { COMMAND_FINE = 0, COMMAND_FAILED = 1, COMMAND_USAGE = 2 }; /* exit codes */

struct command {
    const char *name;
    const char *summary; /* for the list of commands */
    const char *help;    /* what `jobhook <command> --help` prints; NULL: it does so itself, given --help */
    /* argv[0] is the command's name. Returns the exit code. Results go to standard output, messages to standard error. */
    int (*run)(int argc, char **argv);
    bool takes_arguments; /* else any argument is a usage error before it runs */
};

int command_run(int argc, char **argv);
int command_check(int argc, char **argv);
int command_version(int argc, char **argv);
int command_topics(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_size(int argc, char **argv);
int command_sign(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_secret(int argc, char **argv);
int command_dlq(int argc, char **argv);
int command_resend(int argc, char **argv);
int command_reindex(int argc, char **argv);
int command_publish(int argc, char **argv);
int command_send(int argc, char **argv);
int command_top(int argc, char **argv);
int command_status(int argc, char **argv);
int command_attempts(int argc, char **argv);
int command_forget(int argc, char **argv);
extern const char command_status_help[], command_attempts_help[], command_forget_help[];
extern const char command_doctor_help[], command_size_help[], command_sign_help[], command_verify_help[], command_secret_help[];
extern const char command_resend_help[], command_reindex_help[], command_publish_help[], command_send_help[], command_top_help[];

/* Prints "jobhook COMMAND: SUBJECT: PROBLEM"; the subject ("": none) may be a stranger's, and is shown as shown.h has it. False. */
bool command_complain(const char *command, const char *subject, const char *problem);

/* Reads the settings for a command, and sets the log's level and format by them. On false all mistakes were printed on standard error: return
 * COMMAND_FAILED. */
MUST_USE bool command_settings(struct settings *settings);
/* The same for commands whose log lines stand among what they print: warnings only, unless JOBHOOK_LOG_LEVEL asks for more or less, as text. */
MUST_USE bool command_settings_quietly(struct settings *settings);

#endif
