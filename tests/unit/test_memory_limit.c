#include "consumer/memory_limit.h"
#include "tests/unit/machine_root.h"

#include <criterion/criterion.h>

static uint64_t limit(void)
{
    return memory_limit_of_groups(machine_root);
}

TestSuite(memory_limit, .init = machine_root_make, .fini = machine_root_erase);

Test(memory_limit, is_none_where_there_are_no_groups)
{
    cr_expect_eq(limit(), UINT64_MAX);
    machine_root_put("/proc/self/cgroup", "4:memory:/a.slice\n1:cpu:/\n");
    cr_expect_eq(limit(), UINT64_MAX);
    machine_root_put("/proc/self/cgroup", "0::/gone\n");
    cr_expect_eq(limit(), UINT64_MAX);
}

/* A container sees its own group as the root. */
Test(memory_limit, is_that_of_the_container)
{
    machine_root_put("/proc/self/cgroup", "0::/\n");
    machine_root_put("/sys/fs/cgroup/memory.max", "536870912\n");
    cr_expect_eq(limit(), UINT64_C(512) << 20);
    machine_root_put("/sys/fs/cgroup/memory.max", "max\n");
    cr_expect_eq(limit(), UINT64_MAX);
}

Test(memory_limit, is_the_least_of_all_groups_above)
{
    machine_root_put("/proc/self/cgroup", "1:name=systemd:/x\n0::/a.slice/b.service\n");
    machine_root_put("/sys/fs/cgroup/a.slice/b.service/memory.max", "max\n");
    cr_expect_eq(limit(), UINT64_MAX);
    machine_root_put("/sys/fs/cgroup/a.slice/memory.max", "3000\n");
    cr_expect_eq(limit(), 3000);
    machine_root_put("/sys/fs/cgroup/a.slice/b.service/memory.max", "2000\n");
    cr_expect_eq(limit(), 2000);
    machine_root_put("/sys/fs/cgroup/memory.max", "1000\n");
    cr_expect_eq(limit(), 1000);
    machine_root_put("/sys/fs/cgroup/a.slice/memory.max", "-1\n");
    cr_expect_eq(limit(), 1000, "what is no number is no limit");
}

Test(memory_limit, of_version_1_has_another_file)
{
    machine_root_put("/proc/self/cgroup", "4:memory:/docker/x\n");
    machine_root_put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    machine_root_put("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "4000\n");
    cr_expect_eq(limit(), 4000);
}

Test(memory_limit, of_this_process_is_something)
{
    cr_expect_geq(memory_limit_bytes(), UINT64_C(1) << 20);
    cr_expect_lt(memory_limit_bytes(), UINT64_MAX);
}
