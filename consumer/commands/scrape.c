#include "consumer/commands/scrape.h"

#include "consumer/base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MAX = 256, NUMBER_BYTES = 64, NAME_BYTES = 256 };

/* strtod takes more than the format allows, and reads to a NUL: a copy of at most so many bytes. */
static bool read_number(struct slice text, double *value)
{
    char copy[NUMBER_BYTES], *end;
    if (text.length == 0 || text.length >= sizeof(copy))
        return false;
    memcpy(copy, text.start, text.length);
    copy[text.length] = '\0';
    *value = strtod(copy, &end);
    return *end == '\0' && !isnan(*value);
}

static bool read_line(struct slice text, struct scrape_line *line)
{
    const char *space = text.length == 0 ? NULL : memrchr(text.start, ' ', text.length);
    if (space == NULL || text.start[0] == '#')
        return false;
    struct slice number = { space + 1, (size_t)(text.start + text.length - space - 1) }, name = { text.start, (size_t)(space - text.start) };
    *line = (struct scrape_line){ .name = name };
    const char *brace = memchr(name.start, '{', name.length);
    if (brace != NULL && name.start[name.length - 1] == '}') {
        line->name.length = (size_t)(brace - name.start);
        line->labels = (struct slice){ brace + 1, name.length - line->name.length - 2 };
    }
    return line->name.length > 0 && read_number(number, &line->value);
}

void scrape_read(struct scrape *scrape, struct text *page)
{
    *scrape = (struct scrape){ .page = *page };
    *page = (struct text){ 0 };
    size_t room = 0;
    for (size_t at = 0; at < scrape->page.length && scrape->count < SCRAPE_LINES_MAX;) {
        const char *start = scrape->page.start + at, *end = memchr(start, '\n', scrape->page.length - at);
        struct slice text = { start, end == NULL ? scrape->page.length - at : (size_t)(end - start) };
        at += text.length + 1;
        if (scrape->count == room) {
            room = room == 0 ? 256 : room * 2;
            scrape->lines = memory_resize(scrape->lines, room * sizeof(*scrape->lines));
        }
        scrape->count += read_line(text, &scrape->lines[scrape->count]);
    }
}

void scrape_finish(struct scrape *scrape)
{
    free(scrape->lines);
    text_finish(&scrape->page);
    *scrape = (struct scrape){ 0 };
}

static bool has_label(struct slice labels, const char *label)
{
    return label == NULL || (labels.length > 0 && memmem(labels.start, labels.length, label, strlen(label)) != NULL);
}

double scrape_sum(const struct scrape *scrape, const char *name, const char *label)
{
    double sum = 0;
    for (size_t i = 0; i < scrape->count; i++)
        if (slice_is(scrape->lines[i].name, name) && has_label(scrape->lines[i].labels, label))
            sum += scrape->lines[i].value;
    return sum;
}

bool scrape_has(const struct scrape *scrape, const char *name)
{
    for (size_t i = 0; i < scrape->count; i++)
        if (slice_is(scrape->lines[i].name, name))
            return true;
    return false;
}

/* Bounds come in the same order at every reading, and cumulative. */
static double bound_of(struct slice labels)
{
    const char *le = labels.length == 0 ? NULL : memmem(labels.start, labels.length, "le=\"", 4);
    double bound;
    if (le == NULL)
        return -1;
    le += 4;
    const char *end = memchr(le, '"', (size_t)(labels.start + labels.length - le));
    if (end == NULL || !read_number((struct slice){ le, (size_t)(end - le) }, &bound))
        return -1;
    return bound;
}

double scrape_quantile(const struct scrape *before, const struct scrape *now, const char *name, double quantile)
{
    double bounds[BUCKETS_MAX], counts[BUCKETS_MAX];
    size_t used = 0;
    char buckets[NAME_BYTES];
    snprintf(buckets, sizeof(buckets), "%s_bucket", name);
    for (int reading = 0; reading < 2; reading++) {
        const struct scrape *scrape = reading == 0 ? now : before;
        size_t at = 0;
        for (size_t i = 0; i < scrape->count && at < BUCKETS_MAX; i++) {
            if (!slice_is(scrape->lines[i].name, buckets))
                continue;
            double sign = reading == 0 ? 1 : -1;
            counts[at] = (reading == 0 ? 0 : counts[at]) + sign * scrape->lines[i].value;
            bounds[at++] = bound_of(scrape->lines[i].labels);
        }
        if (reading == 0)
            used = at;
        else if (at != used && at != 0)
            return -1; /* another program by now */
    }
    if (used == 0 || counts[used - 1] <= 0)
        return -1;
    for (size_t i = 0; i < used; i++)
        if (counts[i] >= quantile * counts[used - 1])
            return bounds[i];
    return -1;
}
