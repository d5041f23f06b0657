#include "dedupe/redis.h"

#include <criterion/criterion.h>
#include <string.h>

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

Test(redis_address, reads_every_form_of_url)
{
    static const struct {
        const char *url, *host;
        int port;
        const char *path, *user, *password;
        int database;
    } cases[] = {
        { "redis://redis", "redis", 6379, NULL, NULL, NULL, 0 },
        { "redis://redis/", "redis", 6379, NULL, NULL, NULL, 0 },
        { "redis://redis:6380", "redis", 6380, NULL, NULL, NULL, 0 },
        { "redis://redis:6380/15", "redis", 6380, NULL, NULL, NULL, 15 },
        { "redis://127.0.0.1:1/65535", "127.0.0.1", 1, NULL, NULL, NULL, 65535 },
        { "redis://[::1]", "::1", 6379, NULL, NULL, NULL, 0 },
        { "redis://[fe80::1%eth0]:65535/2", "fe80::1%eth0", 65535, NULL, NULL, NULL, 2 },
        { "redis://:secret@redis", "redis", 6379, NULL, NULL, "secret", 0 },
        { "redis://jobhook:secret@redis:6380/1", "redis", 6380, NULL, "jobhook", "secret", 1 },
        { "redis://jobhook:@redis", "redis", 6379, NULL, "jobhook", "", 0 },
        { "redis://:@redis", "redis", 6379, NULL, NULL, NULL, 0 },
        { "redis://u%40x:a%2fb%3A%25%20%ff@redis", "redis", 6379, NULL, "u@x", "a/b:% \xff", 0 },
        { "redis://u:p@ss@redis", "redis", 6379, NULL, "u", "p@ss", 0 },
        { "redis://u:p:q@[::1]:7", "::1", 7, NULL, "u", "p:q", 0 },
        { "unix:///run/redis.sock", NULL, 0, "/run/redis.sock", NULL, NULL, 0 },
        { "unix:///run/redis.sock?db=3", NULL, 0, "/run/redis.sock", NULL, NULL, 3 },
        { "unix:///run/a@b", NULL, 0, "/run/a@b", NULL, NULL, 0 },
        { "unix://u:p@/run/redis.sock", NULL, 0, "/run/redis.sock", "u", "p", 0 },
        { "unix://:p@/r?db=9", NULL, 0, "/r", NULL, "p", 9 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct redis_address address;
        const char *problem = NULL;
        cr_assert(redis_address_parse(slice_of(cases[i].url), &address, &problem), "%s: %s", cases[i].url, problem);
        cr_assert(same(address.host, cases[i].host), "%s", cases[i].url);
        cr_assert(same(address.path, cases[i].path), "%s", cases[i].url);
        cr_assert(same(address.user, cases[i].user), "%s", cases[i].url);
        cr_assert(same(address.password, cases[i].password), "%s", cases[i].url);
        cr_assert_eq(address.port, cases[i].port, "%s", cases[i].url);
        cr_assert_eq(address.database, cases[i].database, "%s", cases[i].url);
        cr_assert_not(address.tls);
        redis_address_finish(&address);
    }
}

Test(redis_address, names_what_is_wrong_with_an_url)
{
    static const struct {
        const char *url, *problem; /* a part of it */
    } cases[] = {
        { "", "must begin with" },
        { "redis", "must begin with" },
        { "http://redis", "must begin with" },
        { "REDIS://redis", "must begin with" },
        { "redis://", "host is missing" },
        { "redis://:6379", "host is missing" },
        { "redis:///0", "host is missing" },
        { "redis://[]", "host is missing" },
        { "redis://u:p@", "host is missing" },
        { "redis://redis:", "port" },
        { "redis://redis:0", "port" },
        { "redis://redis:65536", "port" },
        { "redis://redis:6379x", "port" },
        { "redis://[::1]:", "port" },
        { "redis://::1", "brackets" },
        { "redis://[::1", "brackets" },
        { "redis://[::1]6379", "brackets" },
        { "redis://[redis]", "brackets" },
        { "redis://[[::1]:6379", "brackets" },
        { "redis://[::1%]", "brackets" },
        { "redis://[1:2:3:4:5:6:7:8:9]", "brackets" },
        { "redis://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", "brackets" },
        { "redis://redis/x", "database" },
        { "redis://redis/-1", "database" },
        { "redis://redis/65536", "database" },
        { "redis://redis/1/2", "database" },
        { "redis://redis?db=1", "nothing may follow" },
        { "redis://redis/0#x", "nothing may follow" },
        { "redis://user@redis", "without a password" },
        { "redis://u:%@redis", "percent" },
        { "redis://u:%2@redis", "percent" },
        { "redis://u:%2g@redis", "percent" },
        { "redis://u:%00@redis", "percent" },
        { "redis://%zz:p@redis", "percent" },
        { "redis://re dis", "white space" },
        { "redis://redis\n", "white space" },
        { "unix://", "absolute" },
        { "unix://run/redis.sock", "absolute" },
        { "unix://u:p@run/redis.sock", "absolute" },
        { "unix:///r?db=x", "database" },
        { "unix:///r?x=1", "?db=" },
        { "unix://u@/r", "without a password" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct redis_address address;
        const char *problem = NULL;
        cr_assert_not(redis_address_parse(slice_of(cases[i].url), &address, &problem), "%s", cases[i].url);
        cr_assert_not_null(strstr(problem, cases[i].problem), "%s: %s", cases[i].url, problem);
        cr_assert_null(address.host);
        cr_assert_null(address.path);
        cr_assert_null(address.user);
        cr_assert_null(address.password);
    }
}

Test(redis_address, a_socket_path_fits_or_is_refused)
{
    char url[256] = "unix:///";
    for (size_t length = 1; length < 120; length++) {
        struct redis_address address;
        const char *problem = NULL;
        memset(url + 8, 'x', length - 1);
        url[7 + length] = '\0';
        cr_assert_eq(redis_address_parse(slice_of(url), &address, &problem), length <= 107, "%zu", length);
        redis_address_finish(&address);
    }
}

Test(redis_address, rediss_needs_tls)
{
    struct redis_address address;
    const char *problem = NULL;
    bool taken = redis_address_parse(SLICE("rediss://redis"), &address, &problem);
    cr_assert_eq(taken, redis_has_tls());
    cr_assert(taken ? address.tls && address.port == 6379 : strstr(problem, "TLS") != NULL);
    redis_address_finish(&address);
}
