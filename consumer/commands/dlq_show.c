/* jobhook dlq show: one dead letter with all that is known of it. */
#include "consumer/base/memory.h"
#include "consumer/base/moment.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/cure.h"
#include "consumer/commands/dlq.h"
#include "consumer/commands/dlq_rows.h"
#include "consumer/commands/neighbours.h"
#include "consumer/commands/search.h"
#include "consumer/commands/shown.h"
#include "delivery/report.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char dlq_show_help[] =
    "usage: jobhook dlq show PLACE... [--full | --raw]\n"
    "       jobhook dlq show --task TASK_ID [--full]\n"
    "\n"
    "Shows dead letters: the record with its headers, its history, what is known of the task now, and the cure that the reason suggests.\n"
    "PLACE is PARTITION/OFFSET in the dead-letter topic, as `jobhook dlq list` shows it. Bytes that a terminal would obey are shown as escapes.\n"
    "\n"
    "  --full   the whole value, not only its beginning\n"
    "  --raw    nothing but the bytes of the value, for a file or a pipe; one PLACE\n"
    "\n"
    "examples:\n"
    "  jobhook dlq show 3/1042\n"
    "  jobhook dlq show 3/1042 --raw >event.json\n";

enum { VALUE_SHOWN_BYTES = 2000, WAIT_MS = 500, TEXT_BYTES_MAX = 1024 * 1024 * 1024, NAME_COLUMNS = 14 };

struct run {
    struct settings settings;
    struct search search;
    struct neighbours *neighbours;
    bool full, raw;
    size_t count;
    struct text text;
};

static bool read_arguments(struct run *run, int argc, char **argv)
{
    static const struct option options[] = {
        SEARCH_OPTIONS_OF_LETTERS, { "full", no_argument, NULL, 'f' }, { "raw", no_argument, NULL, 'r' }, { 0 }
    };
    optind = 0; /* glibc: start anew */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'f')
            run->full = true;
        else if (option == 'r')
            run->raw = true;
        else if (option < SEARCH_OPTION_FIRST || !search_take_option(&run->search, option, optarg))
            return option >= SEARCH_OPTION_FIRST ? false : command_complain("dlq show", "see", "jobhook dlq show --help");
    }
    for (; optind < argc; optind++)
        if (!search_take_option(&run->search, SEARCH_OPTION_AT, argv[optind]))
            return false;
    if (selection_is_empty(&run->search.selection))
        return command_complain("dlq show", "which one?", "name a PLACE, or --task TASK_ID");
    if (run->raw && (run->search.selection.place_count != 1 || isatty(STDOUT_FILENO) == 1))
        return command_complain("dlq show", "--raw", "wants one PLACE, and a file or a pipe to write to, not a terminal");
    return true;
}

/* ---- what is shown ---- */

static void append_name(struct run *run, const char *name)
{
    text_printf(&run->text, "%-*s", NAME_COLUMNS, name);
}

static void append_line(struct run *run, const char *name, struct slice value)
{
    append_name(run, name);
    shown_append(&run->text, value, SIZE_MAX);
    text_append_char(&run->text, '\n');
}

static void append_moment(struct run *run, const char *name, int64_t ms)
{
    append_name(run, name);
    moment_append(&run->text, ms);
    text_append_char(&run->text, '\n');
}

static void append_history(struct run *run, const struct entry *entry)
{
    const struct attempt *attempt = &entry->attempt;
    append_line(run, "reason", entry->reason);
    if (entry->detail.length > 0)
        append_line(run, "detail", entry->detail);
    append_line(run, "last error", attempt->error[0] != '\0' ? slice_of(attempt->error) : SLICE("none"));
    append_name(run, "history");
    text_printf(&run->text, "attempt %" PRIu32 " of epoch %" PRIu32 " was the last", attempt->number, attempt->epoch);
    if (attempt->deferral > 0)
        text_printf(&run->text, ", put off %" PRIu32 " times", attempt->deferral);
    text_append_string(&run->text, "; first taken up ");
    moment_append(&run->text, attempt->first_ms);
    text_append_char(&run->text, '\n');
    append_name(run, "event");
    shown_append(&run->text, attempt->origin.topic, SIZE_MAX);
    text_printf(&run->text, "/%" PRId32 "/%" PRId64 "\n", attempt->origin.partition, attempt->origin.offset);
}

static void append_event(struct run *run, const struct entry *entry)
{
    if (entry->malformed != NULL) {
        append_line(run, "event", slice_of(entry->malformed));
        return;
    }
    append_line(run, "task", entry->event->task_id);
    append_line(run, "type", entry->event->task_type);
    append_line(run, "status", entry->event->failed ? SLICE("failed") : SLICE("completed"));
    struct slice url = report_url(entry->event, &entry->attempt);
    append_line(run, "url", url.length > 0 ? url : SLICE("none"));
}

static void append_state(struct run *run, const struct entry *entry)
{
    struct lookup_answer answer = { .result = LOOKUP_AWAY };
    if (entry->event->task_id.length == 0)
        return;
    append_name(run, "now");
    if (!neighbours_look_up(run->neighbours, &entry->event->task_id, 1, &answer))
        text_append_string(&run->text, "unknown: Redis does not answer");
    else if (answer.result == LOOKUP_FOUND)
        cure_append_state(&answer.record, &run->text);
    else
        text_append_string(&run->text,
                           answer.result == LOOKUP_NOTHING ? "nothing is known of the task any more" : "Redis holds something unreadable");
    if (answer.result == LOOKUP_FOUND && entry->unreadable == NULL && rank_epoch(answer.record.rank) > entry->attempt.epoch)
        text_append_string(&run->text, ": this letter was replayed");
    text_append_char(&run->text, '\n');
}

static void append_headers(struct run *run, const struct event *event)
{
    for (size_t i = 0; i < event->header_count; i++) {
        text_append_string(&run->text, i == 0 ? "headers\n  " : "  ");
        shown_append(&run->text, event->headers[i].name, SIZE_MAX);
        text_append_string(&run->text, ": ");
        shown_append(&run->text, event->headers[i].has_value ? event->headers[i].value : SLICE("(null)"), SIZE_MAX);
        text_append_char(&run->text, '\n');
    }
}

static void append_value(struct run *run, const struct entry *entry)
{
    struct slice value = entry->event->value;
    text_printf(&run->text, "value         %zu bytes", value.length);
    if (entry->cut_from > 0)
        text_printf(&run->text, ", shortened from %" PRIu64, entry->cut_from);
    if (!run->full && value.length > VALUE_SHOWN_BYTES) {
        value.length = VALUE_SHOWN_BYTES;
        text_printf(&run->text, ", the first %d (--full, --raw: all)", VALUE_SHOWN_BYTES);
    }
    text_append_string(&run->text, "\n  ");
    shown_append(&run->text, value, SIZE_MAX);
    text_append_char(&run->text, '\n');
}

static bool show(struct run *run, const struct entry *entry)
{
    text_clear(&run->text);
    if (run->raw)
        return fwrite(entry->event->value.start, 1, entry->event->value.length, stdout) == entry->event->value.length;
    if (run->count > 0)
        text_append_char(&run->text, '\n');
    append_name(run, "letter");
    text_printf(&run->text, "%s/%" PRId32 "/%" PRId64 "\n", run->search.topic, entry->partition, entry->offset);
    append_moment(run, "written", entry->event->timestamp_ms);
    append_line(run, "key", entry->event->has_key ? entry->event->key : SLICE("(null)"));
    append_event(run, entry);
    if (entry->unreadable != NULL)
        append_line(run, "unreadable", slice_of(entry->unreadable));
    else
        append_history(run, entry);
    append_state(run, entry);
    append_headers(run, entry->event);
    append_value(run, entry);
    append_line(run, "cure", slice_of(cure_of(entry)));
    return fwrite(run->text.start, 1, run->text.length, stdout) == run->text.length;
}

static int show_all(struct run *run)
{
    struct entry entry;
    enum topic_step step;
    if (!search_begin(&run->search, &run->settings, NULL, 0))
        return COMMAND_FAILED;
    run->neighbours = neighbours_create(&run->settings);
    while ((step = search_next(&run->search, WAIT_MS, &entry)) == TOPIC_RECORD || step == TOPIC_SILENCE) {
        if (step == TOPIC_SILENCE)
            continue;
        bool fine = show(run, &entry);
        run->count++;
        entry_finish(&entry);
        if (!fine)
            return COMMAND_FAILED;
    }
    if (run->count == 0 && step == TOPIC_END)
        command_complain("dlq show", run->search.topic, "no such letter there; retention may have deleted it");
    return fflush(stdout) == 0 && step == TOPIC_END && run->count > 0 ? COMMAND_FINE : COMMAND_FAILED;
}

int dlq_show(int argc, char **argv)
{
    struct run *run = memory_create(sizeof(*run));
    int code = COMMAND_USAGE;
    search_init(&run->search, "dlq show", SEARCH_LETTERS);
    text_init(&run->text, TEXT_BYTES_MAX);
    if (read_arguments(run, argc, argv))
        code = command_settings_quietly(&run->settings) ? show_all(run) : COMMAND_FAILED;
    neighbours_destroy(run->neighbours);
    text_finish(&run->text);
    search_finish(&run->search);
    settings_finish(&run->settings);
    free(run);
    return code;
}
