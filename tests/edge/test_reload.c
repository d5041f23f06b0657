#include "consumer/base/clock.h"
#include "consumer/content.h"
#include "consumer/reload.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

/* What a file's owner was told. */
struct owner {
    char taken[4096]; /* the last one */
    int asked, took;
    bool refuses;
};

static bool take(void *context, struct slice content, struct text *problem)
{
    struct owner *owner = context;
    owner->asked++;
    if (owner->refuses) {
        text_append_string(problem, "is not what it should be");
        return false;
    }
    owner->took++;
    snprintf(owner->taken, sizeof(owner->taken), SLICE_FORMAT, SLICE_ARGS(content));
    return true;
}

static uv_loop_t loop;
static char folder[64], path[128];
static struct reload *reload;
static struct owner owner;

static const char *in_folder(const char *name)
{
    static char paths[4][128];
    static int next;
    char *result = paths[next++ % 4];
    snprintf(result, sizeof(paths[0]), "%s/%s", folder, name);
    return result;
}

static void write_file(const char *name, const char *content)
{
    FILE *file = fopen(in_folder(name), "w");
    cr_assert_not_null(file);
    fputs(content, file);
    fclose(file);
}

static void set_up(void)
{
    snprintf(folder, sizeof(folder), "/tmp/jobhook-reload.XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s", in_folder("file"));
    owner = (struct owner){ 0 };
    uv_loop_init(&loop);
    reload = reload_create(&loop);
}

static void tear_down(void)
{
    char command[128];
    reload_destroy(reload);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_expect_eq(uv_loop_close(&loop), 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    cr_expect_eq(system(command), 0);
}

TestSuite(reload, .init = set_up, .fini = tear_down);

static void watch(const char *name)
{
    snprintf(path, sizeof(path), "%s", in_folder(name));
    const struct reload_file file = { .setting = "JOBHOOK_TEST", .path = path, .take = take, .context = &owner };
    reload_add(reload, &file);
}

static int64_t successful(void)
{
    return gauge_read(&reload_stats(reload)->successful);
}

/* What the owner has now, and how often it was asked. */
static void expect(const char *taken, int asked, bool fine)
{
    cr_expect_str_eq(owner.taken, taken);
    cr_expect_eq(owner.asked, asked, "asked %d times instead of %d", owner.asked, asked);
    cr_expect_eq(successful(), fine);
}

/* The same after two looks, the second of which finds the file at rest. */
static void expect_after_looks(const char *taken, int asked, bool fine)
{
    reload_look(reload);
    reload_look(reload);
    expect(taken, asked, fine);
}

Test(reload, tells_the_first_content_and_every_other_one)
{
    write_file("file", "one\n");
    watch("file");
    cr_expect_eq(owner.asked, 1, "at once");
    expect_after_looks("one", 1, true);
    expect_after_looks("one", 1, true);
    write_file("file", "two");
    expect_after_looks("two", 2, true);
    write_file("file", "owt"); /* as long as before, and perhaps within the same tick of the file system's clock */
    expect_after_looks("owt", 3, true);
    write_file("file", "owt\n");
    expect_after_looks("owt", 3, true);
}

Test(reload, sees_a_link_that_is_pointed_elsewhere)
{
    /* As Kubernetes does it: file → ..data/file, ..data → a folder of its own for each version, renamed over the old link. */
    mkdir(in_folder("..1"), 0700);
    mkdir(in_folder("..2"), 0700);
    write_file("..1/file", "one");
    write_file("..2/file", "two");
    cr_assert_eq(symlink("..1", in_folder("..data")), 0);
    cr_assert_eq(symlink("..data/file", in_folder("file")), 0);
    watch("file");
    expect_after_looks("one", 1, true);
    cr_assert_eq(symlink("..2", in_folder("..data_tmp")), 0);
    cr_assert_eq(rename(in_folder("..data_tmp"), in_folder("..data")), 0);
    expect_after_looks("two", 2, true);
    expect_after_looks("two", 2, true);
}

Test(reload, sees_a_file_that_is_replaced)
{
    write_file("file", "one");
    watch("file");
    expect_after_looks("one", 1, true);
    write_file("new", "two");
    cr_assert_eq(rename(in_folder("new"), in_folder("file")), 0);
    expect_after_looks("two", 2, true);
}

Test(reload, keeps_what_was_there_while_a_new_content_is_refused)
{
    write_file("file", "good");
    watch("file");
    expect_after_looks("good", 1, true);
    owner.refuses = true;
    write_file("file", "bad");
    expect_after_looks("good", 2, false);
    expect_after_looks("good", 2, false);
    write_file("file", "worse");
    expect_after_looks("good", 3, false);
    owner.refuses = false;
    write_file("file", "good");
    expect_after_looks("good", 4, true);
}

Test(reload, keeps_what_was_there_while_a_file_cannot_be_read)
{
    write_file("file", "one");
    watch("file");
    expect_after_looks("one", 1, true);
    cr_assert_eq(unlink(in_folder("file")), 0);
    expect_after_looks("one", 1, false);
    expect_after_looks("one", 1, false);
    write_file("file", "one");
    expect_after_looks("one", 2, true);
    FILE *file = fopen(in_folder("file"), "w");
    fwrite("a\0b", 1, 3, file);
    fclose(file);
    expect_after_looks("one", 2, false);
    write_file("file", "two");
    expect_after_looks("two", 3, true);
}

Test(reload, waits_until_a_file_is_written)
{
    write_file("file", "one\ntwo");
    watch("file");
    for (const char *content = "three\nfour", *end = content; *end != '\0';) {
        char half[16];
        snprintf(half, sizeof(half), "%.*s", (int)(++end - content), content);
        write_file("file", half);
        reload_look(reload);
        expect("one\ntwo", 1, true);
    }
    reload_look(reload);
    expect("three\nfour", 2, true);
}

Test(reload, does_not_wait_for_the_writer_of_a_pipe)
{
    write_file("file", "one");
    watch("file");
    cr_assert_eq(unlink(in_folder("file")), 0);
    cr_assert_eq(mkfifo(in_folder("file"), 0600), 0);
    expect_after_looks("one", 1, false);
    cr_assert_eq(unlink(in_folder("file")), 0);
    write_file("file", "one");
    expect_after_looks("one", 2, true);
}

Test(reload, is_successful_when_all_files_are)
{
    struct owner other = { 0 };
    char other_path[128];
    write_file("file", "one");
    write_file("other", "one");
    snprintf(other_path, sizeof(other_path), "%s", in_folder("other"));
    watch("file");
    const struct reload_file file = { .setting = "JOBHOOK_OTHER", .path = other_path, .take = take, .context = &other };
    other.refuses = true;
    reload_add(reload, &file);
    expect_after_looks("one", 1, false);
    write_file("file", "two");
    expect_after_looks("two", 2, false);
    other.refuses = false;
    write_file("other", "two");
    expect_after_looks("two", 2, true);
    cr_expect_str_eq(other.taken, "two");
}

Test(reload, leaves_alone_what_is_no_regular_file)
{
    cr_assert_eq(mkfifo(in_folder("file"), 0600), 0);
    watch("file");
    expect_after_looks("", 0, true);
}

Test(reload, looks_by_itself)
{
    write_file("file", "one");
    watch("file");
    uint64_t give_up_ms = clock_monotonic_ms() + 20000;
    write_file("file", "two");
    while (owner.asked == 1 && clock_monotonic_ms() < give_up_ms)
        uv_run(&loop, UV_RUN_ONCE);
    cr_expect_str_eq(owner.taken, "two");
}

Test(reload, reads_an_old_file_once)
{
    static const struct timespec long_ago[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
    write_file("file", "one");
    utimensat(AT_FDCWD, in_folder("file"), long_ago, 0);
    watch("file");
    expect_after_looks("one", 1, true);
    write_file("file", "two");
    utimensat(AT_FDCWD, in_folder("file"), long_ago, 0); /* what was modified cannot hide that something changed */
    expect_after_looks("two", 2, true);
}

/* ---- contents ---- */

static void expect_content(const char *bytes, size_t length, const char *wanted)
{
    FILE *file = fopen(in_folder("file"), "w");
    fwrite(bytes, 1, length, file);
    fclose(file);
    struct text problem;
    text_init(&problem, 1000);
    char *content = content_read(in_folder("file"), &problem);
    cr_expect_eq(content == NULL, wanted == NULL);
    cr_expect(wanted == NULL || strcmp(content, wanted) == 0, "%s", content);
    cr_expect_eq(problem.length > 0, wanted == NULL);
    content_destroy(content);
    text_finish(&problem);
}

Test(reload, content_ends_without_one_newline)
{
    expect_content("", 0, "");
    expect_content("\n", 1, "");
    expect_content("a", 1, "a");
    expect_content("a\n", 2, "a");
    expect_content("a\r\n", 3, "a");
    expect_content("a\n\n", 3, "a\n");
    expect_content("\r\n", 2, "");
    expect_content("\r", 1, "\r");
    expect_content("a\0", 2, NULL);
}

Test(reload, content_has_a_limit)
{
    char *bytes = malloc(CONTENT_BYTES_MAX + 1);
    memset(bytes, 'x', CONTENT_BYTES_MAX + 1);
    expect_content(bytes, CONTENT_BYTES_MAX + 1, NULL);
    bytes[CONTENT_BYTES_MAX] = '\0';
    expect_content(bytes, CONTENT_BYTES_MAX, bytes);
    free(bytes);
}
