#include "consumer/intake.h"

#include "consumer/admission.h"
#include "consumer/arrival.h"
#include "consumer/base/clock.h"
#include "consumer/base/crash.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/kafka.h"
#include "consumer/offsets.h"
#include "consumer/overtaken.h"
#include "consumer/partitions.h"
#include "consumer/survey.h"

#include <fcntl.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum {
    RECORDS_PER_TURN = 256,
    RECORDS_PER_VISIT = 64, /* of one partition, before the next gets its turn */
    STORE_EVERY_MS = 250,   /* offsets stored, hints checked */
    LAG_EVERY_MS = 1000,
    COMPLAIN_EVERY_MS = 60000,
    PREFETCH_LEAST_KIB = 1024, /* below that librdkafka's one-second rests cut the rate (measured) */
};

struct intake {
    struct intake_options options;
    rd_kafka_t *consumer;
    rd_kafka_queue_t *events; /* the consumer's own queue: rebalances, errors, commits */
    struct partitions partitions;
    struct offsets offsets;
    struct admission *admission;
    struct timer store;
    struct survey *survey;
    uint64_t lag_due_ms;
    int wake[2]; /* pipe: partitions' queues write their numbers */
    int event_fd[2];
    uv_poll_t *polls[2];
    struct arrival_scratch scratch;
    struct log_gate complaints;
    bool stopped;
    bool failed; /* librdkafka calls it fatal: nothing is read any more */
};

static void complain(struct intake *intake, const char *what, rd_kafka_resp_err_t error, const char *text)
{
    uint64_t suppressed;
    if (log_gate_opens(&intake->complaints, COMPLAIN_EVERY_MS, &suppressed))
        log_warn(what, LOG_STRING("error", rd_kafka_err2name(error)), LOG_STRING("text", text), LOG_I("suppressed", suppressed));
}

/* ---- one record ---- */

/* Offsets went backwards: the topic was created anew, or its end was lost with a broker. The old deliveries end on their own. */
static struct partition *start_anew(struct intake *intake, struct partition *old, int64_t offset)
{
    log_warn("offsets went backwards: the partition starts anew", LOG_STRING("topic", old->topic), LOG_I("partition", old->id),
             LOG_I("position", old->ledger.position), LOG_I("offset", offset));
    deliveries_revoke(intake->options.deliveries, &old->home);
    admission_leave(intake->admission, old);
    partitions_orphan(&intake->partitions, old);
    struct partition *anew = partitions_add(&intake->partitions, intake->consumer, old->topic, old->id);
    offsets_rewind(&intake->offsets, anew, offset);
    return anew;
}

/* What comes next of the partition, a record or its end, has this offset: that the log lost its tail is noticed at either, and the group told at once.
 * Records may be written up to the old place before the next one is read, perhaps by another copy. */
static struct partition *go_back(struct intake *intake, struct partition *partition, int64_t offset)
{
    if (offset < partition->ledger.position)
        return start_anew(intake, partition, offset);
    if (overtaken_fell_back(partition, offset))
        offsets_rewind(&intake->offsets, partition, offset);
    return partition;
}

static void take(struct intake *intake, struct partition *partition, const rd_kafka_message_t *message)
{
    partition = go_back(intake, partition, message->offset);
    overtaken_note(partition, message->offset);
    struct arrival arrival;
    arrival_read(&intake->scratch, message, partition->is_input ? NULL : partition->topic, &arrival);
    arrival.home = &partition->home;
    arrival.slot = ledger_open(&partition->ledger, message->offset);
    counter_add(&intake->options.stats->records, 1);
    CRASH_POINT("consumed", "", "");
    admission_take(intake->admission, partition, &arrival);
}

static void reach_end(struct intake *intake, struct partition *partition, int64_t position)
{
    partition = go_back(intake, partition, position);
    overtaken_note(partition, position);
    ledger_advance(&partition->ledger, position);
    if (admission_reach_end(intake->admission, partition) && offsets_commit_partition(&intake->offsets, partition))
        admission_forget_deaths(partition);
}

/* Reads on until the queue is empty (then it is no longer ready), the head is not due, or there is no room. Returns how many were read. */
static size_t visit(struct intake *intake, struct partition *partition)
{
    size_t count = 0;
    while (count < RECORDS_PER_VISIT && partition->queue != NULL && !ledger_is_full(&partition->ledger) &&
           admission_may_read(intake->admission, partition)) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(partition->queue, 0);
        if (message == NULL) {
            list_remove(&intake->partitions.ready, &partition->ready);
            return count;
        }
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            take(intake, partition, message);
        else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            reach_end(intake, partition, message->offset);
        else
            complain(intake, "a partition reports an error", message->err, rd_kafka_message_errstr(message));
        rd_kafka_message_destroy(message);
        count++;
    }
    if (partition->head.event != NULL && !link_is_free(&partition->ready))
        list_remove(&intake->partitions.ready, &partition->ready);
    return count;
}

/* ---- rebalances ---- */

static void assign(struct intake *intake, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *committed = overtaken_ask(intake->consumer, list);
    for (int i = 0; i < list->cnt; i++)
        overtaken_begin(partitions_add(&intake->partitions, intake->consumer, list->elems[i].topic, list->elems[i].partition), committed);
    overtaken_free(committed);
    rd_kafka_assign(intake->consumer, list);
    gauge_set(intake->options.joined, 1);
    gauge_set(&intake->options.stats->partitions_assigned, list->cnt);
    survey_soon(intake->survey);
    log_info("partitions assigned", LOG_I("worker", intake->options.worker), LOG_I("count", list->cnt));
}

static void unassign(struct intake *intake)
{
    size_t count = intake->partitions.all.length;
    LIST_EACH (&intake->partitions.all, link) {
        struct partition *partition = container_of(link, struct partition, link);
        deliveries_revoke(intake->options.deliveries, &partition->home);
        admission_leave(intake->admission, partition);
    }
    CRASH_POINT("revoked", "", "");
    if (!rd_kafka_assignment_lost(intake->consumer))
        offsets_commit_all(&intake->offsets);
    LIST_EACH (&intake->partitions.all, link)
        partitions_orphan(&intake->partitions, container_of(link, struct partition, link));
    rd_kafka_assign(intake->consumer, NULL);
    gauge_set(&intake->options.stats->partitions_assigned, 0);
    log_info("partitions revoked", LOG_I("worker", intake->options.worker), LOG_I("count", count));
}

static void rebalance(struct intake *intake, rd_kafka_event_t *event)
{
    switch (rd_kafka_event_error(event)) {
    case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
        assign(intake, rd_kafka_event_topic_partition_list(event));
        break;
    case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
        unassign(intake);
        break;
    default:
        unassign(intake);
        complain(intake, "a rebalance failed", rd_kafka_event_error(event), rd_kafka_event_error_string(event));
        break;
    }
}

static void note_error(struct intake *intake, rd_kafka_event_t *event)
{
    char fatal[256];
    rd_kafka_resp_err_t error = rd_kafka_event_error(event);
    if (!intake->failed && rd_kafka_fatal_error(intake->consumer, fatal, sizeof(fatal)) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        log_error("the consumer cannot go on, the process has to be started again", LOG_STRING("text", fatal));
        intake->failed = true;
    }
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        gauge_set(&intake->options.stats->kafka_up, 0);
    complain(intake, "the consumer reports an error", error, rd_kafka_event_error_string(event));
}

static void serve_events(struct intake *intake)
{
    rd_kafka_event_t *event;
    while (intake->events != NULL && (event = rd_kafka_queue_poll(intake->events, 0)) != NULL) {
        switch (rd_kafka_event_type(event)) {
        case RD_KAFKA_EVENT_REBALANCE:
            rebalance(intake, event);
            break;
        case RD_KAFKA_EVENT_OFFSET_COMMIT:
            offsets_note_commit(&intake->offsets, rd_kafka_event_error(event), rd_kafka_event_topic_partition_list(event));
            break;
        case RD_KAFKA_EVENT_ERROR:
            note_error(intake, event);
            break;
        default:
            break;
        }
        rd_kafka_event_destroy(event);
    }
}

/* ---- what is looked at now and then ---- */

static void look_at_survey(struct intake *intake, uint64_t now_ms)
{
    enum survey_news news = survey_look(intake->survey, &intake->partitions, now_ms);
    if (news != SURVEY_NONE)
        gauge_set(&intake->options.stats->kafka_up, news == SURVEY_ANSWERED);
}

static void store_fired(struct timer *timer)
{
    struct intake *intake = container_of(timer, struct intake, store);
    uint64_t now_ms = clock_monotonic_ms();
    offsets_store(&intake->offsets);
    admission_watch(intake->admission, now_ms);
    overtaken_judge(&intake->partitions, intake->consumer, intake->options.stats);
    partitions_sweep(&intake->partitions);
    partitions_bury(&intake->partitions);
    look_at_survey(intake, now_ms);
    if (now_ms >= intake->lag_due_ms) {
        intake->lag_due_ms = now_ms + LAG_EVERY_MS;
        survey_show(intake->survey, &intake->partitions, intake->options.lag);
        gauge_set(&intake->options.stats->oldest_undelivered_ms, partitions_oldest_ms(&intake->partitions));
    }
    timers_start(intake->options.timers, &intake->store, now_ms + STORE_EVERY_MS);
}

/* ---- the module ---- */

bool intake_turn(struct intake *intake)
{
    size_t budget = RECORDS_PER_TURN, visits = intake->partitions.ready.length;
    bool read_some = false;
    serve_events(intake);
    while (!intake->stopped && budget > 0 && visits-- > 0) {
        struct link *link = list_first(&intake->partitions.ready);
        if (link == NULL)
            break;
        size_t count = visit(intake, container_of(link, struct partition, ready));
        budget -= count < budget ? count : budget;
        read_some = read_some || count > 0;
        if (link == list_first(&intake->partitions.ready)) { /* still ready: behind the others */
            list_remove(&intake->partitions.ready, link);
            list_append(&intake->partitions.ready, link);
        }
    }
    if (!intake->stopped)
        admission_turn(intake->admission);
    return read_some && !list_is_empty(&intake->partitions.ready);
}

void intake_stop(struct intake *intake)
{
    intake->stopped = true;
    survey_stop(intake->survey);
    LIST_EACH (&intake->partitions.all, link)
        admission_leave(intake->admission, container_of(link, struct partition, link));
}

bool intake_is_settled(const struct intake *intake)
{
    return admission_is_settled(intake->admission);
}

bool intake_has_failed(const struct intake *intake)
{
    return intake->failed;
}

void intake_release(struct delivery_home *home, uint64_t slot, bool handled)
{
    struct partition *partition = container_of(home, struct partition, home);
    if (!home->revoked && handled)
        ledger_close(&partition->ledger, slot);
    struct intake *intake = container_of(partition->set, struct intake, partitions);
    if (admission_release(intake->admission, partition, slot, handled))
        offsets_commit_partition(&intake->offsets, partition);
}

static void woken(uv_poll_t *poll, int status, int events)
{
    struct intake *intake = poll->data;
    (void)status;
    (void)events;
    partitions_wake(&intake->partitions, intake->wake[0]);
}

/* The events themselves are served at the next turn. */
static void event_woken(uv_poll_t *poll, int status, int events)
{
    struct intake *intake = poll->data;
    char bytes[256];
    (void)status;
    (void)events;
    while (read(intake->event_fd[0], bytes, sizeof(bytes)) > 0)
        continue;
}

static uv_poll_t *watch(struct intake *intake, int pipe_fds[2], uv_poll_cb callback)
{
    int result = pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC);
    assert(result == 0); /* at start: the descriptors' limit was checked */
    uv_poll_t *poll = memory_create(sizeof(*poll));
    poll->data = intake;
    uv_poll_init(intake->options.loop, poll, pipe_fds[0]);
    uv_poll_start(poll, UV_READABLE, callback);
    return poll;
}

/* The cap holds for each partition's queue, is fixed at creation, and costs throughput when it is small. */
static void divide_prefetch(const struct intake_options *options, rd_kafka_conf_t *conf)
{
    uint64_t partitions = options->partitions == 0 ? 1 : options->partitions;
    uint64_t kib = options->settings->prefetch_bytes / 1024 / partitions;
    char value[32];
    if (kib < PREFETCH_LEAST_KIB) {
        kib = PREFETCH_LEAST_KIB;
        log_warn("so many partitions that reading ahead may take more than JOBHOOK_PREFETCH_BYTES", LOG_I("partitions", partitions),
                 LOG_I("bytes", partitions * PREFETCH_LEAST_KIB * 1024), LOG_I("limit", options->settings->prefetch_bytes));
    }
    snprintf(value, sizeof(value), "%" PRIu64, kib);
    bool taken = kafka_conf_try(conf, "queued.max.messages.kbytes", value);
    assert(taken || options->settings->prefetch_bytes > 0);
}

/* The input topic, and every retry topic of it, also those that the schedule no longer names. */
static bool subscribe(struct intake *intake, char *problem, size_t size)
{
    const char *topic = intake->options.settings->topic;
    struct text pattern;
    text_init(&pattern, 2048);
    text_append_char(&pattern, '^');
    for (const char *c = topic; *c != '\0'; c++) {
        if (*c == '.')
            text_append_char(&pattern, '\\');
        text_append_char(&pattern, *c);
    }
    text_append_string(&pattern, "\\.retry\\.[0-9]+(ms|s|m|h)$");
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(2);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_topic_partition_list_add(topics, pattern.start, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t error = rd_kafka_subscribe(intake->consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    text_finish(&pattern);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
        snprintf(problem, size, "cannot subscribe to %s: %s", topic, rd_kafka_err2str(error));
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_t *make_consumer(const struct intake_options *options, char *problem, size_t size)
{
    rd_kafka_conf_t *conf = kafka_conf_create(options->settings, KAFKA_CONSUMER, problem, size);
    if (conf == NULL)
        return NULL;
    divide_prefetch(options, conf);
    kafka_conf_name_member(conf, options->settings, options->worker);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT | RD_KAFKA_EVENT_ERROR);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, problem, size);
    if (consumer == NULL)
        rd_kafka_conf_destroy(conf);
    return consumer;
}

struct intake *intake_create(const struct intake_options *options, char *problem, size_t size)
{
    rd_kafka_t *consumer = make_consumer(options, problem, size);
    if (consumer == NULL)
        return NULL;
    struct intake *intake = memory_create(sizeof(*intake));
    intake->options = *options;
    intake->scratch.input_topic = options->settings->topic;
    intake->consumer = consumer;
    intake->polls[0] = watch(intake, intake->wake, woken);
    intake->polls[1] = watch(intake, intake->event_fd, event_woken);
    partitions_init(&intake->partitions, options->timers, options->settings->topic, intake->wake[1]);
    offsets_init(&intake->offsets, consumer, &intake->partitions, options->stats);
    intake->admission = intake->partitions.admission = admission_create(options);
    intake->store.fire = store_fired;
    rd_kafka_poll_set_consumer(consumer);
    intake->events = rd_kafka_queue_get_consumer(consumer);
    rd_kafka_queue_io_event_enable(intake->events, intake->event_fd[1], "!", 1);
    gauge_set(&options->stats->kafka_up, 1);
    intake->survey = survey_create(consumer);
    timers_start(options->timers, &intake->store, clock_monotonic_ms() + STORE_EVERY_MS);
    if (intake->survey == NULL)
        snprintf(problem, size, "cannot start a thread");
    else if (subscribe(intake, problem, size))
        return intake;
    intake_destroy(intake);
    return NULL;
}

void intake_close(struct intake *intake, uint64_t deadline_ms)
{
    intake->stopped = true;
    offsets_store(&intake->offsets);
    rd_kafka_error_destroy(rd_kafka_consumer_close_queue(intake->consumer, intake->events));
    while (!rd_kafka_consumer_closed(intake->consumer) && clock_monotonic_ms() < deadline_ms) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(intake->events, 50);
        if (event == NULL)
            continue;
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
            rebalance(intake, event);
        rd_kafka_event_destroy(event);
    }
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

void intake_destroy(struct intake *intake)
{
    if (intake == NULL)
        return;
    timers_stop(intake->options.timers, &intake->store);
    intake_stop(intake);
    survey_destroy(intake->survey);
    partitions_finish(&intake->partitions);
    admission_destroy(intake->admission);
    rd_kafka_queue_io_event_enable(intake->events, -1, NULL, 0);
    rd_kafka_queue_destroy(intake->events);
    rd_kafka_destroy_flags(intake->consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    for (int i = 0; i < 2; i++) {
        uv_poll_stop(intake->polls[i]);
        uv_close((uv_handle_t *)intake->polls[i], free_handle);
    }
    close(intake->wake[0]);
    close(intake->wake[1]);
    close(intake->event_fd[0]);
    close(intake->event_fd[1]);
    arrival_scratch_finish(&intake->scratch);
    free(intake);
}
