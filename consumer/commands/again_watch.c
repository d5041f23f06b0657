/* --wait: the tasks that were sent lie in a file, and are asked about in turn until each has come to an end. */
#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/base/moment.h"
#include "consumer/commands/again_inside.h"
#include "consumer/commands/tally.h"
#include "delivery/event.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUND_EVERY_MS = 500, PART = 1000, TURN_MS = 50, SUMMARY_BYTES = 1024 };

struct watched {
    int64_t sent_ms;
    uint32_t epoch, length;
};

struct follow {
    struct again *again;
    FILE *rest; /* those that have not ended */
    uint64_t open, delivered, dead, forgotten;
    struct watched heads[PART];
    char ids[PART][EVENT_TASK_ID_MAX];
    struct slice slices[PART];
    struct lookup_answer answers[PART];
};

static bool fail(const struct again *again, const char *problem)
{
    return again_fail(again, again->watched_path != NULL ? again->watched_path : "a file of what was sent", problem);
}

static bool write_one(FILE *file, const struct watched *head, const char *id)
{
    return fwrite(head, sizeof(*head), 1, file) == 1 && fwrite(id, 1, head->length, file) == head->length;
}

/* ---- the file ---- */

static bool take_descriptor(struct again *again, int descriptor)
{
    struct stat status;
    bool goes_on = again->before.identity != NULL;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode) || (!goes_on && status.st_size > 0))
        return fail(again, "is no file of this run; remove it, or name another --checkpoint");
    bool whole = (uint64_t)status.st_size >= again->before.followed_bytes;
    off_t kept = whole ? (off_t)again->before.followed_bytes : 0;
    if (!whole && again->options->wait)
        fputs("what the interrupted run sent is not known any more: --wait follows only the rest\n", stderr);
    if (ftruncate(descriptor, kept) != 0 || lseek(descriptor, kept, SEEK_SET) != kept || (again->watched = fdopen(descriptor, "r+")) == NULL)
        return fail(again, strerror(errno));
    again->watched_count = whole ? again->before.followed : 0;
    return true;
}

bool again_watch_open(struct again *again)
{
    size_t size = strlen(again->file.path) + sizeof(".sent");
    again->watched_path = memory_create(size);
    snprintf(again->watched_path, size, "%s.sent", again->file.path);
    int descriptor = open(again->watched_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (descriptor >= 0 && take_descriptor(again, descriptor))
        return true;
    if (descriptor < 0)
        fail(again, strerror(errno));
    else
        close(descriptor);
    free(again->watched_path); /* not ours to remove */
    again->watched_path = NULL;
    return false;
}

bool again_watch_save(struct again *again)
{
    if (fflush(again->watched) != 0 || fdatasync(fileno(again->watched)) != 0)
        return fail(again, strerror(errno));
    again->now.followed = again->watched_count;
    again->now.followed_bytes = (uint64_t)ftello(again->watched);
    return true;
}

void again_watch_close(struct again *again, bool finished)
{
    if (finished && again->watched_path != NULL)
        unlink(again->watched_path);
    free(again->watched_path);
    again->watched_path = NULL;
}

bool again_watch(struct again *again, const struct again_item *item)
{
    const struct slice id = item->entry.event->task_id;
    const struct watched head = { clock_wall_ms() + again->redis_ahead_ms, item->plan.epoch, (uint32_t)id.length };
    again->watched_count++;
    return write_one(again->watched, &head, id.start) || fail(again, strerror(errno));
}

/* ---- following ---- */

static size_t read_part(struct follow *follow, FILE *file)
{
    size_t count = 0;
    while (count < PART && fread(&follow->heads[count], sizeof(follow->heads[count]), 1, file) == 1) {
        struct watched *head = &follow->heads[count];
        if (head->length > EVENT_TASK_ID_MAX || fread(follow->ids[count], 1, head->length, file) != head->length)
            break;
        follow->slices[count] = (struct slice){ follow->ids[count], head->length };
        count++;
    }
    return count;
}

/* Delivered or dead in that epoch, or in a later one already. One that Redis does not know may not have been taken up yet, for as long as it would be
 * remembered. */
static bool has_ended(struct follow *follow, size_t at)
{
    const struct lookup_answer *answer = &follow->answers[at];
    if (answer->result == LOOKUP_NOTHING && answer->now_ms - follow->heads[at].sent_ms > (int64_t)follow->again->settings->state_ttl_ms) {
        follow->forgotten++;
        return true;
    }
    if (answer->result != LOOKUP_FOUND || answer->record.rank < rank_dead(follow->heads[at].epoch))
        return false;
    bool dead = answer->record.rank == rank_dead(follow->heads[at].epoch);
    follow->dead += dead;
    follow->delivered += !dead;
    return true;
}

static bool ask_part(struct follow *follow, size_t count)
{
    if (!neighbours_look_up(follow->again->neighbours, follow->slices, count, follow->answers))
        return again_fail(follow->again, "", "Redis does not answer: what was sent goes its way, but nobody can tell how it ends");
    for (size_t i = 0; i < count; i++) {
        if (has_ended(follow, i))
            continue;
        follow->open++;
        if (!write_one(follow->rest, &follow->heads[i], follow->ids[i]))
            return fail(follow->again, strerror(errno));
    }
    return true;
}

static bool ask_all(struct follow *follow)
{
    size_t count;
    follow->open = 0;
    follow->rest = tmpfile();
    if (follow->rest == NULL)
        return fail(follow->again, strerror(errno));
    rewind(follow->again->watched);
    while ((count = read_part(follow, follow->again->watched)) > 0)
        if (!ask_part(follow, count))
            return false;
    fclose(follow->again->watched);
    follow->again->watched = follow->rest;
    follow->rest = NULL;
    return true;
}

static void pause_and_show(struct follow *follow)
{
    struct again *again = follow->again;
    uint64_t until_ms = clock_monotonic_ms() + ROUND_EVERY_MS;
    const struct progress_figures figures = { .count = again->watched_count - follow->open,
                                              .done = again->watched_count - follow->open,
                                              .all = again->watched_count };
    while (clock_monotonic_ms() < until_ms && !again_is_interrupted()) {
        neighbours_turn(again->neighbours, TURN_MS);
        progress_show(&again->progress, &figures);
    }
}

static void print_end(const struct follow *follow)
{
    struct text text;
    text_init(&text, SUMMARY_BYTES);
    tally_append_number(&text, follow->delivered);
    text_append_string(&text, " delivered, ");
    tally_append_number(&text, follow->dead);
    text_append_string(&text, " dead again");
    if (follow->forgotten > 0)
        text_printf(&text, ", %" PRIu64 " forgotten by now (JOBHOOK_STATE_TTL)", follow->forgotten);
    if (follow->open > 0) {
        text_append_string(&text, ", ");
        tally_append_number(&text, follow->open);
        text_append_string(&text, " still on their way when the waiting was interrupted");
    }
    printf("%s\n", text.start);
    text_finish(&text);
}

bool again_follow(struct again *again)
{
    if (again->watched == NULL)
        return true;
    struct follow *follow = memory_create(sizeof(*follow));
    bool fine;
    follow->again = again;
    progress_begin(&again->progress, "ended");
    while ((fine = ask_all(follow)) && follow->open > 0 && !again_is_interrupted())
        pause_and_show(follow);
    progress_hide(&again->progress);
    if (follow->rest != NULL)
        fclose(follow->rest);
    if (fine)
        print_end(follow);
    fine = fine && follow->open + follow->dead + follow->forgotten == 0;
    free(follow);
    return fine;
}
