#include "consumer/reload.h"

#include "consumer/base/clock.h"
#include "consumer/base/hash.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/base/random.h"
#include "consumer/base/stamp.h"
#include "consumer/content.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    PROBLEM_BYTES_MAX = 1000,
    YOUNG_MS = 2000, /* a file changed so recently may change again without its times showing it */
};

struct watched {
    struct reload_file file;
    struct stamp seen;  /* at the last look */
    struct stamp stamp; /* when it was read */
    bool settled;       /* nothing can have changed as long as the stamp is the same */
    bool judged;        /* `digest` is that of the content that was taken or refused last */
    uint64_t digest;    /* keyed, of a content that may be a secret */
    bool failed;
    char problem[PROBLEM_BYTES_MAX + 1]; /* that was logged; "" none */
};

struct reload {
    uv_timer_t timer;
    struct hash_key hash_key;
    struct reload_stats stats;
    size_t count;
    struct watched files[RELOAD_FILES_MAX];
};

/* ---- what became of a file ---- */

static void show(struct reload *reload)
{
    bool successful = true;
    for (size_t i = 0; i < reload->count; i++)
        successful = successful && !reload->files[i].failed;
    gauge_set(&reload->stats.successful, successful);
}

/* What goes on is told once. */
static void note_failed(struct watched *watched, const struct text *problem)
{
    const char *sentence = problem->length > 0 ? problem->start : "is not taken";
    watched->failed = true;
    if (strcmp(watched->problem, sentence) == 0)
        return;
    log_error("a file that changed is not taken, what was read before stays in use", LOG_STRING("setting", watched->file.setting),
              LOG_STRING("file", watched->file.path), LOG_STRING("problem", sentence));
    snprintf(watched->problem, sizeof(watched->problem), "%s", sentence);
}

static void note_taken(struct watched *watched, bool first_look)
{
    watched->failed = false;
    if (!first_look)
        log_info("read again", LOG_STRING("setting", watched->file.setting), LOG_STRING("file", watched->file.path));
}

/* ---- looking ---- */

static bool is_young(const struct stamp *stamp)
{
    int64_t changed_ms = (int64_t)stamp->changed.tv_sec * 1000 + stamp->changed.tv_nsec / 1000000;
    return clock_wall_ms() - changed_ms < YOUNG_MS;
}

static void judge(struct reload *reload, struct watched *watched, struct slice content, struct text *problem)
{
    uint64_t digest = hash_slice(reload->hash_key, content);
    bool first_look = !watched->judged && !watched->failed;
    if (watched->judged && digest == watched->digest)
        return;
    watched->judged = true;
    watched->digest = digest;
    watched->problem[0] = '\0';
    if (watched->file.take(watched->file.context, content, problem))
        note_taken(watched, first_look);
    else
        note_failed(watched, problem);
}

/* `stamp` is what the file was like a moment ago. */
static void read_file(struct reload *reload, struct watched *watched, const struct stamp *stamp, struct text *problem)
{
    struct stamp after;
    char *content = content_read(watched->file.path, problem);
    if (content == NULL) {
        watched->judged = false;
        note_failed(watched, problem);
    } else if (stamp_read(watched->file.path, &after) && stamp_is_same(stamp, &after)) {
        watched->stamp = *stamp;
        watched->settled = !is_young(stamp);
        judge(reload, watched, slice_of(content), problem);
    }
    content_destroy(content);
}

static void note_unreadable(struct watched *watched, struct text *problem, const char *why)
{
    watched->settled = watched->judged = false;
    text_printf(problem, "cannot be read: %s", why);
    note_failed(watched, problem);
}

/* Half a list of keys may be a list of keys, and half a key a key. Whoever writes a file in pieces does not take a whole turn for one. */
static bool is_at_rest(struct watched *watched, const struct stamp *stamp)
{
    bool at_rest = stamp_is_same(stamp, &watched->seen);
    watched->seen = *stamp;
    return at_rest;
}

static void look_at(struct reload *reload, struct watched *watched)
{
    struct text problem;
    struct stamp stamp;
    text_init(&problem, PROBLEM_BYTES_MAX);
    if (!stamp_read(watched->file.path, &stamp))
        note_unreadable(watched, &problem, strerror(errno));
    else if (!stamp_is_regular(&stamp))
        note_unreadable(watched, &problem, "no regular file"); /* opening a FIFO would wait for its writer */
    else if (is_at_rest(watched, &stamp) && (!watched->settled || !stamp_is_same(&stamp, &watched->stamp)))
        read_file(reload, watched, &stamp, &problem);
    text_finish(&problem);
}

void reload_look(struct reload *reload)
{
    for (size_t i = 0; i < reload->count; i++)
        look_at(reload, &reload->files[i]);
    show(reload);
}

/* ---- making and unmaking ---- */

static void time_to_look(uv_timer_t *timer)
{
    reload_look(timer->data);
}

struct reload *reload_create(struct uv_loop_s *loop)
{
    struct reload *reload = memory_create(sizeof(*reload));
    random_bytes(&reload->hash_key, sizeof(reload->hash_key));
    gauge_set(&reload->stats.successful, 1);
    uv_timer_init(loop, &reload->timer);
    reload->timer.data = reload;
    return reload;
}

void reload_add(struct reload *reload, const struct reload_file *file)
{
    struct stamp stamp = { 0 };
    assert(reload->count < RELOAD_FILES_MAX);
    if (stamp_read(file->path, &stamp) && !stamp_is_regular(&stamp)) {
        log_info("not read again when it changes: no regular file", LOG_STRING("setting", file->setting), LOG_STRING("file", file->path));
        return;
    }
    struct watched *watched = &reload->files[reload->count++];
    watched->file = *file;
    watched->seen = stamp; /* at once, this time */
    look_at(reload, watched);
    show(reload);
    if (!uv_is_active((uv_handle_t *)&reload->timer))
        uv_timer_start(&reload->timer, time_to_look, RELOAD_EVERY_MS, RELOAD_EVERY_MS);
}

static void closed(uv_handle_t *handle)
{
    free(handle->data);
}

void reload_destroy(struct reload *reload)
{
    if (reload != NULL)
        uv_close((uv_handle_t *)&reload->timer, closed);
}

const struct reload_stats *reload_stats(const struct reload *reload)
{
    return &reload->stats;
}
