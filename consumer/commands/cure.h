/* What to do about a dead letter, by its reason. A table; pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_CURE_H
#define JOBHOOK_CONSUMER_COMMANDS_CURE_H

#include "consumer/commands/entry.h"

/* Sentences for an operator; never NULL. */
const char *cure_of(const struct entry *entry);

/* What is known of a task in words: "delivered in epoch 1", "scheduled: attempt 3 of epoch 0". */
struct record;
void cure_append_state(const struct record *record, struct text *text);

#endif
