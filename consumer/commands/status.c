/* jobhook status: all that is known of one task. "Where is my webhook?" in one command. */
#include "consumer/base/clock.h"
#include "consumer/base/json.h"
#include "consumer/base/memory.h"
#include "consumer/base/moment.h"
#include "consumer/commands/attempt_row.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/neighbours.h"
#include "consumer/commands/shown.h"
#include "consumer/commands/task_arguments.h"
#include "consumer/commands/trace.h"
#include "delivery/guard.h"
#include "delivery/report.h"
#include "delivery/standing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char command_status_help[] = "usage: jobhook status TASK_ID [--json]\n"
                                   "\n"
                                   "Shows what is known of a task: how it stands by Redis, where its event lies in Kafka, its attempts (when "
                                   "JOBHOOK_ATTEMPTS_TOPIC is set), when the\n"
                                   "next one is due, and its dead letter. Exit code 1: nothing is known of it.\n"
                                   "\n"
                                   "  --json   one JSON object instead\n"
                                   "\n"
                                   "examples:\n"
                                   "  jobhook status t-4711\n"
                                   "  jobhook status t-4711 --json | jq .delivery.state\n";

enum { PATIENCE_MS = 2000, TEXT_BYTES_MAX = 64 * 1024 * 1024, LETTERS_MAX = 16, ATTEMPTS_MAX = 4096 };

struct letter {
    int32_t partition;
    int64_t offset, timestamp_ms;
    char reason[ATTEMPT_ERROR_MAX + 1];
};

struct run {
    struct settings settings;
    struct neighbours *neighbours;
    struct slice task_id;
    bool json;
    struct lookup_answer known;
    struct standing standing;
    struct event *event; /* NULL: it could not be read back */
    enum trace_result event_result, copies_result;
    struct trace trace;
    char dlq[ATTEMPT_TOPIC_MAX + 8];
    struct letter letters[LETTERS_MAX];
    size_t letter_count;
    struct text attempts; /* the records, a newline behind each */
    size_t attempt_count;
    struct text text;
};

static int complain(const char *sentence)
{
    fprintf(stderr, "jobhook status: %s\n", sentence);
    return COMMAND_FAILED;
}

/* ---- what is known ---- */

static void note_letter(struct run *run, const struct topic_record *record)
{
    if (run->letter_count == LETTERS_MAX)
        return;
    struct letter *letter = &run->letters[run->letter_count++];
    *letter = (struct letter){ .partition = record->partition, .offset = record->offset, .timestamp_ms = record->content.timestamp_ms };
    for (size_t i = 0; i < record->content.header_count; i++)
        if (slice_is(record->content.headers[i].name, "jobhook-reason"))
            snprintf(letter->reason, sizeof letter->reason, SLICE_FORMAT, SLICE_ARGS(record->content.headers[i].value));
}

static void note_copy(void *context, const struct topic_record *record)
{
    struct run *run = context;
    struct attempt_row row;
    if (strcmp(record->topic, run->dlq) == 0) {
        note_letter(run, record);
        return;
    }
    attempt_row_init(&row);
    if (run->attempt_count < ATTEMPTS_MAX && attempt_row_read(&row, record->content.value) && slice_equal(text_slice(&row.task_id), run->task_id)) {
        run->attempt_count++;
        text_append(&run->attempts, record->content.value);
        text_append_char(&run->attempts, '\n');
    }
    attempt_row_finish(&row);
}

/* The dead letters are searched when there is one; before that nobody need wait for it. */
static void find_copies(struct run *run)
{
    const char *topics[2];
    size_t count = 0;
    if (run->settings.attempts_topic != NULL)
        topics[count++] = run->settings.attempts_topic;
    if (strcmp(run->standing.state, "dead") == 0 || run->standing.epoch > 0)
        topics[count++] = run->dlq;
    if (count > 0)
        run->copies_result = trace_copies(&run->trace, topics, count, note_copy, run);
}

static void find_all(struct run *run)
{
    run->standing = standing_of(&run->known.record);
    run->trace = (struct trace){ .settings = &run->settings, .task_id = run->task_id, .record = &run->known.record, .patience_ms = PATIENCE_MS };
    run->event_result = trace_event(&run->trace, &run->event);
    if (run->event != NULL)
        run->trace.from_ms = trace_beginning_ms(run->event->timestamp_ms, clock_wall_ms());
    if (run->event_result != TRACE_FAILED)
        find_copies(run);
}

static const char *state_of(const struct run *run)
{
    bool nothing_sent = run->event != NULL && run->event->webhook_url.length == 0 && strcmp(run->standing.state, "delivered") == 0;
    return nothing_sent ? "nothing_to_send" : run->standing.state;
}

static const char *event_word(const struct run *run)
{
    return run->event != NULL ? "found" : run->event_result == TRACE_GONE ? "gone" : "unknown";
}

static struct slice receiver_of(const struct run *run, struct url *url)
{
    if (run->event == NULL || run->event->webhook_url.length == 0)
        return SLICE("");
    return guard_judge_url(&run->settings.guard, run->event->webhook_url, url) == GUARD_OK ? (struct slice){ url->origin, url->origin_length }
                                                                                           : SLICE("");
}

static struct slice next_line(struct slice *rest)
{
    const char *end = rest->length == 0 ? NULL : memchr(rest->start, '\n', rest->length);
    struct slice line = { rest->start, end == NULL ? 0 : (size_t)(end - rest->start) };
    rest->start += end == NULL ? rest->length : line.length + 1;
    rest->length -= end == NULL ? rest->length : line.length + 1;
    return line;
}

/* ---- for programs ---- */

static void write_json_delivery(const struct run *run, struct json *json)
{
    json_open_object(json, "delivery");
    json_string(json, "state", slice_of(state_of(run)));
    json_number(json, "attempts", run->standing.attempts);
    json_number(json, "epoch", run->standing.epoch);
    json_moment(json, "next_attempt_at", run->standing.next_attempt_ms);
    if (run->standing.last_outcome[0] == '\0')
        json_null(json, "last_outcome");
    else
        json_string(json, "last_outcome", slice_of(run->standing.last_outcome));
    json_number(json, "remembered_for_s", (int64_t)(run->known.kept_ms / 1000));
    json_close_object(json);
}

static void write_json_event(const struct run *run, struct json *json)
{
    struct url url;
    json_open_object(json, "event");
    json_string(json, "state", slice_of(event_word(run)));
    json_string(json, "topic", slice_of(run->settings.topic));
    json_number(json, "partition", run->known.record.partition);
    json_number(json, "offset", run->known.record.offset);
    if (run->event != NULL) {
        json_moment(json, "time", run->event->timestamp_ms);
        json_string(json, "status", run->event->failed ? SLICE("failed") : SLICE("completed"));
        json_string(json, "task_type", run->event->task_type);
        json_string(json, "origin", receiver_of(run, &url));
    }
    json_close_object(json);
}

static void write_json(struct run *run)
{
    struct json json;
    struct slice rest = text_slice(&run->attempts);
    json_open(&json, &run->text);
    json_string(&json, "task_id", run->task_id);
    write_json_delivery(run, &json);
    write_json_event(run, &json);
    json_open_array(&json, "dead_letters");
    for (size_t i = 0; i < run->letter_count; i++) {
        json_open_object(&json, NULL);
        json_string(&json, "topic", slice_of(run->dlq));
        json_number(&json, "partition", run->letters[i].partition);
        json_number(&json, "offset", run->letters[i].offset);
        json_moment(&json, "time", run->letters[i].timestamp_ms);
        json_string(&json, "reason", slice_of(run->letters[i].reason));
        json_close_object(&json);
    }
    json_close_array(&json);
    json_open_array(&json, "attempts");
    for (struct slice line = next_line(&rest); line.length > 0; line = next_line(&rest))
        json_raw(&json, NULL, line);
    json_close_array(&json);
    json_bool(&json, "complete", run->event_result != TRACE_FAILED && run->copies_result == TRACE_FINE);
    json_close(&json);
    text_append_char(&run->text, '\n');
}

/* ---- for people ---- */

static void append_name(struct run *run, const char *name)
{
    text_printf(&run->text, "%-13s", name);
}

static void write_state(struct run *run)
{
    append_name(run, "state");
    text_printf(&run->text, "%s after %" PRIu32 " attempt%s", state_of(run), run->standing.attempts, run->standing.attempts == 1 ? "" : "s");
    if (run->standing.epoch > 0)
        text_printf(&run->text, " of replay %" PRIu32, run->standing.epoch);
    if (run->standing.last_outcome[0] != '\0')
        text_printf(&run->text, ", the last ended with %s", run->standing.last_outcome);
    text_append_char(&run->text, '\n');
    if (run->standing.next_attempt_ms > 0) {
        int64_t wait_ms = run->standing.next_attempt_ms - run->known.now_ms;
        append_name(run, "next attempt");
        moment_append(&run->text, run->standing.next_attempt_ms);
        text_append_string(&run->text, wait_ms > 0 ? ", in " : ", due ");
        moment_append_duration(&run->text, (uint64_t)(wait_ms > 0 ? wait_ms : -wait_ms));
        text_append_string(&run->text, wait_ms > 0 ? "\n" : " ago\n");
    }
}

static void write_event(struct run *run)
{
    struct url url;
    append_name(run, "event");
    if (run->known.record.partition < 0) {
        text_append_string(&run->text, "where it lies is not known\n");
        return;
    }
    text_printf(&run->text, "%s/%" PRId32 "/%" PRId64, run->settings.topic, run->known.record.partition, run->known.record.offset);
    if (run->event == NULL) {
        text_printf(&run->text, ": %s\n", run->event_result == TRACE_GONE ? "the topic no longer holds it" : run->trace.problem);
        return;
    }
    text_append_string(&run->text, " of ");
    moment_append(&run->text, run->event->timestamp_ms);
    text_append_string(&run->text, run->event->failed ? ", failed " : ", completed ");
    shown_append(&run->text, run->event->task_type, SIZE_MAX);
    text_append_char(&run->text, '\n');
    struct slice receiver = receiver_of(run, &url);
    append_name(run, "receiver");
    shown_append(&run->text,
                 receiver.length > 0                   ? receiver
                 : run->event->webhook_url.length == 0 ? SLICE("none")
                                                       : SLICE("not a URL that is called"),
                 SIZE_MAX);
    text_append_char(&run->text, '\n');
}

static void write_attempt(struct run *run, struct slice line)
{
    struct attempt_row row;
    attempt_row_init(&row);
    if (attempt_row_read(&row, line)) {
        append_name(run, "attempt");
        moment_append(&run->text, row.time_ms);
        text_printf(&run->text, "  #%" PRIu64 "  ", row.attempt);
        shown_append(&run->text, text_slice(&row.outcome), SIZE_MAX);
        text_printf(&run->text, "  %" PRIu64 " ms  ", row.total_ms);
        shown_append(&run->text, text_slice(&row.response), SIZE_MAX);
        text_append_char(&run->text, '\n');
    }
    attempt_row_finish(&row);
}

static void write_people(struct run *run)
{
    struct slice rest = text_slice(&run->attempts);
    append_name(run, "task");
    shown_append(&run->text, run->task_id, SIZE_MAX);
    text_append_char(&run->text, '\n');
    write_state(run);
    write_event(run);
    for (struct slice line = next_line(&rest); line.length > 0; line = next_line(&rest))
        write_attempt(run, line);
    for (size_t i = 0; i < run->letter_count; i++) {
        append_name(run, "dead letter");
        text_printf(&run->text, "%s/%" PRId32 "/%" PRId64 ": ", run->dlq, run->letters[i].partition, run->letters[i].offset);
        shown_append(&run->text, slice_of(run->letters[i].reason), SIZE_MAX);
        text_printf(&run->text, " (jobhook dlq show %" PRId32 "/%" PRId64 ")\n", run->letters[i].partition, run->letters[i].offset);
    }
    append_name(run, "remembered");
    text_append_string(&run->text, "for ");
    moment_append_duration(&run->text, run->known.kept_ms);
    text_append_char(&run->text, '\n');
    if (run->copies_result == TRACE_PARTIAL)
        text_append_string(&run->text, "The topics of attempts and dead letters are long: not all of them was read.\n");
    else if (run->copies_result == TRACE_FAILED)
        text_printf(&run->text, "The topics of attempts and dead letters cannot be read: %s\n", run->trace.problem);
}

/* ---- the command ---- */

static int show(struct run *run)
{
    text_init(&run->text, TEXT_BYTES_MAX);
    if (run->json)
        write_json(run);
    else
        write_people(run);
    bool written = fwrite(run->text.start, 1, run->text.length, stdout) == run->text.length && fflush(stdout) == 0;
    return written && run->event_result != TRACE_FAILED ? COMMAND_FINE : COMMAND_FAILED;
}

static int look(struct run *run)
{
    snprintf(run->dlq, sizeof run->dlq, "%s.dlq", run->settings.topic);
    text_init(&run->attempts, TEXT_BYTES_MAX);
    run->neighbours = neighbours_create(&run->settings);
    if (!neighbours_look_up(run->neighbours, &run->task_id, 1, &run->known))
        return complain("Redis does not answer: see JOBHOOK_REDIS_URL, or jobhook doctor");
    if (run->known.result == LOOKUP_UNREADABLE)
        return complain("Redis holds something under this id that this version cannot read");
    if (run->known.result != LOOKUP_FOUND) {
        if (run->json)
            printf("{\"error\":\"not_found\"}\n");
        return complain(
            "nothing is known of this task: it has not ended yet, or it was forgotten (JOBHOOK_STATE_TTL); see also jobhook dlq list --task");
    }
    find_all(run);
    return show(run);
}

int command_status(int argc, char **argv)
{
    struct run *run = memory_create(sizeof *run);
    const struct task_flag flags[] = { { "--json", &run->json }, { 0 } };
    int code = COMMAND_USAGE;
    if (!task_arguments_read(argc, argv, flags, &run->task_id))
        fputs(command_status_help, stderr);
    else
        code = command_settings_quietly(&run->settings) ? look(run) : COMMAND_FAILED;
    event_destroy(run->event);
    neighbours_destroy(run->neighbours);
    text_finish(&run->attempts);
    text_finish(&run->text);
    settings_finish(&run->settings);
    free(run);
    return code;
}
