/* The checkpoint of a run that delivers many records again: how far it came, and which epochs it has given out (DESIGN §5, "Replay").
 *
 * One small file that always holds one whole state: it is written beside, flushed to the disk, and renamed. It is written before records are produced,
 * with the epoch of each, so that a run that goes on produces the same records again, which their claims absorb. Two runs never share one: it is locked.
 * Reading and writing the text is pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_CHECKPOINT_H
#define JOBHOOK_CONSUMER_COMMANDS_CHECKPOINT_H

#include "consumer/commands/search.h"

#include <stdbool.h>

enum { CHECKPOINT_BYTES_MAX = 64 * 1024 * 1024, CHECKPOINT_PARTITIONS_MAX = 100000, CHECKPOINT_PLANS_MAX = 100000 };

struct checkpoint_plan {
    int32_t partition;
    int64_t offset;
    uint32_t epoch;
};

struct checkpoint {
    char *identity;             /* what the run was asked for, in its words */
    int64_t since_ms, until_ms; /* what its moments were */
    uint64_t sent, refused;
    uint64_t followed, followed_bytes; /* tasks in the file beside it that --wait follows, and how much of that file counts */
    struct search_range *left;         /* of each partition, from 0 */
    size_t partitions;
    struct checkpoint_plan *plans; /* given out, perhaps not produced: behind `left` */
    size_t plan_count;
};

void checkpoint_write(const struct checkpoint *checkpoint, struct text *text);
/* On false `*problem` is a fixed sentence, and nothing needs to be finished. */
MUST_USE bool checkpoint_read(struct slice bytes, struct checkpoint *checkpoint, const char **problem);
void checkpoint_finish(struct checkpoint *checkpoint); /* takes a zeroed one, too */
/* NULL: no epoch was given out for that record. */
const struct checkpoint_plan *checkpoint_find(const struct checkpoint *checkpoint, int32_t partition, int64_t offset);

/* ---- the file ---- */

struct checkpoint_file {
    char *path;
    int descriptor; /* locked */
};

enum checkpoint_found { CHECKPOINT_FRESH, CHECKPOINT_GOES_ON, CHECKPOINT_FAILED };

/* Opens or makes it. CHECKPOINT_GOES_ON: `checkpoint` holds what a run left. CHECKPOINT_FAILED: `problem` says why. */
enum checkpoint_found checkpoint_open(struct checkpoint_file *file, const char *path, struct checkpoint *checkpoint, struct text *problem);
/* False: it could not be written, `problem` says why; the old state stands. */
MUST_USE bool checkpoint_save(struct checkpoint_file *file, const struct checkpoint *checkpoint, struct text *problem);
/* Closes; `finished`: removes it, too. */
void checkpoint_close(struct checkpoint_file *file, bool finished);

#endif
