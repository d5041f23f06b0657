#include "consumer/privileges.h"

#include "consumer/base/log.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

void privileges_give_up(void)
{
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    /* Where the kernel pipes dumps to a program, the limit alone does not stop it. Also closes /proc/PID/environ, mem and fd to other processes. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    umask(077);
}

void privileges_warn(void)
{
    if (geteuid() == 0)
        log_warn("started as root: jobhook needs no privileges, run it as a user of its own");
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        log_warn("the system does not let core dumps be forbidden: a crash could write secrets to disk");
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        log_warn("the system does not let no_new_privs be set");
}
