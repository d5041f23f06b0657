/* Files that are read again when they change: keys, lists and certificates that are exchanged while the service runs.
 *
 * Each file is looked at once a second by its path, so that a symbolic link that is pointed elsewhere (as Kubernetes exchanges the files of a Secret)
 * counts as a change like a rewritten file does. Its owner takes the new content, or says what is wrong with it: then everything stays as it was, the
 * log says so once for each content, and `successful` is 0 until the file is in order again. A content is taken when two looks in a row found the
 * file alike, so that none is taken that is being written.
 *
 * One loop, one thread, which may be held up by a file system that hangs: not that of a worker. */
#ifndef JOBHOOK_CONSUMER_RELOAD_H
#define JOBHOOK_CONSUMER_RELOAD_H

#include "consumer/base/measure.h"
#include "consumer/base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct uv_loop_s;
struct reload;

enum { RELOAD_EVERY_MS = 1000, RELOAD_FILES_MAX = 8 };

struct reload_file {     /* the strings outlive the reload */
    const char *setting; /* for the log */
    const char *path;
    /* The content, without one newline at its end. It is wiped afterwards. May be told the same content twice. On false `problem` holds a sentence
     * that reveals nothing of it. */
    bool (*take)(void *context, struct slice content, struct text *problem);
    void *context;
};

struct reload_stats {
    struct gauge successful; /* 1; 0 while what some file holds now is not what is used */
};

struct reload *reload_create(struct uv_loop_s *loop);
/* Frees in a later turn of the loop. Takes NULL. */
void reload_destroy(struct reload *reload);
/* Looks at the file at once, and silently: a change since it was read at the start is not lost. What is no regular file is left alone. */
void reload_add(struct reload *reload, const struct reload_file *file);
/* Looks at all files now: what the timer does. */
void reload_look(struct reload *reload);
const struct reload_stats *reload_stats(const struct reload *reload);

#endif
