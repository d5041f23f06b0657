/* jobhook forget: erases what Redis knows of a task, and lists the copies of its event that remain, and until when. */
#include "consumer/base/clock.h"
#include "consumer/base/json.h"
#include "consumer/base/memory.h"
#include "consumer/base/moment.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/neighbours.h"
#include "consumer/commands/shown.h"
#include "consumer/commands/task_arguments.h"
#include "consumer/commands/topics_admin.h"
#include "consumer/commands/trace.h"
#include "dedupe/scripts.h"
#include "delivery/standing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char command_forget_help[] =
    "usage: jobhook forget TASK_ID [--dry-run] [--json]\n"
    "\n"
    "Erases what Redis knows of a task, and lists the copies of its event that remain in Kafka (input, retry, dead-letter and attempts topics) and "
    "until\n"
    "when their topics keep them. Kafka deletes no single record; `jobhook dlq purge` deletes dead letters up to a time.\n"
    "A task that is forgotten before it is over may be sent once more.\n"
    "\n"
    "  --dry-run   lists only\n"
    "  --json      one JSON object instead\n"
    "\n"
    "examples:\n"
    "  jobhook forget t-4711 --dry-run\n";

enum { PATIENCE_MS = 30000, TEXT_BYTES_MAX = 16 * 1024 * 1024, KEY_BYTES_MAX = 4096, COPIES_MAX = 4096, TURN_MS = 20 };

struct copy {
    const char *topic; /* of the plan */
    int32_t partition;
    int64_t offset, timestamp_ms;
};

struct run {
    struct settings settings;
    struct neighbours *neighbours;
    struct topics_admin *admin;
    struct topics_plan plan;
    struct topic_found found[TOPICS_MAX];
    struct slice task_id;
    bool dry_run, json;
    struct lookup_answer known;
    struct trace trace;
    struct event *event;
    struct copy copies[COPIES_MAX];
    size_t copy_count;
    enum trace_result result;
    int64_t erased; /* keys; -1: not asked yet, or no answer */
    bool answered;
    struct text text;
};

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "jobhook forget: %s%s%s\n", what, why[0] == '\0' ? "" : ": ", why);
    return COMMAND_FAILED;
}

/* ---- the copies ---- */

static const struct topic_found *found_of(const struct run *run, const char *topic, const char **name)
{
    for (size_t i = 0; i < run->plan.count; i++) {
        if (strcmp(run->plan.topics[i].name, topic) == 0) {
            *name = run->plan.topics[i].name;
            return &run->found[i];
        }
    }
    return NULL;
}

static void note_copy(void *context, const struct topic_record *record)
{
    struct run *run = context;
    const char *name;
    if (run->copy_count < COPIES_MAX && found_of(run, record->topic, &name) != NULL)
        run->copies[run->copy_count++] = (struct copy){ name, record->partition, record->offset, record->content.timestamp_ms };
}

static bool look_at_topics(struct run *run)
{
    const struct topics_asked asked = { .topic = run->settings.topic,
                                        .attempts_topic = run->settings.attempts_topic,
                                        .schedule = &run->settings.schedule,
                                        .max_event_bytes = run->settings.max_event_bytes };
    struct text problem;
    int brokers;
    run->admin = topics_admin_create(&run->settings, run->trace.problem, sizeof run->trace.problem);
    if (run->admin == NULL)
        return false;
    text_init(&problem, sizeof run->trace.problem - 1);
    bool fine = topics_plan_name(&run->plan, &asked) && topics_admin_look(run->admin, &run->plan, run->found, &brokers, &problem);
    if (!fine)
        snprintf(run->trace.problem, sizeof run->trace.problem, "%s", problem.length > 0 ? problem.start : "the topics cannot be asked for");
    text_finish(&problem);
    return fine;
}

static enum trace_result search(struct run *run, bool input)
{
    const char *topics[TRACE_TOPICS_MAX];
    size_t count = 0;
    for (size_t i = input ? 0 : 1; i < run->plan.count && count < TRACE_TOPICS_MAX; i++)
        if (run->found[i].exists)
            topics[count++] = run->plan.topics[i].name;
    return trace_copies(&run->trace, topics, count, note_copy, run);
}

/* The input topic's copy is where Redis says; the others lie behind it in time. */
static enum trace_result find_copies(struct run *run)
{
    enum trace_result result = trace_event(&run->trace, &run->event);
    if (result == TRACE_FAILED)
        return result;
    if (run->event != NULL) {
        run->trace.from_ms = trace_beginning_ms(run->event->timestamp_ms, clock_wall_ms());
        run->copies[run->copy_count++] =
            (struct copy){ run->plan.topics[0].name, run->known.record.partition, run->known.record.offset, run->event->timestamp_ms };
    }
    return search(run, false);
}

/* Nothing but the key tells the task's records then, and an input record need not have one: it is never known that these are all. */
static enum trace_result find_copies_by_key(struct run *run)
{
    static const struct record nowhere = { .partition = -1, .offset = -1 };
    run->trace.record = &nowhere;
    return search(run, true) == TRACE_FAILED ? TRACE_FAILED : TRACE_PARTIAL;
}

/* ---- erasing ---- */

static void erased(void *context, enum redis_state state, const struct redis_reply_array *reply)
{
    struct run *run = context;
    run->answered = true;
    if (state == REDIS_REPLY && reply->count == 1 && reply->items[0].is_integer)
        run->erased = reply->items[0].integer;
}

static bool erase(struct run *run)
{
    struct text key;
    text_init(&key, KEY_BYTES_MAX);
    text_append_string(&key, run->settings.redis_prefix);
    text_append(&key, run->task_id);
    redis_eval(neighbours_redis(run->neighbours), &script_forget, text_slice(&key), NULL, 0, erased, run);
    while (!run->answered) /* it has a deadline of its own */
        neighbours_turn(run->neighbours, TURN_MS);
    text_finish(&key);
    return run->erased >= 0;
}

/* ---- what is said ---- */

/* When the topic lets go of it; 0: not known, or never. Segments are deleted as a whole, so it may be later. */
static int64_t kept_until_ms(const struct run *run, const struct copy *copy)
{
    const char *name;
    const struct topic_found *found = found_of(run, copy->topic, &name);
    if (found == NULL || !found->config_known || found->shape.retention_ms < 0 || copy->timestamp_ms < 0)
        return 0;
    return found->shape.retention_ms < INT64_MAX - copy->timestamp_ms ? copy->timestamp_ms + found->shape.retention_ms : 0;
}

static const char *redis_word(const struct run *run)
{
    if (run->known.result == LOOKUP_NOTHING)
        return "nothing known";
    return run->dry_run ? "kept" : run->erased > 0 ? "erased" : "already gone";
}

static void write_json(struct run *run)
{
    struct json json;
    json_open(&json, &run->text);
    json_string(&json, "task_id", run->task_id);
    json_string(&json, "redis", slice_of(redis_word(run)));
    json_open_array(&json, "copies");
    for (size_t i = 0; i < run->copy_count; i++) {
        json_open_object(&json, NULL);
        json_string(&json, "topic", slice_of(run->copies[i].topic));
        json_number(&json, "partition", run->copies[i].partition);
        json_number(&json, "offset", run->copies[i].offset);
        json_moment(&json, "time", run->copies[i].timestamp_ms);
        json_moment(&json, "kept_until", kept_until_ms(run, &run->copies[i]));
        json_close_object(&json);
    }
    json_close_array(&json);
    json_bool(&json, "complete", run->result == TRACE_FINE);
    json_close(&json);
    text_append_char(&run->text, '\n');
}

static void write_copy(struct run *run, const struct copy *copy)
{
    int64_t until_ms = kept_until_ms(run, copy);
    text_printf(&run->text, "  %s/%" PRId32 "/%" PRId64 " of ", copy->topic, copy->partition, copy->offset);
    moment_append(&run->text, copy->timestamp_ms);
    text_append_string(&run->text, until_ms == 0 ? ", kept without a known end" : ", kept until ");
    moment_append(&run->text, until_ms == 0 ? -1 : until_ms);
    text_append_char(&run->text, '\n');
}

static void write_people(struct run *run)
{
    text_append_string(&run->text, "Redis: ");
    text_append_string(&run->text, redis_word(run));
    text_append_string(&run->text, run->copy_count == 0 ? "\nNo copies were found in Kafka.\n" : "\nCopies that remain:\n");
    for (size_t i = 0; i < run->copy_count; i++)
        write_copy(run, &run->copies[i]);
    if (run->known.result == LOOKUP_UNREADABLE && run->result == TRACE_PARTIAL)
        text_append_string(&run->text,
                           "There may be more: what Redis had could not be read, so only records with the task as their key were found.\n");
    else if (run->result == TRACE_PARTIAL)
        text_printf(&run->text, "There may be more: not all of the topics was read within %d s.\n", PATIENCE_MS / 1000);
}

/* ---- the command ---- */

static int show(struct run *run)
{
    text_init(&run->text, TEXT_BYTES_MAX);
    if (run->json)
        write_json(run);
    else
        write_people(run);
    return fwrite(run->text.start, 1, run->text.length, stdout) == run->text.length && fflush(stdout) == 0 ? COMMAND_FINE : COMMAND_FAILED;
}

/* The copies are found before Redis forgets where they lie; a Kafka that is away is no reason to keep what is to be erased. */
static int forget(struct run *run)
{
    run->neighbours = neighbours_create(&run->settings);
    run->erased = -1;
    if (!neighbours_look_up(run->neighbours, &run->task_id, 1, &run->known))
        return complain("Redis does not answer", "see JOBHOOK_REDIS_URL, or jobhook doctor");
    run->trace = (struct trace){ .settings = &run->settings, .task_id = run->task_id, .record = &run->known.record, .patience_ms = PATIENCE_MS };
    if (run->known.result != LOOKUP_NOTHING)
        run->result = !look_at_topics(run) ? TRACE_FAILED : run->known.result == LOOKUP_FOUND ? find_copies(run) : find_copies_by_key(run);
    if (!run->dry_run && run->known.result != LOOKUP_NOTHING && !erase(run))
        return complain("Redis did not answer", "whether it erased the task is not known, try again");
    int code = show(run);
    if (run->known.result == LOOKUP_NOTHING)
        return complain("Redis knows nothing of this task, so where its event lies is not known", "jobhook dlq list --task finds dead letters");
    if (run->result == TRACE_FAILED)
        return complain("the copies cannot be listed", run->trace.problem);
    return code;
}

int command_forget(int argc, char **argv)
{
    struct run *run = memory_create(sizeof *run);
    const struct task_flag flags[] = { { "--json", &run->json }, { "--dry-run", &run->dry_run }, { 0 } };
    int code = COMMAND_USAGE;
    if (!task_arguments_read(argc, argv, flags, &run->task_id))
        fputs(command_forget_help, stderr);
    else
        code = command_settings_quietly(&run->settings) ? forget(run) : COMMAND_FAILED;
    event_destroy(run->event);
    topics_admin_destroy(run->admin);
    neighbours_destroy(run->neighbours);
    text_finish(&run->text);
    settings_finish(&run->settings);
    free(run);
    return code;
}
