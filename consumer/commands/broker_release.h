/* Which release of Kafka a broker speaks as, from what librdkafka logs of its answer to ApiVersions (debug=feature). Pure.
 *
 * A broker does not say its release. It says the highest version of each request that it takes, and with almost every release one of these
 * has grown; none shrinks. The table names one such request for each release, of those that every broker answers by itself (what it passes on
 * to the controller depends on the controller's release, too). The figures are those of Kafka's own kafka-clients of each release (ApiKeys,
 * latestVersion); franz-go's kversion has the same, and which KIP each came with. A broker that is not Apache Kafka's gets the release up to
 * which it takes all of them.
 */
#ifndef JOBHOOK_CONSUMER_COMMANDS_BROKER_RELEASE_H
#define JOBHOOK_CONSUMER_COMMANDS_BROKER_RELEASE_H

#include "consumer/base/text.h"

/* The oldest release that doctor takes without a warning: the oldest to which Kafka's own clients still talk since 4.0 (KIP-896), and the first
 * that has all that librdkafka and jobhook use of it: headers, transactions, deleting records, leader epochs, zstd. */
#define BROKER_RELEASE_OLDEST "2.1"

struct broker_line {      /* of librdkafka's log: "[thrd:…]: [protocol://]host:port/id: text" */
    struct slice address; /* host:port */
    const char *text;
};

/* Takes a line apart, which must outlive `read`. False when it is not about one broker. */
MUST_USE bool broker_line_read(const char *line, struct broker_line *read);

/* What "ApiKey Fetch (1) Versions 4..18" proves: a set of releases, to be joined with `|` to what the broker's other lines prove. False, and
 * nothing proved, when the text is about something else. */
MUST_USE bool broker_release_prove(const char *text, uint32_t *proved);

/* "4.1", "3.3 or 3.4", "4.3 or newer"; NULL: older than BROKER_RELEASE_OLDEST. */
const char *broker_release_name(uint32_t proved);

#endif
