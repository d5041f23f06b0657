/* What the process gives up before it reads its first secret, whoever started it and however: core dumps, debuggers of other processes with the
 * same user id, new privileges by exec, files that others may read, variables that steer libraries. It needs no privilege at all: any user, no
 * capabilities, a read-only root. */
#ifndef JOBHOOK_CONSUMER_PRIVILEGES_H
#define JOBHOOK_CONSUMER_PRIVILEGES_H

/* First thing in main. What the kernel refuses stays as it was: privileges_warn says so. */
void privileges_give_up(void);
/* Warns in the log about what is left: started as root, or something that could not be given up. */
void privileges_warn(void);

#endif
