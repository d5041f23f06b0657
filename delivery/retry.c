#include "delivery/retry.h"

#include <string.h>

/* Longest first: a delay is written in the longest unit that divides it. "ms" must come before "m" and "s" when a unit is read. */
static const struct unit {
    const char *name;
    uint64_t ms;
} units[] = { { "h", 3600 * 1000 }, { "m", 60 * 1000 }, { "s", 1000 }, { "ms", 1 } };

static const char TOPIC_INFIX[] = ".retry.";

enum delay_problem { DELAY_FINE, DELAY_UNREADABLE, DELAY_OUT_OF_RANGE };

static const struct unit *unit_find(struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (slice_is(name, units[i].name))
            return &units[i];
    }
    return NULL;
}

static size_t digits_at_start(struct slice text)
{
    size_t count = 0;
    while (count < text.length && text.start[count] >= '0' && text.start[count] <= '9')
        count++;
    return count;
}

/* One delay, such as 90s. */
static enum delay_problem delay_read(struct slice text, uint64_t *delay_ms)
{
    size_t digits = digits_at_start(text);
    const struct unit *unit = unit_find((struct slice){ text.start + digits, text.length - digits });
    if (digits == 0 || unit == NULL)
        return DELAY_UNREADABLE;
    if (digits > 1 && text.start[0] == '0')
        return DELAY_UNREADABLE;
    uint64_t number;
    if (!slice_to_u64((struct slice){ text.start, digits }, RETRY_DELAY_MS_MAX / unit->ms, &number) || number == 0)
        return DELAY_OUT_OF_RANGE;
    *delay_ms = number * unit->ms;
    return DELAY_FINE;
}

static struct slice up_to_comma(struct slice text)
{
    const char *comma = memchr(text.start, ',', text.length);
    return (struct slice){ text.start, comma == NULL ? text.length : (size_t)(comma - text.start) };
}

static const char *delays_append(struct retry_delays *delays, struct slice word)
{
    if (delays->count == RETRY_DELAYS_MAX)
        return "there are more than 300 delays";
    switch (delay_read(word, &delays->ms[delays->count])) {
    case DELAY_FINE:
        delays->count++;
        return NULL;
    case DELAY_OUT_OF_RANGE:
        return "a delay must be at least 1ms and at most 168h (7 days)";
    case DELAY_UNREADABLE:
        break;
    }
    return "each delay must be a whole number with ms, s, m or h, separated by commas without spaces: 1s,2s,500ms";
}

bool retry_delays_parse(struct slice text, struct retry_delays *delays, const char **problem)
{
    delays->count = 0;
    if (text.length == 0)
        return true;
    for (;;) {
        struct slice word = up_to_comma(text);
        *problem = delays_append(delays, word);
        if (*problem != NULL)
            return false;
        if (word.length == text.length)
            return true;
        text.start += word.length + 1;
        text.length -= word.length + 1;
    }
}

bool retry_delay_after(const struct retry_schedule *schedule, uint32_t number, uint64_t *delay_ms)
{
    assert(number > 0);
    if (number > schedule->retries.count)
        return false;
    *delay_ms = schedule->retries.ms[number - 1];
    return true;
}

/* Of `best` and the delays, the one that suits the wait best: the shortest that covers it, else the longest. `best` 0: none yet. */
static uint64_t better_cover(const struct retry_delays *delays, uint64_t wait_ms, uint64_t best)
{
    for (size_t i = 0; i < delays->count; i++) {
        uint64_t delay = delays->ms[i];
        bool covers = delay >= wait_ms, best_covers = best >= wait_ms;
        if (best == 0 || (covers && (!best_covers || delay < best)) || (!covers && !best_covers && delay > best))
            best = delay;
    }
    return best;
}

uint64_t retry_longest_ms(const struct retry_delays *delays)
{
    return better_cover(delays, UINT64_MAX, 0);
}

uint64_t retry_defer_delay(const struct retry_schedule *schedule, uint64_t wait_ms)
{
    uint64_t best = better_cover(&schedule->defers, wait_ms, better_cover(&schedule->retries, wait_ms, 0));
    assert(best > 0);
    return best;
}

/* Keeps `distinct` ascending and without doubles. */
static void insert_distinct(struct retry_delays *distinct, uint64_t delay_ms)
{
    size_t place = 0;
    while (place < distinct->count && distinct->ms[place] < delay_ms)
        place++;
    if (place < distinct->count && distinct->ms[place] == delay_ms)
        return;
    assert(distinct->count < COUNT_OF(distinct->ms));
    memmove(&distinct->ms[place + 1], &distinct->ms[place], (distinct->count - place) * sizeof(distinct->ms[0]));
    distinct->ms[place] = delay_ms;
    distinct->count++;
}

void retry_distinct_delays(const struct retry_schedule *schedule, struct retry_delays *distinct)
{
    distinct->count = 0;
    for (size_t i = 0; i < schedule->retries.count; i++)
        insert_distinct(distinct, schedule->retries.ms[i]);
    for (size_t i = 0; i < schedule->defers.count; i++)
        insert_distinct(distinct, schedule->defers.ms[i]);
}

uint64_t retry_total_ms(const struct retry_schedule *schedule)
{
    uint64_t total = 0;
    for (size_t i = 0; i < schedule->retries.count; i++)
        total += schedule->retries.ms[i];
    return total;
}

void retry_delay_write(uint64_t delay_ms, struct text *text)
{
    const struct unit *unit = units;
    while (delay_ms % unit->ms != 0)
        unit++;
    text_append_u64(text, delay_ms / unit->ms);
    text_append_string(text, unit->name);
}

void retry_topic_write(const char *topic, uint64_t delay_ms, struct text *text)
{
    text_append_string(text, topic);
    text_append_string(text, TOPIC_INFIX);
    retry_delay_write(delay_ms, text);
}

bool retry_topic_read(const char *topic, struct slice name, uint64_t *delay_ms)
{
    size_t prefix = strlen(topic), infix = sizeof(TOPIC_INFIX) - 1;
    if (name.length <= prefix + infix || !slice_starts_with(name, topic))
        return false;
    struct slice rest = { name.start + prefix, name.length - prefix };
    if (!slice_starts_with(rest, TOPIC_INFIX))
        return false;
    return delay_read((struct slice){ rest.start + infix, rest.length - infix }, delay_ms) == DELAY_FINE;
}
