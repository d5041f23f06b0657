/* The survey: what the brokers say about our partitions, asked for every SURVEY_EVERY_MS by a thread of its own. librdkafka stays inside.
 *
 * What librdkafka knows by itself is what the last fetch said, and a partition whose queue is full is not fetched: just when records pile up, that
 * number stands still. So each partition's end is asked for, and of a retry topic also the first record that was written less than the topic's
 * delay ago: what lies before it is due. The loop hands questions over and takes answers; it never waits for either. */
#ifndef JOBHOOK_CONSUMER_SURVEY_H
#define JOBHOOK_CONSUMER_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

struct lag_table;
struct partitions;
struct rd_kafka_s;
struct survey;

enum { SURVEY_EVERY_MS = 5000, SURVEY_TIMEOUT_MS = 2000 /* of one question; a survey asks at most three */ };

/* NULL when no thread can be started. */
struct survey *survey_create(struct rd_kafka_s *consumer);
/* No more questions. Takes NULL. */
void survey_stop(struct survey *survey);
/* Waits for the question under way. Before the consumer is destroyed. Takes NULL. */
void survey_destroy(struct survey *survey);

enum survey_news { SURVEY_NONE, SURVEY_ANSWERED, SURVEY_AWAY /* no broker answers */ };

/* Now and then: puts answers into the partitions (`surveyed`) and, when it is time, asks about those that are assigned now. */
enum survey_news survey_look(struct survey *survey, struct partitions *set, uint64_t now_ms);

/* What is known now goes into the table. */
void survey_show(struct survey *survey, struct partitions *set, struct lag_table *table);
/* Other partitions are assigned: asks at the next look. */
void survey_soon(struct survey *survey);

#endif
