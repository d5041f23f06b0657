/* Log lines: one JSON object or one readable line each, to standard output while the service runs.
 *
 * Logging never blocks and never fails a delivery: lines go through a bounded buffer to a thread of its own; what does not fit is dropped and
 * counted, and the next line that fits says how many were lost. Until log_start, and in the commands, lines go to standard error at once.
 * Never pass a body, a secret or a URL's query. Any thread may log. */
#ifndef JOBHOOK_BASE_LOG_H
#define JOBHOOK_BASE_LOG_H

#include "consumer/base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_JSON, LOG_TEXT };

enum log_kind { LOG_END, LOG_SLICE, LOG_NUMBER, LOG_BOOL };

struct log_field {
    const char *name;
    enum log_kind kind;
    struct slice slice;
    int64_t number;
};

#define LOG_S(field, s)                                                                                                                              \
    {                                                                                                                                                \
        .name = (field), .kind = LOG_SLICE, .slice = (s)                                                                                             \
    }
#define LOG_STRING(field, s)                                                                                                                         \
    {                                                                                                                                                \
        .name = (field), .kind = LOG_SLICE, .slice = slice_of(s)                                                                                     \
    }
#define LOG_I(field, n)                                                                                                                              \
    {                                                                                                                                                \
        .name = (field), .kind = LOG_NUMBER, .number = (int64_t)(n)                                                                                  \
    }
#define LOG_B(field, b)                                                                                                                              \
    {                                                                                                                                                \
        .name = (field), .kind = LOG_BOOL, .number = (b)                                                                                             \
    }

/* log_info("redis reached", LOG_STRING("host", host), LOG_I("port", port)); message: a fixed lower-case sentence. */
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__, { .kind = LOG_END })
#define log_info(...)  LOG_AT(LOG_INFO, __VA_ARGS__, { .kind = LOG_END })
#define log_warn(...)  LOG_AT(LOG_WARN, __VA_ARGS__, { .kind = LOG_END })
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__, { .kind = LOG_END })
#define LOG_AT(level, message, ...)                                                                                                                  \
    do {                                                                                                                                             \
        if (log_wants(level))                                                                                                                        \
            log_write((level), (message), (const struct log_field[]){ __VA_ARGS__ });                                                                \
    } while (0)

bool log_wants(enum log_level level);
void log_write(enum log_level level, const char *message, const struct log_field *fields);

/* Repeats: true at most once per `every_ms` for this gate; `*suppressed` is how many were held back since. A gate is zeroed at first and used by
 * one thread. Keep it in the object that repeats itself. */
struct log_gate {
    uint64_t next_ms;
    uint64_t suppressed;
};
bool log_gate_opens(struct log_gate *gate, uint64_t every_ms, uint64_t *suppressed);

void log_set(enum log_level level, enum log_format format);
/* Colours in the text format, off at first; a destination that is no terminal never gets any. */
void log_set_colours(bool wanted);
void log_start(void);             /* from now on to standard output, in the background */
void log_stop(void);              /* writes out what is buffered (at most 1 s), back to standard error */
uint64_t log_dropped_lines(void); /* since the start */

const char *log_level_name(enum log_level level);
MUST_USE bool log_level_parse(struct slice name, enum log_level *level); /* debug, info, warn, error */

#endif
