/* jobhook dlq list: dead letters as a table, JSON or CSV; counts; and the export of a selection. */
#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/base/moment.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/dlq.h"
#include "consumer/commands/dlq_rows.h"
#include "consumer/commands/search.h"
#include "consumer/commands/tally.h"
#include "consumer/commands/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char dlq_list_help[] = "usage: jobhook dlq list [which letters] [--limit N] [--json | --csv | --summary] [--export FILE]\n"
                             "\n"
                             "Shows the dead letters, within each partition in order. Reads only, and joins no consumer group.\n"
                             "\n" DLQ_FILTERS_HELP "\n"
                             "how:\n"
                             "  --json             one JSON object in each line\n"
                             "  --csv              with a line of titles\n"
                             "  --summary          how many by reason, by error and by origin\n"
                             "  --limit N          ends after N letters\n"
                             "  --export FILE      writes the selection to a new file (mode 0600) for --import, instead of showing it\n"
                             "\n"
                             "examples:\n"
                             "  jobhook dlq list --summary\n"
                             "  jobhook dlq list --reason endpoint_down --origin https://hooks.example.com --since 6h\n"
                             "  jobhook dlq list --error 'http_5*' --export outage.txt && jobhook dlq replay --import outage.txt --dry-run\n";

enum { ROW_BYTES_MAX = 64 * 1024 * 1024, FLUSH_MS = 100, WAIT_MS = 100, SUMMARY_ORIGINS = 20, SUMMARY_BYTES = 256 * 1024 };

struct run {
    struct settings settings;
    struct search search;
    struct dlq_rows rows;
    bool summary;
    uint64_t limit; /* 0: none */
    const char *export_path;
    char *fresh_path; /* the export until it is whole */
    FILE *export_file;
    struct tally reasons, errors, receivers;
    int64_t oldest_ms, newest_ms;
    uint64_t count, flushed_ms;
    struct text line;
};

/* ---- arguments ---- */

static bool take_option(struct run *run, int option)
{
    if (option >= SEARCH_OPTION_FIRST && option < SEARCH_OPTION_END)
        return search_take_option(&run->search, option, optarg);
    switch (option) {
    case 'j':
        run->rows.format = DLQ_JSON;
        return true;
    case 'c':
        run->rows.format = DLQ_CSV;
        return true;
    case 's':
        run->summary = true;
        return true;
    case 'l':
        return (slice_to_u64(slice_of(optarg), INT64_MAX, &run->limit) && run->limit > 0) ||
               command_complain("dlq list", optarg, "--limit wants a number from 1");
    case 'e':
        run->export_path = optarg;
        return true;
    default:
        return command_complain("dlq list", "see", "jobhook dlq list --help");
    }
}

static bool read_arguments(struct run *run, int argc, char **argv)
{
    static const struct option options[] = { SEARCH_OPTIONS_OF_LETTERS,
                                             { "json", no_argument, NULL, 'j' },
                                             { "csv", no_argument, NULL, 'c' },
                                             { "summary", no_argument, NULL, 's' },
                                             { "limit", required_argument, NULL, 'l' },
                                             { "export", required_argument, NULL, 'e' },
                                             { 0 } };
    optind = 0; /* glibc: start anew */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(run, option))
            return false;
    if (optind < argc)
        return command_complain("dlq list", argv[optind], "takes no arguments but options: see jobhook dlq list --help");
    return true;
}

/* ---- export ---- */

static bool open_export(struct run *run)
{
    size_t size = strlen(run->export_path) + sizeof(".partial");
    if (access(run->export_path, F_OK) == 0)
        return command_complain("dlq list", run->export_path, "exists already: name another file, or remove it");
    run->fresh_path = memory_create(size);
    snprintf(run->fresh_path, size, "%s.partial", run->export_path);
    int file = open(run->fresh_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0)
        return command_complain("dlq list", run->fresh_path, strerror(errno));
    run->export_file = fchmod(file, 0600) == 0 ? fdopen(file, "w") : NULL;
    if (run->export_file == NULL)
        close(file);
    text_clear(&run->line);
    search_write_export_head(&run->search, &run->line);
    return run->export_file != NULL && fputs(run->line.start, run->export_file) >= 0;
}

/* Not by a hard link, which not every file system has: the name is taken first, so that what is replaced is our own. */
static bool name_export(const struct run *run)
{
    int taken = open(run->export_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (taken < 0)
        return command_complain("dlq list", run->export_path,
                                errno == EEXIST ? "was made by somebody else meanwhile: name another file" : strerror(errno));
    close(taken);
    if (rename(run->fresh_path, run->export_path) == 0)
        return true;
    int error = errno;
    unlink(run->export_path);
    return command_complain("dlq list", run->export_path, strerror(error));
}

/* Only a whole one gets its name. */
static bool close_export(struct run *run, bool fine)
{
    if (run->export_file == NULL)
        return fine;
    fine = fflush(run->export_file) == 0 && fsync(fileno(run->export_file)) == 0 && fine;
    fine = fclose(run->export_file) == 0 && fine;
    fine = fine && name_export(run);
    if (!fine)
        unlink(run->fresh_path);
    else
        fprintf(stderr, "%llu letters exported to %s\n", (unsigned long long)run->count, run->export_path);
    return fine;
}

/* ---- one letter ---- */

static void count_letter(struct run *run, const struct entry *entry)
{
    tally_count(&run->reasons, entry->unreadable == NULL ? entry->reason : SLICE("unreadable"));
    tally_count(&run->errors, slice_of(entry->attempt.error));
    tally_count(&run->receivers, slice_of(entry->receiver));
    int64_t time_ms = entry->event->timestamp_ms;
    if (run->oldest_ms == 0 || time_ms < run->oldest_ms)
        run->oldest_ms = time_ms;
    if (time_ms > run->newest_ms)
        run->newest_ms = time_ms;
}

/* The first page is shown at once, the rest with few calls. */
static bool flush_now_and_then(struct run *run)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms - run->flushed_ms < FLUSH_MS)
        return true;
    run->flushed_ms = now_ms;
    return fflush(stdout) == 0;
}

static bool take_letter(struct run *run, const struct entry *entry)
{
    run->count++;
    if (run->summary)
        count_letter(run, entry);
    if (run->summary && run->export_file == NULL)
        return true;
    text_clear(&run->line);
    if (run->export_file != NULL)
        search_write_export_line(entry, &run->line);
    else
        dlq_rows_append(&run->rows, entry, &run->line);
    FILE *file = run->export_file != NULL ? run->export_file : stdout;
    return fwrite(run->line.start, 1, run->line.length, file) == run->line.length && (run->export_file != NULL || flush_now_and_then(run));
}

/* ---- all ---- */

static void append_tally(struct tally *tally, const char *title, struct text *text)
{
    text_printf(text, "\nby %s\n", title);
    tally_append(tally, SUMMARY_ORIGINS, text);
}

static bool print_summary(struct run *run)
{
    struct text text;
    text_init(&text, SUMMARY_BYTES);
    tally_append_number(&text, run->count);
    text_append_string(&text, run->count == 1 ? " dead letter" : " dead letters");
    if (run->count > 0) {
        text_append_string(&text, ", from ");
        moment_append(&text, run->oldest_ms);
        text_append_string(&text, " to ");
        moment_append(&text, run->newest_ms);
    }
    text_append_char(&text, '\n');
    if (run->count > 0) {
        append_tally(&run->reasons, "reason", &text);
        append_tally(&run->errors, "error", &text);
        append_tally(&run->receivers, "origin", &text);
    }
    bool fine = fputs(text.start, stdout) >= 0;
    text_finish(&text);
    return fine;
}

static bool begin(struct run *run)
{
    if (!search_begin(&run->search, &run->settings, NULL, 0) || (run->export_path != NULL && !open_export(run)))
        return false;
    run->rows.topic = run->search.topic;
    if (run->summary || run->export_file != NULL)
        return true;
    dlq_rows_append_head(&run->rows, &run->line);
    return run->line.length == 0 || fputs(run->line.start, stdout) >= 0;
}

static bool read_all(struct run *run)
{
    struct entry entry;
    enum topic_step step;
    while ((run->limit == 0 || run->count < run->limit) && (step = search_next(&run->search, WAIT_MS, &entry)) != TOPIC_END) {
        bool fine = step != TOPIC_PROBLEM;
        if (step == TOPIC_RECORD) {
            fine = take_letter(run, &entry);
            entry_finish(&entry);
        } else if (fine) {
            fine = fflush(stdout) == 0;
        }
        if (!fine)
            return false;
    }
    return true;
}

static int list(struct run *run)
{
    bool fine = begin(run) && read_all(run);
    fine = close_export(run, fine) && fine;
    if (fine && run->summary)
        fine = print_summary(run);
    return fflush(stdout) == 0 && fine ? COMMAND_FINE : COMMAND_FAILED;
}

int dlq_list(int argc, char **argv)
{
    struct run *run = memory_create(sizeof(*run));
    int code = COMMAND_USAGE;
    search_init(&run->search, "dlq list", SEARCH_LETTERS);
    run->rows.columns = terminal_columns(STDOUT_FILENO);
    text_init(&run->line, ROW_BYTES_MAX);
    tally_init(&run->reasons);
    tally_init(&run->errors);
    tally_init(&run->receivers);
    if (read_arguments(run, argc, argv))
        code = command_settings_quietly(&run->settings) ? list(run) : COMMAND_FAILED;
    tally_finish(&run->reasons);
    tally_finish(&run->errors);
    tally_finish(&run->receivers);
    text_finish(&run->line);
    free(run->fresh_path);
    search_finish(&run->search);
    settings_finish(&run->settings);
    free(run);
    return code;
}
