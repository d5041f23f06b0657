#include "dedupe/redis_judge.h"

#include <criterion/criterion.h>
#include <string.h>

Test(redis_judge, tells_what_an_error_means)
{
    static const struct {
        const char *text;
        enum redis_meaning meaning;
        const char *word;
    } cases[] = {
        { "NOSCRIPT No matching script. Please use EVAL.", REDIS_MEANS_LOAD_SCRIPT, "NOSCRIPT" },
        { "LOADING Redis is loading the dataset in memory", REDIS_MEANS_GONE, "LOADING" },
        { "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", REDIS_MEANS_GONE, "MASTERDOWN" },
        { "READONLY You can't write against a read only replica. script: 1, on @user_script:1.", REDIS_MEANS_GONE, "READONLY" },
        { "ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
          REDIS_MEANS_GONE, "READONLY" },
        { "CLUSTERDOWN The cluster is down", REDIS_MEANS_GONE, "CLUSTERDOWN" },
        { "ERR max number of clients reached", REDIS_MEANS_GONE, "MAXCLIENTS" },
        { "MOVED 3999 127.0.0.1:6381", REDIS_MEANS_REFUSED, "MOVED" },
        { "ASK 3999 127.0.0.1:6381", REDIS_MEANS_REFUSED, "ASK" },
        { "NOAUTH Authentication required.", REDIS_MEANS_REFUSED, "NOAUTH" },
        { "WRONGPASS invalid username-password pair or user is disabled.", REDIS_MEANS_REFUSED, "WRONGPASS" },
        { "OOM command not allowed when used memory > 'maxmemory'.", REDIS_MEANS_TROUBLE, "OOM" },
        { "ERR Error running script: -OOM command not allowed", REDIS_MEANS_TROUBLE, "OOM" },
        { "MISCONF Redis is configured to save RDB snapshots", REDIS_MEANS_TROUBLE, "MISCONF" },
        { "NOPERM this user has no permissions", REDIS_MEANS_TROUBLE, "NOPERM" },
        { "TRYAGAIN Multiple keys request during rehashing of slot", REDIS_MEANS_TROUBLE, "TRYAGAIN" },
        { "NOREPLICAS Not enough good replicas to write.", REDIS_MEANS_TROUBLE, "NOREPLICAS" },
        { "ERR unknown command 'EVALSHA'", REDIS_MEANS_TROUBLE, "ERR" },
        { "READONLYISH x", REDIS_MEANS_TROUBLE, "READONLYISH" },
        { "OTHER -READONLY x", REDIS_MEANS_TROUBLE, "OTHER" },
        { "NOSCRIPT", REDIS_MEANS_LOAD_SCRIPT, "NOSCRIPT" },
        { "", REDIS_MEANS_TROUBLE, "" },
        { " ", REDIS_MEANS_TROUBLE, "" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct redis_error error = redis_judge_error(slice_of(cases[i].text));
        cr_assert_eq(error.meaning, cases[i].meaning, "%s", cases[i].text);
        cr_assert(slice_is(error.word, cases[i].word), "%s", cases[i].text);
        cr_assert(error.meaning != REDIS_MEANS_REFUSED || error.cure != NULL, "%s", cases[i].text);
    }
}

Test(redis_judge, tells_from_info_whether_a_server_is_of_use)
{
    static const struct {
        const char *text, *gone, *refused, *version, *policy;
    } cases[] = {
        { "", NULL, NULL, "", "" },
        { "# "
          "Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nloading:0\r\nrole:master\r\ncluster_enabled:0\r\nmaxmemory_policy:"
          "noeviction\r\n",
          NULL, NULL, "7.0.15", "noeviction" },
        { "redis_version:7.2.4\r\nvalkey_version:8.0.1\r\nserver_mode:standalone\r\n", NULL, NULL, "8.0.1", "" },
        { "redis_mode:cluster\r\n", NULL, "cluster", "", "" },
        { "server_mode:cluster\r\n", NULL, "cluster", "", "" },
        { "cluster_enabled:1\r\n", NULL, "cluster", "", "" },
        { "redis_mode:sentinel\r\nrole:slave\r\n", NULL, "Sentinel", "", "" },
        { "server_mode:sentinel", NULL, "Sentinel", "", "" },
        { "loading:1\r\nrole:slave\r\n", "loading", NULL, "", "" },
        { "role:slave\r\n", "replica", NULL, "", "" },
        { "async_loading:1\r\nxrole:slave\r\nrole:slavery\r\n", NULL, NULL, "", "" },
        { "maxmemory_policy:allkeys-lru", NULL, NULL, "", "allkeys-lru" },
        { "redis_version:\r\nrole", NULL, NULL, "", "" },
        { "\n\n:\n:x\nredis_version:6.0.16\n", NULL, NULL, "6.0.16", "" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct redis_info info = redis_judge_info(slice_of(cases[i].text));
        cr_assert(cases[i].gone == NULL ? info.gone == NULL : info.gone != NULL && strstr(info.gone, cases[i].gone) != NULL, "%s", cases[i].text);
        cr_assert(cases[i].refused == NULL ? info.refused == NULL : info.refused != NULL && strstr(info.refused, cases[i].refused) != NULL, "%s",
                  cases[i].text);
        cr_assert(info.refused == NULL || info.cure != NULL);
        cr_assert(slice_is(info.version, cases[i].version), "%s", cases[i].text);
        cr_assert(slice_is(info.policy, cases[i].policy), "%s", cases[i].text);
    }
}
