/* Where the search for a task's records begins, and the arguments of the commands about one task. */
#include "consumer/commands/task_arguments.h"
#include "consumer/commands/trace.h"

#include <criterion/criterion.h>
#include <string.h>

Test(trace, begins_before_the_events_time_by_what_clocks_may_differ)
{
    enum { NOW = 1000000000 };
    cr_assert_eq(trace_beginning_ms(NOW - 5000, NOW), NOW - 5000 - TRACE_CLOCKS_MS);
    cr_assert_eq(trace_beginning_ms(NOW + TRACE_CLOCKS_MS, NOW), NOW);
    cr_assert_eq(trace_beginning_ms(NOW + TRACE_CLOCKS_MS + 1, NOW), 0, "a time that has not come says nothing");
    cr_assert_eq(trace_beginning_ms(INT64_MAX, NOW), 0);
    cr_assert_eq(trace_beginning_ms(-1, NOW), 0, "no timestamp");
    cr_assert_eq(trace_beginning_ms(1, NOW), 0);
}

#define ID_OF_256                                                                                                                                    \
    "12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"               \
    "12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"

static const struct {
    const char *arguments[4];
    const char *task_id; /* NULL: refused */
    bool json, dry_run;
} cases[] = {
    { { "t" }, "t", false, false },
    { { "t", "--json" }, "t", true, false },
    { { "--dry-run", "--json", "t" }, "t", true, true },
    { { "--", "--json" }, "--json", false, false },
    { { "--json", "--", "-x" }, "-x", true, false },
    { { "--", "--" }, "--", false, false },
    { { ID_OF_256 }, ID_OF_256, false, false },
    { { ID_OF_256 "x" }, NULL, false, false },
    { { "" }, NULL, false, false },
    { { "--json" }, NULL, false, false },
    { { "--jso", "t" }, NULL, false, false },
    { { "-t" }, NULL, false, false },
    { { "a", "b" }, NULL, false, false },
    { { "--", "a", "b" }, NULL, false, false },
    { { NULL }, NULL, false, false },
};

Test(task_arguments, are_one_id_and_known_flags)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *argv[6] = { (char[]){ "status" } };
        bool json = false, dry_run = false;
        const struct task_flag flags[] = { { "--json", &json }, { "--dry-run", &dry_run }, { 0 } };
        struct slice task_id;
        int argc = 1;
        for (; argc <= 4 && cases[i].arguments[argc - 1] != NULL; argc++)
            argv[argc] = strdup(cases[i].arguments[argc - 1]);
        cr_assert_eq(task_arguments_read(argc, argv, flags, &task_id), cases[i].task_id != NULL, "case %zu", i);
        if (cases[i].task_id != NULL) {
            cr_assert(slice_is(task_id, cases[i].task_id), "case %zu", i);
            cr_assert(json == cases[i].json && dry_run == cases[i].dry_run, "case %zu", i);
        }
        while (--argc > 0)
            free(argv[argc]);
    }
}
