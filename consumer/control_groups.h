/* The control groups of this process (cgroups(7)), versions 1 and 2: where they let somebody look at what limits it. */
#ifndef JOBHOOK_CONSUMER_CONTROL_GROUPS_H
#define JOBHOOK_CONSUMER_CONTROL_GROUPS_H

#include <stdbool.h>
#include <stdint.h>

enum { CONTROL_GROUPS_WORD_BYTES = 64 };

/* Makes `*least` less when the files in a group's folder say so. */
typedef void control_groups_look(const char *folder, uint64_t *least);

/* The least that `look` finds in the own group of `controller` ("cpu", "memory") and those above it, below `root` ("" the machine's own files); what
 * is of version 1 lies beside what is of version 2. UINT64_MAX: nothing. */
uint64_t control_groups_least(const char *root, const char *controller, control_groups_look *look);
/* The first line of a file in such a folder, its end included; false when it is not there. */
bool control_groups_read(const char *folder, const char *name, char word[CONTROL_GROUPS_WORD_BYTES]);

#endif
