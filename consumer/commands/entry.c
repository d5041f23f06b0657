#include "consumer/commands/entry.h"

#include "consumer/envelope.h"
#include "delivery/report.h"

#include <string.h>

static void read_receiver(struct entry *entry)
{
    static const struct guard anything = { .allow_http = true };
    struct url url;
    /* Whether it may be called is of no matter here: refused URLs have an origin, too. */
    guard_judge_url(&anything, report_url(entry->event, &entry->attempt), &url);
    memcpy(entry->receiver, url.origin, url.origin_length);
    entry->receiver[url.origin_length] = '\0';
}

static void read_content(struct entry *entry, const struct topic_record *record)
{
    *entry = (struct entry){ .partition = record->partition, .offset = record->offset, .event = event_create(&record->content) };
    if (!event_parse(entry->event, &entry->malformed))
        entry->event->task_id = entry->event->task_type = entry->event->webhook_url = SLICE("");
    else
        entry->malformed = NULL;
}

static void read_headers(struct entry *entry)
{
    const struct event *event = entry->event;
    if (!envelope_read(event, &entry->attempt, &entry->unreadable)) {
        entry->attempt = (struct attempt){ .number = 1 };
        return;
    }
    entry->unreadable = NULL;
    entry->reason = event_header(event, "jobhook-reason");
    entry->detail = event_header(event, "jobhook-detail");
    struct slice cut = event_header(event, "jobhook-cut-from-bytes");
    if (cut.length > 0 && !slice_to_u64(cut, INT64_MAX, &entry->cut_from))
        entry->unreadable = "header jobhook-cut-from-bytes is not a number";
    if (entry->reason.length == 0)
        entry->unreadable = "it has no header jobhook-reason: is this a dead letter?";
}

void entry_read_letter(struct entry *entry, const struct topic_record *record)
{
    read_content(entry, record);
    read_headers(entry);
    read_receiver(entry);
}

void entry_read_event(struct entry *entry, const struct topic_record *record)
{
    read_content(entry, record);
    entry->attempt = (struct attempt){ .number = 1, .origin = { slice_of(record->topic), record->partition, record->offset } };
    read_receiver(entry);
}

void entry_finish(struct entry *entry)
{
    event_destroy(entry->event);
    entry->event = NULL;
}
