/* jobhook attempts: reads the log of attempts, like tail -f. */
#include "consumer/base/clock.h"
#include "consumer/base/moment.h"
#include "consumer/commands/attempt_row.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/shown.h"
#include "consumer/commands/terminal.h"
#include "consumer/commands/topic_reader.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char command_attempts_help[] =
    "usage: jobhook attempts [--task ID] [--origin URL] [--outcome NAME] [--since WHEN] [--follow] [--json]\n"
    "\n"
    "Shows the attempts that JOBHOOK_ATTEMPTS_TOPIC holds, oldest first within each partition. Bytes that a terminal would obey are shown as "
    "escapes.\n"
    "\n"
    "  --task ID        of this task only\n"
    "  --origin URL     to this receiver only: https://hooks.example.com, without a path\n"
    "  --outcome NAME   that ended so only: http_503, timeout, connect_refused …; or a class: 2xx, 4xx, 5xx, failed\n"
    "  --since WHEN     that ended later only: so long ago (15m, 2h, 7d), or 2026-03-01T12:00:00Z\n"
    "  --follow         goes on with those that come; without --since only with those\n"
    "  --json           each as it is in the topic, one a line\n"
    "\n"
    "examples:\n"
    "  jobhook attempts --task t-4711 --since 1d\n"
    "  jobhook attempts --origin https://hooks.example.com --outcome failed --follow\n";

enum { WAIT_MS = 200, LINE_BYTES_MAX = 1024 * 1024, TIME_COLUMNS = 24, OUTCOME_COLUMNS = 16, TASK_COLUMNS = 24, ORIGIN_COLUMNS = 32 };

struct run {
    struct settings settings;
    struct topic_reader *reader;
    const char *task, *origin, *outcome;
    int64_t since_ms; /* 0: whenever */
    bool follow, json;
    size_t columns; /* of the terminal; 0: it is none */
    uint64_t unreadable;
    struct attempt_row row;
    struct text line;
};

static volatile sig_atomic_t interrupted;

static void note_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static int complain(const char *subject, const char *problem)
{
    command_complain("attempts", subject, problem);
    return COMMAND_FAILED;
}

/* ---- arguments ---- */

static bool read_arguments(struct run *run, int argc, char **argv)
{
    static const struct option options[] = { { "task", required_argument, NULL, 't' },
                                             { "origin", required_argument, NULL, 'o' },
                                             { "outcome", required_argument, NULL, 'u' },
                                             { "since", required_argument, NULL, 's' },
                                             { "follow", no_argument, NULL, 'f' },
                                             { "json", no_argument, NULL, 'j' },
                                             { 0 } };
    optind = 0; /* glibc: start anew */
    for (int option; (option = getopt_long(argc, argv, "f", options, NULL)) != -1;) {
        const char **const texts[] = { ['t'] = &run->task, ['o'] = &run->origin, ['u'] = &run->outcome };
        if (option == 's' && !moment_parse(slice_of(optarg), clock_wall_ms(), &run->since_ms))
            return complain(optarg, "--since wants " MOMENT_ALLOWED) == COMMAND_FINE;
        if (option == 't' || option == 'o' || option == 'u')
            *texts[option] = optarg;
        else if (option == 'f')
            run->follow = true;
        else if (option == 'j')
            run->json = true;
        else if (option != 's')
            return complain("see", "jobhook attempts --help") == COMMAND_FINE;
    }
    return optind == argc || complain(argv[optind], "what is that? See jobhook attempts --help") == COMMAND_FINE;
}

/* ---- which are shown ---- */

static bool has_outcome(struct slice outcome, const char *wanted)
{
    bool answered = slice_starts_with(outcome, "http_") && outcome.length == strlen("http_200");
    if (strcmp(wanted, "failed") == 0)
        return !slice_starts_with(outcome, "http_2");
    if (answered && strlen(wanted) == 3 && strcmp(wanted + 1, "xx") == 0)
        return outcome.start[strlen("http_")] == wanted[0];
    return slice_is(outcome, wanted);
}

static bool is_wanted(const struct run *run)
{
    const struct attempt_row *row = &run->row;
    return (run->task == NULL || slice_is(text_slice(&row->task_id), run->task)) &&
           (run->origin == NULL || slice_is(text_slice(&row->origin), run->origin)) &&
           (run->outcome == NULL || has_outcome(text_slice(&row->outcome), run->outcome)) && row->time_ms >= run->since_ms;
}

/* ---- how ---- */

/* In columns on a terminal, whole elsewhere. */
static void append_cell(struct run *run, const struct text *value, size_t columns)
{
    if (run->columns > 0)
        shown_append_cell(&run->line, text_slice(value), columns);
    else
        shown_append(&run->line, text_slice(value), SIZE_MAX);
    text_append_string(&run->line, "  ");
}

static void append_row(struct run *run)
{
    const struct attempt_row *row = &run->row;
    size_t before = run->line.length;
    moment_append(&run->line, row->time_ms);
    text_append_string(&run->line, "  ");
    shown_append_cell(&run->line, text_slice(&row->outcome), OUTCOME_COLUMNS);
    text_printf(&run->line, " %2" PRIu64 " %6" PRIu64 " ms  ", row->attempt, row->total_ms);
    append_cell(run, &row->task_id, TASK_COLUMNS);
    append_cell(run, &row->origin, ORIGIN_COLUMNS);
    shown_append(&run->line, text_slice(&row->response), SIZE_MAX);
    if (run->columns == 0 || run->line.length - before <= run->columns)
        return;
    struct text whole = run->line; /* as much of it as the terminal is wide */
    text_init(&run->line, LINE_BYTES_MAX);
    shown_append(&run->line, text_slice(&whole), run->columns);
    text_finish(&whole);
}

static bool show(struct run *run, const struct topic_record *record)
{
    struct slice value = record->content.value;
    if (!attempt_row_read(&run->row, value)) {
        run->unreadable++;
        return true;
    }
    if (!is_wanted(run))
        return true;
    text_clear(&run->line);
    if (run->json)
        text_append(&run->line, value);
    else
        append_row(run);
    text_append_char(&run->line, '\n');
    bool written = fwrite(run->line.start, 1, run->line.length, stdout) == run->line.length;
    return written && (!run->follow || fflush(stdout) == 0);
}

/* ---- reading ---- */

static bool open_topic(struct run *run, char *problem, size_t size)
{
    const struct topic_range range = {
        .partition = TOPIC_ALL_PARTITIONS, .from_ms = run->since_ms, .from_end = run->follow && run->since_ms == 0, .follow = run->follow
    };
    run->reader = topic_reader_create(&run->settings, problem, size);
    return run->reader != NULL && topic_reader_add(run->reader, run->settings.attempts_topic, &range, problem, size);
}

static int read_all(struct run *run)
{
    struct topic_record record;
    enum topic_step step;
    do {
        step = topic_reader_next(run->reader, WAIT_MS, &record);
        if (step == TOPIC_RECORD && !show(run, &record))
            return COMMAND_FAILED; /* nobody reads any more */
    } while (!interrupted && (step == TOPIC_RECORD || step == TOPIC_SILENCE));
    if (step == TOPIC_PROBLEM)
        return complain(run->settings.attempts_topic, topic_reader_problem(run->reader));
    if (run->unreadable > 0)
        fprintf(stderr, "jobhook attempts: %" PRIu64 " records of %s are no attempts\n", run->unreadable, run->settings.attempts_topic);
    return fflush(stdout) == 0 ? COMMAND_FINE : COMMAND_FAILED;
}

static int run_it(struct run *run)
{
    char problem[512] = "";
    if (run->settings.attempts_topic == NULL)
        return complain("JOBHOOK_ATTEMPTS_TOPIC", "is not set: no attempts are recorded");
    if (!open_topic(run, problem, sizeof problem))
        return complain(run->settings.attempts_topic, problem);
    signal(SIGINT, note_interrupt);
    signal(SIGTERM, note_interrupt);
    return read_all(run);
}

int command_attempts(int argc, char **argv)
{
    struct run run = { .columns = terminal_columns(STDOUT_FILENO) };
    if (!read_arguments(&run, argc, argv))
        return COMMAND_USAGE;
    attempt_row_init(&run.row);
    text_init(&run.line, LINE_BYTES_MAX);
    int code = command_settings_quietly(&run.settings) ? run_it(&run) : COMMAND_FAILED;
    topic_reader_destroy(run.reader);
    attempt_row_finish(&run.row);
    text_finish(&run.line);
    settings_finish(&run.settings);
    return code;
}
