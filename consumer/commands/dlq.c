/* jobhook dlq: what is in the dead-letter topic, and what to do with it. */
#include "consumer/commands/dlq.h"

#include "consumer/base/check.h"
#include "consumer/commands/commands.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *summary, *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "list", "show dead letters, count them, or export a selection", dlq_list_help, dlq_list },
    { "show", "show one with its headers, its history, and the cure", dlq_show_help, dlq_show },
    { "replay", "deliver them again", dlq_replay_help, dlq_replay },
    { "purge", "delete those that died before a moment", dlq_purge_help, dlq_purge },
};

static void print_usage(FILE *file)
{
    fputs("usage: jobhook dlq <command> [arguments]\n\n", file);
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        fprintf(file, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`jobhook dlq <command> --help` says more, with examples.\n", file);
}

static bool is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

int command_dlq(int argc, char **argv)
{
    if (argc > 1 && is_help(argv[1])) {
        print_usage(stdout);
        return fflush(stdout) == 0 ? COMMAND_FINE : COMMAND_FAILED;
    }
    for (size_t i = 0; argc > 1 && i < COUNT_OF(commands); i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        if (argc > 2 && is_help(argv[2]))
            return fputs(commands[i].help, stdout) >= 0 && fflush(stdout) == 0 ? COMMAND_FINE : COMMAND_FAILED;
        return commands[i].run(argc - 1, argv + 1);
    }
    print_usage(stderr);
    return COMMAND_USAGE;
}
