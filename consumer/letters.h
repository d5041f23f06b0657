/* Letters: what deliveries publish, written as records. Chooses the topic, writes the envelope, hands it to the outbox, and shortens a dead letter
 * that is too large for its topic (the pointer jobhook-origin says where the whole event lies). */
#ifndef JOBHOOK_CONSUMER_LETTERS_H
#define JOBHOOK_CONSUMER_LETTERS_H

#include "consumer/outbox.h"
#include "delivery/delivery.h"

enum { LETTERS_CUT_BYTES = 1024 };

void letters_send(struct outbox *outbox, const char *input_topic, struct delivery *delivery, const struct publication *publication);

#endif
