/* jobhook dlq purge: deletes dead letters that are older than a moment, for good. */
#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/base/moment.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/dlq.h"
#include "consumer/commands/tally.h"
#include "consumer/commands/topic_reader.h"
#include "consumer/commands/topics_admin.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

const char dlq_purge_help[] = "usage: jobhook dlq purge --before WHEN [--yes]\n"
                              "\n"
                              "Deletes the dead letters that lie before the first one written at WHEN or later, in each partition, for good. Without "
                              "--yes it only says how many.\n"
                              "What retention would delete anyway needs no purge; this is for what must go earlier.\n"
                              "\n"
                              "  --before WHEN   30d (so long ago), 2026-03-01, 2026-03-01T12:00:00Z\n"
                              "  --yes           does it\n"
                              "\n"
                              "examples:\n"
                              "  jobhook dlq purge --before 7d\n"
                              "  jobhook dlq purge --before 2026-03-01 --yes\n";

enum { PROBLEM_BYTES = 512, TEXT_BYTES = 256 * 1024 };

struct run {
    struct settings settings;
    char topic[ATTEMPT_TOPIC_MAX + 1];
    int64_t before_ms;
    bool yes;
    int32_t partitions;
    struct topics_cut *cuts;
    uint64_t count;
};

static bool read_arguments(struct run *run, int argc, char **argv)
{
    static const struct option options[] = { { "before", required_argument, NULL, 'b' }, { "yes", no_argument, NULL, 'y' }, { 0 } };
    optind = 0; /* glibc: start anew */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'y')
            run->yes = true;
        else if (option != 'b')
            return false;
        else if (!moment_parse(slice_of(optarg), clock_wall_ms(), &run->before_ms))
            return command_complain("dlq purge", optarg, "--before is " MOMENT_ALLOWED);
    }
    return optind == argc && (run->before_ms > 0 || command_complain("dlq purge", "before when?", "--before WHEN"));
}

/* Where each partition begins when it is read from `from_ms` on. */
static bool find_beginnings(struct run *run, int64_t from_ms, int64_t *first)
{
    char problem[PROBLEM_BYTES] = "its partitions are others by now: run it again";
    struct topic_record record;
    struct topic_reader *reader = topic_reader_create(&run->settings, problem, sizeof(problem));
    const struct topic_range range = { .partition = TOPIC_ALL_PARTITIONS, .from_ms = from_ms };
    bool fine = reader != NULL && topic_reader_add(reader, run->topic, &range, problem, sizeof(problem));
    if (fine && topic_reader_next(reader, 0, &record) == TOPIC_PROBLEM) {
        snprintf(problem, sizeof(problem), "%s", topic_reader_problem(reader));
        fine = false;
    }
    for (int32_t partition = 0; fine && partition < run->partitions; partition++) {
        int64_t end;
        fine = topic_reader_bounds(reader, run->topic, partition, &first[partition], &end);
    }
    topic_reader_destroy(reader);
    return fine || command_complain("dlq purge", run->topic, problem);
}

static bool count_partitions(struct run *run)
{
    char problem[PROBLEM_BYTES];
    struct topic_reader *reader = topic_reader_create(&run->settings, problem, sizeof(problem));
    if (reader == NULL)
        return command_complain("dlq purge", "", problem);
    run->partitions = topic_reader_partitions(reader, run->topic);
    topic_reader_destroy(reader);
    if (run->partitions > 0)
        return true;
    return command_complain("dlq purge", run->topic,
                            run->partitions < 0 ? "no broker answers: see JOBHOOK_KAFKA_BROKERS" : "there is no such topic: see JOBHOOK_TOPIC");
}

static bool plan(struct run *run)
{
    size_t bytes = (size_t)run->partitions * sizeof(int64_t);
    int64_t *low = memory_create(bytes), *cut = memory_create(bytes);
    bool fine = find_beginnings(run, 0, low) && find_beginnings(run, run->before_ms, cut);
    run->cuts = memory_create((size_t)run->partitions * sizeof(*run->cuts));
    for (int32_t partition = 0; fine && partition < run->partitions; partition++) {
        run->cuts[partition] = (struct topics_cut){ partition, cut[partition] };
        run->count += (uint64_t)(cut[partition] - low[partition]);
    }
    free(low);
    free(cut);
    return fine;
}

static bool cut(struct run *run)
{
    char problem[PROBLEM_BYTES] = "";
    struct text why;
    text_init(&why, TEXT_BYTES);
    struct topics_admin *admin = topics_admin_create(&run->settings, problem, sizeof(problem));
    bool fine = admin != NULL && topics_admin_cut(admin, run->topic, run->cuts, (size_t)run->partitions, &why);
    if (!fine)
        command_complain("dlq purge", run->topic, why.length > 0 ? why.start : problem);
    topics_admin_destroy(admin);
    text_finish(&why);
    return fine;
}

static int purge(struct run *run)
{
    struct text text;
    snprintf(run->topic, sizeof(run->topic), "%s.dlq", run->settings.topic);
    if (!count_partitions(run) || !plan(run) || (run->yes && !cut(run)))
        return COMMAND_FAILED;
    text_init(&text, TEXT_BYTES);
    text_append_string(&text, run->yes ? "deleted " : "would delete ");
    tally_append_number(&text, run->count);
    text_printf(&text, " offsets of %s, those before ", run->topic);
    moment_append(&text, run->before_ms);
    puts(text.start);
    text_finish(&text);
    if (!run->yes && run->count > 0)
        puts("nothing was deleted: --yes does it");
    return fflush(stdout) == 0 ? COMMAND_FINE : COMMAND_FAILED;
}

int dlq_purge(int argc, char **argv)
{
    struct run *run = memory_create(sizeof(*run));
    int code = COMMAND_USAGE;
    if (!read_arguments(run, argc, argv))
        fputs("see jobhook dlq purge --help\n", stderr);
    else
        code = command_settings_quietly(&run->settings) ? purge(run) : COMMAND_FAILED;
    free(run->cuts);
    settings_finish(&run->settings);
    free(run);
    return code;
}
