#include "delivery/hold_list.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct text problem;
static struct hold_list *list;

static void finish(void)
{
    hold_list_destroy(list);
    list = NULL;
    text_finish(&problem);
}
TestSuite(hold_list, .fini = finish);

static struct hold_list *parse_at(const char *content, uint64_t now_ms)
{
    text_finish(&problem);
    text_init(&problem, 1000);
    return hold_list_parse(slice_of(content), now_ms, &problem);
}

static void must_parse(const char *content)
{
    hold_list_destroy(list);
    list = parse_at(content, 1000);
    cr_assert_not_null(list, "%s", problem.start);
}

static void expect_mistake(const char *content, const char *sentence)
{
    cr_expect_null(parse_at(content, 1000), "%s", content);
    cr_expect_str_eq(problem.length == 0 ? "" : problem.start, sentence);
}

static enum hold_action judge(const char *text)
{
    const struct guard guard = { .allow_http = true };
    struct url url;
    enum guard_rule rule = guard_judge_url(&guard, slice_of(text), &url);
    cr_assert(rule == GUARD_OK || rule == GUARD_ADDRESS, "%s", text);
    return hold_list_judge(list, &url).action;
}

/* --- what a prefix matches --- */

Test(hold_list, a_prefix_matches_whole_parts_of_a_url)
{
    static const struct {
        const char *prefix, *url;
        bool matches;
    } cases[] = {
        /* an origin */
        { "https://a.example.com", "https://a.example.com", true },
        { "https://a.example.com", "https://a.example.com/", true },
        { "https://a.example.com", "https://a.example.com/x/y?z", true },
        { "https://a.example.com", "https://a.example.com?z", true },
        { "https://a.example.com", "https://a.example.com#z", true },
        { "https://a.example.com/", "https://a.example.com", true },
        { "https://a.example.com/", "https://a.example.com/x", true },
        { "https://a.example.com", "https://a.example.com.evil.org/", false },
        { "https://a.example.com", "https://a.example.community/", false },
        { "https://a.example.com", "https://b.a.example.com/", false },
        { "https://a.example.com", "https://a.example.com:8443/", false },
        { "https://a.example.com", "http://a.example.com/", false },
        { "https://a.example.co", "https://a.example.com/", false },
        /* one spelling */
        { "HTTPS://A.Example.COM", "https://a.example.com/x", true },
        { "https://a.example.com", "https://A.EXAMPLE.com/x", true },
        { "https://a.example.com:443", "https://a.example.com/x", true },
        { "https://a.example.com", "https://a.example.com:443/x", true },
        { "http://a.example.com:80/x", "http://a.example.com/x", true },
        { "https://a.example.com:8443", "https://a.example.com:8443/x", true },
        { "https://a.example.com:8443", "https://a.example.com/x", false },
        { "http://[2001:db8:0:0:0:0:0:1]/a", "http://[2001:db8::1]/a/b", true },
        { "http://10.0.0.1", "http://10.0.0.1/x", true },
        { "http://10.0.0.1", "http://10.0.0.11/x", false },
        /* a path */
        { "https://a.example.com/c/7", "https://a.example.com/c/7", true },
        { "https://a.example.com/c/7", "https://a.example.com/c/7/", true },
        { "https://a.example.com/c/7", "https://a.example.com/c/7/x", true },
        { "https://a.example.com/c/7", "https://a.example.com/c/7?x=y", true },
        { "https://a.example.com/c/7", "https://a.example.com/c/7#x", true },
        { "https://a.example.com/c/7", "https://a.example.com/c/77", false },
        { "https://a.example.com/c/7", "https://a.example.com/c", false },
        { "https://a.example.com/c/7", "https://a.example.com/C/7", false },
        { "https://a.example.com/c/7", "https://a.example.com/?/c/7", false },
        { "https://a.example.com/c/7", "https://b.example.com/c/7", false },
        { "https://a.example.com/c/", "https://a.example.com/c/7", true },
        { "https://a.example.com/c/", "https://a.example.com/c", false },
        { "https://a.example.com//c", "https://a.example.com/c", false },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char content[200];
        snprintf(content, sizeof(content), "%s hold\n", cases[i].prefix);
        must_parse(content);
        cr_expect_eq(judge(cases[i].url), cases[i].matches ? HOLD_DEFER : HOLD_NOT, "%s and %s", cases[i].prefix, cases[i].url);
    }
}

Test(hold_list, the_longest_prefix_that_matches_counts)
{
    must_parse("https://a.example.com hold\n"
               "https://a.example.com/c dead\n"
               "https://a.example.com/c/7 hold\n"
               "https://a.example.com/c/7/x/y dead\n"
               "https://a.example.com-b.org hold\n"
               "https://b.example.com/c dead\n");
    cr_expect_eq(judge("https://a.example.com/"), HOLD_DEFER);
    cr_expect_eq(judge("https://a.example.com/cc"), HOLD_DEFER);
    cr_expect_eq(judge("https://a.example.com/c"), HOLD_DEAD);
    cr_expect_eq(judge("https://a.example.com/c/6"), HOLD_DEAD);
    cr_expect_eq(judge("https://a.example.com/c/77"), HOLD_DEAD);
    cr_expect_eq(judge("https://a.example.com/c/7/x/yz"), HOLD_DEFER);
    cr_expect_eq(judge("https://a.example.com/c/7/x/y/z"), HOLD_DEAD);
    cr_expect_eq(judge("https://b.example.com/c/7"), HOLD_DEAD);
    cr_expect_eq(judge("https://b.example.com/d"), HOLD_NOT);
    cr_expect_eq(judge("https://c.example.com/"), HOLD_NOT);
}

/* Against the plain way: every rule is looked at. */
Test(hold_list, many_rules_are_judged_as_one_by_one)
{
    static const char *const parts[] = { "/a", "/ab", "/a/b", "/", "/b", "/a/", "" };
    char content[20000] = "", prefixes[200][120];
    size_t used = 0, rules = 0;
    srandom(7);
    for (int tries = 0; tries < 400 && rules < COUNT_OF(prefixes); tries++) {
        size_t length = (size_t)snprintf(prefixes[rules], sizeof(prefixes[0]), "https://h%ld.example.com", random() % 9);
        for (long deep = random() % 5; deep > 0; deep--)
            length += (size_t)snprintf(prefixes[rules] + length, sizeof(prefixes[0]) - length, "%s", parts[random() % (long)COUNT_OF(parts)]);
        bool skip = prefixes[rules][length - 1] == '/'; /* what these match is told by the cases above */
        for (size_t i = 0; i < rules; i++)
            skip = skip || strcmp(prefixes[i], prefixes[rules]) == 0;
        if (skip)
            continue;
        used += (size_t)snprintf(content + used, sizeof(content) - used, "%s %s\n", prefixes[rules], random() % 2 ? "hold" : "dead");
        rules++;
    }
    must_parse(content);
    cr_assert_gt(rules, 60);
    for (int i = 0; i < 5000; i++) {
        char url[200];
        size_t length = (size_t)snprintf(url, sizeof(url), "https://h%ld.example.com", random() % 10), longest = 0;
        for (long deep = random() % 6; deep > 0; deep--)
            length += (size_t)snprintf(url + length, sizeof(url) - length, "%s", parts[random() % (long)COUNT_OF(parts)]);
        const char *line = content, *found = NULL;
        for (size_t k = 0; k < rules; k++, line = strchr(line, '\n') + 1) {
            size_t size = strlen(prefixes[k]);
            if (strncmp(url, prefixes[k], size) == 0 && (url[size] == '\0' || url[size] == '/') && size > longest) {
                longest = size;
                found = line + size + 1;
            }
        }
        enum hold_action expected = found == NULL ? HOLD_NOT : strncmp(found, "hold", 4) == 0 ? HOLD_DEFER : HOLD_DEAD;
        cr_assert_eq(judge(url), expected, "%s", url);
    }
}

Test(hold_list, no_list_and_an_empty_one_hold_nothing)
{
    cr_expect_eq(judge("https://a.example.com/"), HOLD_NOT);
    must_parse("");
    cr_expect_eq(judge("https://a.example.com/"), HOLD_NOT);
    cr_expect_eq(hold_list_length(list), 0);
}

/* --- the file --- */

Test(hold_list, comments_blank_lines_and_blanks_do_not_matter)
{
    expect_mistake("https://b.example.com dead#x", "line 1: \"dead#x\" is neither hold nor dead");
    must_parse("# since Monday\n"
               "\n"
               "   \t\r\n"
               "\t# https://no.example.com hold\n"
               "  https://a.example.com \t hold  # ticket 7\r\n"
               "https://b.example.com dead #");
    cr_expect_eq(hold_list_length(list), 2);
    cr_expect_eq(hold_list_count(list, HOLD_DEFER), 1);
    cr_expect_eq(hold_list_count(list, HOLD_DEAD), 1);
    cr_expect_eq(judge("https://a.example.com/x"), HOLD_DEFER);
    cr_expect_eq(judge("https://b.example.com/x"), HOLD_DEAD);
    cr_expect_eq(judge("https://no.example.com/x"), HOLD_NOT);
    struct hold_rule rule = hold_list_rule(list, 0);
    cr_expect(slice_is(rule.origin, "https://a.example.com"));
    cr_expect_eq(rule.line, 5);
}

Test(hold_list, mistakes_name_the_line_and_what_is_allowed)
{
    expect_mistake("https://a.example.com hold\nhttps://b.example.com\n", "line 2: hold or dead is missing behind the URL prefix");
    expect_mistake("\n\nhttps://a.example.com drop", "line 3: \"drop\" is neither hold nor dead");
    expect_mistake("https://a.example.com HOLD", "line 1: \"HOLD\" is neither hold nor dead");
    expect_mistake("https://a.example.com hold dead", "line 1: only a comment that begins with # may stand behind hold or dead");
    expect_mistake("a.example.com hold",
                   "line 1: the prefix must be a URL that could be called, such as https://a.example.com/path: refused by scheme");
    expect_mistake("hold https://a.example.com",
                   "line 1: the prefix must be a URL that could be called, such as https://a.example.com/path: refused by "
                   "scheme");
    expect_mistake("https://u:secret@a.example.com hold",
                   "line 1: the prefix must be a URL that could be called, such as https://a.example.com/path: refused by user_info");
    expect_mistake("https://*.example.com hold",
                   "line 1: the prefix must be a URL that could be called, such as https://a.example.com/path: refused by host_form");
    expect_mistake("https://a.example.com/x?token=secret hold", "line 1: the prefix must have no query and no fragment");
    expect_mistake("https://a.example.com/x# hold", "line 1: the prefix must have no query and no fragment");
    expect_mistake("https://a.example.com hold\n#\nhttps://A.example.com:443/ dead", "line 3: the same prefix as in line 1");
}

Test(hold_list, what_is_shown_of_a_line_is_short_and_escaped)
{
    char content[500] = "https://a.example.com \x1b[2J";
    memset(content + strlen(content), 'x', 200);
    cr_assert_null(parse_at(content, 0));
    cr_assert_null(strchr(problem.start, '\x1b'));
    cr_assert_lt(problem.length, 100);
}

Test(hold_list, there_is_a_largest_number_of_rules)
{
    char *content = malloc(40 * (HOLD_LIST_RULES_MAX + 1));
    size_t used = 0;
    for (int i = 0; i < HOLD_LIST_RULES_MAX; i++)
        used += (size_t)snprintf(content + used, 40, "https://h%d.example.com hold\n", i);
    must_parse(content);
    cr_expect_eq(judge("https://h7777.example.com/"), HOLD_DEFER);
    cr_expect_eq(judge("https://h77777.example.com/"), HOLD_NOT);
    snprintf(content + used, 40, "https://one.more.example.com hold\n");
    expect_mistake(content, "line 10001: more than 10000 rules");
    free(content);
}

/* --- ages and copies --- */

Test(hold_list, a_rule_that_stays_keeps_its_age)
{
    struct hold_list *before = parse_at("https://a.example.com hold\nhttps://b.example.com hold\n", 1000);
    list = parse_at("https://b.example.com dead\nhttps://c.example.com hold\nhttps://a.example.com:443/ hold\n", 5000);
    cr_expect_not(hold_list_equal(before, list));
    hold_list_keep_ages(list, before);
    cr_expect_eq(hold_list_rule(list, 0).since_ms, 1000);
    cr_expect_eq(hold_list_rule(list, 1).since_ms, 5000, "it has become another one");
    cr_expect_eq(hold_list_rule(list, 2).since_ms, 5000);
    hold_list_destroy(before);
}

Test(hold_list, a_copy_outlives_the_original)
{
    must_parse("https://a.example.com/x hold\nhttp://[2001:db8::1]/a/b dead\n");
    struct hold_list *copy = hold_list_copy(list);
    cr_expect(hold_list_equal(copy, list));
    hold_list_destroy(list);
    list = copy;
    cr_expect_eq(judge("https://a.example.com/x/y"), HOLD_DEFER);
    cr_expect_eq(judge("http://[2001:db8::1]/a/b"), HOLD_DEAD);
    must_parse("");
    copy = hold_list_copy(list);
    cr_expect_eq(hold_list_length(copy), 0);
    hold_list_destroy(copy);
}
