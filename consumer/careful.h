/* Careful reading: how a partition whose holders keep dying is read until the record that kills them is found (DESIGN §5). Pure.
 *
 * Ordinarily a partition is read FREELY. Taking it up leaves a hold in Redis (dedupe/holds.h) at the offset of the first record; going away alive,
 * by SIGTERM or because another copy takes over, gives it back. Whoever takes the partition up at an offset at which CAREFUL_FROM_DEATHS died, or
 * within CAREFUL_RANGE behind it, reads ALONE: one record at a time, each with a hold of its own that is taken before the record is parsed and
 * cleared when its offset may go. A record with which CAREFUL_DEATHS processes died goes to the dead-letter topic unparsed.
 *
 * Reading alone ends at the partition's end, at the end of the range (all that one process can have in hand), or when records have been in flight
 * alone for a while, twice as long with every further death: what did not show itself in that time lies deeper, will kill once more, and is then
 * reached. So a wrong suspicion costs little, and a right one is confirmed after a number of deaths that grows with the logarithm of the distance.
 *
 * Not every death tells the same. A record is suspected most within CAREFUL_FRESH_MS of the program doing something new with it: that is when a
 * record kills. While it waits for a receiver's answer or for the end of a dead holder's lease, a death is more likely SIGKILL or a lack of memory,
 * and weighs less. */
#ifndef JOBHOOK_CONSUMER_CAREFUL_H
#define JOBHOOK_CONSUMER_CAREFUL_H

#include "consumer/ledger.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    CAREFUL_FROM_DEATHS = 2, /* at one offset; a single one says nothing: SIGKILL soon after the start */
    CAREFUL_DEATHS = 3,
    CAREFUL_FRESH_WEIGHT = 4, /* of a death soon after something new was done with the record */
    CAREFUL_STALE_WEIGHT = 1, /* of a death while it waits */
    CAREFUL_CONDEMNED = CAREFUL_DEATHS * CAREFUL_FRESH_WEIGHT,
    CAREFUL_FRESH_MS = 1000,
    CAREFUL_RANGE = LEDGER_OPEN_MAX,
    CAREFUL_DOUBLINGS_MAX = 6,
};

enum careful_mode {
    CAREFUL_UNKNOWN, /* nobody was asked yet whether somebody died here */
    CAREFUL_FREE,
    CAREFUL_ALONE,
};

struct careful {
    enum careful_mode mode;
    int64_t until;    /* ALONE: the first offset that is not suspected */
    uint64_t left_ms; /* ALONE: how long records may still be in flight alone before it is read freely */
};

/* What Redis knows when a partition is taken up. */
struct careful_note {
    bool known;      /* false: Redis is away, nothing is suspected */
    uint32_t deaths; /* since trouble began */
    int64_t from;    /* where it began */
};

/* `base_ms`: time alone at first; enough for an attempt behind a dead holder's lease. */
struct careful careful_begin(const struct careful_note *note, uint64_t base_ms);
/* May the next record be read? `open`: records of the partition in the program's hands. */
bool careful_may_read(const struct careful *careful, size_t open);
/* Records of this process were in flight alone for `spent_ms` more, and reading has come to `position`. */
void careful_spend(struct careful *careful, uint64_t spent_ms, int64_t position);
/* Everything up to the partition's end is finished. */
void careful_reach_end(struct careful *careful);

/* What a death would weigh now, for a record that was taken at `taken_ms` and waits for somebody's lease until `busy_until_ms` (0: it does not). */
uint32_t careful_weight(uint64_t now_ms, uint64_t taken_ms, uint64_t busy_until_ms);
bool careful_condemns(uint32_t dead); /* by the weight of those who died with the record */

#endif
