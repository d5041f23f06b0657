/* What Redis's errors and its INFO mean for the connection. Tables; pure. */
#ifndef JOBHOOK_DEDUPE_REDIS_JUDGE_H
#define JOBHOOK_DEDUPE_REDIS_JUDGE_H

#include "consumer/base/text.h"

enum redis_meaning {
    REDIS_MEANS_TROUBLE,     /* this call failed, and the next may: the connection stays */
    REDIS_MEANS_LOAD_SCRIPT, /* the script is not there (any more) */
    REDIS_MEANS_GONE,        /* this server is of no use at the moment: connect anew, perhaps to its successor */
    REDIS_MEANS_REFUSED,     /* somebody has to change a setting: `cure` */
};

struct redis_error {
    enum redis_meaning meaning;
    struct slice word; /* the class: the first word, or what an ERR turns out to be (Redis 6 says so only inside, for a script's errors) */
    const char *cure;  /* NULL: none known */
};

struct redis_error redis_judge_error(struct slice text);

struct redis_info {
    const char *gone;    /* why this server is of no use at the moment; NULL: it is */
    const char *refused; /* why it never will be; NULL: it is */
    const char *cure;
    struct slice version; /* into the text; empty when unknown */
    struct slice policy;  /* maxmemory-policy, likewise */
};

struct redis_info redis_judge_info(struct slice text);
/* The value of the line `name:value` of an INFO; empty when there is none. */
struct slice redis_info_value(struct slice text, const char *name);

#endif
