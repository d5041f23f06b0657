/* Counts under names that are not known beforehand, in bounded memory: what comes after the last free place is counted as "(others)". Pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_TALLY_H
#define JOBHOOK_CONSUMER_COMMANDS_TALLY_H

#include "consumer/base/text.h"

enum { TALLY_NAMES_MAX = 4096 };

struct tally_name {
    char *name;
    uint64_t count;
};

struct tally {
    struct tally_name *names; /* a hash table while counting */
    size_t used;
    uint64_t others, all;
};

void tally_init(struct tally *tally);
void tally_finish(struct tally *tally);
void tally_count(struct tally *tally, struct slice name);
/* The names by count, most first, at most `most`; the rest is "(others)". Each line: the count, two spaces, the name made harmless. Ends counting. */
void tally_append(struct tally *tally, size_t most, struct text *text);

/* 1,234,567 */
void tally_append_number(struct text *text, uint64_t number);

#endif
