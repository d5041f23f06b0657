#include "consumer/commands/selection.h"

#include "consumer/base/memory.h"
#include "delivery/verdict.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[SELECTION_KINDS] = { "reason", "error", "type", "origin", "task" };

void selection_finish(struct selection *selection)
{
    free(selection->places);
    *selection = (struct selection){ 0 };
}

/* ---- making ---- */

static bool is_reason(const char *value)
{
    if (strcmp(value, "unreadable") == 0)
        return true;
    for (int reason = DEAD_EXHAUSTED; reason < DEAD_REASONS; reason++)
        if (strcmp(value, dead_reason_name((enum dead_reason)reason)) == 0)
            return true;
    return false;
}

static bool is_error(const char *value)
{
    size_t named = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return named > 0 && (value[named] == '\0' || strcmp(value + named, "*") == 0);
}

static bool is_receiver(const char *value)
{
    static const struct guard anything = { .allow_http = true };
    struct url url;
    guard_judge_url(&anything, slice_of(value), &url);
    return slice_is((struct slice){ url.origin, url.origin_length }, value);
}

bool selection_add(struct selection *selection, enum selection_kind kind, const char *value, const char **problem)
{
    *problem = NULL;
    if (kind == SELECTION_REASON && !is_reason(value))
        *problem = "no such reason: exhausted, final_status, endpoint_down, expired, invalid_event, invalid_headers, task_id_conflict, blocked_url, "
                   "too_large, crashed, held, unreadable";
    else if (kind == SELECTION_ERROR && !is_error(value))
        *problem = "an error class is made of a-z, 0-9 and _, as in http_503, timeout, or http_5* for all that begin so";
    else if (kind == SELECTION_RECEIVER && !is_receiver(value))
        *problem = "an origin is scheme://host[:port], in lower case and without a path, as `jobhook dlq list` shows it";
    else if (value[0] == '\0')
        *problem = "must not be empty";
    else if (selection->kinds[kind].count == SELECTION_VALUES_MAX)
        *problem = "at most 64 of a kind";
    if (*problem != NULL)
        return false;
    selection->kinds[kind].values[selection->kinds[kind].count++] = value;
    return true;
}

bool selection_parse_place(struct slice text, struct selection_place *place)
{
    uint64_t partition, offset;
    const char *slash = text.length == 0 ? NULL : memchr(text.start, '/', text.length);
    if (slash == NULL || !slice_to_u64((struct slice){ text.start, (size_t)(slash - text.start) }, INT32_MAX, &partition) ||
        !slice_to_u64((struct slice){ slash + 1, (size_t)(text.start + text.length - slash - 1) }, INT64_MAX - 1, &offset))
        return false;
    *place = (struct selection_place){ .partition = (int32_t)partition, .offset = (int64_t)offset, .timestamp_ms = -1 };
    return true;
}

bool selection_add_place(struct selection *selection, const struct selection_place *place)
{
    selection->has_places = true;
    if (selection->place_count == SELECTION_PLACES_MAX)
        return false;
    if (selection->place_count == selection->place_room) {
        selection->place_room = selection->place_room == 0 ? 64 : selection->place_room * 2;
        selection->places = memory_resize(selection->places, selection->place_room * sizeof(*selection->places));
    }
    selection->places[selection->place_count++] = *place;
    return true;
}

static int compare_places(const void *a, const void *b)
{
    const struct selection_place *one = a, *other = b;
    if (one->partition != other->partition)
        return one->partition < other->partition ? -1 : 1;
    if (one->offset != other->offset)
        return one->offset < other->offset ? -1 : 1;
    return 0;
}

/* A place that was named twice is one. */
static void drop_doubled(struct selection *selection)
{
    size_t last = 0;
    for (size_t i = 1; i < selection->place_count; i++) {
        const struct selection_place *one = &selection->places[last], *next = &selection->places[i];
        if (compare_places(one, next) != 0 || one->timestamp_ms != next->timestamp_ms)
            selection->places[++last] = *next;
    }
    selection->place_count = last + 1;
}

void selection_sort_places(struct selection *selection)
{
    if (selection->place_count == 0)
        return;
    qsort(selection->places, selection->place_count, sizeof(*selection->places), compare_places);
    drop_doubled(selection);
}

/* ---- asking ---- */

bool selection_is_empty(const struct selection *selection)
{
    for (int kind = 0; kind < SELECTION_KINDS; kind++)
        if (selection->kinds[kind].count > 0)
            return false;
    return selection->since_written == NULL && selection->until_written == NULL && !selection->has_places;
}

static bool place_is_taken(const struct selection *selection, const struct topic_record *record)
{
    const struct selection_place asked = { .partition = record->partition, .offset = record->offset };
    const struct selection_place *place =
        selection->place_count == 0 ? NULL : bsearch(&asked, selection->places, selection->place_count, sizeof(asked), compare_places);
    return place != NULL && (place->timestamp_ms < 0 || place->timestamp_ms == record->content.timestamp_ms);
}

bool selection_may_take(const struct selection *selection, const struct topic_record *record)
{
    int64_t time_ms = record->content.timestamp_ms;
    if (selection->has_places && !place_is_taken(selection, record))
        return false;
    return (selection->since_written == NULL || time_ms >= selection->since_ms) &&
           (selection->until_written == NULL || time_ms < selection->until_ms);
}

static bool value_fits(struct slice text, const char *value, bool may_end_in_star)
{
    size_t length = strlen(value);
    if (may_end_in_star && value[length - 1] == '*')
        return text.length >= length - 1 && memcmp(text.start, value, length - 1) == 0;
    return slice_is(text, value);
}

static bool kind_takes(const struct selection *selection, enum selection_kind kind, struct slice text)
{
    if (selection->kinds[kind].count == 0)
        return true;
    for (size_t i = 0; i < selection->kinds[kind].count; i++)
        if (value_fits(text, selection->kinds[kind].values[i], kind == SELECTION_ERROR))
            return true;
    return false;
}

bool selection_takes(const struct selection *selection, const struct entry *entry)
{
    struct slice reason = entry->unreadable == NULL ? entry->reason : SLICE("unreadable");
    return kind_takes(selection, SELECTION_REASON, reason) && kind_takes(selection, SELECTION_ERROR, slice_of(entry->attempt.error)) &&
           kind_takes(selection, SELECTION_TYPE, entry->event->task_type) && kind_takes(selection, SELECTION_RECEIVER, slice_of(entry->receiver)) &&
           kind_takes(selection, SELECTION_TASK, entry->event->task_id);
}

void selection_write(const struct selection *selection, struct text *text)
{
    for (int kind = 0; kind < SELECTION_KINDS; kind++)
        for (size_t i = 0; i < selection->kinds[kind].count; i++) {
            text_printf(text, " %s=", kind_names[kind]);
            text_append_json(text, slice_of(selection->kinds[kind].values[i]));
        }
    if (selection->since_written != NULL)
        text_printf(text, " since=%s", selection->since_written);
    if (selection->until_written != NULL)
        text_printf(text, " until=%s", selection->until_written);
    for (size_t i = 0; i < selection->place_count; i++)
        text_printf(text, " %" PRId32 "/%" PRId64, selection->places[i].partition, selection->places[i].offset);
}
