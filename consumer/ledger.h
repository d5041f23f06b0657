/* The ledger of one partition: which offsets were taken and are not finished yet. Pure.
 *
 * Offsets are opened in ascending order and closed in any order; only the contiguous prefix may be committed. Offsets that were never opened (gaps
 * left by compaction, transaction markers) count as finished. O(1) per call; at most LEDGER_OPEN_MAX entries between the oldest open offset and
 * the newest. */
#ifndef JOBHOOK_CONSUMER_LEDGER_H
#define JOBHOOK_CONSUMER_LEDGER_H

#include "consumer/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEDGER_OPEN_MAX = 65536 };

struct ledger {
    struct ledger_entry *entries; /* ring; owned */
    uint32_t capacity, first, count;
    uint64_t first_slot; /* slot number of the entry at `first` */
    int64_t position;    /* one past the newest offset seen; −1 nothing seen */
};

void ledger_init(struct ledger *ledger);
void ledger_finish(struct ledger *ledger);

bool ledger_is_full(const struct ledger *ledger);
/* Opens an offset above all before; not when full. Returns the slot to close it by. */
uint64_t ledger_open(struct ledger *ledger, int64_t offset);
/* Closes a slot, once. */
void ledger_close(struct ledger *ledger, uint64_t slot);
/* The partition was read up to here (its end): what lies before and was never opened is finished. */
void ledger_advance(struct ledger *ledger, int64_t position);

/* What to commit: the offset of the next record to read after a restart; −1: nothing yet. */
int64_t ledger_committable(const struct ledger *ledger);
/* The oldest open offset, −1 none. */
int64_t ledger_oldest_open(const struct ledger *ledger);
/* Entries between the oldest open offset and the newest. */
uint32_t ledger_span(const struct ledger *ledger);

#endif
