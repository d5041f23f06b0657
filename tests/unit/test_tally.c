#include "consumer/commands/progress.h"
#include "consumer/commands/sample.h"
#include "consumer/commands/tally.h"
#include "delivery/event.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct tally tally;
static struct text text;

static void start(void)
{
    tally_init(&tally);
    text_init(&text, 1 << 20);
}

static void stop(void)
{
    tally_finish(&tally);
    text_finish(&text);
}

TestSuite(tally, .init = start, .fini = stop);

Test(tally, shows_the_most_first_and_sums_the_rest)
{
    for (int i = 0; i < 1500; i++)
        tally_count(&tally, i < 1200 ? SLICE("many") : i < 1400 ? SLICE("\x1b[2J") : SLICE(""));
    tally_append(&tally, 2, &text);
    cr_assert_str_eq(text.start, "        1,200  many\n          200  \\x1b[2J\n          100  (others)\n");
}

Test(tally, memory_is_bounded_however_many_names_there_are)
{
    char name[16];
    for (int i = 0; i < 3 * TALLY_NAMES_MAX; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        tally_count(&tally, slice_of(name));
    }
    cr_assert_eq(tally.used, TALLY_NAMES_MAX);
    cr_assert_eq(tally.all, 3 * TALLY_NAMES_MAX);
    tally_append(&tally, 1, &text);
    cr_assert_not_null(strstr(text.start, "12,287  (others)\n"));
}

Test(tally, numbers_are_grouped)
{
    static const struct {
        uint64_t number;
        const char *shown;
    } cases[] = { { 0, "0" }, { 999, "999" }, { 1000, "1,000" }, { 1234567, "1,234,567" }, { UINT64_MAX, "18,446,744,073,709,551,615" } };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        text_clear(&text);
        tally_append_number(&text, cases[i].number);
        cr_assert_str_eq(text.start, cases[i].shown);
    }
}

Test(tally, a_bar_fits_the_terminal)
{
    const struct progress_figures figures = { .count = 5000, .done = 1, .all = 4 };
    for (size_t columns = 10; columns < 200; columns++) {
        text_clear(&text);
        progress_append(&(struct progress_line){ "replayed", 2000, columns }, &figures, &text);
        cr_assert(text.length < columns, "%zu: %s", columns, text.start);
    }
    text_clear(&text);
    progress_append(&(struct progress_line){ "replayed", 2000, 0 }, &figures, &text);
    cr_assert_str_eq(text.start, "5,000 replayed, 2,500/s, 25 %, 6.0 s left");
    text_clear(&text);
    progress_append(&(struct progress_line){ "replayed", 2000, 80 }, &figures, &text);
    cr_assert_eq(strncmp(text.start, "[########........................", 20), 0, "%s", text.start);
    text_clear(&text);
    progress_append(&(struct progress_line){ "read", 0, 0 }, &(struct progress_figures){ 0 }, &text);
    cr_assert_str_eq(text.start, "0 read, 0/s");
}

Test(tally, samples_are_good_events)
{
    for (size_t i = 0; i < 2 * SAMPLE_KINDS; i++) {
        const char *problem;
        text_clear(&text);
        sample_append(&(struct sample_wish){ &samples[i / 2], i % 2 == 1, SLICE("test-1"), SLICE("https://a.example.com/\"\x1b") }, &text);
        struct event *event = event_create(&(struct event_record){ .has_value = true, .value = text_slice(&text) });
        cr_assert(event_parse(event, &problem), "%s: %s", text.start, problem);
        cr_assert(slice_is(event->task_type, samples[i / 2].type) && event->failed == (i % 2 == 1));
        cr_assert_eq(sample_find(samples[i / 2].type), &samples[i / 2]);
        event_destroy(event);
    }
    cr_assert_null(sample_find("lunch"));
}
