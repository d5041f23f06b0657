#include "consumer/commands/cure.h"

#include "consumer/base/check.h"
#include "dedupe/record.h"

#include <inttypes.h>

static const struct {
    const char *reason, *cure;
} cures[] = {
    { "exhausted", "The receiver refused or failed every attempt. Once it works again: jobhook dlq replay." },
    { "endpoint_down", "The receiver did not answer for JOBHOOK_GIVE_UP_AFTER. Once it answers again: jobhook dlq replay." },
    { "final_status", "The receiver answered with a status of JOBHOOK_FINAL_STATUSES, such as 410: it does not want this. If it has moved: "
                      "jobhook dlq replay --rewrite-url OLD=NEW." },
    { "expired",
      "It was older than JOBHOOK_MAX_EVENT_AGE when its turn came. If it is still wanted: jobhook dlq replay sends it, whatever its age." },
    { "invalid_event", "The worker wrote an event that breaks the rules; a replay would end here again. Mend the event, then: jobhook publish." },
    { "invalid_headers", "A record of a retry topic had headers that jobhook cannot read; somebody else wrote there. If the event itself is fine: "
                         "jobhook dlq replay --force." },
    { "task_id_conflict",
      "Another event with the same task id came first, and that one counts. Give it an id of its own, then: jobhook publish; or, to "
      "replace the first: jobhook dlq replay --force." },
    { "blocked_url", "The URL or its address may not be called. If the receiver has another one: jobhook dlq replay --rewrite-url OLD=NEW; if it is "
                     "yours: JOBHOOK_EGRESS_ALLOW, then jobhook dlq replay." },
    { "too_large", "It is larger than JOBHOOK_MAX_EVENT_BYTES. Raise that, then: jobhook dlq replay." },
    { "crashed", "Three processes ended while they had it in hand. Report it with the value; do not replay it before that is mended." },
    { "held", "The hold file says `dead` for its URL. Change that, then: jobhook dlq replay." },
};

const char *cure_of(const struct entry *entry)
{
    if (entry->unreadable != NULL)
        return "Its headers say nothing. If jobhook did not write it, leave it; if another version did, use that version.";
    if (entry->cut_from > 0)
        return "It was shortened because it is too large for the dead-letter topic; the whole event lies where its origin says: jobhook resend "
               "TASK_ID.";
    for (size_t i = 0; i < COUNT_OF(cures); i++)
        if (slice_is(entry->reason, cures[i].reason))
            return cures[i].cure;
    return "A reason that this version does not know: see that of a newer one.";
}

void cure_append_state(const struct record *record, struct text *text)
{
    uint32_t attempt = rank_attempt(record->rank), epoch = rank_epoch(record->rank);
    switch (rank_kind(record->rank)) {
    case RANK_KIND_DELIVERED:
        text_append_string(text, "delivered");
        break;
    case RANK_KIND_DEAD:
        text_append_string(text, "dead");
        break;
    case RANK_KIND_SCHEDULED:
        text_printf(text, "waiting for attempt %" PRIu32, attempt + 1);
        break;
    case RANK_KIND_CLAIMED:
        text_printf(text, record->leased ? "in attempt %" PRIu32 : "waiting for attempt %" PRIu32, attempt);
        break;
    case RANK_KIND_FAILED:
        text_printf(text, "attempt %" PRIu32 " failed, its next record is being written", attempt);
        break;
    case RANK_KIND_NONE:
        text_append_string(text, "only a place is known");
        return;
    }
    text_printf(text, " (epoch %" PRIu32 ")", epoch);
}
