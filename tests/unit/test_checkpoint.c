#include "consumer/commands/checkpoint.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct search_range left[] = { { 0, 5, 900 }, { 1, 0, 0 }, { 2, 7, INT64_MAX } };
static struct checkpoint_plan plans[] = { { 2, 9, 3 }, { 0, 5, 1 }, { 0, 4, 4294967295U } };

static void write(struct text *text)
{
    const struct checkpoint checkpoint = { .identity = (char *)"0123abcd",
                                           .since_ms = 1760000000000,
                                           .sent = 12,
                                           .refused = 3,
                                           .followed = 11,
                                           .followed_bytes = 300,
                                           .left = left,
                                           .partitions = COUNT_OF(left),
                                           .plans = plans,
                                           .plan_count = COUNT_OF(plans) };
    text_init(text, 65536);
    checkpoint_write(&checkpoint, text);
}

Test(checkpoint, says_again_what_was_written)
{
    struct text text;
    struct checkpoint found;
    const char *problem;
    write(&text);
    cr_assert(checkpoint_read(text_slice(&text), &found, &problem));
    cr_assert_str_eq(found.identity, "0123abcd");
    cr_assert(found.since_ms == 1760000000000 && found.until_ms == 0 && found.sent == 12 && found.refused == 3);
    cr_assert(found.followed == 11 && found.followed_bytes == 300);
    cr_assert_eq(found.partitions, COUNT_OF(left));
    cr_assert_arr_eq(found.left, left, sizeof(left));
    cr_assert_eq(checkpoint_find(&found, 0, 5)->epoch, 1);
    cr_assert_eq(checkpoint_find(&found, 2, 9)->epoch, 3);
    cr_assert_eq(checkpoint_find(&found, 0, 4)->epoch, 4294967295U);
    cr_assert_null(checkpoint_find(&found, 0, 6));
    checkpoint_finish(&found);
    text_finish(&text);
}

Test(checkpoint, every_part_of_one_and_every_changed_byte_is_found_out)
{
    struct text text;
    struct checkpoint found;
    const char *problem;
    write(&text);
    for (size_t length = 0; length < text.length; length++)
        cr_assert_not(checkpoint_read((struct slice){ text.start, length }, &found, &problem), "%zu", length);
    for (size_t at = 0; at < text.length; at++) {
        text.start[at] ^= 1;
        cr_assert_not(checkpoint_read(text_slice(&text), &found, &problem), "%zu", at);
        text.start[at] ^= 1;
    }
    cr_assert(checkpoint_read(text_slice(&text), &found, &problem));
    checkpoint_finish(&found);
    text_finish(&text);
}

Test(checkpoint, what_is_no_file_is_left_alone)
{
    struct checkpoint_file file;
    struct checkpoint checkpoint;
    struct text problem;
    text_init(&problem, 1024);
    cr_assert_eq(checkpoint_open(&file, "/dev/null", &checkpoint, &problem), CHECKPOINT_FAILED);
    cr_assert_str_eq(problem.start, "/dev/null: is no file");
    checkpoint_close(&file, true);
    text_finish(&problem);
}
