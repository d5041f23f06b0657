#include "consumer/processors.h"

#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, LINE_BYTES = 4096, WORD_BYTES = 64 };

struct group { /* one line of /proc/self/cgroup (cgroups(7)) */
    char controllers[WORD_BYTES];
    char path[LINE_BYTES];
};

static bool read_word(const char *folder, const char *name, char *word, size_t size)
{
    char path[PATH_BYTES + WORD_BYTES];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool found = fgets(word, (int)size, file) != NULL;
    fclose(file);
    return found;
}

static void take_least(uint64_t *least, uint64_t quota_us, uint64_t period_us)
{
    if (quota_us == 0 || period_us == 0)
        return;
    uint64_t whole = quota_us / period_us;
    if (whole == 0)
        whole = 1;
    if (whole < *least)
        *least = whole;
}

/* Version 2: "max 100000" or "150000 100000". Version 1: two files; -1 is no quota. */
static void look_in(const char *folder, uint64_t *least)
{
    char word[WORD_BYTES];
    uint64_t period_us;
    int64_t quota_us;
    if (read_word(folder, "cpu.max", word, sizeof(word)) && sscanf(word, "%" SCNd64 " %" SCNu64, &quota_us, &period_us) == 2 && quota_us > 0)
        take_least(least, (uint64_t)quota_us, period_us);
    if (read_word(folder, "cpu.cfs_quota_us", word, sizeof(word)) && sscanf(word, "%" SCNd64, &quota_us) == 1 && quota_us > 0 &&
        read_word(folder, "cpu.cfs_period_us", word, sizeof(word)) && sscanf(word, "%" SCNu64, &period_us) == 1)
        take_least(least, (uint64_t)quota_us, period_us);
}

/* The group's folder and all above it, up to the mount itself: in a container that is often the only one of them that can be seen. */
static void look_upwards(const char *mount, const char *path, uint64_t *least)
{
    char folder[PATH_BYTES];
    size_t top = strlen(mount);
    if (snprintf(folder, sizeof(folder), "%s%s", mount, path) >= (int)sizeof(folder))
        return;
    for (;;) {
        look_in(folder, least);
        char *slash = strrchr(folder, '/');
        if (slash == NULL || (size_t)(slash - folder) < top)
            return;
        *slash = '\0';
    }
}

static bool names_cpu(const char *controllers)
{
    char list[WORD_BYTES + 2];
    snprintf(list, sizeof(list), ",%s,", controllers);
    return strstr(list, ",cpu,") != NULL;
}

/* "0::/path" is version 2, "4:cpu,cpuacct:/path" version 1. */
static bool read_group(const char *line, struct group *group)
{
    const char *controllers = strchr(line, ':');
    const char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL || (size_t)(path - controllers) > sizeof(group->controllers))
        return false;
    snprintf(group->controllers, sizeof(group->controllers), "%.*s", (int)(path - controllers - 1), controllers + 1);
    snprintf(group->path, sizeof(group->path), "%.*s", (int)strcspn(path + 1, "\n"), path + 1);
    return group->controllers[0] == '\0' || names_cpu(group->controllers);
}

static void look_at_group(const char *root, const struct group *group, uint64_t *least)
{
    char mount[PATH_BYTES];
    const char *names[] = { group->controllers, "cpu" }; /* with one controller, or with a link, the folder is called after it */
    if (group->controllers[0] == '\0') {
        snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup", root);
        look_upwards(mount, group->path, least);
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup/%s", root, names[i]);
        look_upwards(mount, group->path, least);
    }
}

uint64_t processors_in_quota(const char *root)
{
    char path[PATH_BYTES], line[LINE_BYTES];
    uint64_t least = UINT64_MAX;
    struct group group;
    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return least;
    while (fgets(line, sizeof(line), file) != NULL)
        if (read_group(line, &group))
            look_at_group(root, &group, &least);
    fclose(file);
    return least;
}

uint64_t processors_usable(void)
{
    cpu_set_t set;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t count = online > 0 ? (uint64_t)online : 1, quota = processors_in_quota("");
    if (sched_getaffinity(0, sizeof(set), &set) == 0) /* more than 1024 processors do not fit: then those that are there count */
        count = (uint64_t)CPU_COUNT(&set);
    return quota < count ? quota : count;
}
