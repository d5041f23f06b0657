/* Bearer tokens: what is one, and who may ask. */
#include "consumer/bearer.h"

#include <criterion/criterion.h>
#include <string.h>

#define ONE "0123456789abcdef0123456789abcdef"
#define TWO "-._~+/=ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool parses(const char *text, struct bearer_tokens *tokens)
{
    struct text problem;
    text_init(&problem, 512);
    bool fine = bearer_parse(slice_of(text), tokens, &problem);
    cr_expect_eq(fine, problem.length == 0);
    cr_expect(problem.length == 0 || strstr(problem.start, "secret") == NULL, "the problem shows the token");
    text_finish(&problem);
    return fine;
}

Test(bearer, tokens_are_separated_by_white_space)
{
    struct bearer_tokens tokens;
    cr_assert(parses(" " ONE "\t\r\n" TWO "\n", &tokens));
    cr_expect_eq(tokens.count, 2);
    cr_assert(parses(" \n", &tokens));
    cr_expect_eq(tokens.count, 0);
}

Test(bearer, what_could_be_guessed_or_not_be_sent_is_refused)
{
    static const char *const cases[] = { "secret",
                                         "secret-0123456789abcdef01234567",
                                         "secret-0123456789abcdef0123456789\"",
                                         "secret-0123456789abcdef0123456789\xc3\xbc",
                                         ONE " secret",
                                         ONE " " ONE " " ONE " " ONE " " ONE " " ONE " " ONE " " ONE " secret-" ONE };
    struct bearer_tokens tokens;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_expect_not(parses(cases[i], &tokens), "%s", cases[i]);
        cr_expect_eq(tokens.count, 0);
    }
    char long_one[BEARER_BYTES_MAX + 2];
    memset(long_one, 'a', sizeof long_one);
    long_one[BEARER_BYTES_MAX + 1] = '\0';
    cr_expect_not(parses(long_one, &tokens));
    long_one[BEARER_BYTES_MAX] = '\0';
    cr_expect(parses(long_one, &tokens));
}

Test(bearer, only_the_whole_token_is_allowed)
{
    static const struct {
        const char *authorization;
        bool allowed;
    } cases[] = { { "Bearer " ONE, true },
                  { "bearer " TWO, true },
                  { "BEARER   " ONE, true },
                  { "Bearer " ONE "x", false },
                  { "Bearer x" ONE, false },
                  { "Bearer", false },
                  { "Bearer ", false },
                  { "Bearer" ONE, false },
                  { ONE, false },
                  { "Basic " ONE, false },
                  { "Bearer " ONE " ", false },
                  { "Bearer 0123456789ABCDEF0123456789abcdef", false },
                  { "", false } };
    struct bearer_tokens tokens;
    cr_assert(parses(ONE " " TWO, &tokens));
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(bearer_allows(&tokens, cases[i].authorization), cases[i].allowed, "%s", cases[i].authorization);
    cr_expect_not(bearer_allows(&tokens, NULL));
    char shorter[sizeof "Bearer " ONE];
    for (size_t length = 0; length < sizeof shorter - 1; length++) {
        memcpy(shorter, "Bearer " ONE, length);
        shorter[length] = '\0';
        cr_expect_not(bearer_allows(&tokens, shorter));
    }
    bearer_wipe(&tokens);
    cr_expect_not(bearer_allows(&tokens, "Bearer "));
    cr_expect_not(bearer_allows(&tokens, "Bearer " ONE));
}
