#include "consumer/memory_limit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/test_memory_limit.XXXXXX";

static const char *in_root(const char *name)
{
    static char path[2][256];
    static int next;
    next = !next;
    snprintf(path[next], sizeof(path[next]), "%s%s", root, name);
    return path[next];
}

static void write_file(const char *name, const char *content)
{
    FILE *file = fopen(in_root(name), "w");
    cr_assert_not_null(file);
    fputs(content, file);
    fclose(file);
}

static uint64_t limit(void)
{
    return memory_limit_of_groups(root, in_root("/own"));
}

static void make_groups(void)
{
    cr_assert_not_null(mkdtemp(root));
    cr_assert(mkdir(in_root("/a.slice"), 0700) == 0 && mkdir(in_root("/a.slice/b.service"), 0700) == 0);
}

static void remove_groups(void)
{
    static const char *const files[] = { "/own", "/memory.max", "/a.slice/memory.max", "/a.slice/b.service/memory.max" };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        unlink(in_root(files[i]));
    cr_expect(rmdir(in_root("/a.slice/b.service")) == 0 && rmdir(in_root("/a.slice")) == 0 && rmdir(root) == 0);
}

TestSuite(memory_limit, .init = make_groups, .fini = remove_groups);

Test(memory_limit, is_none_where_there_are_no_groups)
{
    cr_expect_eq(limit(), UINT64_MAX);
    write_file("/own", "4:memory:/a.slice\n1:cpu:/\n");
    cr_expect_eq(limit(), UINT64_MAX);
    write_file("/own", "0::/gone\n");
    cr_expect_eq(limit(), UINT64_MAX);
}

/* A container sees its own group as the root. */
Test(memory_limit, is_that_of_the_container)
{
    write_file("/own", "0::/\n");
    write_file("/memory.max", "536870912\n");
    cr_expect_eq(limit(), UINT64_C(512) << 20);
    write_file("/memory.max", "max\n");
    cr_expect_eq(limit(), UINT64_MAX);
}

Test(memory_limit, is_the_least_of_all_groups_above)
{
    write_file("/own", "1:name=systemd:/x\n0::/a.slice/b.service\n");
    write_file("/a.slice/b.service/memory.max", "max\n");
    cr_expect_eq(limit(), UINT64_MAX);
    write_file("/a.slice/memory.max", "3000\n");
    cr_expect_eq(limit(), 3000);
    write_file("/a.slice/b.service/memory.max", "2000\n");
    cr_expect_eq(limit(), 2000);
    write_file("/memory.max", "1000\n");
    cr_expect_eq(limit(), 1000);
    write_file("/a.slice/memory.max", "-1\n");
    cr_expect_eq(limit(), 1000, "what is no number is no limit");
}

Test(memory_limit, of_this_process_is_something)
{
    cr_expect_geq(memory_limit_bytes(), UINT64_C(1) << 20);
    cr_expect_lt(memory_limit_bytes(), UINT64_MAX);
}
