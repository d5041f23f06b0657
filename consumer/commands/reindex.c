/* jobhook reindex: after Redis was emptied, writes again where each task's event lies, so that it can be polled. */
#include "consumer/base/memory.h"
#include "consumer/base/moment.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/neighbours.h"
#include "consumer/commands/progress.h"
#include "consumer/commands/search.h"
#include "consumer/commands/tally.h"
#include "dedupe/pointers.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

const char command_reindex_help[] =
    "usage: jobhook reindex --since WHEN [--until WHEN] [--type TYPE] [--task TASK_ID] [--dry-run]\n"
    "\n"
    "Reads the input topic and writes to Redis where each task's event lies, only where nothing is known of the task. /job-status needs that after "
    "Redis\n"
    "was emptied; what became of the delivery stays unknown, and no delivery is suppressed or started. May be repeated.\n"
    "\n"
    "  --since WHEN    from events written then: 2d (so long ago), 2026-03-01, 2026-03-01T12:00:00Z\n"
    "  --until WHEN    to events written before that\n"
    "  --dry-run       counts the events, and writes nothing\n"
    "\n"
    "example:\n"
    "  jobhook reindex --since 24h\n";

enum { WAIT_MS = 100, TURN_MS = 50, OPEN_MAX = 2000, DRY_RUN = 'n', TEXT_BYTES = 1024 };

struct run {
    struct settings settings;
    struct search search;
    struct neighbours *neighbours;
    struct pointers *pointers;
    struct progress progress;
    bool dry_run;
    size_t open;
    uint64_t events, written, known, away, malformed;
};

static bool complain(const char *problem)
{
    fprintf(stderr, "jobhook reindex: %s\n", problem);
    return false;
}

static bool read_arguments(struct run *run, int argc, char **argv)
{
    static const struct option options[] = { SEARCH_OPTIONS_OF_EVENTS, { "dry-run", no_argument, NULL, DRY_RUN }, { 0 } };
    optind = 0; /* glibc: start anew */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == DRY_RUN)
            run->dry_run = true;
        else if (option < SEARCH_OPTION_FIRST || !search_take_option(&run->search, option, optarg))
            return false;
    }
    if (optind < argc)
        return complain("takes no arguments but options");
    return run->search.selection.since_written != NULL || complain("since when? --since WHEN");
}

static void put(void *context, enum pointer_result result)
{
    struct run *run = context;
    run->open--;
    run->written += result == POINTER_WRITTEN;
    run->known += result == POINTER_KNOWN;
    run->away += result == POINTER_AWAY;
}

static bool settle(struct run *run, size_t most)
{
    while (run->open > most)
        neighbours_turn(run->neighbours, TURN_MS);
    return run->away == 0 || complain("Redis does not answer: run it again, what is written already stays");
}

static bool take(struct run *run, const struct entry *entry)
{
    run->events++;
    if (entry->malformed != NULL) {
        run->malformed++;
        return true;
    }
    if (run->dry_run)
        return true;
    run->open++;
    pointers_put(run->pointers, &(struct pointer){ entry->event->task_id, entry->partition, entry->offset, event_digest(entry->event) }, put, run);
    return settle(run, OPEN_MAX);
}

static bool read_all(struct run *run)
{
    struct entry entry;
    enum topic_step step;
    while ((step = search_next(&run->search, WAIT_MS, &entry)) != TOPIC_END) {
        bool fine = step != TOPIC_PROBLEM;
        if (step == TOPIC_RECORD) {
            fine = take(run, &entry);
            entry_finish(&entry);
        }
        if (!fine)
            return false;
        struct topic_progress way = topic_reader_progress(run->search.reader);
        progress_show(&run->progress, &(struct progress_figures){ run->events, way.done, way.all });
    }
    return settle(run, 0);
}

static void print_end(struct run *run)
{
    struct text text;
    text_init(&text, TEXT_BYTES);
    progress_hide(&run->progress);
    tally_append_number(&text, run->events);
    text_append_string(&text, " events read");
    if (!run->dry_run) {
        text_append_string(&text, ", ");
        tally_append_number(&text, run->written);
        text_append_string(&text, " pointers written, ");
        tally_append_number(&text, run->known);
        text_append_string(&text, " known already");
    }
    if (run->malformed > 0)
        text_printf(&text, ", %" PRIu64 " that are no events", run->malformed);
    text_append_string(&text, ", in ");
    moment_append_duration(&text, progress_elapsed_ms(&run->progress));
    puts(text.start);
    text_finish(&text);
}

static int reindex(struct run *run)
{
    if (!search_begin(&run->search, &run->settings, NULL, 0))
        return COMMAND_FAILED;
    struct lookup_answer answer;
    struct slice nobody = SLICE("");
    run->neighbours = neighbours_create(&run->settings);
    run->pointers = pointers_create(neighbours_redis(run->neighbours), run->settings.redis_prefix, run->settings.state_ttl_ms);
    if (!run->dry_run && !neighbours_look_up(run->neighbours, &nobody, 1, &answer)) {
        complain("Redis does not answer: see JOBHOOK_REDIS_URL");
        return COMMAND_FAILED;
    }
    progress_begin(&run->progress, "read");
    bool fine = read_all(run);
    print_end(run);
    return fflush(stdout) == 0 && fine ? COMMAND_FINE : COMMAND_FAILED;
}

int command_reindex(int argc, char **argv)
{
    struct run *run = memory_create(sizeof(*run));
    int code = COMMAND_USAGE;
    search_init(&run->search, "reindex", SEARCH_EVENTS);
    if (!read_arguments(run, argc, argv))
        fputs("see jobhook reindex --help\n", stderr);
    else
        code = command_settings_quietly(&run->settings) ? reindex(run) : COMMAND_FAILED;
    pointers_destroy(run->pointers);
    neighbours_destroy(run->neighbours);
    search_finish(&run->search);
    settings_finish(&run->settings);
    free(run);
    return code;
}
