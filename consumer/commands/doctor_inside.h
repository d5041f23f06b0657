/* The parts of `jobhook doctor`, which only its files know. Each adds what it finds, and takes some seconds at most. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_DOCTOR_INSIDE_H
#define JOBHOOK_CONSUMER_COMMANDS_DOCTOR_INSIDE_H

#include "consumer/commands/findings.h"
#include "consumer/commands/topics_plan.h"
#include "consumer/settings.h"

/* doctor_kafka.c: the cluster, rights, topics, clock */
void doctor_look_at_kafka(const struct settings *settings, struct findings *findings);
/* doctor_brokers.c: the release of each broker, of a cluster that answers */
void doctor_look_at_brokers(const struct settings *settings, struct findings *findings);
/* doctor_redis.c */
void doctor_look_at_redis(const struct settings *settings, struct findings *findings);
/* doctor_egress.c: name servers; and of each URL what the policy says, its addresses, whether they can be connected to. Nothing is sent. */
void doctor_look_at_names(struct findings *findings);
void doctor_look_at_url(const struct settings *settings, const char *url, struct findings *findings);
/* doctor_host.c: descriptors, certificates, keys, libraries */
void doctor_look_at_host(const struct settings *settings, struct findings *findings);

/* doctor_topics.c, pure: what a topic's limits mean for these settings. `input` is the input topic as it was found. */
struct doctor_topic {
    const struct topic_wanted *wanted; /* its role and the name */
    const struct topic_found *found, *input;
    uint64_t delay_ms; /* of a retry topic */
};
void doctor_judge_topic(const struct settings *settings, const struct doctor_topic *topic, struct findings *findings);

/* doctor_brokers.c, pure: whether they speak as a Kafka that is new enough, and as the same. */
struct doctor_broker {
    int32_t id;
    char address[300]; /* host:port, as it advertises it */
    bool answered;
    uint32_t proved;   /* broker_release.h */
    char problem[256]; /* why it did not answer, when that is known */
};
void doctor_judge_brokers(const struct doctor_broker *brokers, size_t count, struct findings *findings);

#endif
