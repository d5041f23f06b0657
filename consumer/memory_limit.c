#include "consumer/memory_limit.h"

#include "consumer/base/text.h"
#include "consumer/control_groups.h"

#include <uv.h>

/* "max" is no number. */
static void look_in(const char *folder, uint64_t *least)
{
    static const char *const files[] = { "memory.max", "memory.limit_in_bytes" }; /* of version 2, of version 1 */
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char word[CONTROL_GROUPS_WORD_BYTES];
        uint64_t limit;
        if (control_groups_read(folder, files[i], word) && slice_to_u64(slice_trim(slice_of(word), "\n"), UINT64_MAX, &limit) && limit < *least)
            *least = limit;
    }
}

uint64_t memory_limit_of_groups(const char *root)
{
    return control_groups_least(root, "memory", look_in);
}

uint64_t memory_limit_bytes(void)
{
    uint64_t machine = uv_get_total_memory(), limit = memory_limit_of_groups("");
    return limit < machine ? limit : machine;
}
