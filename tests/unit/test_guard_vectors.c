/* The collected SSRF cases of ssrf.tsv: url, block or allow, reason. "dns:NAME=A,B|C" in the reason is what the name has: A and B at the first
 * lookup, C at the next. The guard is asked before each, as the service asks it: the URL's text, then every address of every lookup. */
#include "delivery/guard.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 16384 };

struct vector {
    struct slice url;
    bool allow;
    struct slice reason;
};

static struct slice cut(struct slice *rest, char separator)
{
    const char *found = rest->length == 0 ? NULL : memchr(rest->start, separator, rest->length);
    struct slice part = { rest->start, found == NULL ? rest->length : (size_t)(found - rest->start) };
    size_t used = part.length + (found != NULL);
    *rest = (struct slice){ rest->start + used, rest->length - used };
    return part;
}

static bool contains(struct slice text, const char *wanted, struct slice *behind)
{
    const char *found = memmem(text.start, text.length, wanted, strlen(wanted));
    if (found == NULL)
        return false;
    const char *start = found + strlen(wanted);
    *behind = (struct slice){ start, (size_t)(text.start + text.length - start) };
    return true;
}

static struct guard_address address_of(struct slice text)
{
    char string[64];
    struct guard_address address = { .v6 = memchr(text.start, ':', text.length) != NULL };
    cr_assert_lt(text.length, sizeof(string));
    memcpy(string, text.start, text.length);
    string[text.length] = '\0';
    cr_assert_eq(inet_pton(address.v6 ? AF_INET6 : AF_INET, string, address.bytes), 1, "%s", string);
    return address;
}

static bool lookups_pass(const struct guard *guard, struct slice lookups)
{
    while (lookups.length > 0) {
        struct slice answer = cut(&lookups, '|');
        while (answer.length > 0) {
            struct guard_address address = address_of(cut(&answer, ','));
            if (guard_judge_address(guard, &address) != GUARD_OK)
                return false;
        }
    }
    return true;
}

static bool passes(const struct guard *guard, const struct vector *vector)
{
    struct url url;
    struct slice dns;
    if (guard_judge_url(guard, vector->url, &url) != GUARD_OK)
        return false;
    if (url.host_kind != GUARD_HOST_IS_NAME)
        return true;
    cr_assert(contains(vector->reason, "dns:", &dns), "no answer is given for " SLICE_FORMAT, SLICE_ARGS(url.host));
    struct slice name = cut(&dns, '=');
    cr_assert_eq(name.length, url.host.length);
    cr_assert_eq(strncasecmp(name.start, url.host.start, name.length), 0);
    return lookups_pass(guard, dns);
}

static FILE *open_vectors(void)
{
    char path[4096];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(path, sizeof(path), "%.*sssrf.tsv", slash == NULL ? 0 : (int)(slash - __FILE__ + 1), __FILE__);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    return file;
}

static bool read_vector(FILE *file, char line[LINE_MAX_BYTES], struct vector *vector)
{
    do {
        if (fgets(line, LINE_MAX_BYTES, file) == NULL)
            return false;
    } while (line[0] == '#');
    struct slice rest = { line, strcspn(line, "\n") };
    cr_assert_eq(line[rest.length], '\n', "a line is too long for this test");
    vector->url = cut(&rest, '\t');
    struct slice verdict = cut(&rest, '\t');
    vector->allow = slice_is(verdict, "allow");
    vector->reason = rest;
    cr_assert(vector->allow || slice_is(verdict, "block"));
    return true;
}

Test(guard_vectors, every_collected_case_is_judged_as_it_should_be)
{
    const struct guard guard = { .allow_http = true };
    static char line[LINE_MAX_BYTES];
    FILE *file = open_vectors();
    struct vector vector;
    int allowed = 0, blocked = 0;
    while (read_vector(file, line, &vector)) {
        cr_expect_eq(passes(&guard, &vector), vector.allow, "%s: " SLICE_FORMAT, vector.allow ? "should pass" : "should be refused",
                     SLICE_ARGS(vector.reason));
        allowed += vector.allow;
        blocked += !vector.allow;
    }
    fclose(file);
    cr_assert_eq(allowed, 26, "%d", allowed);
    cr_assert_eq(blocked, 158, "%d", blocked);
}
