#include "consumer/commands/again.h"

#include "consumer/base/clock.h"
#include "consumer/base/crash.h"
#include "consumer/base/hash.h"
#include "consumer/base/memory.h"
#include "consumer/commands/again_inside.h"
#include "consumer/commands/commands.h"
#include "delivery/report.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 100, PROBLEM_BYTES = 1024, IDENTITY_BYTES_MAX = 256 * 1024 * 1024, PATH_BYTES = 64, URL_BYTES_MAX = 2 * GUARD_URL_MAX };

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* The first signal ends the run behind the batch in hand, the second at once: nothing is lost either way. */
static void listen_to_signals(void)
{
    const struct sigaction action = { .sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool again_is_interrupted(void)
{
    return interrupted != 0;
}

void again_show_progress(struct again *again)
{
    struct topic_progress way = topic_reader_progress(again->search->reader);
    const struct progress_figures figures = { again->verdicts[AGAIN_SEND] + again->verdicts[AGAIN_SENT] - again->open, way.done, way.all };
    if (!again->options->dry_run)
        progress_show(&again->progress, &figures);
}

/* ---- options ---- */

bool again_take_option(struct again_options *options, int option, const char *value)
{
    const char *problem = NULL;
    switch (option) {
    case AGAIN_OPTION_DRY_RUN:
        options->dry_run = true;
        return true;
    case AGAIN_OPTION_FORCE:
        options->force = true;
        return true;
    case AGAIN_OPTION_WAIT:
        options->wait = true;
        return true;
    case AGAIN_OPTION_RATE:
        return (slice_to_u64(slice_of(value), 10000000, &options->rate) && options->rate > 0) ||
               command_complain(options->search.command, value, "--rate wants a number from 1 to 10000000");
    case AGAIN_OPTION_REWRITE:
        return again_add_rewrite(&options->rewrites, value, &problem) || command_complain(options->search.command, value, problem);
    default:
        options->checkpoint_path = value;
        return true;
    }
}

/* ---- the checkpoint ---- */

static void write_identity(const struct again *again, struct text *text)
{
    const struct again_options *options = again->options;
    text_printf(text, "%s of %s", again->search->command, again->settings->topic);
    selection_write(&again->search->selection, text);
    for (size_t i = 0; i < options->rewrites.count; i++)
        text_printf(text, " rewrite=" SLICE_FORMAT "=" SLICE_FORMAT, SLICE_ARGS(options->rewrites.items[i].from),
                    SLICE_ARGS(options->rewrites.items[i].to));
    text_printf(text, " state=%d force=%d", (int)options->state, options->force);
}

static bool take_up(struct again *again, const char *identity)
{
    struct selection *selection = &again->search->selection;
    if (strcmp(again->before.identity, identity) != 0)
        return again_fail(again, again->file.path,
                          "this is the checkpoint of a run with other options; name another --checkpoint, or give those options");
    selection->since_ms = again->before.since_ms;
    selection->until_ms = again->before.until_ms;
    fprintf(stderr, "goes on where a run was interrupted: %" PRIu64 " were sent, %" PRIu64 " refused\n", again->before.sent, again->before.refused);
    return true;
}

static bool open_checkpoint(struct again *again)
{
    char identity[32], path[PATH_BYTES];
    struct text text;
    text_init(&text, IDENTITY_BYTES_MAX);
    write_identity(again, &text);
    snprintf(identity, sizeof(identity), "%016" PRIx64, hash_slice((struct hash_key){ 0 }, text_slice(&text)));
    snprintf(path, sizeof(path), "jobhook-%s-%.8s.checkpoint", again->resend ? "resend" : "replay", identity);
    again->now.identity = memory_copy(identity, strlen(identity));
    text_clear(&text);
    enum checkpoint_found found =
        checkpoint_open(&again->file, again->options->checkpoint_path != NULL ? again->options->checkpoint_path : path, &again->before, &text);
    if (found == CHECKPOINT_FAILED)
        again_fail(again, text.start, again->options->checkpoint_path != NULL ? "see --checkpoint" : "--checkpoint FILE keeps it elsewhere");
    text_finish(&text);
    return found != CHECKPOINT_FAILED && (found == CHECKPOINT_FRESH || take_up(again, identity));
}

static bool is_still_ahead(const struct again *again, const struct checkpoint_plan *plan)
{
    if (plan->offset < again->now.left[plan->partition].from)
        return false;
    for (size_t i = 0; i < again->count; i++)
        if (again->items[i].entry.partition == plan->partition && again->items[i].entry.offset == plan->offset)
            return false;
    return true;
}

static void note_plans(struct again *again)
{
    struct checkpoint *now = &again->now;
    now->plan_count = 0;
    for (size_t i = 0; i < again->count; i++)
        if (again->items[i].plan.verdict == AGAIN_SEND)
            now->plans[now->plan_count++] =
                (struct checkpoint_plan){ again->items[i].entry.partition, again->items[i].entry.offset, again->items[i].plan.epoch };
    for (size_t i = 0; i < again->before.plan_count && now->plan_count < CHECKPOINT_PLANS_MAX; i++)
        if ((size_t)again->before.plans[i].partition < now->partitions && is_still_ahead(again, &again->before.plans[i]))
            now->plans[now->plan_count++] = again->before.plans[i];
}

static bool save(struct again *again)
{
    struct text problem;
    if (!again_watch_save(again))
        return false;
    text_init(&problem, PROBLEM_BYTES);
    again->now.since_ms = again->search->selection.since_ms;
    again->now.until_ms = again->search->selection.until_ms;
    note_plans(again);
    bool fine = checkpoint_save(&again->file, &again->now, &problem);
    again->saved |= fine;
    if (!fine)
        again_fail(again, problem.start, "nothing more is sent, because an interrupted run could not go on");
    text_finish(&problem);
    return fine;
}

/* What is left once the batch in hand is done. */
static void move_on(struct again *again)
{
    for (int32_t partition = 0; (size_t)partition < again->now.partitions; partition++)
        again->now.left[partition] = search_left(again->search, partition);
    again->now.sent = again->before.sent + again->verdicts[AGAIN_SEND] + again->verdicts[AGAIN_SENT];
    again->now.refused = again->before.refused + again_refused(again);
}

static void note_beginning(struct again *again)
{
    again->begun = true;
    again->now.partitions = (size_t)again->search->partitions;
    again->now.left = memory_create(again->now.partitions * sizeof(*again->now.left));
    again->now.plans = memory_create(CHECKPOINT_PLANS_MAX * sizeof(*again->now.plans));
    for (int32_t partition = 0; partition < again->search->partitions; partition++)
        again->now.left[partition] = search_whole(again->search, partition);
    again->now.sent = again->before.sent;
    again->now.refused = again->before.refused;
}

/* ---- a batch ---- */

static bool look_up(struct again *again)
{
    struct slice *ids = memory_create(AGAIN_BATCH_MAX * sizeof(*ids));
    struct lookup_answer *answers = memory_create(AGAIN_BATCH_MAX * sizeof(*answers));
    for (size_t i = 0; i < again->count; i++)
        ids[i] = again->items[i].entry.event->task_id;
    bool fine = neighbours_look_up(again->neighbours, ids, again->count, answers);
    for (size_t i = 0; fine && i < again->count; i++)
        again->items[i].answer = answers[i];
    if (fine)
        again->redis_ahead_ms = answers[0].now_ms - clock_wall_ms();
    free(ids);
    free(answers);
    return fine || again_fail(again, "", "Redis does not answer (JOBHOOK_REDIS_URL), so nobody knows what was replayed or delivered already");
}

static void judge(struct again *again, struct again_item *item)
{
    struct slice url = report_url(item->entry.event, &item->entry.attempt);
    const struct checkpoint_plan *planned = checkpoint_find(&again->before, item->entry.partition, item->entry.offset);
    text_init(&item->url, URL_BYTES_MAX);
    bool is_rewritten = again_rewrite(&again->options->rewrites, url, &item->url);
    const struct again_asked asked = { .entry = &item->entry,
                                       .answer = &item->answer,
                                       .guard = &again->settings->guard,
                                       .url = is_rewritten ? text_slice(&item->url) : url,
                                       .is_rewritten = is_rewritten,
                                       .resend = again->resend,
                                       .force = again->options->force,
                                       .is_planned = planned != NULL,
                                       .planned_epoch = planned != NULL ? planned->epoch : 0,
                                       .state = again->options->state };
    item->plan = again_judge(&asked);
    again->verdicts[item->plan.verdict]++;
}

static bool watch_all(struct again *again)
{
    for (size_t i = 0; i < again->count; i++) {
        const struct again_item *item = &again->items[i];
        bool went_out = item->plan.verdict <= AGAIN_SENT && !item->refused; /* what did not never comes to an end */
        if (went_out && !again_watch(again, item))
            return false;
    }
    return true;
}

static bool take_batch(struct again *again)
{
    if (again->count > 0 && !look_up(again))
        return false;
    for (size_t i = 0; i < again->count; i++) {
        judge(again, &again->items[i]);
        again_report_item(again, &again->items[i]);
    }
    if (again->options->dry_run || again->count == 0)
        return true;
    if (!save(again))
        return false;
    CRASH_POINT("again-planned", "", "");
    again_produce(again);
    CRASH_POINT("again-acked", "", "");
    return watch_all(again);
}

static void clear_batch(struct again *again)
{
    for (size_t i = 0; i < again->count; i++) {
        entry_finish(&again->items[i].entry);
        text_finish(&again->items[i].url);
    }
    memset(again->items, 0, again->count * sizeof(again->items[0]));
    again->count = again->bytes = 0;
}

static size_t batch_limit(const struct again *again)
{
    uint64_t rate = again->options->rate;
    return rate > 0 && rate < AGAIN_BATCH_MAX ? (size_t)rate : AGAIN_BATCH_MAX; /* what was looked up stays true for about a second */
}

static bool end_batch(struct again *again)
{
    bool fine = take_batch(again);
    if (fine)
        move_on(again);
    clear_batch(again);
    again_show_progress(again);
    return fine;
}

static bool run_batches(struct again *again)
{
    enum topic_step step = TOPIC_SILENCE;
    bool fine = true;
    while (fine && step != TOPIC_END && !again_is_interrupted()) {
        struct again_item *item = &again->items[again->count];
        step = search_next(again->search, WAIT_MS, &item->entry);
        if (step == TOPIC_PROBLEM)
            return false;
        if (!again->begun)
            note_beginning(again);
        if (step == TOPIC_RECORD) {
            item->again = again;
            again->bytes += item->entry.event->bytes;
            again->count++;
            again->taken++;
        }
        bool full = again->count >= batch_limit(again) || again->bytes >= AGAIN_BATCH_BYTES_MAX;
        if (full || (step != TOPIC_RECORD && again->count > 0))
            fine = end_batch(again);
        else if (step == TOPIC_SILENCE)
            again_show_progress(again);
    }
    return fine;
}

/* ---- a run ---- */

static bool choose_topic(struct again *again)
{
    struct retry_delays delays = again->settings->schedule.retries;
    struct text name;
    if (delays.count == 0)
        retry_distinct_delays(&again->settings->schedule, &delays);
    if (delays.count == 0)
        return again_fail(again, "JOBHOOK_RETRY_DELAYS", "is empty, so there is no retry topic to send by");
    again->delay_ms = delays.ms[0];
    for (size_t i = 1; i < delays.count; i++)
        if (delays.ms[i] < again->delay_ms)
            again->delay_ms = delays.ms[i];
    text_init(&name, AGAIN_TOPIC_BYTES - 1);
    retry_topic_write(again->settings->topic, again->delay_ms, &name);
    snprintf(again->retry_topic, sizeof(again->retry_topic), "%s", name.start);
    text_finish(&name);
    return topic_reader_partitions(again->search->reader, again->retry_topic) > 0 ||
           again_fail(again, again->retry_topic, "there is no such topic: jobhook topics create");
}

static bool prepare(struct again *again)
{
    char problem[PROBLEM_BYTES] = "";
    selection_sort_places(&again->search->selection);
    if (!again->options->dry_run && (!open_checkpoint(again) || !again_watch_open(again)))
        return false;
    const struct checkpoint *before = &again->before;
    if (!search_begin(again->search, again->settings, before->left, before->partitions) || !choose_topic(again))
        return false;
    again->neighbours = neighbours_create(again->settings);
    if (again->options->dry_run)
        return true;
    again->outbox = neighbours_outbox(again->neighbours, problem, sizeof(problem));
    return again->outbox != NULL || again_fail(again, "", problem);
}

static bool is_worth_keeping(const struct again *again)
{
    return again->saved || again->before.identity != NULL;
}

static void close_files(struct again *again, bool finished)
{
    again_watch_close(again, finished);
    checkpoint_close(&again->file, finished);
}

static int finish(struct again *again, bool fine)
{
    bool whole = fine && !again_is_interrupted();
    again_report_end(again);
    if (!whole && fine && again->begun && !again->options->dry_run)
        fine = save(again);
    if (!whole && !again->options->dry_run)
        fputs("not finished: the same command goes on from here\n", stderr);
    close_files(again, whole || !is_worth_keeping(again));
    if (whole && again->options->wait && !again->options->dry_run)
        whole = again_follow(again);
    bool all = whole && again->failed == 0 && again_refused(again) + again->before.refused + again_missing(again) == 0;
    return fflush(stdout) == 0 && all ? COMMAND_FINE : COMMAND_FAILED;
}

static bool run(struct again *again, int *code)
{
    if (!prepare(again))
        return false;
    listen_to_signals();
    progress_begin(&again->progress, again->resend ? "resent" : "replayed");
    bool fine = run_batches(again);
    *code = finish(again, fine);
    return true;
}

int again_run(struct again_options *options, const struct settings *settings)
{
    struct again *again = memory_create(sizeof(*again));
    int code = COMMAND_FAILED;
    again->options = options;
    again->settings = settings;
    again->search = &options->search;
    again->resend = options->search.of == SEARCH_EVENTS;
    again->file.descriptor = -1;
    if (!run(again, &code))
        close_files(again, !is_worth_keeping(again));
    clear_batch(again);
    if (again->watched != NULL)
        fclose(again->watched);
    neighbours_destroy(again->neighbours);
    checkpoint_finish(&again->before);
    checkpoint_finish(&again->now);
    free(again);
    return code;
}
