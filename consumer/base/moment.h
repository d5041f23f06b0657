/* Moments as people and programs write them: RFC 3339 (2026-03-01T12:00:00Z), or so long ago (2h). Milliseconds since 1970, UTC. Pure. */
#ifndef JOBHOOK_BASE_MOMENT_H
#define JOBHOOK_BASE_MOMENT_H

#include "consumer/base/text.h"

#include <stdbool.h>
#include <stdint.h>

#define MOMENT_ALLOWED "so long ago (90s, 15m, 2h, 7d) or a moment (2026-03-01, 2026-03-01T12:00:00Z, 2026-03-01T12:00:00.250+01:00)"

/* What MOMENT_ALLOWED says, from 1970 to the end of the year 9999; `now_ms` is what "ago" counts from. A date is its midnight in UTC. */
MUST_USE bool moment_parse(struct slice written, int64_t now_ms, int64_t *ms);
/* 90s, 15m, 2h, 7d: whole numbers, also 500ms. */
MUST_USE bool moment_parse_duration(struct slice written, uint64_t *ms);

/* 2026-03-01T12:00:00.250Z; nothing for what RFC 3339 cannot say (before 1970, after 9999). */
void moment_append(struct text *text, int64_t ms);
/* For people: 250 ms, 1.5 s, 2 min 5 s, 3 h 20 min, 4 d 2 h. */
void moment_append_duration(struct text *text, uint64_t ms);

#endif
