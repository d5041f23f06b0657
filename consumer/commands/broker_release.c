#include "consumer/commands/broker_release.h"

#include "consumer/base/check.h"

#include <string.h>

enum { PRODUCE = 0, FETCH = 1, LIST_OFFSETS = 2, METADATA = 3, OFFSET_FETCH = 9, JOIN_GROUP = 11, LIST_GROUPS = 16, ADD_PARTITIONS_TO_TXN = 24 };
enum { DESCRIBE_LOG_DIRS = 35, NUMBER_MOST = INT16_MAX };

static const struct {
    const char *name;
    uint64_t key, version; /* the first release whose highest version of that request is at least this */
} releases[] = {
    { BROKER_RELEASE_OLDEST, FETCH, 10 },
    { "2.2", LIST_OFFSETS, 5 },
    { "2.3", FETCH, 11 },
    { "2.4", METADATA, 9 },
    { "2.5", OFFSET_FETCH, 7 },
    { "2.6", LIST_GROUPS, 4 },
    { "2.7", FETCH, 12 },
    { "2.8", METADATA, 11 },
    { "3.0", LIST_OFFSETS, 7 },
    { "3.1", FETCH, 13 },
    { "3.2", JOIN_GROUP, 9 },
    { "3.3 or 3.4", DESCRIBE_LOG_DIRS, 4 }, /* 3.4 brought clients nothing */
    { "3.5", FETCH, 15 },
    { "3.6", ADD_PARTITIONS_TO_TXN, 4 },
    { "3.7", FETCH, 16 },
    { "3.8", PRODUCE, 11 },
    { "3.9", FETCH, 17 },
    { "4.0", METADATA, 13 },
    { "4.1", FETCH, 18 },
    { "4.2", LIST_OFFSETS, 11 },
    { "4.3 or newer", DESCRIBE_LOG_DIRS, 5 },
};
_Static_assert(COUNT_OF(releases) <= 32, "a bit for each");

bool broker_line_read(const char *line, struct broker_line *read)
{
    const char *name = strncmp(line, "[thrd:", 6) == 0 ? strstr(line, "]: ") : NULL;
    name = name == NULL ? line : name + 3;
    const char *end = strstr(name, ": ");
    const char *protocol = strstr(name, "://");
    if (end != NULL && protocol != NULL && protocol < end)
        name = protocol + 3;
    const char *slash = end == NULL ? NULL : memrchr(name, '/', (size_t)(end - name));
    if (slash == NULL)
        return false;
    *read = (struct broker_line){ .address = { name, (size_t)(slash - name) }, .text = end + 2 + strspn(end + 2, " ") };
    return true;
}

/* The number between the first `before` and the next `after`. */
static bool number_between(const char *text, const char *before, const char *after, uint64_t *value)
{
    const char *start = strstr(text, before);
    if (start == NULL)
        return false;
    start += strlen(before);
    const char *end = *after == '\0' ? start + strlen(start) : strstr(start, after);
    return end != NULL && slice_to_u64((struct slice){ start, (size_t)(end - start) }, NUMBER_MOST, value);
}

bool broker_release_prove(const char *text, uint32_t *proved)
{
    uint64_t key, version;
    *proved = 0;
    if (strncmp(text, "ApiKey ", 7) != 0 || !number_between(text, " (", ") Versions ", &key) || !number_between(text, "..", "", &version))
        return false;
    for (size_t i = 0; i < COUNT_OF(releases); i++)
        if (releases[i].key == key && version >= releases[i].version)
            *proved |= UINT32_C(1) << i;
    return true;
}

const char *broker_release_name(uint32_t proved)
{
    const char *name = NULL;
    for (size_t i = 0; i < COUNT_OF(releases) && (proved & UINT32_C(1) << i) != 0; i++)
        name = releases[i].name;
    return name;
}
