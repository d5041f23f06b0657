#include "consumer/careful.h"

enum { BUSY_MARGIN_MS = 500 }; /* leases are asked about now and then: one that ends so soon may have ended when it is noticed */

struct careful careful_begin(const struct careful_note *note, uint64_t base_ms)
{
    if (!note->known || note->deaths < CAREFUL_FROM_DEATHS)
        return (struct careful){ .mode = CAREFUL_FREE };
    uint32_t further = note->deaths - CAREFUL_FROM_DEATHS;
    uint32_t doublings = further < CAREFUL_DOUBLINGS_MAX ? further : CAREFUL_DOUBLINGS_MAX;
    return (struct careful){ .mode = CAREFUL_ALONE, .until = note->from + CAREFUL_RANGE, .left_ms = base_ms << doublings };
}

bool careful_may_read(const struct careful *careful, size_t open)
{
    return careful->mode != CAREFUL_ALONE || open == 0;
}

void careful_spend(struct careful *careful, uint64_t spent_ms, int64_t position)
{
    careful->left_ms -= spent_ms < careful->left_ms ? spent_ms : careful->left_ms;
    if (careful->mode == CAREFUL_ALONE && (careful->left_ms == 0 || position >= careful->until))
        careful->mode = CAREFUL_FREE;
}

void careful_reach_end(struct careful *careful)
{
    if (careful->mode == CAREFUL_ALONE)
        careful->mode = CAREFUL_FREE;
}

uint32_t careful_weight(uint64_t now_ms, uint64_t taken_ms, uint64_t busy_until_ms)
{
    uint64_t fresh_from_ms = busy_until_ms > taken_ms ? busy_until_ms : taken_ms;
    if (now_ms + CAREFUL_FRESH_MS + BUSY_MARGIN_MS < busy_until_ms)
        return CAREFUL_STALE_WEIGHT;
    return now_ms < fresh_from_ms + CAREFUL_FRESH_MS ? CAREFUL_FRESH_WEIGHT : CAREFUL_STALE_WEIGHT;
}

bool careful_condemns(uint32_t dead)
{
    return dead >= CAREFUL_CONDEMNED;
}
