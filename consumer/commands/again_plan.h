/* Whether a record may be delivered again, in which replay epoch, and where to (DESIGN §5, "Replay"). Pure. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_AGAIN_PLAN_H
#define JOBHOOK_CONSUMER_COMMANDS_AGAIN_PLAN_H

#include "consumer/commands/entry.h"
#include "dedupe/lookup.h"

enum { AGAIN_REWRITES_MAX = 16 };

enum again_state { AGAIN_ANY_STATE, AGAIN_DELIVERED, AGAIN_SCHEDULED, AGAIN_DEAD };

struct again_rewrites {
    struct {
        struct slice from, to;
    } items[AGAIN_REWRITES_MAX];
    size_t count;
};

/* "https://old.example.com=https://new.example.com": beginnings of URLs. On false `*problem` is a fixed sentence. */
MUST_USE bool again_add_rewrite(struct again_rewrites *rewrites, const char *written, const char **problem);
/* Appends what the first rewrite that fits makes of the URL; false: none fits. */
MUST_USE bool again_rewrite(const struct again_rewrites *rewrites, struct slice url, struct text *text);

enum again_verdict {
    AGAIN_SEND,
    AGAIN_SENT, /* an interrupted run has sent it, and a worker has taken it up */
    AGAIN_PASS, /* not in the state that was asked for */
    /* Refused: */
    AGAIN_UNREADABLE,
    AGAIN_MALFORMED,
    AGAIN_SHORTENED,
    AGAIN_NOWHERE,
    AGAIN_BLOCKED,
    AGAIN_REPLAYED,
    AGAIN_DELIVERED_ALREADY,
    AGAIN_CONFLICT,
    AGAIN_BAD_HEADERS,
    AGAIN_UNDER_WAY,
    AGAIN_ANOTHER_RECORD,
    AGAIN_UNKNOWN,
    AGAIN_TOO_MANY,
    AGAIN_VERDICTS,
};

const char *again_verdict_name(enum again_verdict verdict);     /* for the summary: "already replayed" */
const char *again_verdict_sentence(enum again_verdict verdict); /* why, and what to do */

struct again_asked {
    const struct entry *entry;
    const struct lookup_answer *answer; /* never LOOKUP_AWAY */
    const struct guard *guard;
    struct slice url; /* where it would go */
    bool is_rewritten;
    bool resend; /* of an input record; else the replay of a dead letter */
    bool force;
    bool is_planned; /* an interrupted run has planned it, in `planned_epoch` */
    uint32_t planned_epoch;
    enum again_state state;
};

struct again_plan {
    enum again_verdict verdict;
    uint32_t epoch; /* with AGAIN_SEND and AGAIN_SENT */
};

struct again_plan again_judge(const struct again_asked *asked);

#endif
