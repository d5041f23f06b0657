/* --wait: the tasks that were sent lie in a file without a name, and are asked about in turn until each has come to an end. */
#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/base/moment.h"
#include "consumer/commands/again_inside.h"
#include "consumer/commands/tally.h"
#include "delivery/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND_EVERY_MS = 500, PART = 1000, TURN_MS = 50, SUMMARY_BYTES = 1024 };

struct watched {
    uint32_t epoch, length;
};

struct follow {
    struct again *again;
    FILE *rest; /* those that have not ended */
    uint64_t open, delivered, dead;
    struct watched heads[PART];
    char ids[PART][EVENT_TASK_ID_MAX];
    struct slice slices[PART];
    struct lookup_answer answers[PART];
};

static bool write_one(FILE *file, uint32_t epoch, struct slice id)
{
    struct watched head = { epoch, (uint32_t)id.length };
    return fwrite(&head, sizeof(head), 1, file) == 1 && fwrite(id.start, 1, id.length, file) == id.length;
}

bool again_watch(struct again *again, const struct again_item *item)
{
    if (again->watched == NULL && (again->watched = tmpfile()) == NULL)
        return again_fail(again, "a temporary file for --wait", strerror(errno));
    again->watched_count++;
    return write_one(again->watched, item->plan.epoch, item->entry.event->task_id) ||
           again_fail(again, "a temporary file for --wait", strerror(errno));
}

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

/* Delivered or dead in that epoch, or in a later one already. */
static bool has_ended(struct follow *follow, size_t at)
{
    const struct lookup_answer *answer = &follow->answers[at];
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
        if (!write_one(follow->rest, follow->heads[i].epoch, follow->slices[i]))
            return again_fail(follow->again, "a temporary file for --wait", strerror(errno));
    }
    return true;
}

static bool ask_all(struct follow *follow)
{
    size_t count;
    follow->open = 0;
    follow->rest = tmpfile();
    if (follow->rest == NULL)
        return again_fail(follow->again, "a temporary file for --wait", strerror(errno));
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
    fine = fine && follow->open == 0 && follow->dead == 0;
    free(follow);
    return fine;
}
