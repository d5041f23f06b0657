#include "consumer/survey.h"

#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/partitions.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct asked { /* about one partition */
    uint32_t number;
    uint64_t delay_ms; /* 0: not asked what is due */
    struct lag_surveyed answer;
};

/* Of one at a time: the loop makes it, the thread fills it in, the loop takes it apart. */
struct question {
    rd_kafka_topic_partition_list_t *places; /* in the order of `asked` */
    struct asked *asked;
    uint64_t at_ms;
    int64_t wall_ms;
    bool answered; /* all of it */
    bool away;     /* nobody answers at all */
};

enum turn { TURN_OF_LOOP, TURN_OF_THREAD };

struct survey {
    rd_kafka_t *consumer;
    pthread_t thread;
    pthread_mutex_t mutex; /* over the next three */
    pthread_cond_t changed;
    enum turn turn;
    bool stopped;
    struct question question; /* whose turn it is */
    uint64_t due_ms;          /* the loop's */
};

/* ---- the thread ---- */

/* Asks where each place begins by time; `times` hold RD_KAFKA_OFFSET_END or ms since 1970, and then offsets. */
static bool ask(rd_kafka_t *consumer, rd_kafka_topic_partition_list_t *times)
{
    return times->cnt == 0 || rd_kafka_offsets_for_times(consumer, times, SURVEY_TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool ask_ends(rd_kafka_t *consumer, struct question *question)
{
    for (int i = 0; i < question->places->cnt; i++)
        question->places->elems[i].offset = RD_KAFKA_OFFSET_END;
    if (!ask(consumer, question->places))
        return false;
    for (int i = 0; i < question->places->cnt; i++) {
        const rd_kafka_topic_partition_t *place = &question->places->elems[i];
        if (place->err != RD_KAFKA_RESP_ERR_NO_ERROR || place->offset < 0)
            continue;
        question->asked[i].answer = (struct lag_surveyed){ question->at_ms, place->offset, place->offset };
    }
    return true;
}

/* Only about those with something to read: an idle retry topic costs the broker no search. */
static bool ask_undue(rd_kafka_t *consumer, struct question *question)
{
    rd_kafka_topic_partition_list_t *times = rd_kafka_topic_partition_list_new(16);
    for (int i = 0; i < question->places->cnt; i++) {
        const rd_kafka_topic_partition_t *place = &question->places->elems[i];
        if (question->asked[i].delay_ms == 0 || question->asked[i].answer.at_ms == 0)
            continue;
        rd_kafka_topic_partition_t *time = rd_kafka_topic_partition_list_add(times, place->topic, place->partition);
        time->offset = question->wall_ms - (int64_t)question->asked[i].delay_ms;
        time->opaque = &question->asked[i];
    }
    bool answered = ask(consumer, times);
    for (int i = 0; answered && i < times->cnt; i++) {
        struct lag_surveyed *answer = &((struct asked *)times->elems[i].opaque)->answer;
        if (times->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            answer->at_ms = 0;
        else if (times->elems[i].offset >= 0 && times->elems[i].offset < answer->end)
            answer->undue_from = times->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(times);
    return answered;
}

static bool nobody_answers(rd_kafka_t *consumer)
{
    const struct rd_kafka_metadata *metadata = NULL;
    if (rd_kafka_metadata(consumer, 0, NULL, &metadata, SURVEY_TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    rd_kafka_metadata_destroy(metadata);
    return false;
}

static void answer(rd_kafka_t *consumer, struct question *question)
{
    question->answered = ask_ends(consumer, question) && ask_undue(consumer, question);
    question->away = (!question->answered || question->places->cnt == 0) && nobody_answers(consumer);
}

static void *run(void *context)
{
    struct survey *survey = context;
    pthread_mutex_lock(&survey->mutex);
    for (;;) {
        while (!survey->stopped && survey->turn == TURN_OF_LOOP)
            pthread_cond_wait(&survey->changed, &survey->mutex);
        if (survey->stopped)
            break;
        pthread_mutex_unlock(&survey->mutex);
        answer(survey->consumer, &survey->question);
        pthread_mutex_lock(&survey->mutex);
        survey->turn = TURN_OF_LOOP;
    }
    pthread_mutex_unlock(&survey->mutex);
    return NULL;
}

/* ---- the loop ---- */

static void drop_question(struct question *question)
{
    if (question->places != NULL)
        rd_kafka_topic_partition_list_destroy(question->places);
    free(question->asked);
    *question = (struct question){ 0 };
}

/* Partitions may have come and gone meanwhile, and numbers are given anew. */
static void take_answers(const struct question *question, struct partitions *set)
{
    for (int i = 0; i < question->places->cnt; i++) {
        const struct asked *asked = &question->asked[i];
        const rd_kafka_topic_partition_t *place = &question->places->elems[i];
        struct partition *partition = asked->number < set->numbered_count ? set->numbered[asked->number] : NULL;
        if (partition != NULL && asked->answer.at_ms > 0 && partition->id == place->partition && strcmp(partition->topic, place->topic) == 0)
            partition->surveyed = asked->answer;
    }
}

static bool has_undue_head(const struct partition *partition)
{
    return timer_is_running(&partition->due);
}

static void make_question(struct question *question, struct partitions *set, uint64_t now_ms)
{
    size_t count = 0;
    *question = (struct question){ .places = rd_kafka_topic_partition_list_new((int)set->all.length + 1),
                                   .asked = memory_create((set->all.length + 1) * sizeof(struct asked)),
                                   .at_ms = now_ms,
                                   .wall_ms = clock_wall_ms() };
    LIST_EACH (&set->all, link) {
        struct partition *partition = container_of(link, struct partition, link);
        rd_kafka_topic_partition_list_add(question->places, partition->topic, partition->id);
        bool behind = partition->ledger.position < partition->surveyed.end || partition->surveyed.at_ms == 0;
        uint64_t delay_ms = partition->is_input || has_undue_head(partition) || !behind ? 0 : partition->delay_ms;
        question->asked[count++] = (struct asked){ .number = partition->number, .delay_ms = delay_ms };
    }
}

enum survey_news survey_look(struct survey *survey, struct partitions *set, uint64_t now_ms)
{
    enum survey_news news = SURVEY_NONE;
    pthread_mutex_lock(&survey->mutex);
    bool ours = survey->turn == TURN_OF_LOOP && !survey->stopped;
    pthread_mutex_unlock(&survey->mutex);
    if (!ours)
        return news;
    struct question *question = &survey->question;
    if (question->places != NULL) {
        take_answers(question, set);
        news = question->away ? SURVEY_AWAY : question->answered ? SURVEY_ANSWERED : SURVEY_NONE;
        drop_question(question);
    }
    if (now_ms < survey->due_ms)
        return news;
    survey->due_ms = now_ms + SURVEY_EVERY_MS;
    make_question(question, set, now_ms);
    pthread_mutex_lock(&survey->mutex);
    survey->turn = TURN_OF_THREAD;
    pthread_cond_signal(&survey->changed);
    pthread_mutex_unlock(&survey->mutex);
    return news;
}

static void measure(const struct survey *survey, struct partition *partition, struct lag_row *row)
{
    int64_t low = 0, high = -1;
    if (rd_kafka_get_watermark_offsets(survey->consumer, partition->topic, partition->id, &low, &high) != RD_KAFKA_RESP_ERR_NO_ERROR)
        high = -1;
    struct lag_view view = { .surveyed = partition->surveyed,
                             .now_ms = clock_monotonic_ms(),
                             .delay_ms = partition->delay_ms,
                             .committable = ledger_committable(&partition->ledger),
                             .position = partition->ledger.position,
                             .undue_head = timer_is_running(&partition->due) ? partition->ledger.position - 1 : -1,
                             .fetched_end = high };
    overtaken_note_end(partition, high > partition->surveyed.end ? high : partition->surveyed.end);
    *row = (struct lag_row){ .topic = slice_of(partition->topic), .partition = partition->id, .is_retry = !partition->is_input };
    lag_count(&view, row);
}

void survey_show(struct survey *survey, struct partitions *set, struct lag_table *table)
{
    size_t count = 0, room = set->all.length;
    struct lag_row *rows = memory_create((room + 1) * sizeof(*rows));
    LIST_EACH (&set->all, link)
        measure(survey, container_of(link, struct partition, link), &rows[count++]);
    lag_replace(table, rows, count);
    free(rows);
}

void survey_soon(struct survey *survey)
{
    survey->due_ms = 0;
}

struct survey *survey_create(struct rd_kafka_s *consumer)
{
    struct survey *survey = memory_create(sizeof(*survey));
    survey->consumer = consumer;
    pthread_mutex_init(&survey->mutex, NULL);
    pthread_cond_init(&survey->changed, NULL);
    if (pthread_create(&survey->thread, NULL, run, survey) == 0)
        return survey;
    free(survey);
    return NULL;
}

void survey_stop(struct survey *survey)
{
    if (survey == NULL)
        return;
    pthread_mutex_lock(&survey->mutex);
    survey->stopped = true;
    pthread_cond_signal(&survey->changed);
    pthread_mutex_unlock(&survey->mutex);
}

void survey_destroy(struct survey *survey)
{
    survey_stop(survey);
    if (survey == NULL)
        return;
    pthread_join(survey->thread, NULL);
    drop_question(&survey->question);
    pthread_cond_destroy(&survey->changed);
    pthread_mutex_destroy(&survey->mutex);
    free(survey);
}
