/* The running service: its workers, the HTTP side, and the signals. */
#ifndef JOBHOOK_CONSUMER_SERVICE_H
#define JOBHOOK_CONSUMER_SERVICE_H

#include "consumer/settings.h"

/* Runs until SIGTERM, SIGINT or SIGHUP (the terminal was closed), then drains; a second one, unless it is SIGHUP, ends the process at once. Returns the
 * exit code: 0 drained, 1 not. */
int service_run(const struct settings *settings);
/* File descriptors that the process may need at once. */
uint64_t service_descriptors_needed(const struct settings *settings);

#endif
