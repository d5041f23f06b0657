#include "dedupe/redis_judge.h"

#include <string.h>

#define CLUSTER_CURE                                                                                                                                 \
    "jobhook needs one Redis, not a cluster: set JOBHOOK_REDIS_URL to a server with cluster-enabled no, or to a proxy that makes the cluster one"
#define SENTINEL_CURE "this is a Sentinel: set JOBHOOK_REDIS_URL to the Redis server that it watches, or to a name that follows the primary"
#define REPLICA_CURE  "JOBHOOK_REDIS_URL names a replica: it must name the primary"
#define PASSWORD_CURE "set user and password in JOBHOOK_REDIS_URL: redis://user:password@host:port"
#define ACL_CURE      "allow the user +evalsha +script|load +get +set +time +info +ping +select on the keys below JOBHOOK_REDIS_PREFIX"

static const struct error_row {
    const char *word;
    const char *inside; /* what also tells it, in an error whose first word is only ERR; NULL: nothing */
    enum redis_meaning meaning;
    const char *cure;
} error_rows[] = {
    { "NOSCRIPT", NULL, REDIS_MEANS_LOAD_SCRIPT, NULL },
    { "LOADING", "-LOADING ", REDIS_MEANS_GONE, NULL },
    { "MASTERDOWN", "-MASTERDOWN ", REDIS_MEANS_GONE, NULL },
    { "READONLY", "-READONLY ", REDIS_MEANS_GONE, REPLICA_CURE },
    { "CLUSTERDOWN", "-CLUSTERDOWN ", REDIS_MEANS_GONE, CLUSTER_CURE },
    { "MAXCLIENTS", "max number of clients", REDIS_MEANS_GONE, "raise Redis's maxclients" },
    { "MOVED", NULL, REDIS_MEANS_REFUSED, CLUSTER_CURE },
    { "ASK", NULL, REDIS_MEANS_REFUSED, CLUSTER_CURE },
    { "NOAUTH", NULL, REDIS_MEANS_REFUSED, PASSWORD_CURE },
    { "WRONGPASS", NULL, REDIS_MEANS_REFUSED, PASSWORD_CURE },
    { "OOM", "-OOM ", REDIS_MEANS_TROUBLE, "Redis is full: raise maxmemory, and see that maxmemory-policy is noeviction" },
    { "MISCONF", "-MISCONF ", REDIS_MEANS_TROUBLE, "Redis cannot write to its disk" },
    { "NOPERM", "-NOPERM ", REDIS_MEANS_TROUBLE, ACL_CURE },
};

static struct slice first_word(struct slice text)
{
    const char *end = memchr(text.start, ' ', text.length);
    return (struct slice){ text.start, end == NULL ? text.length : (size_t)(end - text.start) };
}

static bool holds(struct slice text, const char *word)
{
    return memmem(text.start, text.length, word, strlen(word)) != NULL;
}

struct redis_error redis_judge_error(struct slice text)
{
    struct slice word = first_word(text);
    for (size_t i = 0; i < COUNT_OF(error_rows); i++) {
        const struct error_row *row = &error_rows[i];
        if (slice_is(word, row->word) || (row->inside != NULL && slice_is(word, "ERR") && holds(text, row->inside)))
            return (struct redis_error){ row->meaning, slice_of(row->word), row->cure };
    }
    return (struct redis_error){ REDIS_MEANS_TROUBLE, word, NULL };
}

struct slice redis_info_value(struct slice text, const char *name)
{
    size_t name_length = strlen(name);
    const char *end = text.start + text.length;
    for (const char *line = text.start; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop == NULL ? end : stop;
        size_t length = (size_t)(stop - line);
        if (length > name_length && memcmp(line, name, name_length) == 0 && line[name_length] == ':') {
            struct slice value = { line + name_length + 1, length - name_length - 1 };
            value.length -= value.length > 0 && value.start[value.length - 1] == '\r';
            return value;
        }
        line = stop < end ? stop + 1 : end;
    }
    return SLICE("");
}

static const struct info_row {
    const char *name, *value;
    const char *gone, *refused, *cure;
} info_rows[] = {
    { "redis_mode", "sentinel", NULL, "a Sentinel answers", SENTINEL_CURE },
    { "server_mode", "sentinel", NULL, "a Sentinel answers", SENTINEL_CURE },
    { "redis_mode", "cluster", NULL, "this is a Redis cluster", CLUSTER_CURE },
    { "server_mode", "cluster", NULL, "this is a Redis cluster", CLUSTER_CURE },
    { "cluster_enabled", "1", NULL, "this is a Redis cluster", CLUSTER_CURE },
    { "loading", "1", "Redis is loading its data", NULL, NULL },
    { "role", "slave", "this is a replica", NULL, REPLICA_CURE },
};

struct redis_info redis_judge_info(struct slice text)
{
    struct redis_info info = { .policy = redis_info_value(text, "maxmemory_policy"), .version = redis_info_value(text, "valkey_version") };
    if (info.version.length == 0)
        info.version = redis_info_value(text, "redis_version");
    for (size_t i = 0; i < COUNT_OF(info_rows); i++) {
        const struct info_row *row = &info_rows[i];
        if (!slice_is(redis_info_value(text, row->name), row->value))
            continue;
        info.gone = row->gone;
        info.refused = row->refused;
        info.cure = row->cure;
        break;
    }
    return info;
}
