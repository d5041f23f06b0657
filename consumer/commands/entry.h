/* An entry: one record of the dead-letter or the input topic, understood as far as it can be. Pure.
 *
 * Nothing that a record holds is a reason to stop: what cannot be read is said in `unreadable` (the headers) and `malformed` (the event). */
#ifndef JOBHOOK_CONSUMER_COMMANDS_ENTRY_H
#define JOBHOOK_CONSUMER_COMMANDS_ENTRY_H

#include "consumer/commands/topic_reader.h"
#include "delivery/attempt.h"
#include "delivery/guard.h"

struct entry {
    int32_t partition;
    int64_t offset;
    struct event *event;    /* owned */
    const char *unreadable; /* why the headers of a dead letter say nothing; NULL: they do */
    const char *malformed;  /* why the event cannot be read; NULL: it can */
    struct attempt attempt; /* of a dead letter: its last; of an input record: the first, of epoch 0 */
    struct slice reason;    /* jobhook-reason; empty for an input record */
    struct slice detail;
    uint64_t cut_from;                   /* the value was shortened from so many bytes; 0: it was not */
    char receiver[GUARD_ORIGIN_MAX + 1]; /* scheme://host[:port] of where it was to go; "" nowhere, or not readable */
};

void entry_read_letter(struct entry *entry, const struct topic_record *record);
void entry_read_event(struct entry *entry, const struct topic_record *record);
void entry_finish(struct entry *entry); /* takes a zeroed one, too */

#endif
