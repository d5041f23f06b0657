/* librdkafka's configuration, made from the settings: the one place where its properties are chosen. librdkafka stays inside.
 *
 * Every role gets the common properties, then its own, then the KAFKA_* pass-through, which therefore wins (settings.h refuses those that safety
 * rests on). librdkafka's own log lines go to our log, each facility at most once in ten seconds. */
#ifndef JOBHOOK_CONSUMER_KAFKA_H
#define JOBHOOK_CONSUMER_KAFKA_H

#include "consumer/settings.h"

#include <stddef.h>

struct rd_kafka_conf_s;

enum kafka_role {
    KAFKA_CONSUMER,
    KAFKA_READER, /* reads without joining the group or committing anything */
    KAFKA_PRODUCER,
    KAFKA_ADMIN, /* for a handle of type producer that only runs admin requests */
};

enum { KAFKA_RECORD_EXTRA_BYTES = 64 * 1024 }; /* what key and headers may add to the largest event */

/* The configuration, owned by the caller: for rd_kafka_new or rd_kafka_conf_destroy. The caller adds its own callbacks and
 * queued.max.messages.kbytes. NULL when a property was refused: `problem` names the variable (KAFKA_…) and says why, without secret values. */
struct rd_kafka_conf_s *kafka_conf_create(const struct settings *settings, enum kafka_role role, char *problem, size_t size);

/* Whether librdkafka knows the property and takes the value; else `problem` says why, as above. */
MUST_USE bool kafka_property_check(const struct kafka_property *property, char *problem, size_t size);

/* Whether librdkafka takes all of them together, which it judges only when it makes a handle; else `problem` says why, as above. The handles know no
 * broker, and where librdkafka would fetch a ticket or a token at once (GSSAPI, OAUTHBEARER) none is made: nothing is connected to. */
MUST_USE bool kafka_try(const struct settings *settings, char *problem, size_t size);

/* Sets one more property; false when librdkafka does not know it or refuses the value (fixed by the version installed). */
MUST_USE bool kafka_conf_try(struct rd_kafka_conf_s *conf, const char *name, const char *value);

/* Static membership: KAFKA_GROUP_INSTANCE_ID names the process. Where it has several workers, each is a member, called ID-NUMBER. */
void kafka_conf_name_member(struct rd_kafka_conf_s *conf, const struct settings *settings, size_t worker);

/* What to do about an error of librdkafka's or a broker's, by its text; NULL: nothing in particular. */
const char *kafka_cure(const char *text);

#endif
