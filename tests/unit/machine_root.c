#include "tests/unit/machine_root.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char machine_root[32];

void machine_root_make(void)
{
    snprintf(machine_root, sizeof(machine_root), "/tmp/jobhook_root_XXXXXX");
    cr_assert_not_null(mkdtemp(machine_root));
}

static int erase(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status, (void)kind, (void)where;
    return remove(path);
}

void machine_root_erase(void)
{
    nftw(machine_root, erase, 8, FTW_DEPTH | FTW_PHYS);
}

void machine_root_put(const char *name, const char *content)
{
    char path[256];
    snprintf(path, sizeof(path), "%s%s", machine_root, name);
    for (char *slash = path + strlen(machine_root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file, "%s", path);
    fputs(content, file);
    fclose(file);
}
