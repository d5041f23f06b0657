#include "delivery/names_order.h"

#include <string.h>

enum {
    LATE_ENOUGH = 8,
    IN_TIME_MS = 10 * 1000, /* it is not silent that lately: the late ones may be slow names */
};

void names_order_init(struct names_order *order)
{
    *order = (struct names_order){ .count = 0 };
    text_init(&order->list, NAMES_ORDER_LENGTH_MAX);
}

void names_order_finish(struct names_order *order)
{
    text_finish(&order->list);
}

void names_order_read(struct names_order *order, struct text list)
{
    text_finish(&order->list);
    *order = (struct names_order){ .list = list, .count = 1, .number = order->number + 1 };
    for (const char *comma = list.start; (comma = strchr(comma, ',')) != NULL; comma++)
        order->count++;
}

void names_order_heard(struct names_order *order, unsigned number, bool late, uint64_t now_ms)
{
    if (number != order->number)
        return;
    order->late = late ? order->late + 1 : 0;
    if (!late)
        order->in_time_ms = now_ms;
}

bool names_order_heed_silence(struct names_order *order, uint64_t now_ms)
{
    bool lately = order->in_time_ms > 0 && now_ms < order->in_time_ms + IN_TIME_MS;
    if (order->late < LATE_ENOUGH || order->count < 2 || lately)
        return false;
    struct text turned;
    size_t first = strcspn(order->list.start, ",");
    text_init(&turned, NAMES_ORDER_LENGTH_MAX);
    text_printf(&turned, "%s,%.*s", order->list.start + first + 1, (int)first, order->list.start);
    names_order_read(order, turned);
    return true;
}
