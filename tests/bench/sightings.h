/* What the benchmark's receiver sees in requests: how long after being written an event arrives, and how late a retry is. Looks only at requests
 * that lie whole in one buffer, which those of the benchmark's smallest body do. */
#ifndef JOBHOOK_BENCH_SIGHTINGS_H
#define JOBHOOK_BENCH_SIGHTINGS_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIGHTINGS_MAX = 4000000, TASKS_MAX = 1000000 };

struct samples {
    int64_t *us;
    size_t count;
};

static struct sightings {
    struct samples latency;  /* from sent_us to here */
    struct samples lateness; /* of a retry: since the last answer, less the delay */
    uint64_t *answered_us;   /* by the number of the task: when its last attempt was answered */
    uint64_t first_us, last_us;
    uint64_t early;
    uint64_t tasks; /* different ones */
} sightings;

static inline uint64_t sightings_now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static inline void samples_add(struct samples *samples, int64_t us)
{
    if (samples->us == NULL && (samples->us = malloc(SIGHTINGS_MAX * sizeof *samples->us)) == NULL)
        abort();
    if (samples->count < SIGHTINGS_MAX)
        samples->us[samples->count++] = us;
}

/* The number behind `name`, or 0. */
static inline uint64_t sightings_number(const char *text, size_t length, const char *name)
{
    const char *found = memmem(text, length, name, strlen(name));
    return found == NULL ? 0 : strtoull(found + strlen(name), NULL, 10);
}

/* Attempt n + 1 comes 2^(n - 1) seconds after attempt n was answered: the default schedule. */
static inline void sightings_note_retry(uint64_t task, uint64_t attempt, uint64_t now_us)
{
    if (sightings.answered_us == NULL && (sightings.answered_us = calloc(TASKS_MAX, sizeof *sightings.answered_us)) == NULL)
        abort();
    if (attempt == 0 || attempt > 6 || task >= TASKS_MAX)
        return;
    sightings.tasks += sightings.answered_us[task] == 0;
    if (attempt > 1 && sightings.answered_us[task] != 0) {
        int64_t late_us = (int64_t)(now_us - sightings.answered_us[task]) - (INT64_C(1000000) << (attempt - 2));
        samples_add(&sightings.lateness, late_us);
        sightings.early += late_us < 0;
    }
    sightings.answered_us[task] = now_us;
}

/* `text`: a request's head and body, NUL behind it. */
static inline void sightings_note(const char *text, size_t length)
{
    uint64_t now_us = sightings_now_us(), sent_us = sightings_number(text, length, "\"sent_us\":");
    if (sightings.first_us == 0)
        sightings.first_us = now_us;
    sightings.last_us = now_us;
    if (sent_us != 0)
        samples_add(&sightings.latency, (int64_t)(now_us - sent_us));
    sightings_note_retry(sightings_number(text, length, "\"task_id\":\"bench-"), sightings_number(text, length, "jobhook-attempt: "), now_us);
}

static inline int samples_compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static inline void samples_print(const char *name, struct samples *samples)
{
    if (samples->count > 0)
        qsort(samples->us, samples->count, sizeof *samples->us, samples_compare);
    printf(",\"%s\":{\"count\":%zu", name, samples->count);
    static const struct {
        const char *name;
        size_t thousandths;
    } ranks[] = { { "min_us", 0 }, { "p50_us", 500 }, { "p90_us", 900 }, { "p99_us", 990 }, { "p999_us", 999 }, { "max_us", 1000 } };
    for (size_t i = 0; samples->count > 0 && i < sizeof ranks / sizeof ranks[0]; i++)
        printf(",\"%s\":%" PRId64, ranks[i].name, samples->us[(samples->count - 1) * ranks[i].thousandths / 1000]);
    printf("}");
}

/* ,"latency":{…},"lateness":{…},"early":…,"tasks":…,"seconds":… */
static inline void sightings_print(void)
{
    samples_print("latency", &sightings.latency);
    samples_print("lateness", &sightings.lateness);
    printf(",\"early\":%" PRIu64 ",\"tasks\":%" PRIu64 ",\"seconds\":%.6f", sightings.early, sightings.tasks,
           (double)(sightings.last_us - sightings.first_us) / 1e6);
}

#endif
