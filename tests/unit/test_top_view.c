#include "consumer/commands/top_view.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct scrape read_page(const char *page)
{
    struct scrape scrape;
    struct text text;
    text_init(&text, 1 << 20);
    text_append_string(&text, page);
    scrape_read(&scrape, &text);
    return scrape;
}

Test(scrape, understands_lines_and_leaves_out_what_is_none)
{
    struct scrape scrape =
        read_page("# HELP a x\n# TYPE a counter\na{r=\"x\"} 1\na{r=\"y\",s=\"} \"} 2.5e1\na_b 7\n\nnonsense\nx nan\ny{ 1\n 3\nlast 4");
    cr_assert_float_eq(scrape_sum(&scrape, "a", NULL), 26, 1e-9);
    cr_assert_float_eq(scrape_sum(&scrape, "a", "r=\"y\""), 25, 1e-9);
    cr_assert_float_eq(scrape_sum(&scrape, "a_b", NULL), 7, 1e-9);
    cr_assert_float_eq(scrape_sum(&scrape, "last", NULL), 4, 1e-9);
    cr_assert_not(scrape_has(&scrape, "x"));
    cr_assert(scrape_has(&scrape, "a"));
    scrape_finish(&scrape);
    scrape = read_page("");
    cr_assert_eq(scrape.count, 0);
    scrape_finish(&scrape);
}

Test(scrape, a_quantile_is_of_what_was_counted_between_two_readings)
{
    struct scrape before = read_page("h_bucket{le=\"0.1\"} 100\nh_bucket{le=\"1\"} 100\nh_bucket{le=\"+Inf\"} 100\n");
    struct scrape now = read_page("h_bucket{le=\"0.1\"} 190\nh_bucket{le=\"1\"} 199\nh_bucket{le=\"+Inf\"} 200\n");
    cr_assert_float_eq(scrape_quantile(&before, &now, "h", 0.5), 0.1, 1e-9);
    cr_assert_float_eq(scrape_quantile(&before, &now, "h", 0.99), 1, 1e-9);
    cr_assert_gt(scrape_quantile(&before, &now, "h", 1), 1e9);
    cr_assert_lt(scrape_quantile(&now, &now, "h", 0.5), 0);
    cr_assert_lt(scrape_quantile(&now, &before, "h", 0.5), 0);
    cr_assert_lt(scrape_quantile(&before, &now, "other", 0.5), 0);
    scrape_finish(&before);
    scrape_finish(&now);
}

static struct top_copy copies[2];
static struct top_view view = { .copies = copies, .count = 2 };
static struct text text;

static void start(void)
{
    static const char page[] =
        "jobhook_events_total{source=\"input\"} %d\njobhook_posts_total %d\njobhook_events_settled_total{result=\"delivered\"} %d\n"
        "jobhook_attempts_total{outcome=\"2xx\"} %d\njobhook_attempts_total{outcome=\"\x1b[2J\"} 1000\njobhook_consumer_lag{topic=\"a\"} %d\n"
        "jobhook_kafka_up 1\njobhook_redis_up 0\n";
    char before[1024], now[1024];
    for (int i = 0; i < 2; i++) {
        snprintf(before, sizeof(before), page, 0, 0, 0, 0, 10 * i);
        snprintf(now, sizeof(now), page, 2000 * (i + 1), 10 - 5 * i, 2000, 40, 70 - 10 * i);
        copies[i] =
            (struct top_copy){ .address = i == 0 ? "a:1" : "b:2", .before = read_page(before), .now = read_page(now), .answers = true, .seconds = 2 };
    }
    text_init(&text, 1 << 20);
}

static void stop(void)
{
    for (int i = 0; i < 2; i++) {
        scrape_finish(&copies[i].before);
        scrape_finish(&copies[i].now);
    }
    text_finish(&text);
}

TestSuite(top_view, .init = start, .fini = stop);

Test(top_view, sums_the_copies)
{
    top_view_append(&view, &text);
    cr_assert_not_null(strstr(text.start, "events    3,000/s taken up, 2,000/s delivered, 0/s to be retried"), "%s", text.start);
    cr_assert_not_null(strstr(text.start, "outcomes  40/s 2xx\n"), "%s", text.start);
    cr_assert_not_null(strstr(text.start, "lag       130 records"), "%s", text.start);
    cr_assert_not_null(strstr(text.start, "Kafka 2 of 2, Redis 0 of 2, way out 0 of 2"), "%s", text.start);
    cr_assert_null(strchr(text.start, '\x1b'));
}

Test(top_view, orders_the_copies_as_asked)
{
    static const char *const first[TOP_ORDERS] = { "a:1", "b:2", "a:1", "a:1", "a:1" };
    for (int order = 0; order < TOP_ORDERS; order++) {
        view.order = (enum top_order)order;
        text_clear(&text);
        top_view_append(&view, &text);
        const char *rows = strstr(text.start, "COPY");
        cr_assert_eq(strncmp(strchr(rows, '\n') + 1, first[order], 3), 0, "%s: %s", top_order_name(view.order), rows);
    }
}

Test(top_view, one_that_does_not_answer_says_why_and_counts_for_nothing)
{
    copies[1].answers = false;
    snprintf(copies[1].problem, sizeof(copies[1].problem), "nobody answers there");
    top_view_append(&view, &text);
    cr_assert_not_null(strstr(text.start, "events    1,000/s taken up"));
    cr_assert_not_null(strstr(text.start, "b:2                      nobody answers there\n"), "%s", text.start);
}

Test(top_view, fits_a_narrow_terminal)
{
    view.columns = 40;
    top_view_append(&view, &text);
    size_t columns = 0;
    for (size_t i = 0; i < text.length; i++) {
        columns = text.start[i] == '\n' ? 0 : columns + ((text.start[i] & 0xc0) != 0x80);
        cr_assert_leq(columns, 40, "%s", text.start);
    }
}
