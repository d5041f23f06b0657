/* What the cluster has and takes, asked through librdkafka's admin requests, which stay inside. Waits for the answers. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_TOPICS_ADMIN_H
#define JOBHOOK_CONSUMER_COMMANDS_TOPICS_ADMIN_H

#include "consumer/commands/topics_plan.h"
#include "consumer/settings.h"

struct topics_admin;

/* NULL when librdkafka refuses the configuration: `problem` says why. */
struct topics_admin *topics_admin_create(const struct settings *settings, char *problem, size_t size);
void topics_admin_destroy(struct topics_admin *admin); /* takes NULL */

/* Fills `found`, one for each topic of the plan, and the number of brokers. False when no broker answers. */
MUST_USE bool topics_admin_look(struct topics_admin *admin, const struct topics_plan *plan, struct topic_found *found, int *brokers,
                                struct text *problem);

/* After topics_admin_look: fills in what this login may do with the topics. librdkafka asks for that from 2.3 on; before, nothing is known then. */
void topics_admin_look_at_rights(struct topics_admin *admin, const struct topics_plan *plan, struct topic_found *found);

/* Asks the cluster to create what is not there, or with `dry_run` only whether it would. What it refuses gets a sentence in `found[i].problem`,
 * what it took gets `exists`, and has leaders by then unless the cluster takes unusually long. False when the request as a whole failed. */
MUST_USE bool topics_admin_make(struct topics_admin *admin, const struct topics_plan *plan, struct topic_found *found, bool dry_run,
                                struct text *problem);

/* Retry topics that exist and are not in the plan: left over from another schedule. */
void topics_admin_left_over(const struct topics_admin *admin, const struct topics_plan *plan, struct text *lines);

struct topics_cut { /* of one partition: the records before that offset are deleted */
    int32_t partition;
    int64_t before;
};
/* Deletes the beginnings of a topic's partitions for good. On false not all of it was done: `problem` says why. */
MUST_USE bool topics_admin_cut(struct topics_admin *admin, const char *topic, const struct topics_cut *cuts, size_t count, struct text *problem);

#endif
