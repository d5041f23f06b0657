#include "consumer/processors.h"

#include "consumer/control_groups.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

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
    char word[CONTROL_GROUPS_WORD_BYTES];
    uint64_t period_us;
    int64_t quota_us;
    if (control_groups_read(folder, "cpu.max", word) && sscanf(word, "%" SCNd64 " %" SCNu64, &quota_us, &period_us) == 2 && quota_us > 0)
        take_least(least, (uint64_t)quota_us, period_us);
    if (control_groups_read(folder, "cpu.cfs_quota_us", word) && sscanf(word, "%" SCNd64, &quota_us) == 1 && quota_us > 0 &&
        control_groups_read(folder, "cpu.cfs_period_us", word) && sscanf(word, "%" SCNu64, &period_us) == 1)
        take_least(least, (uint64_t)quota_us, period_us);
}

uint64_t processors_in_quota(const char *root)
{
    return control_groups_least(root, "cpu", look_in);
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
