/* What send*.c share: one test event on its way. */
#ifndef JOBHOOK_CONSUMER_COMMANDS_SEND_INSIDE_H
#define JOBHOOK_CONSUMER_COMMANDS_SEND_INSIDE_H

#include "consumer/settings.h"
#include "delivery/event.h"

struct send {
    const struct settings *settings;
    struct event *event; /* parsed */
    struct url url;      /* judged */
};

/* Both print what happens, and return the exit code. */
int send_directly(const struct send *send);
int send_through_kafka(const struct send *send); /* send_kafka.c */

/* "name          ", then the text as printf has it. */
void send_print(const char *name, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
