#include "consumer/commands/search.h"

#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/base/moment.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/shown.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBLEM_BYTES = 512, EXPORT_COLUMNS = 64 };

#define EXPORT_HEAD "# jobhook selection of "

void search_init(struct search *search, const char *command, enum search_of of)
{
    *search = (struct search){ .command = command, .of = of };
}

void search_finish(struct search *search)
{
    topic_reader_destroy(search->reader);
    selection_finish(&search->selection);
    free(search->positions);
}

/* ---- options ---- */

static bool take_moment(const struct search *search, const char *value, int64_t *ms)
{
    return moment_parse(slice_of(value), clock_wall_ms(), ms) || command_complain(search->command, value, "what is taken is " MOMENT_ALLOWED);
}

static bool take_place(struct search *search, const char *value)
{
    struct selection_place place;
    if (!selection_parse_place(slice_of(value), &place))
        return command_complain(search->command, value, "a place is PARTITION/OFFSET, such as 3/1042");
    return selection_add_place(&search->selection, &place) || command_complain(search->command, "", "too many places");
}

/* "3/1042 1764097812345 exhausted t1": what follows the timestamp is for people. */
static bool read_export_line(char *line, struct selection_place *place)
{
    char *space = strchr(line, ' ');
    uint64_t timestamp_ms;
    if (space == NULL || !selection_parse_place((struct slice){ line, (size_t)(space - line) }, place))
        return false;
    char *time = space + 1;
    size_t length = strcspn(time, " \n");
    place->timestamp_ms = -1;
    if (length == 1 && time[0] == '-')
        return true;
    if (!slice_to_u64((struct slice){ time, length }, INT64_MAX, &timestamp_ms))
        return false;
    place->timestamp_ms = (int64_t)timestamp_ms;
    return true;
}

static bool read_export(struct search *search, FILE *file, const char *path)
{
    char *line = NULL, problem[PROBLEM_BYTES];
    size_t room = 0, number = 0;
    bool fine = true;
    search->selection.has_places = true;
    while (fine && getline(&line, &room, file) >= 0) {
        struct selection_place place;
        number++;
        if (number == 1 && strncmp(line, EXPORT_HEAD, sizeof(EXPORT_HEAD) - 1) != 0)
            fine = command_complain(search->command, path, "this is no file of `jobhook dlq list --export`: its first line is another");
        if (number == 1 && fine)
            snprintf(search->topic, sizeof(search->topic), "%.*s", (int)strcspn(line + sizeof(EXPORT_HEAD) - 1, " \n"),
                     line + sizeof(EXPORT_HEAD) - 1);
        if (!fine || line[0] == '#' || line[0] == '\n')
            continue;
        snprintf(problem, sizeof(problem), "line %zu is not PARTITION/OFFSET TIMESTAMP …", number);
        if (!read_export_line(line, &place))
            fine = command_complain(search->command, path, problem);
        else if (!selection_add_place(&search->selection, &place))
            fine = command_complain(search->command, path, "more than 4,000,000 places: split it");
    }
    if (fine && number == 0)
        fine = command_complain(search->command, path, "is empty");
    free(line);
    return fine;
}

static bool take_import(struct search *search, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return command_complain(search->command, path, strerror(errno));
    bool fine = read_export(search, file, path);
    fclose(file);
    return fine;
}

bool search_take_option(struct search *search, int option, const char *value)
{
    struct selection *selection = &search->selection;
    const char *problem;
    switch (option) {
    case SEARCH_OPTION_SINCE:
        selection->since_written = value;
        return take_moment(search, value, &selection->since_ms);
    case SEARCH_OPTION_UNTIL:
        selection->until_written = value;
        return take_moment(search, value, &selection->until_ms);
    case SEARCH_OPTION_AT:
        return take_place(search, value);
    case SEARCH_OPTION_IMPORT:
        return take_import(search, value);
    default:
        return selection_add(selection, (enum selection_kind)(option - SEARCH_OPTION_FIRST), value, &problem) ||
               command_complain(search->command, value, problem);
    }
}

/* ---- which parts of the topic ---- */

static bool add_range(struct search *search, const struct topic_range *range)
{
    char problem[PROBLEM_BYTES];
    return topic_reader_add(search->reader, search->topic, range, problem, sizeof(problem)) || command_complain(search->command, "", problem);
}

/* A place may come from a record in Redis, or from a header. */
static int64_t after(int64_t offset)
{
    return offset < INT64_MAX ? offset + 1 : INT64_MAX;
}

static bool add_ranges_of_places(struct search *search)
{
    const struct selection *selection = &search->selection;
    for (size_t i = 0; i < selection->place_count;) {
        struct topic_range range = { .partition = selection->places[i].partition, .from_offset = selection->places[i].offset };
        while (i < selection->place_count && selection->places[i].partition == range.partition)
            range.until_offset = after(selection->places[i++].offset);
        if (!add_range(search, &range))
            return false;
    }
    return true;
}

static bool add_ranges(struct search *search, const struct search_range *left, size_t left_count)
{
    if (left == NULL && search->selection.has_places)
        return add_ranges_of_places(search);
    if (left == NULL)
        return add_range(search, &(struct topic_range){ .partition = TOPIC_ALL_PARTITIONS, .from_ms = search->selection.since_ms });
    for (size_t i = 0; i < left_count; i++)
        if (left[i].from < left[i].until &&
            !add_range(search, &(struct topic_range){ left[i].partition, .from_offset = left[i].from, .until_offset = left[i].until }))
            return false;
    return true;
}

static bool find_topic(struct search *search)
{
    char problem[PROBLEM_BYTES];
    search->partitions = topic_reader_partitions(search->reader, search->topic);
    if (search->partitions < 0)
        return command_complain(search->command, "", "no broker answers: see JOBHOOK_KAFKA_BROKERS");
    snprintf(problem, sizeof(problem), "there is no topic %s: see JOBHOOK_TOPIC, and `jobhook topics create`", search->topic);
    if (search->partitions == 0)
        return command_complain(search->command, "", problem);
    search->positions = memory_create((size_t)search->partitions * sizeof(*search->positions));
    for (int32_t partition = 0; partition < search->partitions; partition++)
        search->positions[partition] = -1;
    return true;
}

bool search_begin(struct search *search, const struct settings *settings, const struct search_range *left, size_t left_count)
{
    char problem[PROBLEM_BYTES], topic[sizeof(search->topic)];
    snprintf(topic, sizeof(topic), "%s%s", settings->topic, search->of == SEARCH_LETTERS ? ".dlq" : "");
    if (search->topic[0] != '\0' && strcmp(search->topic, topic) != 0)
        return command_complain(search->command, search->topic, "the imported selection is of this topic, which is not that of JOBHOOK_TOPIC");
    memcpy(search->topic, topic, sizeof(topic));
    search->settings = settings;
    selection_sort_places(&search->selection);
    search->reader = topic_reader_create(settings, problem, sizeof(problem));
    if (search->reader == NULL)
        return command_complain(search->command, "", problem);
    return find_topic(search) && add_ranges(search, left, left_count);
}

/* ---- one after another ---- */

static bool take_record(struct search *search, const struct topic_record *record, struct entry *entry)
{
    if (record->partition >= search->partitions)
        return false; /* a partition that was added since they were counted: what lies there is newer than the search */
    search->records++;
    search->positions[record->partition] = record->offset + 1;
    if (!selection_may_take(&search->selection, record))
        return false;
    if (search->of == SEARCH_LETTERS)
        entry_read_letter(entry, record);
    else
        entry_read_event(entry, record);
    if (selection_takes(&search->selection, entry))
        return true;
    entry_finish(entry);
    return false;
}

enum topic_step search_next(struct search *search, uint64_t wait_ms, struct entry *entry)
{
    uint64_t until_ms = clock_monotonic_ms() + wait_ms, now_ms = 0;
    struct topic_record record;
    while ((now_ms = clock_monotonic_ms()) <= until_ms) {
        enum topic_step step = topic_reader_next(search->reader, until_ms - now_ms, &record);
        if (step == TOPIC_PROBLEM)
            command_complain(search->command, "", topic_reader_problem(search->reader));
        if (step != TOPIC_RECORD)
            return step;
        if (take_record(search, &record, entry))
            return TOPIC_RECORD;
    }
    return TOPIC_SILENCE;
}

struct search_range search_whole(const struct search *search, int32_t partition)
{
    struct search_range whole = { .partition = partition };
    if (!topic_reader_bounds(search->reader, search->topic, partition, &whole.from, &whole.until))
        whole.from = whole.until = 0; /* nothing of it is read */
    return whole;
}

struct search_range search_left(const struct search *search, int32_t partition)
{
    struct search_range left = search_whole(search, partition);
    if (search->positions[partition] > left.from)
        left.from = search->positions[partition];
    return left;
}

/* ---- exports ---- */

void search_write_export_head(const struct search *search, struct text *text)
{
    text_printf(text, EXPORT_HEAD "%s\n# PARTITION/OFFSET TIMESTAMP REASON TASK; lines may be removed\n", search->topic);
}

void search_write_export_line(const struct entry *entry, struct text *text)
{
    text_printf(text, "%" PRId32 "/%" PRId64 " ", entry->partition, entry->offset);
    if (entry->event->timestamp_ms < 0)
        text_append_char(text, '-');
    else
        text_printf(text, "%" PRId64, entry->event->timestamp_ms);
    text_append_char(text, ' ');
    shown_append(text, entry->unreadable == NULL ? entry->reason : SLICE("unreadable"), EXPORT_COLUMNS);
    text_append_char(text, ' ');
    shown_append(text, entry->event->task_id, SIZE_MAX);
    text_append_char(text, '\n');
}
