/* The partitions that are assigned to this worker: each with its own librdkafka queue, its ledger, and the head that consumer/admission.h keeps.
 *
 * A partition that was taken away lives on as an orphan until the deliveries that came from it are over. librdkafka stays inside. */
#ifndef JOBHOOK_CONSUMER_PARTITIONS_H
#define JOBHOOK_CONSUMER_PARTITIONS_H

#include "consumer/base/list.h"
#include "consumer/base/timers.h"
#include "consumer/careful.h"
#include "consumer/lag.h"
#include "consumer/ledger.h"
#include "consumer/overtaken.h"
#include "dedupe/holds.h"
#include "delivery/delivery.h"

struct rd_kafka_s;
struct rd_kafka_queue_s;
struct partitions;
struct admission;

struct partition {
    struct link link;  /* on `all` or on `orphans` */
    struct link ready; /* on `ready` while its queue may hold records that may be read */
    struct partitions *set;
    char *topic;
    int32_t id;
    bool is_input;
    uint64_t delay_ms;              /* of a retry topic */
    uint32_t number;                /* what its queue writes into the wake-up pipe */
    struct rd_kafka_queue_s *queue; /* NULL once revoked */
    struct ledger ledger;
    int64_t stored;           /* the offset that was stored last; −1 none */
    struct partition_rewind { /* where the log lost its end */
        int64_t offset;       /* that the group was to go back to; −1: nowhere */
        bool refused;         /* it is to be told again */
    } rewind;
    struct lag_surveyed surveyed;
    struct overtaken overtaken;
    struct delivery_home home;
    struct arrival head; /* read, but not admitted yet; head.event NULL: none */
    struct timer due;
    struct careful careful;
    struct hold held;        /* the partition itself */
    struct partition_alone { /* while it is read alone */
        struct link queue;   /* its head waits for the turn */
        struct hold held;    /* the record whose turn it is */
        int64_t offset;      /* of the head */
        uint64_t slot;       /* of the record that is in flight */
        uint64_t taken_ms;   /* since when; 0: none is */
        bool waited;         /* the head was due already when it was looked at before */
        bool condemned;
    } alone;
};

struct partitions {
    struct list all, ready, orphans;
    struct partition **numbered; /* by number; NULL: free */
    uint32_t numbered_count;
    struct timers *timers;
    const char *input_topic;
    int wake_fd;                /* where queues write the number of the partition that has something */
    uint64_t overtaken_rest_ms; /* until then no jump is judged */
    uint64_t head_bytes;        /* of all held heads */
    struct admission *admission;
};

void partitions_init(struct partitions *set, struct timers *timers, const char *input_topic, int wake_fd);
void partitions_finish(struct partitions *set);

/* A partition was assigned: takes its queue out of the consumer's, so that it can be left unread. Before rd_kafka_assign. */
struct partition *partitions_add(struct partitions *set, struct rd_kafka_s *consumer, const char *topic, int32_t id);
struct partition *partitions_find(const struct partitions *set, const char *topic, int32_t id);
/* It was taken away (or starts anew): drops queue and head; frees it once its deliveries are over. Before rd_kafka_unassign. */
void partitions_orphan(struct partitions *set, struct partition *partition);
void partitions_bury(struct partitions *set); /* frees orphans whose deliveries are over */

void partition_mark_ready(struct partition *partition);
/* Reads the wake-up pipe and marks what it names. */
void partitions_wake(struct partitions *set, int read_fd);
/* Wake-ups are hints: marks every partition whose queue is not empty. */
void partitions_sweep(struct partitions *set);

/* When the oldest event that was read and is not over was written or taken up, ms since 1970; 0: there is none. */
int64_t partitions_oldest_ms(const struct partitions *set);

#endif
