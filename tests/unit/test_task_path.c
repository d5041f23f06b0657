/* Which task a request target asks for. */
#include "consumer/http/task_path.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
    const char *target, *id; /* NULL: bad */
} cases[] = {
    { "/job-status/a", "a" },
    { "/job-status/a/b", "a/b" },
    { "/job-status/a%2fb", "a/b" },
    { "/job-status/a%2Fb", "a/b" },
    { "/job-status/a%252Fb", "a%2Fb" },
    { "/job-status/%25", "%" },
    { "/job-status/a+b", "a+b" },
    { "/job-status/a%20b", "a b" },
    { "/job-status/../a", "../a" },
    { "/job-status//", "/" },
    { "/job-status/%3F%23", "?#" },
    { "/job-status/\xc3\xbc", "\xc3\xbc" },
    { "/job-status/%c3%BC", "\xc3\xbc" },
    { "/job-status/", NULL },
    { "/job-status/?", NULL },
    { "/job-status/a?", NULL },
    { "/job-status/a?b=c", NULL },
    { "/job-status/a#b", NULL },
    { "/job-status/%", NULL },
    { "/job-status/a%2", NULL },
    { "/job-status/a%g0", NULL },
    { "/job-status/a%0g", NULL },
    { "/job-status/a%00", NULL },
    { "/job-status/a%0a", NULL },
    { "/job-status/a%7f", NULL },
    { "/job-status/a\x01", NULL },
    { "/job-status/%ff", NULL },
    { "/job-status/%ed%a0%80", NULL },
};

Test(task_path, everything_behind_the_prefix_is_the_id_decoded_once)
{
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct task_id id;
        const char *problem = NULL;
        enum task_path what = task_path_read(slice_of(cases[i].target), &id, &problem);
        cr_expect_eq(what, cases[i].id == NULL ? TASK_PATH_BAD : TASK_PATH_FINE, "%s", cases[i].target);
        cr_expect_eq(problem == NULL, what == TASK_PATH_FINE);
        if (what == TASK_PATH_FINE)
            cr_expect(slice_is((struct slice){ id.bytes, id.length }, cases[i].id), "%s", cases[i].target);
    }
}

Test(task_path, other_paths_are_elsewhere)
{
    static const char *const others[] = { "",
                                          "/",
                                          "/job-status",
                                          "/job-statuses/a",
                                          "/Job-Status/a",
                                          "//job-status/a",
                                          "/x/job-status/a",
                                          "http://h/job-status/a",
                                          "*",
                                          "/job%2Dstatus/a" };
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        struct task_id id;
        const char *problem;
        cr_expect_eq(task_path_read(slice_of(others[i]), &id, &problem), TASK_PATH_ELSEWHERE, "%s", others[i]);
    }
}

Test(task_path, an_id_may_be_as_long_as_an_event_lets_it_be)
{
    struct text target;
    struct task_id id;
    const char *problem;
    text_init(&target, 4096);
    text_append_string(&target, "/job-status/");
    for (int i = 0; i < EVENT_TASK_ID_MAX; i++)
        text_append_string(&target, "%41");
    cr_expect_eq(task_path_read(text_slice(&target), &id, &problem), TASK_PATH_FINE);
    cr_expect_eq(id.length, EVENT_TASK_ID_MAX);
    text_append_string(&target, "a");
    cr_expect_eq(task_path_read(text_slice(&target), &id, &problem), TASK_PATH_BAD);
    text_finish(&target);
}
