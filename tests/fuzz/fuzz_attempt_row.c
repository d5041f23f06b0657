/* Records of the topic of attempts, in which strangers may have written: they are read, or they are not, and nothing points outside. */
#include "consumer/commands/attempt_row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct attempt_row row;
    static bool made;
    struct slice value = { (const char *)data, size }, raw;
    if (!made)
        attempt_row_init(&row);
    made = true;
    if (attempt_row_find(value, "ms", &raw))
        assert(raw.start >= value.start && raw.start + raw.length <= value.start + value.length);
    if (attempt_row_read(&row, value)) {
        assert(slice_is_utf8(text_slice(&row.task_id)) && slice_is_utf8(text_slice(&row.response)));
        assert(row.time_ms >= 0);
    }
    return 0;
}
