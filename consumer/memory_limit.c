#include "consumer/memory_limit.h"

#include "consumer/base/text.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum { GROUP_MAX = 2048 };

static bool read_line(const char *path, const char *prefix, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    bool found = false;
    while (file != NULL && !found && fgets(line, (int)size, file) != NULL)
        found = strncmp(line, prefix, strlen(prefix)) == 0;
    if (file != NULL)
        fclose(file);
    if (found)
        line[strcspn(line, "\n")] = '\0';
    return found;
}

/* "max" is no number. */
static uint64_t read_limit(const char *root, const char *group)
{
    char path[PATH_MAX], line[32];
    uint64_t limit = UINT64_MAX;
    snprintf(path, sizeof(path), "%s%s/memory.max", root, group);
    if (!read_line(path, "", line, sizeof(line)) || !slice_to_u64(slice_of(line), UINT64_MAX, &limit))
        return UINT64_MAX;
    return limit;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t memory_limit_of_groups(const char *root, const char *own)
{
    static const char version_2[] = "0::";
    char group[GROUP_MAX];
    uint64_t limit = read_limit(root, "");
    if (!read_line(own, version_2, group, sizeof(group)))
        return limit;
    for (char *path = group + sizeof(version_2) - 1, *end = path + strlen(path); end != NULL; end = strrchr(path, '/')) {
        *end = '\0';
        limit = least(limit, read_limit(root, path));
    }
    return limit;
}

uint64_t memory_limit_bytes(void)
{
    uint64_t limit = uv_get_total_memory(), constrained = uv_get_constrained_memory();
    if (constrained > 0)
        limit = least(limit, constrained);
    return least(limit, memory_limit_of_groups("/sys/fs/cgroup", "/proc/self/cgroup"));
}
