#include "consumer/commands/again_inside.h"

#include "consumer/base/clock.h"
#include "consumer/base/crash.h"

enum { WINDOW_MS = 1000, TURN_MS = 50, TURN_EVERY = 64 };

static void acknowledged(void *context, enum outbox_result result)
{
    struct again_item *item = context;
    item->again->open--;
    item->refused = result == OUTBOX_REFUSED;
    item->again->failed += item->refused;
}

static struct attempt attempt_of(const struct again *again, const struct again_item *item)
{
    int64_t now_ms = clock_wall_ms() + again->redis_ahead_ms;
    struct attempt attempt = { .number = 1,
                               .epoch = item->plan.epoch,
                               .due_ms = now_ms + (int64_t)again->delay_ms,
                               .first_ms = now_ms,
                               .url = item->url.length > 0 ? text_slice(&item->url) : item->entry.attempt.url,
                               .origin = item->entry.attempt.origin };
    return attempt;
}

static void send(struct again *again, struct again_item *item)
{
    const struct event *event = item->entry.event;
    struct attempt attempt = attempt_of(again, item);
    struct envelope envelope;
    struct outbox_record record = { .topic = again->retry_topic,
                                    .partition = attempt.origin.partition,
                                    .has_key = event->has_key,
                                    .has_value = event->has_value,
                                    .key = event->key,
                                    .value = event->value,
                                    .envelope = &envelope };
    envelope_write(&envelope, &(struct envelope_letter){ .event = event, .attempt = &attempt });
    again->open++;
    outbox_send(again->outbox, &record, acknowledged, item);
    envelope_finish(&envelope);
}

/* --rate: so many in each second from the start on; what a slow second left over is not made up for. */
static void wait_for_turn(struct again *again)
{
    uint64_t rate = again->options->rate, now_ms = clock_monotonic_ms();
    if (rate == 0)
        return;
    if (now_ms >= again->sent_ms + WINDOW_MS) {
        again->sent_ms = now_ms;
        again->sent_in_window = 0;
    }
    while (clock_monotonic_ms() < again->sent_ms + again->sent_in_window * WINDOW_MS / rate) {
        neighbours_turn(again->neighbours, 5);
        again_show_progress(again);
    }
    again->sent_in_window++;
}

void again_produce(struct again *again)
{
    for (size_t i = 0; i < again->count; i++) {
        if (again->items[i].plan.verdict != AGAIN_SEND)
            continue;
        wait_for_turn(again);
        send(again, &again->items[i]);
        CRASH_POINT("again-sent", "", "");
        if (i % TURN_EVERY == 0)
            neighbours_turn(again->neighbours, 0);
    }
    while (again->open > 0) {
        neighbours_turn(again->neighbours, TURN_MS);
        again_show_progress(again);
    }
}
