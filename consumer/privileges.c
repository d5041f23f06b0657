#include "consumer/privileges.h"

#include "consumer/base/check.h"
#include "consumer/base/log.h"

#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Variables that would steer libcurl, OpenSSL (which reads its own at the first key) and c-ares behind the settings' back. */
static void forget_environment(void)
{
    static const char *const names[] = { "http_proxy",       "https_proxy",  "HTTPS_PROXY",     "all_proxy",       "ALL_PROXY",
                                         "no_proxy",         "NO_PROXY",     "HTTP_PROXY",      "SSLKEYLOGFILE",   "SSL_CERT_FILE",
                                         "SSL_CERT_DIR",     "OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES", "CURL_HOME",
                                         "CURL_SSL_BACKEND", "LOCALDOMAIN",  "RES_OPTIONS",     "HOSTALIASES" };
    for (size_t i = 0; i < COUNT_OF(names); i++)
        unsetenv(names[i]);
}

void privileges_give_up(void)
{
    forget_environment();
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
