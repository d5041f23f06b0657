#include "delivery/turns.h"

#include "consumer/base/clock.h"

void turns_init(struct turns *turns)
{
    *turns = (struct turns){ 0 };
    for (int kind = 0; kind < TURN_KINDS; kind++)
        turns->shares[kind].round = 1;
}

void turns_begin(struct turns *turns)
{
    turns->now_us = 0;
    for (int kind = 0; kind < TURN_KINDS; kind++)
        turns->shares[kind] = (struct turn_share){ .round = turns->shares[kind].round + !turns->shares[kind].cut_short };
}

bool turns_has(struct turns *turns, struct turn_place *place)
{
    struct turn_share *share = &turns->shares[place->kind];
    if (place->round == share->round)
        return false;
    share->cut_short = share->spent_us > TURN_US_MAX;
    if (share->cut_short)
        return false;
    if (turns->now_us == 0)
        turns->now_us = clock_monotonic_us();
    place->round = share->round;
    return true;
}

void turns_spend(struct turns *turns, enum turn_kind kind)
{
    uint64_t before_us = turns->now_us;
    turns->now_us = clock_monotonic_us();
    if (before_us != 0) /* else nobody asked whether it has a turn: it was told that its socket broke */
        turns->shares[kind].spent_us += turns->now_us - before_us;
}
