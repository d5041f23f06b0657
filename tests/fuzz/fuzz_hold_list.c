/* Any bytes as a hold file, and behind a NUL a URL: a list that was taken is the same in a copy and when it is read again, and whatever it holds has
 * the origin of the rule that holds it, to the byte. */
#include "delivery/hold_list.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct guard guard = { .allow_http = true };

static void expect_same_origin(const struct hold_list *list, struct slice text)
{
    struct url url;
    enum guard_rule judged = guard_judge_url(&guard, text, &url);
    if (judged != GUARD_OK && judged != GUARD_ADDRESS)
        return;
    struct hold_rule rule = hold_list_judge(list, &url);
    if (rule.action != HOLD_NOT)
        assert(slice_is(rule.origin, url.origin) && rule.line > 0);
}

static void expect_own_origins_held(const struct hold_list *list)
{
    for (size_t i = 0; i < hold_list_length(list); i++)
        expect_same_origin(list, hold_list_rule(list, i).origin);
    assert(hold_list_count(list, HOLD_DEFER) + hold_list_count(list, HOLD_DEAD) == hold_list_length(list));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size == 0 ? NULL : memchr(data, 0, size);
    size_t length = nul == NULL ? size : (size_t)(nul - data);
    struct slice content = { (const char *)data, length };
    struct text problem;
    text_init(&problem, 1000);
    struct hold_list *list = hold_list_parse(content, 1, &problem);
    assert((list == NULL) == (problem.length > 0));
    if (list != NULL) {
        struct hold_list *copy = hold_list_copy(list), *again = hold_list_parse(content, 2, &problem);
        assert(hold_list_equal(list, copy) && hold_list_equal(list, again));
        hold_list_keep_ages(again, list);
        for (size_t i = 0; i < hold_list_length(again); i++)
            assert(hold_list_rule(again, i).since_ms == 1);
        expect_own_origins_held(copy);
        if (nul != NULL)
            expect_same_origin(copy, (struct slice){ (const char *)nul + 1, size - length - 1 });
        hold_list_destroy(copy);
        hold_list_destroy(again);
    }
    hold_list_destroy(list);
    text_finish(&problem);
    return 0;
}
