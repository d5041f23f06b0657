/* jobhook dlq replay: delivers dead letters again, each in the next replay epoch. */
#include "consumer/base/memory.h"
#include "consumer/commands/again.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/dlq.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

const char dlq_replay_help[] = "usage: jobhook dlq replay {which letters | --all} [--dry-run] [--rate N] [--rewrite-url OLD=NEW] [--wait] [--force]\n"
                               "\n"
                               "Delivers dead letters again: each gets a record in the shortest retry topic, attempt 1 of a new replay epoch, so "
                               "that all attempts are made anew.\n"
                               "The letters stay where they are. One that was replayed already is refused for as long as the task is remembered "
                               "(JOBHOOK_STATE_TTL), and says where\n"
                               "its successor is.\n"
                               "\n" DLQ_FILTERS_HELP "  --all              every letter there is now\n"
                               "\n" AGAIN_OPTIONS_HELP "\n"
                               "examples:\n"
                               "  jobhook dlq replay --origin https://hooks.example.com --since 6h --dry-run\n"
                               "  jobhook dlq replay --origin https://hooks.example.com --since 6h --rate 500 --wait\n"
                               "  jobhook dlq replay --task t-1042 --rewrite-url https://old.example.com=https://new.example.com\n";

enum { ALL = 'a' };

static bool read_arguments(struct again_options *again, int argc, char **argv)
{
    static const struct option options[] = { SEARCH_OPTIONS_OF_LETTERS, AGAIN_OPTIONS, { "all", no_argument, NULL, ALL }, { 0 } };
    bool all = false;
    optind = 0; /* glibc: start anew */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == ALL)
            all = true;
        else if (option >= AGAIN_OPTION_FIRST ? !again_take_option(again, option, optarg)
                                              : option < SEARCH_OPTION_FIRST || !search_take_option(&again->search, option, optarg))
            return false;
    }
    bool chosen = !selection_is_empty(&again->search.selection);
    if (optind == argc && chosen != all)
        return true;
    if (optind < argc)
        command_complain("dlq replay", argv[optind], "takes no arguments but options");
    else
        fputs(all ? "jobhook dlq replay: --all, or which letters: not both\n" : "jobhook dlq replay: which letters? --all is every one there is\n",
              stderr);
    return false;
}

int dlq_replay(int argc, char **argv)
{
    struct settings settings = { 0 };
    struct again_options *again = memory_create(sizeof(*again));
    int code = COMMAND_USAGE;
    search_init(&again->search, "dlq replay", SEARCH_LETTERS);
    if (!read_arguments(again, argc, argv))
        fputs("see jobhook dlq replay --help\n", stderr);
    else
        code = command_settings_quietly(&settings) ? again_run(again, &settings) : COMMAND_FAILED;
    search_finish(&again->search);
    settings_finish(&settings);
    free(again);
    return code;
}
