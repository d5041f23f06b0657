#include "consumer/delay.h"

uint64_t delay_until_ms(int64_t due_ms, uint64_t topic_delay_ms, const struct delay_clocks *now)
{
    if (due_ms <= now->redis_ms)
        return now->monotonic_ms;
    uint64_t wait_ms = (uint64_t)due_ms - (uint64_t)now->redis_ms + 1; /* both clocks are rounded down, and a retry is never early */
    uint64_t most_ms = topic_delay_ms + DELAY_CLOCK_SLACK_MS;
    return now->monotonic_ms + (wait_ms < most_ms ? wait_ms : most_ms);
}
