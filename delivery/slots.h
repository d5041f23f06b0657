/* Who gets the next slot: the endpoints that may start an attempt, in lines, and the slots that are taken. Pure.
 *
 * - First attempts and retries have lines of their own: what holds fewer slots gets the next one, in turn when both hold as many.
 * - An endpoint is in doubt until it answers, again when its latest attempt ended without an answer, and while its answers take a quarter of the
 *   attempt timeout on average. Each attempt at such a one takes a slot for up to the whole timeout, and strangers own endpoints by the thousand: those
 *   in doubt have lines of their own, and as long as anybody else answers, half of the slots at most. Not more even if nobody else wants them now: they
 *   would not be back when somebody does.
 * - Within a line endpoints take turns. */
#ifndef JOBHOOK_DELIVERY_SLOTS_H
#define JOBHOOK_DELIVERY_SLOTS_H

#include "delivery/endpoint.h"

struct slots {
    uint32_t max;
    uint32_t in_flight[2];   /* first attempts, retries */
    uint32_t in_doubt;       /* of both, those started in doubt */
    uint64_t doubt_bytes[2]; /* of first attempts and retries, queued and in flight, that came while their endpoint was in doubt */
    uint64_t doubt_bytes_max;
    bool last_was_retry;
    struct list lines[2][2]; /* of a kind: those in doubt, those that answer */
    bool divided;            /* somebody not in doubt answered lately: those in doubt have half */
};

void slots_init(struct slots *slots, uint32_t max, uint64_t bytes_max);

/* Puts the endpoint in the line where it belongs, at the end if that is another one than before; or in none. */
void slots_line_up(struct slots *slots, struct endpoint *endpoint, int kind, bool wants);
bool slots_has_line(const struct endpoint *endpoint);
/* The endpoint's turn is over: it goes to the end of its line. */
void slots_end_turn(struct endpoint *endpoint, int kind);

bool slots_are_free(const struct slots *slots);
/* Those in doubt have all that they may have. */
bool slots_doubt_has_half(const struct slots *slots);
/* Whether one is free for somebody who waits. */
bool slots_are_wanted(const struct slots *slots);
/* The kind that gets the next one, and whose turn it is in it; NULL: nobody's. */
int slots_choose_kind(const struct slots *slots);
struct endpoint *slots_first(const struct slots *slots, int kind);
/* What that endpoint should start: with both kinds waiting it shares its own window between them, as long as the slots' halves allow it. */
int slots_choose_own_kind(const struct slots *slots, const struct endpoint *endpoint, int kind);

struct ticket;
void slots_take(struct slots *slots, struct ticket *ticket);
void slots_give(struct slots *slots, const struct ticket *ticket);

/* What is queued and in flight has bytes: as long as anybody else answers, endpoints in doubt have three eighths of them for first attempts and three for
 * retries, half of what the intake has for each. One of them holds less than is free, so that something is left for the next. */
bool slots_have_bytes(const struct slots *slots, const struct endpoint *endpoint, bool retry);
void slots_take_bytes(struct slots *slots, struct ticket *ticket);
void slots_give_bytes(struct slots *slots, const struct ticket *ticket);

#endif
