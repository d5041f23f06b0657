#include "consumer/commands/topic_reader.h"

#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/kafka.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ASK_MS = 10000, /* for metadata and offsets */
    ASK_AGAIN_MS = 100,
    SILENT_MS = 30000, /* not a word from a partition that is not at its end */
    TOGETHER_MAX = 16, /* partitions that are read at a time: each may hold a queue of records */
    PROBLEM_BYTES = 512,
};

struct place { /* one partition and what is to be read of it */
    char *topic;
    struct topic_range range;
    int64_t first, position, end; /* offsets: position comes next, end is not read */
    enum { WAITS, IS_READ, IS_DONE } state;
};

struct topic_reader {
    rd_kafka_t *handle;
    struct place *places;
    size_t place_count, place_room;
    size_t next_place; /* those before it were begun */
    size_t reading;    /* how many are IS_READ */
    size_t last;       /* where the last record came from */
    bool begun;
    uint64_t heard_ms; /* when a broker last said anything useful */
    uint64_t left_ms;  /* when the last step was handed out: what its taker does meanwhile is no silence; 0 none was */
    rd_kafka_message_t *message;
    struct event_header *headers;
    size_t header_room;
    char problem[PROBLEM_BYTES];
};

/* ---- making ---- */

struct topic_reader *topic_reader_create(const struct settings *settings, char *problem, size_t size)
{
    rd_kafka_conf_t *conf = kafka_conf_create(settings, KAFKA_READER, problem, size);
    if (conf == NULL)
        return NULL;
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, problem, size);
    if (handle == NULL) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_poll_set_consumer(handle);
    struct topic_reader *reader = memory_create(sizeof *reader);
    reader->handle = handle;
    return reader;
}

static void give_back(struct topic_reader *reader)
{
    if (reader->message != NULL)
        rd_kafka_message_destroy(reader->message);
    reader->message = NULL;
}

void topic_reader_destroy(struct topic_reader *reader)
{
    if (reader == NULL)
        return;
    give_back(reader);
    rd_kafka_consumer_close(reader->handle);
    rd_kafka_destroy(reader->handle);
    for (size_t i = 0; i < reader->place_count; i++)
        free(reader->places[i].topic);
    free(reader->places);
    free(reader->headers);
    free(reader);
}

/* ---- which partitions ---- */

int32_t topic_reader_partitions(struct topic_reader *reader, const char *topic)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(reader->handle, topic, NULL);
    if (handle == NULL)
        return 0; /* no topic can have that name */
    rd_kafka_resp_err_t error = rd_kafka_metadata(reader->handle, 0, handle, &metadata, ASK_MS);
    rd_kafka_topic_destroy(handle);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return -1;
    bool there = metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR;
    int32_t count = there ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    return count;
}

static void add_place(struct topic_reader *reader, const char *topic, int32_t partition, const struct topic_range *range)
{
    if (reader->place_count == reader->place_room) {
        reader->place_room = reader->place_room == 0 ? 16 : reader->place_room * 2;
        reader->places = memory_resize(reader->places, reader->place_room * sizeof *reader->places);
    }
    struct place *place = &reader->places[reader->place_count++];
    *place = (struct place){ .topic = memory_copy(topic, strlen(topic)), .range = *range };
    place->range.partition = partition;
}

bool topic_reader_add(struct topic_reader *reader, const char *topic, const struct topic_range *range, char *problem, size_t size)
{
    assert(!reader->begun && (range->follow || !range->from_end));
    int32_t count = topic_reader_partitions(reader, topic);
    if (count < 0)
        snprintf(problem, size, "no broker answered within %d s: see JOBHOOK_KAFKA_BROKERS", ASK_MS / 1000);
    else if (count == 0)
        snprintf(problem, size, "there is no topic %s", topic);
    else if (range->partition >= count)
        snprintf(problem, size, "the topic %s has no partition %" PRId32 ", they are 0 to %" PRId32, topic, range->partition, count - 1);
    if (count <= 0 || range->partition >= count)
        return false;
    for (int32_t partition = 0; partition < count; partition++)
        if (range->partition == TOPIC_ALL_PARTITIONS || range->partition == partition)
            add_place(reader, topic, partition, range);
    return true;
}

/* ---- where the ranges lie ---- */

static bool give_up(struct topic_reader *reader, const char *what, rd_kafka_resp_err_t error)
{
    snprintf(reader->problem, sizeof reader->problem, "%s: %s", what, rd_kafka_err2str(error));
    return false;
}

/* Kafka takes these instead of a time, too. */
enum { EARLIEST = -2, LATEST = -1 };

/* Asks once for one offset of every place; `time_of` says by which time. */
static rd_kafka_resp_err_t ask_offsets_once(struct topic_reader *reader, int64_t (*time_of)(const struct place *place), int64_t *offsets)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)reader->place_count);
    for (size_t i = 0; i < reader->place_count; i++)
        rd_kafka_topic_partition_list_add(list, reader->places[i].topic, reader->places[i].range.partition)->offset = time_of(&reader->places[i]);
    rd_kafka_resp_err_t error = rd_kafka_offsets_for_times(reader->handle, list, ASK_MS);
    for (size_t i = 0; error == RD_KAFKA_RESP_ERR_NO_ERROR && i < reader->place_count; i++) {
        const rd_kafka_topic_partition_t *answer =
            rd_kafka_topic_partition_list_find(list, reader->places[i].topic, reader->places[i].range.partition);
        error = answer == NULL ? RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION : answer->err;
        offsets[i] = answer == NULL ? -1 : answer->offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return error;
}

/* A leader that moves, or has not begun, is asked again. */
static bool ask_offsets(struct topic_reader *reader, int64_t (*time_of)(const struct place *place), int64_t *offsets)
{
    uint64_t until_ms = clock_monotonic_ms() + ASK_MS;
    rd_kafka_resp_err_t error;
    while ((error = ask_offsets_once(reader, time_of, offsets)) != RD_KAFKA_RESP_ERR_NO_ERROR && clock_monotonic_ms() < until_ms)
        nanosleep(&(struct timespec){ .tv_nsec = ASK_AGAIN_MS * 1000000L }, NULL);
    return error == RD_KAFKA_RESP_ERR_NO_ERROR || give_up(reader, "Kafka does not say where the topic begins and ends", error);
}

static int64_t earliest(const struct place *place)
{
    (void)place;
    return EARLIEST;
}

static int64_t latest(const struct place *place)
{
    (void)place;
    return LATEST;
}

static int64_t beginning(const struct place *place)
{
    return place->range.from_ms > 0 ? place->range.from_ms : EARLIEST;
}

static bool has_times(const struct topic_reader *reader)
{
    for (size_t i = 0; i < reader->place_count; i++)
        if (reader->places[i].range.from_ms > 0)
            return true;
    return false;
}

/* `by_time` is negative when nothing is as late. */
static void settle_range(struct place *place, int64_t low, int64_t by_time, int64_t high)
{
    const struct topic_range *range = &place->range;
    int64_t first = by_time < 0 ? high : by_time;
    if (first < range->from_offset)
        first = range->from_offset;
    if (first < low)
        first = low;
    place->first = place->position = range->from_end ? high : first;
    place->end = range->until_offset > 0 && range->until_offset < high ? range->until_offset : high;
    if (range->follow)
        place->end = INT64_MAX;
    else if (place->end < place->first)
        place->end = place->first;
}

static bool find_ranges(struct topic_reader *reader)
{
    size_t bytes = reader->place_count * sizeof(int64_t);
    int64_t *low = memory_create(bytes), *high = memory_create(bytes), *by_time = memory_create(bytes);
    bool fine = ask_offsets(reader, earliest, low) && ask_offsets(reader, latest, high);
    if (fine && has_times(reader))
        fine = ask_offsets(reader, beginning, by_time);
    for (size_t i = 0; fine && i < reader->place_count; i++)
        settle_range(&reader->places[i], low[i], has_times(reader) ? by_time[i] : low[i], high[i]);
    free(low);
    free(high);
    free(by_time);
    return fine;
}

/* ---- reading ---- */

static bool assign(struct topic_reader *reader, const struct place *place, bool more)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, place->topic, place->range.partition)->offset = place->position;
    rd_kafka_error_t *error = more ? rd_kafka_incremental_assign(reader->handle, list) : rd_kafka_incremental_unassign(reader->handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error == NULL)
        return true;
    snprintf(reader->problem, sizeof reader->problem, "%s cannot be read: %s", place->topic, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return false;
}

static bool is_at_end(const struct place *place)
{
    return place->position >= place->end;
}

/* Those that are followed are read all at once: waiting for another's end would take for ever. */
static bool begin_places(struct topic_reader *reader)
{
    while (reader->next_place < reader->place_count) {
        struct place *place = &reader->places[reader->next_place];
        if (reader->reading >= TOGETHER_MAX && !place->range.follow)
            break;
        reader->next_place++;
        place->state = IS_DONE;
        if (is_at_end(place))
            continue;
        if (!assign(reader, place, true))
            return false;
        place->state = IS_READ;
        reader->reading++;
    }
    return true;
}

static bool end_place(struct topic_reader *reader, struct place *place)
{
    place->state = IS_DONE;
    reader->reading--;
    return assign(reader, place, false) && begin_places(reader);
}

static struct place *find_place(struct topic_reader *reader, const rd_kafka_message_t *message)
{
    const char *topic = message->rkt == NULL ? "" : rd_kafka_topic_name(message->rkt);
    for (size_t i = 0; i < reader->place_count; i++) {
        size_t at = (reader->last + i) % reader->place_count; /* most come from where the one before came from */
        struct place *place = &reader->places[at];
        if (place->range.partition == message->partition && strcmp(place->topic, topic) == 0) {
            reader->last = at;
            return place->state == IS_READ ? place : NULL;
        }
    }
    return NULL;
}

static void read_headers(struct topic_reader *reader, struct event_record *content)
{
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(reader->message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    size_t count = rd_kafka_header_cnt(headers);
    if (count > reader->header_room) {
        reader->headers = memory_resize(reader->headers, count * sizeof *reader->headers);
        reader->header_room = count;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const void *value;
        size_t size;
        rd_kafka_header_get_all(headers, i, &name, &value, &size);
        reader->headers[i] = (struct event_header){ slice_of(name), { value, value == NULL ? 0 : size }, value != NULL };
    }
    content->headers = reader->headers;
    content->header_count = count;
}

static void read_record(struct topic_reader *reader, const struct place *place, struct topic_record *record)
{
    const rd_kafka_message_t *message = reader->message;
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    *record = (struct topic_record){ .topic = place->topic,
                                     .partition = message->partition,
                                     .offset = message->offset,
                                     .content = { .has_key = message->key != NULL,
                                                  .has_value = message->payload != NULL,
                                                  .key = { message->key, message->key_len },
                                                  .value = { message->payload, message->len },
                                                  .timestamp_ms = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp_ms } };
    read_headers(reader, &record->content);
}

/* True: it is a record, and asked for. The position at the end counts, too: the last offsets may hold none (transactions' markers, compaction). */
static bool take_message(struct topic_reader *reader, struct topic_record *record)
{
    const rd_kafka_message_t *message = reader->message;
    struct place *place = find_place(reader, message);
    bool is_record = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || message->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
        message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED || message->err == RD_KAFKA_RESP_ERR__FATAL)
        give_up(reader, "the topic cannot be read", message->err);
    if (place == NULL || (!is_record && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF))
        return false;
    reader->heard_ms = clock_monotonic_ms();
    bool wanted = is_record && message->offset < place->end;
    if (wanted)
        read_record(reader, place, record);
    place->position = message->offset + (is_record ? 1 : 0);
    if (is_at_end(place))
        end_place(reader, place);
    return wanted;
}

static bool begin(struct topic_reader *reader)
{
    reader->begun = true;
    reader->heard_ms = clock_monotonic_ms();
    return reader->place_count == 0 || (find_ranges(reader) && begin_places(reader));
}

static bool is_silent(const struct topic_reader *reader, uint64_t now_ms)
{
    for (size_t i = 0; i < reader->place_count; i++)
        if (reader->places[i].state == IS_READ && !reader->places[i].range.follow)
            return now_ms >= reader->heard_ms + SILENT_MS;
    return false;
}

static enum topic_step take_step(struct topic_reader *reader, uint64_t now_ms, uint64_t wait_ms, struct topic_record *record)
{
    uint64_t until_ms = now_ms + wait_ms;
    give_back(reader);
    if (!reader->begun && !begin(reader))
        return TOPIC_PROBLEM;
    for (;;) {
        if (reader->problem[0] != '\0')
            return TOPIC_PROBLEM;
        if (reader->reading == 0)
            return TOPIC_END;
        reader->message = rd_kafka_consumer_poll(reader->handle, until_ms > now_ms ? (int)(until_ms - now_ms) : 0);
        if (reader->message != NULL && take_message(reader, record))
            return TOPIC_RECORD;
        bool nothing = reader->message == NULL;
        give_back(reader);
        now_ms = clock_monotonic_ms();
        if (is_silent(reader, now_ms))
            snprintf(reader->problem, sizeof reader->problem, "Kafka was silent for %d s before the end was reached", SILENT_MS / 1000);
        else if (nothing && reader->reading > 0 && now_ms >= until_ms)
            return TOPIC_SILENCE;
    }
}

enum topic_step topic_reader_next(struct topic_reader *reader, uint64_t wait_ms, struct topic_record *record)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (reader->left_ms != 0)
        reader->heard_ms += now_ms - reader->left_ms;
    enum topic_step step = take_step(reader, now_ms, wait_ms, record);
    reader->left_ms = clock_monotonic_ms();
    return step;
}

const char *topic_reader_problem(const struct topic_reader *reader)
{
    return reader->problem;
}

bool topic_reader_bounds(const struct topic_reader *reader, const char *topic, int32_t partition, int64_t *first, int64_t *end)
{
    for (size_t i = 0; i < reader->place_count; i++) {
        const struct place *place = &reader->places[i];
        if (place->range.partition != partition || strcmp(place->topic, topic) != 0)
            continue;
        *first = place->first;
        *end = place->end;
        return true;
    }
    return false;
}

struct topic_progress topic_reader_progress(const struct topic_reader *reader)
{
    struct topic_progress progress = { 0 };
    for (size_t i = 0; i < reader->place_count; i++) {
        const struct place *place = &reader->places[i];
        if (place->range.follow)
            continue;
        progress.done += (uint64_t)((place->position < place->end ? place->position : place->end) - place->first);
        progress.all += (uint64_t)(place->end - place->first);
    }
    return progress;
}
