/* jobhook publish: events from JSON lines onto the input topic, each checked as a worker of jobhook would. */
#include "consumer/base/memory.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/neighbours.h"
#include "consumer/commands/progress.h"
#include "consumer/commands/tally.h"
#include "delivery/event.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char command_publish_help[] =
    "usage: jobhook publish FILE|- [--check] [--rate N]\n"
    "\n"
    "Writes events to the input topic: one JSON object in each line, its bytes untouched, its task_id as the key. Each is checked first, and its URL "
    "too;\n"
    "what breaks a rule is said with its line, and not written. Empty lines are left out.\n"
    "\n"
    "  --check    only checks\n"
    "  --rate N   at most N in a second\n"
    "\n"
    "Exit code 0: every line was written (or is fine); 1: some were not.\n"
    "\n"
    "examples:\n"
    "  jobhook publish events.jsonl --check && jobhook publish events.jsonl\n"
    "  echo "
    "'{\"task_id\":\"t1\",\"status\":\"completed\",\"task_type\":\"find_email\",\"result\":{},\"webhook_url\":\"https://hooks.example.com/x\"}' |\n"
    "      jobhook publish -\n";

enum { OPEN_MAX = 10000, OPEN_BYTES_MAX = 64 * 1024 * 1024, TURN_MS = 50, TURN_EVERY = 64, ASK_MS = 10000, PROBLEM_BYTES = 512, TOLD_MAX = 50 };

struct run {
    struct settings settings;
    const char *path;
    bool check;
    uint64_t rate;
    struct neighbours *neighbours;
    struct outbox *outbox;
    struct progress progress;
    uint64_t line, written, refused;
    size_t open, open_bytes;
};

struct written { /* one event on its way */
    struct run *run;
    struct event *event;
    uint64_t line;
};

static bool read_arguments(struct run *run, int argc, char **argv)
{
    static const struct option options[] = { { "check", no_argument, NULL, 'c' }, { "rate", required_argument, NULL, 'r' }, { 0 } };
    optind = 0; /* glibc: start anew */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'c')
            run->check = true;
        else if (option != 'r')
            return false;
        else if (!slice_to_u64(slice_of(optarg), 10000000, &run->rate) || run->rate == 0)
            return command_complain("publish", optarg, "--rate wants a number from 1 to 10000000");
    }
    if (optind + 1 != argc)
        return command_complain("publish", "which events?", "name one FILE, or - for standard input");
    run->path = argv[optind];
    return true;
}

static void refuse(struct run *run, uint64_t line, const char *problem)
{
    progress_hide(&run->progress);
    if (++run->refused <= TOLD_MAX)
        fprintf(stderr, "line %" PRIu64 ": %s\n", line, problem);
    else if (run->refused == TOLD_MAX + 1)
        fputs("… more lines are wrong\n", stderr);
}

/* ---- one event ---- */

static void done(void *context, enum outbox_result result)
{
    struct written *written = context;
    struct run *run = written->run;
    run->open--;
    run->open_bytes -= written->event->bytes;
    if (result == OUTBOX_ACKED)
        run->written++;
    else
        refuse(run, written->line, "is larger than the topic takes (its max.message.bytes)");
    event_destroy(written->event);
    free(written);
}

static bool is_fine(struct run *run, struct event *event)
{
    const char *problem;
    struct url url;
    if (event->value.length > run->settings.max_event_bytes) {
        refuse(run, run->line, "is larger than JOBHOOK_MAX_EVENT_BYTES");
    } else if (!event_parse(event, &problem)) {
        refuse(run, run->line, problem);
    } else if (event->webhook_url.length > 0) {
        enum guard_rule rule = guard_judge_url(&run->settings.guard, event->webhook_url, &url);
        char said[PROBLEM_BYTES];
        snprintf(said, sizeof(said), "webhook_url may not be called: %s", guard_rule_name(rule));
        if (rule != GUARD_OK)
            refuse(run, run->line, said);
        return rule == GUARD_OK;
    } else {
        return true;
    }
    return false;
}

static void wait_for_room(struct run *run, size_t most)
{
    while (run->open > most || run->open_bytes > OPEN_BYTES_MAX)
        neighbours_turn(run->neighbours, TURN_MS);
    while (run->rate > 0 && progress_elapsed_ms(&run->progress) < run->line * 1000 / run->rate)
        neighbours_turn(run->neighbours, 5);
}

static void produce(struct run *run, struct event *event)
{
    static const struct envelope no_headers = { 0 };
    struct written *written = memory_create(sizeof(*written));
    *written = (struct written){ run, event, run->line };
    run->open++;
    run->open_bytes += event->bytes;
    outbox_send(run->outbox,
                &(struct outbox_record){ .topic = run->settings.topic,
                                         .partition = -1,
                                         .has_key = true,
                                         .has_value = true,
                                         .key = event->task_id,
                                         .value = event->value,
                                         .envelope = &no_headers },
                done, written);
    if (run->line % TURN_EVERY == 0)
        neighbours_turn(run->neighbours, 0);
    wait_for_room(run, OPEN_MAX);
}

static void take_line(struct run *run, struct slice line)
{
    run->line++;
    while (line.length > 0 && strchr(" \t\r\n", line.start[line.length - 1]) != NULL)
        line.length--;
    if (line.length == 0)
        return;
    struct event *event = event_create(&(struct event_record){ .has_value = true, .value = line, .timestamp_ms = -1 });
    if (!is_fine(run, event)) {
        event_destroy(event);
        return;
    }
    if (!run->check) {
        produce(run, event);
        return;
    }
    run->written++;
    event_destroy(event);
}

/* ---- all ---- */

static bool read_lines(struct run *run)
{
    FILE *file = strcmp(run->path, "-") == 0 ? stdin : fopen(run->path, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    if (file == NULL)
        return command_complain("publish", run->path, strerror(errno));
    errno = 0;
    while ((length = getline(&line, &room, file)) >= 0) {
        take_line(run, (struct slice){ line, (size_t)length });
        progress_show(&run->progress, &(struct progress_figures){ .count = run->written });
    }
    bool fine = ferror(file) == 0 || command_complain("publish", run->path, strerror(errno));
    free(line);
    if (file != stdin)
        fclose(file);
    return fine;
}

static bool prepare(struct run *run)
{
    char problem[PROBLEM_BYTES] = "";
    if (run->check)
        return true;
    run->neighbours = neighbours_create(&run->settings);
    run->outbox = neighbours_outbox(run->neighbours, problem, sizeof(problem));
    if (run->outbox == NULL)
        return command_complain("publish", "JOBHOOK_KAFKA_BROKERS", problem);
    struct outbox_topics topics = outbox_count_topics(run->outbox, ASK_MS);
    if (!topics.answered)
        return command_complain("publish", "JOBHOOK_KAFKA_BROKERS", "no broker answers");
    return topics.input_count > 0 ||
           command_complain("publish", run->settings.topic, "there is no such topic: see JOBHOOK_TOPIC, and jobhook topics create");
}

static int publish(struct run *run)
{
    struct text text;
    progress_begin(&run->progress, run->check ? "checked" : "published");
    if (!prepare(run))
        return COMMAND_FAILED;
    bool fine = read_lines(run);
    while (run->open > 0)
        neighbours_turn(run->neighbours, TURN_MS);
    progress_hide(&run->progress);
    text_init(&text, PROBLEM_BYTES);
    tally_append_number(&text, run->written);
    text_append_string(&text, run->check ? " are fine, " : " published, ");
    tally_append_number(&text, run->refused);
    text_append_string(&text, " refused");
    puts(text.start);
    text_finish(&text);
    return fflush(stdout) == 0 && fine && run->refused == 0 ? COMMAND_FINE : COMMAND_FAILED;
}

int command_publish(int argc, char **argv)
{
    struct run *run = memory_create(sizeof(*run));
    int code = COMMAND_USAGE;
    if (!read_arguments(run, argc, argv))
        fputs("see jobhook publish --help\n", stderr);
    else
        code = command_settings_quietly(&run->settings) ? publish(run) : COMMAND_FAILED;
    neighbours_destroy(run->neighbours);
    settings_finish(&run->settings);
    free(run);
    return code;
}
