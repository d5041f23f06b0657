#include "consumer/commands/again_plan.h"

#include <criterion/criterion.h>
#include <string.h>

static struct event event;
static struct entry entry;
static struct lookup_answer answer;
static struct guard guard = { .allow_http = true };
static struct again_asked asked;

/* A letter of epoch 1 whose task is as `rank` says. */
static void set(uint64_t rank)
{
    event = (struct event){ .task_id = SLICE("t") };
    entry = (struct entry){ .partition = 2, .offset = 30, .event = &event, .attempt = { .number = 6, .epoch = 1 }, .reason = SLICE("exhausted") };
    answer = (struct lookup_answer){ .result = rank == 0 ? LOOKUP_NOTHING : LOOKUP_FOUND,
                                     .record = { .rank = rank, .partition = 2, .offset = 30 },
                                     .now_ms = 1000 };
    asked = (struct again_asked){ .entry = &entry, .answer = &answer, .guard = &guard, .url = SLICE("https://hooks.example.com/") };
}

static void expect(enum again_verdict verdict, uint32_t epoch)
{
    struct again_plan plan = again_judge(&asked);
    cr_assert_eq(plan.verdict, verdict, "%s instead of %s", again_verdict_name(plan.verdict), again_verdict_name(verdict));
    if (verdict <= AGAIN_SENT)
        cr_assert_eq(plan.epoch, epoch);
}

Test(again_plan, a_letter_goes_into_the_next_epoch)
{
    set(rank_dead(1));
    expect(AGAIN_SEND, 2);
    set(0);
    expect(AGAIN_SEND, 2);
    set(rank_claimed(0, 1));
    expect(AGAIN_SEND, 2);
    answer.result = LOOKUP_UNREADABLE;
    expect(AGAIN_SEND, 2);
}

Test(again_plan, a_letter_that_was_replayed_is_refused_unless_forced)
{
    static const uint64_t later[] = { 2 * RANKS_PER_EPOCH + 1, 2 * RANKS_PER_EPOCH + RANK_DEAD, 5 * RANKS_PER_EPOCH + RANK_DELIVERED };
    for (size_t i = 0; i < COUNT_OF(later); i++) {
        set(later[i]);
        expect(AGAIN_REPLAYED, 0);
        asked.force = true;
        expect(AGAIN_SEND, rank_epoch(later[i]) + 1);
    }
    set(rank_delivered(1));
    expect(AGAIN_DELIVERED_ALREADY, 0);
    set(rank_dead(1));
    entry.reason = SLICE("task_id_conflict");
    expect(AGAIN_CONFLICT, 0);
    entry.reason = SLICE("invalid_headers");
    expect(AGAIN_BAD_HEADERS, 0);
    asked.force = true;
    expect(AGAIN_SEND, 2);
}

Test(again_plan, what_cannot_be_sent_is_refused_even_when_forced)
{
    set(rank_dead(1));
    asked.force = true;
    asked.url = SLICE("");
    expect(AGAIN_NOWHERE, 0);
    asked.url = SLICE("http://10.0.0.1/");
    expect(AGAIN_SEND, 2);
    asked.is_rewritten = true;
    expect(AGAIN_BLOCKED, 0);
    entry.malformed = "member task_id is missing";
    expect(AGAIN_MALFORMED, 0);
    entry.cut_from = 9;
    expect(AGAIN_SHORTENED, 0);
    entry.unreadable = "header jobhook-epoch is not a number";
    expect(AGAIN_UNREADABLE, 0);
}

Test(again_plan, an_interrupted_run_uses_its_epochs_again)
{
    set(rank_dead(1));
    asked.is_planned = true;
    asked.planned_epoch = 2;
    expect(AGAIN_SEND, 2);
    answer.record.rank = rank_claimed(2, 1);
    expect(AGAIN_SENT, 2);
    answer.record.rank = rank_delivered(2);
    expect(AGAIN_SENT, 2);
    answer.result = LOOKUP_NOTHING;
    expect(AGAIN_SEND, 2);
}

Test(again_plan, an_epoch_beyond_all_counting_is_refused)
{
    set(0);
    entry.attempt.epoch = 1000 * 1000 * 1000;
    expect(AGAIN_TOO_MANY, 0);
}

static void set_event(uint64_t rank)
{
    set(rank);
    entry.attempt = (struct attempt){ .number = 1 };
    entry.reason = SLICE("");
    asked.resend = true;
}

Test(again_plan, only_the_record_that_counts_is_resent)
{
    set_event(rank_delivered(3));
    expect(AGAIN_SEND, 4);
    answer.record.offset = 31;
    expect(AGAIN_ANOTHER_RECORD, 0);
    asked.force = true;
    expect(AGAIN_ANOTHER_RECORD, 0);
    answer.record.partition = -1;
    expect(AGAIN_SEND, 4);
    set_event(0);
    expect(AGAIN_UNKNOWN, 0);
    asked.force = true;
    expect(AGAIN_SEND, 1);
    asked.state = AGAIN_DELIVERED;
    expect(AGAIN_PASS, 0);
}

Test(again_plan, what_is_being_sent_is_left_alone)
{
    set_event(rank_claimed(0, 2));
    answer.record.leased = true;
    answer.record.lease_end_ms = 1001;
    expect(AGAIN_UNDER_WAY, 0);
    answer.record.lease_end_ms = 1000;
    expect(AGAIN_SEND, 1);
}

Test(again_plan, states_are_told_apart)
{
    const struct {
        uint64_t rank;
        enum again_state state;
    } cases[] = { { rank_delivered(2), AGAIN_DELIVERED },
                  { rank_dead(0), AGAIN_DEAD },
                  { rank_scheduled(0, 1), AGAIN_SCHEDULED },
                  { rank_claimed(1, 3), AGAIN_SCHEDULED },
                  { rank_failed(0, 1), AGAIN_ANY_STATE } };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (int state = AGAIN_DELIVERED; state <= AGAIN_DEAD; state++) {
            set_event(cases[i].rank);
            asked.state = (enum again_state)state;
            cr_assert_eq(again_judge(&asked).verdict == AGAIN_SEND, asked.state == cases[i].state, "%zu %d", i, state);
        }
    set_event(rank_claimed(0, 1));
    asked.state = AGAIN_SCHEDULED;
    answer.record.leased = true;
    answer.record.lease_end_ms = 2000;
    expect(AGAIN_PASS, 0);
}

Test(again_plan, urls_are_rewritten_at_whole_authorities)
{
    static const struct {
        const char *rewrite, *url, *becomes;
    } cases[] = {
        { "https://a.example=https://b.example", "https://a.example/x?y=1", "https://b.example/x?y=1" },
        { "https://a.example=https://b.example", "https://a.example", "https://b.example" },
        { "https://a.example=https://b.example", "https://a.example.org/x", NULL },
        { "https://a.example=https://b.example", "https://a.example:8443/x", NULL },
        { "https://a.example/old=https://b.example/new", "https://a.example/older", "https://b.example/newer" },
        { "https://a.example/x?k=http://c=https://b.example/", "https://a.example/x", NULL },
        { "http://a.example=https://b.example:8443/in", "http://a.example/x", "https://b.example:8443/in/x" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct again_rewrites rewrites = { 0 };
        struct text text;
        const char *problem;
        text_init(&text, 1000);
        if (!again_add_rewrite(&rewrites, cases[i].rewrite, &problem))
            cr_assert_null(cases[i].becomes, "%s", cases[i].rewrite);
        cr_assert_eq(again_rewrite(&rewrites, slice_of(cases[i].url), &text), cases[i].becomes != NULL, "%s", cases[i].url);
        if (cases[i].becomes != NULL)
            cr_assert_str_eq(text.start, cases[i].becomes);
        text_finish(&text);
    }
}
