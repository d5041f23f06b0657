/* refused_commit.so, preloaded into one process under test: the first offset that it commits by itself, and not with the stored ones in the background, is
 * refused by the broker, for metadata that is longer than brokers take. */
#ifndef _GNU_SOURCE /* the test compiles it by itself */
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <string.h>

typedef void commit_noted(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *);
enum { MORE_THAN_TAKEN = 8192 }; /* offset.metadata.max.bytes is 4096 */

typedef rd_kafka_resp_err_t commit(rd_kafka_t *, const rd_kafka_topic_partition_list_t *, rd_kafka_queue_t *, commit_noted *, void *);

rd_kafka_resp_err_t rd_kafka_commit_queue(rd_kafka_t *consumer, const rd_kafka_topic_partition_list_t *places, rd_kafka_queue_t *answers,
                                          commit_noted *noted, void *context)
{
    static char metadata[MORE_THAN_TAKEN];
    static bool refused;
    commit *usual = (commit *)dlsym(RTLD_NEXT, "rd_kafka_commit_queue");
    if (refused || places == NULL)
        return usual(consumer, places, answers, noted, context);
    refused = true;
    memset(metadata, 'm', sizeof(metadata));
    rd_kafka_topic_partition_list_t *spoiled = rd_kafka_topic_partition_list_copy(places);
    for (int i = 0; i < spoiled->cnt; i++) {
        spoiled->elems[i].metadata = metadata;
        spoiled->elems[i].metadata_size = sizeof(metadata);
    }
    rd_kafka_resp_err_t error = usual(consumer, spoiled, answers, noted, context);
    for (int i = 0; i < spoiled->cnt; i++)
        spoiled->elems[i].metadata = NULL;
    rd_kafka_topic_partition_list_destroy(spoiled);
    return error;
}
