#include "consumer/processors.h"
#include "tests/unit/machine_root.h"

#include <criterion/criterion.h>
#include <sched.h>

TestSuite(processors, .init = machine_root_make, .fini = machine_root_erase);

static void expect(uint64_t processors)
{
    cr_expect_eq(processors_in_quota(machine_root), processors, "%lu", (unsigned long)processors_in_quota(machine_root));
}

/* --- version 2 --- */

Test(processors, no_control_groups_are_no_quota)
{
    expect(UINT64_MAX);
}

Test(processors, a_container_sees_its_quota_at_the_mount)
{
    machine_root_put("/proc/self/cgroup", "0::/\n");
    machine_root_put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    expect(2);
}

Test(processors, max_is_no_quota)
{
    machine_root_put("/proc/self/cgroup", "0::/\n");
    machine_root_put("/sys/fs/cgroup/cpu.max", "max 100000\n");
    expect(UINT64_MAX);
}

Test(processors, a_part_of_a_processor_does_not_count_but_there_is_always_one)
{
    machine_root_put("/proc/self/cgroup", "0::/\n");
    machine_root_put("/sys/fs/cgroup/cpu.max", "250000 100000\n");
    expect(2);
    machine_root_put("/sys/fs/cgroup/cpu.max", "20000 100000\n");
    expect(1);
}

Test(processors, the_tightest_group_on_the_way_up_counts)
{
    machine_root_put("/proc/self/cgroup", "0::/system.slice/jobhook.service\n");
    machine_root_put("/sys/fs/cgroup/system.slice/jobhook.service/cpu.max", "800000 100000\n");
    machine_root_put("/sys/fs/cgroup/system.slice/cpu.max", "300000 100000\n");
    expect(3);
}

Test(processors, nonsense_is_no_quota)
{
    machine_root_put("/proc/self/cgroup", "0::/\nfoo\n:\n::\n");
    machine_root_put("/sys/fs/cgroup/cpu.max", "-1 0\n");
    expect(UINT64_MAX);
    machine_root_put("/sys/fs/cgroup/cpu.max", "");
    expect(UINT64_MAX);
    machine_root_put("/sys/fs/cgroup/cpu.max", "1000 0\n");
    expect(UINT64_MAX);
}

/* --- version 1 --- */

Test(processors, version_1_has_two_files)
{
    machine_root_put("/proc/self/cgroup", "9:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/\n");
    machine_root_put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "400000\n");
    machine_root_put("/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
    expect(4);
}

Test(processors, version_1_in_a_container_shows_its_group_at_the_mount)
{
    machine_root_put("/proc/self/cgroup", "4:cpu,cpuacct:/docker/x\n");
    machine_root_put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
    machine_root_put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "50000\n");
    expect(2);
}

Test(processors, version_1_without_a_quota_says_minus_one)
{
    machine_root_put("/proc/self/cgroup", "1:cpu:/\n");
    machine_root_put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    machine_root_put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    expect(UINT64_MAX);
}

Test(processors, the_quota_of_another_controller_is_not_taken_for_it)
{
    machine_root_put("/proc/self/cgroup", "4:cpuset:/a\n5:cpuacct:/a\n");
    machine_root_put("/sys/fs/cgroup/cpuset/a/cpu.cfs_quota_us", "100000\n");
    machine_root_put("/sys/fs/cgroup/cpuset/a/cpu.cfs_period_us", "100000\n");
    expect(UINT64_MAX);
}

/* --- together --- */

Test(processors, affinity_narrows_it)
{
    cpu_set_t before, one;
    cr_assert_eq(sched_getaffinity(0, sizeof(before), &before), 0);
    cr_expect_geq(processors_usable(), 1);
    cr_expect_leq(processors_usable(), (uint64_t)CPU_COUNT(&before));
    CPU_ZERO(&one);
    for (size_t i = 0; CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    cr_expect_eq(processors_usable(), 1);
}
