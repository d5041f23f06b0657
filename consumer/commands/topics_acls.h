/* jobhook topics acls, a part of `jobhook topics`: which rights in Kafka each kind of login needs. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_TOPICS_ACLS_H
#define JOBHOOK_CONSUMER_COMMANDS_TOPICS_ACLS_H

extern const char topics_acls_usage[];
/* argv[0] is "acls". Returns the exit code. */
int topics_acls(int argc, char **argv);

#endif
