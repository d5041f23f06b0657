/* A folder that stands for the root of a machine, with the files that a test puts there. */
#ifndef JOBHOOK_TESTS_UNIT_MACHINE_ROOT_H
#define JOBHOOK_TESTS_UNIT_MACHINE_ROOT_H

extern char machine_root[32]; /* its path, from machine_root_make to machine_root_erase */

void machine_root_make(void);
void machine_root_erase(void);
/* `name` begins with a slash; folders are made as needed. */
void machine_root_put(const char *name, const char *content);

#endif
