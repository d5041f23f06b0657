/* Any bytes as a schedule and as the name of a topic: what is read can be written and read again. */
#include "delivery/retry.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_topic(uint64_t delay_ms)
{
    struct text name;
    uint64_t again = 0;
    text_init(&name, 300);
    retry_topic_write("jobs", delay_ms, &name);
    bool read = retry_topic_read("jobs", text_slice(&name), &again);
    assert(read && again == delay_ms);
    text_finish(&name);
}

static void expect_schedule(const struct retry_schedule *schedule, uint64_t wait_ms)
{
    struct retry_delays distinct;
    retry_distinct_delays(schedule, &distinct);
    assert(distinct.count >= 1 && distinct.count <= schedule->retries.count);
    for (size_t i = 1; i < distinct.count; i++)
        assert(distinct.ms[i - 1] < distinct.ms[i]);
    uint64_t delay_ms = retry_defer_delay(schedule, wait_ms);
    assert(delay_ms >= wait_ms || delay_ms == distinct.ms[distinct.count - 1]);
    for (size_t i = 0; i < distinct.count; i++)
        assert(distinct.ms[i] < wait_ms || distinct.ms[i] >= delay_ms || delay_ms < wait_ms);
    assert(retry_total_ms(schedule) <= (uint64_t)RETRY_DELAYS_MAX * RETRY_DELAY_MS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct retry_schedule schedule;
    struct slice text = { (const char *)data, size };
    const char *problem = NULL;
    uint64_t delay_ms;
    if (retry_topic_read("jobs", text, &delay_ms))
        expect_topic(delay_ms);
    if (!retry_delays_parse(text, &schedule.retries, &problem)) {
        assert(problem != NULL);
        return 0;
    }
    for (size_t i = 0; i < schedule.retries.count; i++) {
        assert(schedule.retries.ms[i] >= 1 && schedule.retries.ms[i] <= RETRY_DELAY_MS_MAX);
        expect_topic(schedule.retries.ms[i]);
    }
    if (schedule.retries.count > 0)
        expect_schedule(&schedule, schedule.retries.ms[0] + 1);
    return 0;
}
