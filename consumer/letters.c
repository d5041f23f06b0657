#include "consumer/letters.h"

#include "consumer/base/log.h"
#include "consumer/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPIC_BYTES = ATTEMPT_TOPIC_MAX + 32 };

struct letter {
    struct outbox *outbox;
    struct delivery *delivery;
    struct publication publication;
    struct attempt attempt; /* the publication's, kept */
    char topic[TOPIC_BYTES];
    enum { WHOLE, CUT, BARE } shape; /* as it was; its value cut; without value, key and headers of its own */
};

static void send(struct letter *letter);

static void sent(void *context, enum outbox_result result)
{
    struct letter *letter = context;
    bool dead = letter->publication.reason != 0;
    if (result == OUTBOX_REFUSED && dead && letter->shape != BARE) {
        log_warn("a dead letter is too large for its topic and is shortened", LOG_STRING("topic", letter->topic),
                 LOG_I("bytes", letter->publication.event->value.length), LOG_S("origin_topic", letter->attempt.origin.topic),
                 LOG_I("origin_partition", letter->attempt.origin.partition), LOG_I("origin_offset", letter->attempt.origin.offset));
        letter->shape++;
        send(letter);
        return;
    }
    struct delivery *delivery = letter->delivery;
    free(letter);
    delivery_published(delivery, result == OUTBOX_ACKED ? PUBLISHED_ACKED : PUBLISHED_REFUSED);
}

static void send(struct letter *letter)
{
    const struct event *event = letter->publication.event;
    struct event shown = *event;
    if (letter->shape != WHOLE && shown.value.length > LETTERS_CUT_BYTES)
        shown.value.length = LETTERS_CUT_BYTES;
    if (letter->shape == BARE) {
        shown.has_key = shown.has_value = false;
        shown.key.length = shown.value.length = shown.header_count = 0;
    }
    const struct envelope_letter content = { .event = &shown,
                                             .attempt = &letter->attempt,
                                             .reason = letter->publication.reason,
                                             .detail = letter->publication.detail,
                                             .cut_from = letter->shape == WHOLE ? 0 : event->value.length };
    struct envelope envelope;
    struct outbox_record record = { .topic = letter->topic,
                                    .partition = letter->publication.partition,
                                    .has_key = shown.has_key,
                                    .has_value = shown.has_value,
                                    .key = shown.key,
                                    .value = shown.value,
                                    .envelope = &envelope };
    envelope_write(&envelope, &content);
    outbox_send(letter->outbox, &record, sent, letter);
    envelope_finish(&envelope);
}

static void name_topic(char topic[TOPIC_BYTES], const char *input_topic, const struct publication *publication)
{
    if (publication->reason != 0) {
        snprintf(topic, TOPIC_BYTES, "%s.dlq", input_topic);
        return;
    }
    struct text name;
    text_init(&name, TOPIC_BYTES - 1);
    retry_topic_write(input_topic, publication->delay_ms, &name);
    assert(!name.overflowed); /* the settings bound the topic's name */
    snprintf(topic, TOPIC_BYTES, "%s", name.start);
    text_finish(&name);
}

void letters_send(struct outbox *outbox, const char *input_topic, struct delivery *delivery, const struct publication *publication)
{
    struct letter *letter = memory_create(sizeof(*letter));
    letter->outbox = outbox;
    letter->delivery = delivery;
    letter->publication = *publication;
    letter->attempt = *publication->attempt;
    name_topic(letter->topic, input_topic, publication);
    send(letter);
}
