#include "delivery/hold_list.h"

#include "consumer/base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { NO_PARENT = -1, WORD_SHOWN_MAX = 40 };

struct rule {
    struct slice key; /* origin and path, in one spelling; in the list's bytes */
    size_t origin_length;
    size_t line;
    uint64_t since_ms;
    enum hold_action action;
    int parent; /* the longest other rule whose key this one begins with */
};

struct hold_list {
    size_t count;
    struct rule *rules; /* by key */
    char *bytes;        /* the keys */
    size_t bytes_used, bytes_size;
};

static const char *const action_names[HOLD_ACTIONS] = { [HOLD_NOT] = "not", [HOLD_DEFER] = "hold", [HOLD_DEAD] = "dead" };

const char *hold_action_name(enum hold_action action)
{
    assert(action < HOLD_ACTIONS);
    return action_names[action];
}

/* ---- keys ---- */

static int compare_slices(struct slice a, struct slice b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter == 0 ? 0 : memcmp(a.start, b.start, shorter);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static bool begins_with(struct slice text, struct slice prefix)
{
    return text.length >= prefix.length && memcmp(text.start, prefix.start, prefix.length) == 0;
}

/* What stands behind the authority, the query excepted: "" or from the first slash on. */
static struct slice path_of(const struct url *url)
{
    const char *authority = memchr(url->endpoint.start, ':', url->endpoint.length) + 3, *end = url->endpoint.start + url->endpoint.length;
    const char *slash = memchr(authority, '/', (size_t)(end - authority));
    return slash == NULL ? (struct slice){ end, 0 } : (struct slice){ slash, (size_t)(end - slash) };
}

static struct slice write_key(char *bytes, const struct url *url, struct slice path)
{
    memcpy(bytes, url->origin, url->origin_length);
    memcpy(bytes + url->origin_length, path.start, path.length);
    return (struct slice){ bytes, url->origin_length + path.length };
}

/* ---- reading ---- */

struct reading {
    struct hold_list *list;
    uint64_t now_ms;
    size_t line;
    struct text *problem;
};

static bool refuse(const struct reading *reading, const char *why)
{
    text_printf(reading->problem, "line %zu: %s", reading->line, why);
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct slice cut_blanks(struct slice text)
{
    while (text.length > 0 && is_blank(text.start[0]))
        text = (struct slice){ text.start + 1, text.length - 1 };
    return text;
}

static struct slice take_word(struct slice *rest)
{
    struct slice word = { rest->start, 0 };
    while (word.length < rest->length && !is_blank(rest->start[word.length]))
        word.length++;
    *rest = cut_blanks((struct slice){ rest->start + word.length, rest->length - word.length });
    return word;
}

static bool read_action(const struct reading *reading, struct slice word, enum hold_action *action)
{
    for (*action = HOLD_DEFER; *action < HOLD_ACTIONS; ++*action)
        if (slice_is(word, action_names[*action]))
            return true;
    if (word.length == 0)
        return refuse(reading, "hold or dead is missing behind the URL prefix");
    text_printf(reading->problem, "line %zu: ", reading->line);
    text_append_json(reading->problem, (struct slice){ word.start, word.length < WORD_SHOWN_MAX ? word.length : WORD_SHOWN_MAX });
    text_append_string(reading->problem, " is neither hold nor dead");
    return false;
}

/* Addresses that may be closed now may be opened by a setting: they can be held, too. */
static bool read_prefix(const struct reading *reading, struct slice word, struct url *url)
{
    static const struct guard open = { .allow_http = true };
    enum guard_rule rule = guard_judge_url(&open, word, url);
    if (rule != GUARD_OK && rule != GUARD_ADDRESS) {
        text_printf(reading->problem, "line %zu: the prefix must be a URL that could be called, such as https://a.example.com/path: refused by %s",
                    reading->line, guard_rule_name(rule));
        return false;
    }
    return url->endpoint.length == word.length || refuse(reading, "the prefix must have no query and no fragment");
}

static void add(const struct reading *reading, const struct url *url, enum hold_action action)
{
    struct hold_list *list = reading->list;
    struct slice path = path_of(url);
    if (slice_is(path, "/")) /* the whole origin, as without it */
        path.length = 0;
    struct rule *rule = &list->rules[list->count++];
    assert(list->bytes_used + url->origin_length + path.length <= list->bytes_size);
    *rule =
        (struct rule){ write_key(list->bytes + list->bytes_used, url, path), url->origin_length, reading->line, reading->now_ms, action, NO_PARENT };
    list->bytes_used += rule->key.length;
}

static bool read_line(const struct reading *reading, struct slice line)
{
    struct url url;
    enum hold_action action;
    struct slice rest = cut_blanks(line);
    if (rest.length == 0 || rest.start[0] == '#')
        return true;
    struct slice prefix = take_word(&rest), word = take_word(&rest);
    if (reading->list->count == HOLD_LIST_RULES_MAX)
        return refuse(reading, "more than 10000 rules");
    if (!read_prefix(reading, prefix, &url) || !read_action(reading, word, &action))
        return false;
    if (rest.length > 0 && rest.start[0] != '#')
        return refuse(reading, "only a comment that begins with # may stand behind hold or dead");
    add(reading, &url, action);
    return true;
}

static bool read_lines(struct reading *reading, struct slice content)
{
    while (content.length > 0) {
        const char *newline = memchr(content.start, '\n', content.length);
        size_t length = newline == NULL ? content.length : (size_t)(newline - content.start), used = length + (newline != NULL);
        reading->line++;
        if (!read_line(reading, (struct slice){ content.start, length }))
            return false;
        content = (struct slice){ content.start + used, content.length - used };
    }
    return true;
}

/* ---- the list ---- */

static int compare_rules(const void *left, const void *right)
{
    const struct rule *a = left, *b = right;
    int order = compare_slices(a->key, b->key);
    return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

/* Of two rules next to each other the later begins with the earlier, or with one of those the earlier begins with, or with none. */
static bool find_parents(struct hold_list *list, struct text *problem)
{
    for (size_t i = 1; i < list->count; i++) {
        struct rule *rule = &list->rules[i];
        if (slice_equal(rule->key, rule[-1].key)) {
            text_printf(problem, "line %zu: the same prefix as in line %zu", rule->line, rule[-1].line);
            return false;
        }
        int parent = (int)i - 1;
        while (parent != NO_PARENT && !begins_with(rule->key, list->rules[parent].key))
            parent = list->rules[parent].parent;
        rule->parent = parent;
    }
    return true;
}

static size_t count_lines(struct slice content)
{
    size_t lines = 1;
    for (size_t i = 0; i < content.length; i++)
        lines += content.start[i] == '\n';
    return lines < HOLD_LIST_RULES_MAX ? lines : HOLD_LIST_RULES_MAX;
}

struct hold_list *hold_list_parse(struct slice content, uint64_t now_ms, struct text *problem)
{
    struct hold_list *list = memory_create(sizeof(*list));
    struct reading reading = { list, now_ms, 0, problem };
    list->rules = memory_create(count_lines(content) * sizeof(struct rule));
    /* A canonical key is no longer than the URL it comes from, an IPv6 address excepted: never more than all of the longest origin. */
    list->bytes_size = content.length + count_lines(content) * GUARD_ORIGIN_MAX;
    list->bytes = memory_create(list->bytes_size);
    bool fine = read_lines(&reading, content);
    if (list->count > 1)
        qsort(list->rules, list->count, sizeof(struct rule), compare_rules);
    if (fine && find_parents(list, problem))
        return list;
    hold_list_destroy(list);
    return NULL;
}

struct hold_list *hold_list_copy(const struct hold_list *list)
{
    struct hold_list *copy = memory_create(sizeof(*copy));
    *copy = *list;
    copy->bytes = memory_copy(list->bytes, list->bytes_used);
    copy->bytes_size = list->bytes_used;
    copy->rules = memory_create((list->count + 1) * sizeof(struct rule));
    for (size_t i = 0; i < list->count; i++) {
        copy->rules[i] = list->rules[i];
        copy->rules[i].key.start = copy->bytes + (list->rules[i].key.start - list->bytes);
    }
    return copy;
}

void hold_list_destroy(struct hold_list *list)
{
    if (list == NULL)
        return;
    free(list->bytes);
    free(list->rules);
    free(list);
}

/* ---- asking it ---- */

/* The last rule whose key is not after `key`; -1 when all are. */
static int find_last_not_after(const struct hold_list *list, struct slice key)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_slices(list->rules[middle].key, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return (int)low - 1;
}

void hold_list_keep_ages(struct hold_list *list, const struct hold_list *before)
{
    for (size_t i = 0; i < list->count; i++) {
        struct rule *rule = &list->rules[i];
        int old = find_last_not_after(before, rule->key);
        if (old >= 0 && slice_equal(before->rules[old].key, rule->key) && before->rules[old].action == rule->action)
            rule->since_ms = before->rules[old].since_ms;
    }
}

/* The key ends where a part of the URL ends. */
static bool covers(const struct rule *rule, struct slice key)
{
    size_t length = rule->key.length;
    return begins_with(key, rule->key) && (length == key.length || key.start[length] == '/' || key.start[length - 1] == '/');
}

static struct hold_rule show(const struct rule *rule)
{
    return (struct hold_rule){ rule->action, rule->since_ms, { rule->key.start, rule->origin_length }, rule->line };
}

/* Whatever begins the key begins the last rule that is not after it, too, or is that rule. */
struct hold_rule hold_list_judge(const struct hold_list *list, const struct url *url)
{
    char bytes[GUARD_ORIGIN_MAX + GUARD_URL_MAX];
    if (list == NULL || list->count == 0)
        return (struct hold_rule){ 0 };
    struct slice key = write_key(bytes, url, path_of(url));
    int found = find_last_not_after(list, key);
    while (found >= 0 && !covers(&list->rules[found], key))
        found = list->rules[found].parent;
    return found < 0 ? (struct hold_rule){ 0 } : show(&list->rules[found]);
}

bool hold_list_equal(const struct hold_list *a, const struct hold_list *b)
{
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++)
        equal = a->rules[i].action == b->rules[i].action && slice_equal(a->rules[i].key, b->rules[i].key);
    return equal;
}

size_t hold_list_count(const struct hold_list *list, enum hold_action action)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        count += list->rules[i].action == action;
    return count;
}

size_t hold_list_length(const struct hold_list *list)
{
    return list->count;
}

struct hold_rule hold_list_rule(const struct hold_list *list, size_t index)
{
    assert(index < list->count);
    return show(&list->rules[index]);
}
