#include "consumer/commands/tally.h"

#include "consumer/base/hash.h"
#include "consumer/base/memory.h"
#include "consumer/commands/shown.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 2 * TALLY_NAMES_MAX, NUMBER_COLUMNS = 13, NAME_COLUMNS = 120 };

void tally_init(struct tally *tally)
{
    *tally = (struct tally){ .names = memory_create(SLOTS * sizeof(*tally->names)) };
}

void tally_finish(struct tally *tally)
{
    for (size_t i = 0; tally->names != NULL && i < SLOTS; i++)
        free(tally->names[i].name);
    free(tally->names);
    *tally = (struct tally){ 0 };
}

/* A fixed key: whoever makes its values collide slows a count down, and at most 4096 names are ever in the table. */
static size_t slot_of(struct slice name)
{
    return (size_t)(hash_slice((struct hash_key){ 0 }, name) % SLOTS);
}

void tally_count(struct tally *tally, struct slice name)
{
    tally->all++;
    size_t slot = slot_of(name);
    while (tally->names[slot].name != NULL && !slice_is(name, tally->names[slot].name))
        slot = (slot + 1) % SLOTS;
    if (tally->names[slot].name == NULL && tally->used == TALLY_NAMES_MAX) {
        tally->others++;
        return;
    }
    if (tally->names[slot].name == NULL) {
        tally->names[slot].name = memory_copy(name.start, name.length);
        tally->used++;
    }
    tally->names[slot].count++;
}

static int compare(const void *a, const void *b)
{
    const struct tally_name *one = a, *other = b;
    if (one->count != other->count)
        return one->count > other->count ? -1 : 1;
    if (one->name == NULL || other->name == NULL)
        return (one->name == NULL) - (other->name == NULL);
    return strcmp(one->name, other->name);
}

static void append_line(struct text *text, uint64_t count, struct slice name)
{
    struct text number;
    text_init(&number, 64);
    tally_append_number(&number, count);
    text_printf(text, "%*s  ", NUMBER_COLUMNS, number.start);
    shown_append(text, name.length > 0 ? name : SLICE("-"), NAME_COLUMNS);
    text_append_char(text, '\n');
    text_finish(&number);
}

void tally_append(struct tally *tally, size_t most, struct text *text)
{
    uint64_t shown = 0;
    qsort(tally->names, SLOTS, sizeof(*tally->names), compare);
    for (size_t i = 0; i < tally->used && i < most; i++) {
        append_line(text, tally->names[i].count, slice_of(tally->names[i].name));
        shown += tally->names[i].count;
    }
    if (shown < tally->all)
        append_line(text, tally->all - shown, SLICE("(others)"));
}

void tally_append_number(struct text *text, uint64_t number)
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text_append_char(text, ',');
        text_append_char(text, digits[i]);
    }
}
