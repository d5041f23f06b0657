/* The model (tests/flow/model) and the program count ranks alike. */
#include "dedupe/record.h"
#include "tests/flow/model/ranks.h"

#include <criterion/criterion.h>

Test(model, its_ranks_are_those_of_the_program)
{
    cr_assert_eq(RANK_BLOCK, RANKS_PER_EPOCH);
    for (uint32_t epoch = 0; epoch < 40; epoch++) {
        for (uint32_t attempt = 1; attempt <= RANK_ATTEMPTS_MAX; attempt++) {
            cr_assert_eq(CN(epoch, attempt), rank_claimed(epoch, attempt));
            cr_assert_eq(FN(epoch, attempt), rank_failed(epoch, attempt));
            cr_assert_eq(SN(epoch, attempt), rank_scheduled(epoch, attempt));
            cr_assert_eq(EPOCH_OF(CN(epoch, attempt)), rank_epoch(rank_claimed(epoch, attempt)));
        }
        cr_assert_eq(RX(epoch), rank_dead(epoch));
        cr_assert_eq(RD(epoch), rank_delivered(epoch));
        cr_assert_eq(EPOCH_OF(RD(epoch)), rank_epoch(rank_delivered(epoch)));
    }
}

/* The scripts are given C(n) and add to it. */
Test(model, failed_and_scheduled_follow_claimed_by_one_and_two)
{
    for (uint32_t attempt = 1; attempt <= RANK_ATTEMPTS_MAX; attempt++) {
        cr_assert_eq(rank_failed(7, attempt), rank_claimed(7, attempt) + 1);
        cr_assert_eq(rank_scheduled(7, attempt), rank_claimed(7, attempt) + 2);
    }
}
