#include "consumer/commands/again_plan.h"

#include <string.h>

enum { EPOCH_MAX = 1000 * 1000 * 1000 }; /* as the envelope has it */

/* ---- where to ---- */

bool again_add_rewrite(struct again_rewrites *rewrites, const char *written, const char **problem)
{
    static const struct guard anything = { .allow_http = true };
    struct url url;
    const char *equals = strstr(written, "=http"); /* a query may hold an equals sign */
    *problem = "wants OLD=NEW, both beginnings of URLs: https://old.example.com=https://new.example.com";
    if (equals == NULL || equals == written)
        return false;
    struct slice from = { written, (size_t)(equals - written) }, to = slice_of(equals + 1);
    if (!slice_starts_with(from, "http://") && !slice_starts_with(from, "https://"))
        return false;
    guard_judge_url(&anything, to, &url);
    if (url.origin_length == 0)
        return false;
    *problem = "at most 16 of them";
    if (rewrites->count == AGAIN_REWRITES_MAX)
        return false;
    rewrites->items[rewrites->count].from = from;
    rewrites->items[rewrites->count++].to = to;
    return true;
}

/* "https://a.example" is not the beginning of https://a.example.org/: an authority fits whole. */
static bool begins_with(struct slice url, struct slice from)
{
    if (url.length < from.length || memcmp(url.start, from.start, from.length) != 0)
        return false;
    bool within_authority = memchr(from.start + 8, '/', from.length > 8 ? from.length - 8 : 0) == NULL;
    if (!within_authority || url.length == from.length)
        return true;
    return strchr("/?#", url.start[from.length]) != NULL;
}

bool again_rewrite(const struct again_rewrites *rewrites, struct slice url, struct text *text)
{
    for (size_t i = 0; i < rewrites->count; i++) {
        struct slice from = rewrites->items[i].from;
        if (!begins_with(url, from))
            continue;
        text_append(text, rewrites->items[i].to);
        text_append(text, (struct slice){ url.start + from.length, url.length - from.length });
        return true;
    }
    return false;
}

/* ---- whether ---- */

static const struct {
    const char *name, *sentence;
} verdicts[AGAIN_VERDICTS] = {
    [AGAIN_SEND] = { "sent", "is delivered again" },
    [AGAIN_SENT] = { "sent", "was sent by the run that was interrupted" },
    [AGAIN_PASS] = { "in another state", "is in another state" },
    [AGAIN_UNREADABLE] = { "unreadable", "its headers cannot be read: jobhook dlq show" },
    [AGAIN_MALFORMED] = { "event unreadable", "the event breaks the rules and would end here again: mend it, then jobhook publish" },
    [AGAIN_SHORTENED] = { "shortened", "this is only the beginning of the event: jobhook resend TASK_ID takes the whole one" },
    [AGAIN_NOWHERE] = { "nothing to send", "the event has no webhook_url" },
    [AGAIN_BLOCKED] = { "URL refused", "its URL may not be called: see --rewrite-url and JOBHOOK_EGRESS_ALLOW" },
    [AGAIN_REPLAYED] = { "already replayed", "was replayed already; --force replays it nevertheless" },
    [AGAIN_DELIVERED_ALREADY] = { "delivered", "was delivered after all; --force delivers it once more" },
    [AGAIN_CONFLICT] = { "task_id_conflict", "another event has this task id, and that one counts; --force replaces it" },
    [AGAIN_BAD_HEADERS] = { "invalid_headers", "which attempt it was is not known; --force replays it" },
    [AGAIN_UNDER_WAY] = { "under way", "is being delivered right now; --force sends it nevertheless" },
    [AGAIN_ANOTHER_RECORD] = { "another record counts", "the task's event lies at another offset, and only that one is resent" },
    [AGAIN_UNKNOWN] = { "not known", "nothing is known of the task (any more), so what became of it cannot be told; --force sends it" },
    [AGAIN_TOO_MANY] = { "replayed too often", "it was replayed a thousand million times" },
};

const char *again_verdict_name(enum again_verdict verdict)
{
    return verdicts[verdict].name;
}

const char *again_verdict_sentence(enum again_verdict verdict)
{
    return verdicts[verdict].sentence;
}

static bool is_in_state(const struct record *record, int64_t now_ms, enum again_state state)
{
    bool idle = !record->leased || record->lease_end_ms <= now_ms;
    switch (rank_kind(record->rank)) {
    case RANK_KIND_DELIVERED:
        return state == AGAIN_DELIVERED;
    case RANK_KIND_DEAD:
        return state == AGAIN_DEAD;
    case RANK_KIND_SCHEDULED:
        return state == AGAIN_SCHEDULED;
    case RANK_KIND_CLAIMED: /* put off, or its owner died */
        return state == AGAIN_SCHEDULED && idle;
    case RANK_KIND_FAILED: /* somebody is about to write what follows */
    case RANK_KIND_NONE:
        break;
    }
    return false;
}

static enum again_verdict judge_record(const struct again_asked *asked)
{
    const struct entry *entry = asked->entry;
    struct url url;
    if (entry->unreadable != NULL)
        return AGAIN_UNREADABLE;
    if (entry->cut_from > 0)
        return AGAIN_SHORTENED;
    if (entry->malformed != NULL)
        return AGAIN_MALFORMED;
    if (asked->url.length == 0)
        return AGAIN_NOWHERE;
    if (asked->is_rewritten && guard_judge_url(asked->guard, asked->url, &url) != GUARD_OK)
        return AGAIN_BLOCKED; /* one that is not is judged when it is sent */
    return AGAIN_SEND;
}

static enum again_verdict judge_letter(const struct again_asked *asked)
{
    const struct entry *entry = asked->entry;
    const struct record *record = asked->answer->result == LOOKUP_FOUND ? &asked->answer->record : NULL;
    if (asked->force)
        return AGAIN_SEND;
    if (slice_is(entry->reason, "task_id_conflict"))
        return AGAIN_CONFLICT;
    if (slice_is(entry->reason, "invalid_headers"))
        return AGAIN_BAD_HEADERS;
    if (record != NULL && rank_epoch(record->rank) > entry->attempt.epoch)
        return AGAIN_REPLAYED;
    if (record != NULL && record->rank == rank_delivered(entry->attempt.epoch))
        return AGAIN_DELIVERED_ALREADY;
    return AGAIN_SEND;
}

static enum again_verdict judge_event(const struct again_asked *asked)
{
    const struct record *record = &asked->answer->record;
    if (asked->answer->result != LOOKUP_FOUND)
        return asked->state != AGAIN_ANY_STATE ? AGAIN_PASS : asked->force ? AGAIN_SEND : AGAIN_UNKNOWN;
    if (asked->state != AGAIN_ANY_STATE && !is_in_state(record, asked->answer->now_ms, asked->state))
        return AGAIN_PASS;
    if (record->partition != asked->entry->partition || record->offset != asked->entry->offset)
        return asked->force && record->partition < 0 ? AGAIN_SEND : AGAIN_ANOTHER_RECORD;
    if (!asked->force && record->leased && record->lease_end_ms > asked->answer->now_ms)
        return AGAIN_UNDER_WAY;
    return AGAIN_SEND;
}

static uint32_t next_epoch(const struct again_asked *asked)
{
    uint32_t epoch = asked->entry->attempt.epoch, stored = 0;
    if (asked->answer->result == LOOKUP_FOUND)
        stored = rank_epoch(asked->answer->record.rank);
    if ((asked->force || asked->resend) && stored > epoch)
        epoch = stored;
    return epoch + 1;
}

struct again_plan again_judge(const struct again_asked *asked)
{
    enum again_verdict verdict = judge_record(asked);
    if (verdict != AGAIN_SEND)
        return (struct again_plan){ .verdict = verdict };
    if (asked->is_planned) { /* the same epoch again: a second record is absorbed by its own claim */
        bool taken = asked->answer->result == LOOKUP_FOUND && asked->answer->record.rank >= rank_claimed(asked->planned_epoch, 1);
        return (struct again_plan){ taken ? AGAIN_SENT : AGAIN_SEND, asked->planned_epoch };
    }
    verdict = asked->resend ? judge_event(asked) : judge_letter(asked);
    uint32_t epoch = next_epoch(asked);
    if (verdict == AGAIN_SEND && epoch > EPOCH_MAX)
        verdict = AGAIN_TOO_MANY;
    return (struct again_plan){ verdict, epoch };
}
