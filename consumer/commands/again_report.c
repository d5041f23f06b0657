#include "consumer/commands/again_inside.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/cure.h"
#include "consumer/commands/shown.h"
#include "consumer/commands/tally.h"

#include "consumer/base/moment.h"
#include "delivery/report.h"

#include <inttypes.h>
#include <stdio.h>

enum { TOLD_MAX = 20, LINE_BYTES = 64 * 1024, TASK_COLUMNS = 80, PLACE_COLUMNS = 12 };

bool again_fail(const struct again *again, const char *subject, const char *problem)
{
    return command_complain(again->search->command, subject, problem);
}

static void append_subject(const struct again_item *item, struct text *text)
{
    char place[40];
    snprintf(place, sizeof(place), "%" PRId32 "/%" PRId64, item->entry.partition, item->entry.offset);
    shown_append_cell(text, slice_of(place), PLACE_COLUMNS);
    text_append_char(text, ' ');
    shown_append(text, item->entry.event->task_id.length > 0 ? item->entry.event->task_id : SLICE("-"), TASK_COLUMNS);
}

static void append_destination(const struct again *again, const struct again_item *item, struct text *text)
{
    text_printf(text, "  → %s/%" PRId32 ", attempt 1 of epoch %" PRIu32 ", to ", again->retry_topic, item->entry.attempt.origin.partition,
                item->plan.epoch);
    struct slice url = item->url.length > 0 ? text_slice(&item->url) : report_url(item->entry.event, &item->entry.attempt);
    shown_append(text, url, SIZE_MAX);
}

/* Where the successor of a letter is that was replayed. */
static void append_successor(const struct again_item *item, struct text *text)
{
    text_append_string(text, " (its successor is ");
    cure_append_state(&item->answer.record, text);
    if (rank_kind(item->answer.record.rank) == RANK_KIND_DEAD) {
        text_append_string(text, ": jobhook dlq list --task ");
        shown_append(text, item->entry.event->task_id, SIZE_MAX);
    }
    text_append_char(text, ')');
}

static bool is_refusal(enum again_verdict verdict)
{
    return verdict != AGAIN_SEND && verdict != AGAIN_SENT && verdict != AGAIN_PASS;
}

void again_report_item(struct again *again, const struct again_item *item)
{
    struct text line;
    bool refused = is_refusal(item->plan.verdict), dry_run = again->options->dry_run;
    if (item->plan.verdict == AGAIN_PASS || (!refused && !dry_run))
        return;
    if (!dry_run && ++again->told > TOLD_MAX) {
        if (again->told == TOLD_MAX + 1)
            fputs("… more are refused: the end says how many, --dry-run says which\n", stderr);
        return;
    }
    text_init(&line, LINE_BYTES);
    append_subject(item, &line);
    if (refused)
        text_printf(&line, "  refused: %s", again_verdict_sentence(item->plan.verdict));
    else
        append_destination(again, item, &line);
    if (item->plan.verdict == AGAIN_REPLAYED)
        append_successor(item, &line);
    progress_hide(&again->progress);
    fprintf(dry_run ? stdout : stderr, "%s\n", line.start);
    text_finish(&line);
}

uint64_t again_refused(const struct again *again)
{
    uint64_t refused = 0;
    for (int verdict = 0; verdict < AGAIN_VERDICTS; verdict++)
        if (is_refusal((enum again_verdict)verdict))
            refused += again->verdicts[verdict];
    return refused;
}

static void append_refused(const struct again *again, struct text *text)
{
    const char *comma = ": ";
    tally_append_number(text, again_refused(again) + again->before.refused);
    text_append_string(text, " refused");
    for (int verdict = 0; verdict < AGAIN_VERDICTS; verdict++) {
        if (!is_refusal((enum again_verdict)verdict) || again->verdicts[verdict] == 0)
            continue;
        text_append_string(text, comma);
        tally_append_number(text, again->verdicts[verdict]);
        text_printf(text, " %s", again_verdict_name((enum again_verdict)verdict));
        comma = ", ";
    }
    if (again->before.refused > 0)
        text_printf(text, "%s%" PRIu64 " before the interruption", comma, again->before.refused);
    text_append_char(text, '\n');
}

uint64_t again_missing(const struct again *again)
{
    const struct selection *selection = &again->search->selection;
    return selection->has_places && again->before.identity == NULL && again->taken < selection->place_count ? selection->place_count - again->taken
                                                                                                            : 0;
}

void again_report_end(struct again *again)
{
    struct text text;
    const char *done = again->options->dry_run ? "would be sent again" : again->resend ? "resent" : "replayed";
    uint64_t sent = again->verdicts[AGAIN_SEND] + again->verdicts[AGAIN_SENT], elapsed_ms = progress_elapsed_ms(&again->progress);
    text_init(&text, LINE_BYTES);
    progress_hide(&again->progress);
    tally_append_number(&text, sent - again->failed + again->before.sent);
    text_printf(&text, " %s, by %s", done, again->retry_topic);
    if (again->before.sent > 0)
        text_printf(&text, " (%" PRIu64 " of them before the interruption)", again->before.sent);
    text_append_string(&text, ", in ");
    moment_append_duration(&text, elapsed_ms);
    text_append_char(&text, '\n');
    append_refused(again, &text);
    if (again->failed > 0)
        text_printf(&text, "%" PRIu64 " failed: too large for the retry topic (see max.message.bytes, jobhook topics create)\n", again->failed);
    if (again_missing(again) > 0)
        text_printf(&text, "%" PRIu64 " not found: nothing, or another record, lies at the place; retention may have deleted it\n",
                    again_missing(again));
    fputs(text.start, stdout);
    text_finish(&text);
}
