/* resolver.so, preloaded into one process under test: it reads the file that RESOLVER_FILE names in place of /etc/resolv.conf. A mount over the real
 * one would need a mount namespace, which a root made by chroot cannot have, and could be seen by the whole machine. */
#ifndef _GNU_SOURCE /* the test compiles it by itself */
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_instead(const char *function, const char *path, const char *mode)
{
    FILE *(*real)(const char *, const char *) = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, function);
    const char *other = strcmp(path, "/etc/resolv.conf") == 0 ? getenv("RESOLVER_FILE") : NULL;
    return real(other == NULL ? path : other, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    return open_instead("fopen", path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    return open_instead("fopen64", path, mode);
}
