/* jobhook resend: delivers events of the input topic again, whatever became of them. */
#include "consumer/base/memory.h"
#include "consumer/commands/again.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/neighbours.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char command_resend_help[] =
    "usage: jobhook resend TASK_ID... [--dry-run] [--rewrite-url OLD=NEW] [--wait] [--force]\n"
    "       jobhook resend --since WHEN [--until WHEN] [--state STATE] [--origin ORIGIN] [--type TYPE] [--rate N] …\n"
    "\n"
    "Delivers events of the input topic again, for a receiver that answered 2xx and lost them, or after a retry topic was destroyed. Each gets a "
    "record\n"
    "in the shortest retry topic, attempt 1 of a new replay epoch. Only the record that counts for a task is taken, not one published twice.\n"
    "\n"
    "which events (several of one kind are alternatives, of different kinds must all hold):\n"
    "  --since WHEN       written then or later: 2h (so long ago), 2026-03-01, 2026-03-01T12:00:00Z\n"
    "  --until WHEN       written before that\n"
    "  --state STATE      only tasks that are delivered, scheduled (waiting for a retry, or put off) or dead now\n"
    "  --origin ORIGIN    of the receiver: https://hooks.example.com\n"
    "  --type TYPE        task type\n"
    "  --task TASK_ID     with --since: looks for it in the topic, also when nothing is known of it any more\n"
    "  --at PLACE         PARTITION/OFFSET in the input topic\n"
    "\n" AGAIN_OPTIONS_HELP "\n"
    "examples:\n"
    "  jobhook resend t-1042\n"
    "  jobhook resend --since 3h --until 1h --origin https://hooks.example.com --state delivered --dry-run\n"
    "  jobhook resend --since 1d --state scheduled --wait      # a retry topic was deleted\n";

enum { STATE = 's' };

struct run {
    struct again_options again;
    struct settings settings;
    struct slice ids[SELECTION_VALUES_MAX];
    size_t id_count;
};

static bool take_state(struct again_options *again, const char *value)
{
    static const char *const names[] = { [AGAIN_DELIVERED] = "delivered", [AGAIN_SCHEDULED] = "scheduled", [AGAIN_DEAD] = "dead" };
    for (int state = AGAIN_DELIVERED; state <= AGAIN_DEAD; state++)
        if (strcmp(value, names[state]) == 0) {
            again->state = (enum again_state)state;
            return true;
        }
    return command_complain("resend", value, "--state is delivered, scheduled or dead");
}

static bool take_option(struct run *run, int option)
{
    if (option == STATE)
        return take_state(&run->again, optarg);
    if (option >= AGAIN_OPTION_FIRST)
        return again_take_option(&run->again, option, optarg);
    return option >= SEARCH_OPTION_FIRST && search_take_option(&run->again.search, option, optarg);
}

static bool read_arguments(struct run *run, int argc, char **argv)
{
    static const struct option options[] = { SEARCH_OPTIONS_OF_EVENTS, AGAIN_OPTIONS, { "state", required_argument, NULL, STATE }, { 0 } };
    optind = 0; /* glibc: start anew */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(run, option))
            return false;
    const struct selection *selection = &run->again.search.selection;
    bool ranged = selection->since_written != NULL || selection->has_places;
    for (; optind < argc; optind++) {
        if (run->id_count == SELECTION_VALUES_MAX)
            return command_complain("resend", argv[optind], "at most 64 tasks at once");
        run->ids[run->id_count++] = slice_of(argv[optind]);
    }
    if (run->id_count > 0 && !selection_is_empty(selection))
        return command_complain("resend", "TASK_ID", "goes with no filter; with --since it is --task TASK_ID");
    return run->id_count > 0 || ranged || command_complain("resend", "which events?", "TASK_ID, or --since WHEN, or --at PLACE");
}

/* Redis knows where each event lies, so the topic need not be searched. */
static bool place_ids(struct run *run)
{
    struct lookup_answer *answers = memory_create(SELECTION_VALUES_MAX * sizeof(*answers));
    struct neighbours *neighbours = neighbours_create(&run->settings);
    bool fine =
        neighbours_look_up(neighbours, run->ids, run->id_count, answers) || command_complain("resend", "JOBHOOK_REDIS_URL", "Redis does not answer");
    for (size_t i = 0; fine && i < run->id_count; i++) {
        struct selection_place place = { .partition = answers[i].record.partition, .offset = answers[i].record.offset, .timestamp_ms = -1 };
        const char *problem;
        if (answers[i].result != LOOKUP_FOUND || place.partition < 0)
            fine =
                command_complain("resend", run->ids[i].start,
                                 "nothing is known of this task (any more): jobhook resend --since WHEN --task TASK_ID looks for it, with --force");
        fine = fine && selection_add_place(&run->again.search.selection, &place) &&
               selection_add(&run->again.search.selection, SELECTION_TASK, run->ids[i].start, &problem);
    }
    neighbours_destroy(neighbours);
    free(answers);
    return fine;
}

static int resend(struct run *run)
{
    if (!command_settings_quietly(&run->settings))
        return COMMAND_FAILED;
    if (run->id_count > 0 && !place_ids(run))
        return COMMAND_FAILED;
    return again_run(&run->again, &run->settings);
}

int command_resend(int argc, char **argv)
{
    struct run *run = memory_create(sizeof(*run));
    int code = COMMAND_USAGE;
    search_init(&run->again.search, "resend", SEARCH_EVENTS);
    if (!read_arguments(run, argc, argv))
        fputs("see jobhook resend --help\n", stderr);
    else
        code = resend(run);
    search_finish(&run->again.search);
    settings_finish(&run->settings);
    free(run);
    return code;
}
