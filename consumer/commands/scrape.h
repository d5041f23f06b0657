/* One reading of a copy's /metrics: names with their labels, and numbers. Pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_SCRAPE_H
#define JOBHOOK_CONSUMER_COMMANDS_SCRAPE_H

#include "consumer/base/text.h"

#include <stdbool.h>

enum { SCRAPE_LINES_MAX = 100000, SCRAPE_BYTES_MAX = 64 * 1024 * 1024 };

struct scrape_line {
    struct slice name, labels; /* labels: as they stand between the braces */
    double value;
};

struct scrape {
    struct text page; /* what the lines point into */
    struct scrape_line *lines;
    size_t count;
};

/* Takes the page over. What is no line of Prometheus's text format is left out. */
void scrape_read(struct scrape *scrape, struct text *page);
void scrape_finish(struct scrape *scrape); /* takes a zeroed one, too */

/* The sum over all lines of that name that have that label ("result=\"delivered\""; NULL: any); 0 when there is none. */
double scrape_sum(const struct scrape *scrape, const char *name, const char *label);
bool scrape_has(const struct scrape *scrape, const char *name);
/* The quantile (0 to 1) of what a histogram counted between two readings, in seconds: the bound of the bucket that holds it; negative: nothing was. */
double scrape_quantile(const struct scrape *before, const struct scrape *now, const char *name, double quantile);

#endif
