#include "consumer/commands/top_view.h"

#include "consumer/commands/shown.h"
#include "consumer/commands/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 1024, NAME_COLUMNS = 24, LABEL_COLUMNS = 10, OUTCOMES_SHOWN = 8, OUTCOMES_MAX = 64, LABEL_BYTES = 48 };

const char *top_order_name(enum top_order order)
{
    static const char *const names[TOP_ORDERS] = { "name", "events", "posts", "lag", "latency" };
    return names[order];
}

/* ---- figures ---- */

static double rate_of(const struct top_copy *copy, const char *name, const char *label)
{
    if (!copy->answers || copy->seconds <= 0)
        return 0;
    double rate = (scrape_sum(&copy->now, name, label) - scrape_sum(&copy->before, name, label)) / copy->seconds;
    return rate < 0 ? 0 : rate; /* it began anew */
}

static double sum_rates(const struct top_view *view, const char *name, const char *label)
{
    double sum = 0;
    for (size_t i = 0; i < view->count; i++)
        sum += rate_of(&view->copies[i], name, label);
    return sum;
}

static double sum_now(const struct top_view *view, const char *name, const char *label)
{
    double sum = 0;
    for (size_t i = 0; i < view->count; i++)
        if (view->copies[i].answers)
            sum += scrape_sum(&view->copies[i].now, name, label);
    return sum;
}

static double latency_of(const struct top_copy *copy, double quantile)
{
    return copy->answers && copy->seconds > 0 ? scrape_quantile(&copy->before, &copy->now, "jobhook_delivery_latency_seconds", quantile) : -1;
}

/* The worst copy's: quantiles of several cannot be added up. */
static double worst_latency(const struct top_view *view, double quantile)
{
    double worst = -1;
    for (size_t i = 0; i < view->count; i++) {
        double latency = latency_of(&view->copies[i], quantile);
        worst = latency > worst ? latency : worst;
    }
    return worst;
}

static double oldest_age(const struct top_view *view)
{
    double oldest = 0;
    for (size_t i = 0; i < view->count; i++) {
        double age = view->copies[i].answers ? scrape_sum(&view->copies[i].now, "jobhook_oldest_undelivered_age_seconds", NULL) : 0;
        oldest = age > oldest ? age : oldest;
    }
    return oldest;
}

/* ---- words ---- */

static void append_number(struct text *text, double number)
{
    if (number > 0 && number < 10 && number != (double)(uint64_t)number)
        text_printf(text, "%.1f", number);
    else
        tally_append_number(text, number <= 0 ? 0 : (uint64_t)(number + 0.5));
}

static void append_seconds(struct text *text, double seconds)
{
    if (seconds < 0)
        text_append_char(text, '-');
    else if (seconds > 1e9)
        text_append_string(text, ">60 s"); /* beyond the last bound */
    else if (seconds < 1)
        text_printf(text, "%.0f ms", seconds * 1000);
    else
        text_printf(text, "%.1f s", seconds);
}

struct part { /* "1,200/s delivered" */
    double number;
    const char *unit;
};

static void append_parts(struct text *text, const struct part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        text_append_string(text, i == 0 ? "" : ", ");
        append_number(text, parts[i].number);
        text_append_string(text, parts[i].unit);
    }
}

static void end_line(const struct top_view *view, struct text *line, struct text *text)
{
    if (view->columns > 0)
        shown_append(text, text_slice(line), view->columns);
    else
        text_append(text, text_slice(line));
    text_append_char(text, '\n');
    text_clear(line);
}

static void begin_line(struct text *line, const char *label)
{
    text_printf(line, "%-*s", LABEL_COLUMNS, label);
}

/* ---- lines ---- */

static void append_rates(const struct top_view *view, struct text *line)
{
    static const char settled[] = "jobhook_events_settled_total";
    const struct part parts[] = { { sum_rates(view, "jobhook_events_total", NULL), "/s taken up" },
                                  { sum_rates(view, settled, "result=\"delivered\""), "/s delivered" },
                                  { sum_rates(view, settled, "result=\"scheduled\""), "/s to be retried" },
                                  { sum_rates(view, settled, "result=\"deferred\""), "/s deferred" },
                                  { sum_rates(view, settled, "result=\"dead\""), "/s dead" } };
    begin_line(line, "events");
    append_parts(line, parts, COUNT_OF(parts));
}

static void append_lag(const struct top_view *view, struct text *line)
{
    const struct part parts[] = { { sum_now(view, "jobhook_consumer_lag", NULL), " records" },
                                  { sum_now(view, "jobhook_retry_records", "state=\"due\""), " of them retries that are due" },
                                  { sum_now(view, "jobhook_retry_records", "state=\"not_due\""), " not due" } };
    begin_line(line, "lag");
    append_parts(line, parts, COUNT_OF(parts));
    text_append_string(line, ", the oldest ");
    append_seconds(line, oldest_age(view));
}

static void append_latency(const struct top_view *view, struct text *line)
{
    static const double quantiles[] = { 0.5, 0.95, 0.99 };
    begin_line(line, "latency");
    for (size_t i = 0; i < COUNT_OF(quantiles); i++) {
        text_printf(line, "%sp%.0f ≤ ", i == 0 ? "" : ", ", quantiles[i] * 100);
        append_seconds(line, worst_latency(view, quantiles[i]));
    }
    text_append_string(line, view->count > 1 ? " (of the slowest copy)" : "");
}

static void append_sending(const struct top_view *view, struct text *line)
{
    const struct part parts[] = { { sum_rates(view, "jobhook_posts_total", NULL), "/s POSTs" },
                                  { sum_now(view, "jobhook_in_flight", NULL), " in flight" },
                                  { sum_now(view, "jobhook_held_events", NULL), " events held" },
                                  { sum_now(view, "jobhook_endpoints", NULL), " endpoints" },
                                  { sum_now(view, "jobhook_endpoints_resting", NULL), " resting" } };
    begin_line(line, "sending");
    append_parts(line, parts, COUNT_OF(parts));
}

struct outcome_rate {
    char label[LABEL_BYTES];
    double rate;
};

static int compare_rates(const void *a, const void *b)
{
    const struct outcome_rate *one = a, *other = b;
    return one->rate < other->rate ? 1 : one->rate > other->rate ? -1 : strcmp(one->label, other->label);
}

/* The labels that the first copy that answers has: all copies have the same. */
static size_t find_outcomes(const struct top_view *view, struct outcome_rate found[OUTCOMES_MAX])
{
    size_t used = 0;
    for (size_t i = 0; i < view->count && used == 0; i++)
        for (size_t j = 0; view->copies[i].answers && j < view->copies[i].now.count && used < OUTCOMES_MAX; j++) {
            const struct scrape_line *line = &view->copies[i].now.lines[j];
            if (slice_is(line->name, "jobhook_attempts_total") && line->labels.length < LABEL_BYTES)
                snprintf(found[used++].label, LABEL_BYTES, SLICE_FORMAT, SLICE_ARGS(line->labels));
        }
    for (size_t i = 0; i < used; i++)
        found[i].rate = sum_rates(view, "jobhook_attempts_total", found[i].label);
    qsort(found, used, sizeof(*found), compare_rates);
    return used;
}

static void append_outcomes(const struct top_view *view, struct text *line)
{
    struct outcome_rate found[OUTCOMES_MAX] = { 0 };
    size_t count = find_outcomes(view, found);
    begin_line(line, "outcomes");
    for (size_t i = 0; i < count && i < OUTCOMES_SHOWN && found[i].rate > 0; i++) {
        const char *name = strchr(found[i].label, '"');
        text_append_string(line, i == 0 ? "" : ", ");
        append_number(line, found[i].rate);
        text_append_string(line, "/s ");
        shown_append(line, name == NULL ? SLICE("?") : (struct slice){ name + 1, strcspn(name + 1, "\"") }, LABEL_BYTES);
    }
    if (count == 0 || found[0].rate <= 0)
        text_append_string(line, "none");
}

static void append_neighbours(const struct top_view *view, struct text *line)
{
    static const struct {
        const char *metric, *name;
    } neighbours[] = { { "jobhook_kafka_up", "Kafka" }, { "jobhook_redis_up", "Redis" }, { "jobhook_egress_up", "way out" } };
    begin_line(line, "up");
    for (size_t i = 0; i < COUNT_OF(neighbours); i++) {
        size_t up = 0;
        for (size_t j = 0; j < view->count; j++)
            up += view->copies[j].answers && scrape_has(&view->copies[j].now, neighbours[i].metric) &&
                  scrape_sum(&view->copies[j].now, neighbours[i].metric, NULL) > 0;
        text_printf(line, "%s%s %zu of %zu", i == 0 ? "" : ", ", neighbours[i].name, up, view->count);
    }
    text_append_string(line, ", Redis p99 ≤ ");
    double worst = -1;
    for (size_t j = 0; j < view->count; j++) {
        const struct top_copy *copy = &view->copies[j];
        double duration =
            copy->answers && copy->seconds > 0 ? scrape_quantile(&copy->before, &copy->now, "jobhook_redis_duration_seconds", 0.99) : -1;
        worst = duration > worst ? duration : worst;
    }
    append_seconds(line, worst);
}

/* ---- copies ---- */

static double weight_of(const struct top_copy *copy, enum top_order order)
{
    switch (order) {
    case TOP_BY_EVENTS:
        return rate_of(copy, "jobhook_events_total", NULL);
    case TOP_BY_POSTS:
        return rate_of(copy, "jobhook_posts_total", NULL);
    case TOP_BY_LAG:
        return copy->answers ? scrape_sum(&copy->now, "jobhook_consumer_lag", NULL) : -1;
    case TOP_BY_LATENCY:
        return latency_of(copy, 0.99);
    case TOP_BY_NAME:
    case TOP_ORDERS:
        break;
    }
    return 0;
}

static bool comes_before(const struct top_copy *one, const struct top_copy *other, enum top_order order)
{
    double a = weight_of(one, order), b = weight_of(other, order);
    return a != b ? a > b : strcmp(one->address, other->address) < 0;
}

static void append_number_cell(struct text *line, double number)
{
    struct text cell;
    text_init(&cell, LABEL_BYTES);
    append_number(&cell, number);
    text_printf(line, " %9s", cell.start);
    text_finish(&cell);
}

static void append_copy(const struct top_view *view, const struct top_copy *copy, struct text *line)
{
    (void)view;
    shown_append_cell(line, slice_of(copy->address), NAME_COLUMNS);
    if (!copy->answers) {
        text_append_char(line, ' ');
        text_append_string(line, copy->problem);
        return;
    }
    append_number_cell(line, rate_of(copy, "jobhook_events_total", NULL));
    append_number_cell(line, rate_of(copy, "jobhook_posts_total", NULL));
    append_number_cell(line, scrape_sum(&copy->now, "jobhook_in_flight", NULL));
    append_number_cell(line, scrape_sum(&copy->now, "jobhook_held_events", NULL));
    append_number_cell(line, scrape_sum(&copy->now, "jobhook_consumer_lag", NULL));
    text_append_string(line, "   ");
    append_seconds(line, latency_of(copy, 0.99));
}

static void append_copies(const struct top_view *view, struct text *line, struct text *text)
{
    size_t order[TOP_COPIES_MAX];
    for (size_t i = 0; i < view->count; i++) {
        size_t at = i;
        for (; at > 0 && comes_before(&view->copies[i], &view->copies[order[at - 1]], view->order); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    text_printf(line, "%-*s %9s %9s %9s %9s %9s   %s", NAME_COLUMNS, "COPY", "EVENTS/s", "POSTS/s", "IN FLIGHT", "HELD", "LAG", "p99");
    text_append_string(text, view->bold ? "\033[1m" : "");
    end_line(view, line, text);
    text_append_string(text, view->bold ? "\033[0m" : "");
    for (size_t i = 0; i < view->count; i++) {
        append_copy(view, &view->copies[order[i]], line);
        end_line(view, line, text);
    }
}

void top_view_append(const struct top_view *view, struct text *text)
{
    static void (*const lines[])(const struct top_view *, struct text *) = { append_rates,   append_sending, append_outcomes,
                                                                             append_latency, append_lag,     append_neighbours };
    struct text line;
    text_init(&line, LINE_BYTES);
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        lines[i](view, &line);
        end_line(view, &line, text);
    }
    text_append_char(text, '\n');
    append_copies(view, &line, text);
    if (view->endpoints != NULL) {
        text_append_char(text, '\n');
        top_endpoints_append(&(struct top_endpoints){ text_slice(view->endpoints), view->endpoints_order, view->endpoints_keys, view->columns },
                             text);
        if (view->endpoints_problem[0] != '\0') {
            text_printf(&line, "not of %s", view->endpoints_problem);
            end_line(view, &line, text);
        }
    }
    text_finish(&line);
}
