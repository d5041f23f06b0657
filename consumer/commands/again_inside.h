/* What the again*.c files share: one run. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_AGAIN_INSIDE_H
#define JOBHOOK_CONSUMER_COMMANDS_AGAIN_INSIDE_H

#include "consumer/commands/again.h"
#include "consumer/commands/checkpoint.h"
#include "consumer/commands/neighbours.h"
#include "consumer/commands/progress.h"

#include <stdio.h>

enum { AGAIN_BATCH_MAX = 5000, AGAIN_BATCH_BYTES_MAX = 32 * 1024 * 1024, AGAIN_TOPIC_BYTES = ATTEMPT_TOPIC_MAX + 32 };

struct again;

struct again_item { /* one record of the batch in hand */
    struct again *again;
    struct entry entry;
    struct lookup_answer answer;
    struct again_plan plan;
    struct text url; /* rewritten; empty: it is not */
    bool refused;    /* by Kafka: nothing of it went out */
};

struct again {
    struct again_options *options;
    const struct settings *settings;
    struct search *search;
    bool resend;
    struct neighbours *neighbours;
    struct outbox *outbox;
    char retry_topic[AGAIN_TOPIC_BYTES];
    uint64_t delay_ms;
    int64_t redis_ahead_ms; /* Redis's clock minus ours */

    struct checkpoint_file file;
    struct checkpoint before; /* what an interrupted run left */
    struct checkpoint now;    /* its plans are those of the batch in hand, and those of `before` that are still ahead */
    bool begun;               /* `now.left` is known */
    bool saved;

    struct again_item items[AGAIN_BATCH_MAX];
    size_t count, bytes;
    uint64_t taken; /* records of all batches */
    size_t open;    /* produced, not acknowledged */

    uint64_t verdicts[AGAIN_VERDICTS];
    uint64_t failed; /* too large for the retry topic */
    uint64_t told;   /* refusals that were printed */
    uint64_t sent_ms, sent_in_window;
    struct progress progress;
    FILE *watched; /* what was sent: tasks and their epochs; beside the checkpoint, so that --wait follows what an interrupted run sent, too */
    char *watched_path;
    uint64_t watched_count;
};

/* Signals: true once SIGINT or SIGTERM came; the run then ends behind the batch in hand. */
bool again_is_interrupted(void);
void again_show_progress(struct again *again);

/* again_produce.c: gives out what was judged good, and waits until it is acknowledged. */
void again_produce(struct again *again);

/* again_watch.c: opens the file of what was sent, cut to what the checkpoint counts; makes it durable before a checkpoint that counts it; notes a task;
 * follows all of them to their end, false: some are dead again, or it was interrupted. */
MUST_USE bool again_watch_open(struct again *again);
MUST_USE bool again_watch_save(struct again *again);
void again_watch_close(struct again *again, bool finished); /* `finished`: removes it; what is open can be followed still */
MUST_USE bool again_watch(struct again *again, const struct again_item *item);
MUST_USE bool again_follow(struct again *again);

/* again_report.c */
void again_report_item(struct again *again, const struct again_item *item);
void again_report_end(struct again *again);
bool again_fail(const struct again *again, const char *subject, const char *problem); /* prints; false */
uint64_t again_refused(const struct again *again);
uint64_t again_missing(const struct again *again); /* places that were named, and hold no such record */

#endif
