#include "consumer/base/log.h"

#include "consumer/base/clock.h"
#include "consumer/base/thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 16 * 1024,
    LINE_TAIL_BYTES = 32,       /* kept free for the end of a line that was cut */
    BUFFER_BYTES = 1024 * 1024, /* of each of the two halves: one is filled while the other is written */
    BATCH_MS = 20,              /* how long the first line of a batch may wait for company */
    STOP_MS = 1000,
    USUAL_BYTES = 500, /* of a line */
    TIME_BYTES = 24,   /* of 2026-03-01T12:00:00.250Z */
    SECOND_BYTES = 20, /* up to the dot */
    DATE_BYTES = 11,   /* up to the T */
};

struct half {
    char bytes[BUFFER_BYTES];
    size_t length;
    uint64_t lines;
};

static const struct level {
    const char *name, *text, *colour;
} levels[] = {
    [LOG_DEBUG] = { "debug", "DEBUG", "\033[2m" },
    [LOG_INFO] = { "info", "INFO ", "\033[32m" },
    [LOG_WARN] = { "warn", "WARN ", "\033[33m" },
    [LOG_ERROR] = { "error", "ERROR", "\033[31m" },
};

static _Atomic int wanted_level = LOG_INFO;
static _Atomic int wanted_format = LOG_TEXT;
static _Atomic bool wanted_colours;
static _Atomic bool in_background; /* lines go to the buffer, not to standard error */
static _Atomic bool stdout_is_terminal;
static _Atomic uint64_t dropped; /* since the start */

/* What the producers and the writer share, under `lock`. The writer alone touches the half that is not being filled. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t work; /* for the writer: the first line of a batch, a buffer half full, a stop */
    pthread_cond_t ended;
    struct half halves[2];
    size_t filling;
    uint64_t unannounced; /* lines dropped since the last announcement */
    bool writer_runs, stopping;
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

static pthread_once_t conditions_once = PTHREAD_ONCE_INIT;

static void create_conditions(void)
{
    pthread_condattr_t monotonic;
    int failed = pthread_condattr_init(&monotonic);
    failed |= pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    failed |= pthread_cond_init(&shared.work, &monotonic);
    failed |= pthread_cond_init(&shared.ended, &monotonic);
    assert(failed == 0);
    pthread_condattr_destroy(&monotonic);
}

/* --- one line --- */

/* `number` with leading zeros, in `count` digits at `end`, which it moves on. */
static void write_digits(char **end, int number, int count)
{
    for (int i = count - 1; i >= 0; i--, number /= 10)
        (*end)[i] = (char)('0' + number % 10);
    *end += count;
}

/* 2026-03-01T12:00:00. */
static void write_second(time_t second, char *end)
{
    struct tm utc = { .tm_year = 70, .tm_mday = 1 };
    (void)gmtime_r(&second, &utc); /* a clock beyond the year 2^31 leaves the beginning of 1970 */
    const struct part {
        int number, digits;
        char after;
    } parts[] = { { utc.tm_year + 1900, 4, '-' }, { utc.tm_mon + 1, 2, '-' }, { utc.tm_mday, 2, 'T' },
                  { utc.tm_hour, 2, ':' },        { utc.tm_min, 2, ':' },     { utc.tm_sec, 2, '.' } };
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        write_digits(&end, parts[i].number, parts[i].digits);
        *end++ = parts[i].after;
    }
}

/* 2026-03-01T12:00:00.250Z. Every line has one: it is written anew for each second only, and printf would take as long as for the rest of the line. */
static void append_time(struct text *line, bool with_date)
{
    static _Thread_local struct {
        time_t second;
        char bytes[TIME_BYTES];
    } last = { .second = -1 };
    int64_t wall_ms = clock_wall_ms(), now_ms = wall_ms < 0 ? 0 : wall_ms; /* digits have no sign: a clock before 1970 says its beginning */
    time_t second = (time_t)(now_ms / 1000);
    if (second != last.second)
        write_second(second, last.bytes);
    last.second = second;
    char *end = last.bytes + SECOND_BYTES;
    write_digits(&end, (int)(now_ms % 1000), 3);
    *end = 'Z';
    text_append(line, with_date ? (struct slice){ last.bytes, TIME_BYTES } : (struct slice){ last.bytes + DATE_BYTES, TIME_BYTES - DATE_BYTES });
}

static void append_json_value(struct text *line, const struct log_field *field)
{
    if (field->kind == LOG_NUMBER)
        text_append_i64(line, field->number);
    else if (field->kind == LOG_BOOL)
        text_append_string(line, field->number != 0 ? "true" : "false");
    else
        text_append_json(line, field->slice);
}

static bool needs_quotes(struct slice value)
{
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.start[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
            return true;
    }
    return value.length == 0;
}

static void append_text_value(struct text *line, const struct log_field *field)
{
    if (field->kind == LOG_SLICE && !needs_quotes(field->slice))
        text_append(line, field->slice);
    else
        append_json_value(line, field); /* quotes and escapes: a stranger's bytes never reach a terminal raw */
}

static void append_field(struct text *line, enum log_format format, const struct log_field *field)
{
    if (format == LOG_JSON) {
        text_append_member(line, field->name, true);
        append_json_value(line, field);
    } else {
        text_append_char(line, ' ');
        text_append_string(line, field->name);
        text_append_char(line, '=');
        append_text_value(line, field);
    }
}

static void append_start(struct text *line, enum log_format format, enum log_level level, const char *message)
{
    bool colours = format == LOG_TEXT && wanted_colours && (in_background ? stdout_is_terminal : isatty(STDERR_FILENO) == 1);
    if (format == LOG_JSON) {
        text_append_string(line, "{\"time\":\"");
        append_time(line, true);
        text_append_string(line, "\",\"level\":\"");
        text_append_string(line, levels[level].name);
        text_append_string(line, "\",\"message\":");
        text_append_json(line, slice_of(message));
        return;
    }
    append_time(line, false);
    text_printf(line, " %s%s%s %s", colours ? levels[level].colour : "", levels[level].text, colours ? "\033[0m" : "", message);
}

/* A field that does not fit is left out whole, and the line says that it was cut. */
static void compose(struct text *line, enum log_level level, const char *message, const struct log_field *fields)
{
    enum log_format format = (enum log_format)wanted_format;
    bool cut = false;
    text_init(line, LINE_MAX_BYTES - LINE_TAIL_BYTES);
    text_reserve(line, USUAL_BYTES);
    append_start(line, format, level, message);
    for (const struct log_field *field = fields; field->kind != LOG_END; field++) {
        size_t before = line->length;
        append_field(line, format, field);
        if (line->overflowed) {
            cut = true;
            line->length = before;
            line->overflowed = false;
        }
    }
    line->limit = LINE_MAX_BYTES;
    if (cut)
        append_field(line, format, &(struct log_field)LOG_B("cut", true));
    text_append_string(line, format == LOG_JSON ? "}\n" : "\n");
}

/* --- writing --- */

/* Writes all of it, waiting as long as it takes; false when it cannot be written (disk full, reader gone). */
static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = write(fd, bytes, length);
        if (count > 0) {
            bytes += count;
            length -= (size_t)count;
        } else if (count < 0 && errno == EAGAIN) { /* somebody who shares the pipe made it non-blocking */
            struct pollfd room = { .fd = fd, .events = POLLOUT };
            poll(&room, 1, -1);
        } else if (count == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

static bool half_takes(const struct half *half, size_t length)
{
    return length <= BUFFER_BYTES - half->length;
}

static void half_add(struct half *half, const struct text *line)
{
    memcpy(half->bytes + half->length, line->start, line->length);
    half->length += line->length;
    half->lines++;
}

static void drop_lines(uint64_t lines)
{
    shared.unannounced += lines;
    dropped += lines;
}

static void announce_dropped(struct half *half)
{
    struct text line;
    compose(&line, LOG_WARN, "log lines were dropped", (const struct log_field[]){ LOG_I("lines", shared.unannounced), { .kind = LOG_END } });
    if (half_takes(half, line.length)) {
        half_add(half, &line);
        shared.unannounced = 0;
    }
    text_finish(&line);
}

/* Buffers the line or drops it; never waits but for the lock, which nobody holds while writing. */
static void enqueue(const struct text *line)
{
    pthread_mutex_lock(&shared.lock);
    struct half *half = &shared.halves[shared.filling];
    size_t before = half->length;
    if (!half_takes(half, line->length + (shared.unannounced > 0 ? LINE_MAX_BYTES : 0))) {
        drop_lines(1);
    } else {
        if (shared.unannounced > 0)
            announce_dropped(half);
        half_add(half, line);
    }
    bool first = before == 0;
    bool half_full = before < BUFFER_BYTES / 2 && half->length >= BUFFER_BYTES / 2;
    if (first || half_full) /* lines in between cost no system call */
        pthread_cond_signal(&shared.work);
    pthread_mutex_unlock(&shared.lock);
}

/* Waits for a batch to write; false when there is none and the writer is to end. Holds the lock. */
static bool await_batch(void)
{
    while (shared.halves[shared.filling].length == 0 && !shared.stopping)
        pthread_cond_wait(&shared.work, &shared.lock);
    struct timespec deadline = thread_deadline(BATCH_MS);
    while (shared.halves[shared.filling].length < BUFFER_BYTES / 2 && !shared.stopping)
        if (pthread_cond_timedwait(&shared.work, &shared.lock, &deadline) != 0)
            break;
    struct half *half = &shared.halves[shared.filling];
    if (shared.stopping && shared.unannounced > 0)
        announce_dropped(half);
    return half->length > 0;
}

static void *writer(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&shared.lock);
    while (await_batch()) {
        struct half *full = &shared.halves[shared.filling];
        shared.filling ^= 1;
        pthread_mutex_unlock(&shared.lock);
        bool written = write_all(STDOUT_FILENO, full->bytes, full->length);
        pthread_mutex_lock(&shared.lock);
        if (!written && !shared.stopping)
            drop_lines(full->lines);
        full->length = 0;
        full->lines = 0;
    }
    shared.writer_runs = false;
    pthread_cond_broadcast(&shared.ended);
    pthread_mutex_unlock(&shared.lock);
    return NULL;
}

/* Detached: log_stop may have to leave it behind, stuck in write. It gets no SIGPIPE from standard output either. */
static bool start_writer(void)
{
    pthread_t thread;
    return thread_start(&thread, NULL, writer, NULL) && pthread_detach(thread) == 0;
}

/* --- for callers --- */

bool log_wants(enum log_level level)
{
    return (int)level >= wanted_level;
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    struct text line;
    compose(&line, level, message, fields);
    if (in_background) {
        enqueue(&line);
    } else if (!write_all(STDERR_FILENO, line.start, line.length)) {
        dropped++;
    }
    text_finish(&line);
}

bool log_gate_opens(struct log_gate *gate, uint64_t every_ms, uint64_t *suppressed)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms < gate->next_ms) {
        gate->suppressed++;
        return false;
    }
    *suppressed = gate->suppressed;
    *gate = (struct log_gate){ .next_ms = now_ms + every_ms };
    return true;
}

void log_set(enum log_level level, enum log_format format)
{
    wanted_level = (int)level;
    wanted_format = (int)format;
}

void log_set_colours(bool wanted)
{
    wanted_colours = wanted;
}

void log_start(void)
{
    pthread_once(&conditions_once, create_conditions);
    pthread_mutex_lock(&shared.lock);
    shared.stopping = false;
    if (!shared.writer_runs) /* else one that an earlier log_stop left behind goes on */
        shared.writer_runs = start_writer();
    stdout_is_terminal = isatty(STDOUT_FILENO) == 1;
    in_background = shared.writer_runs; /* without a thread lines go on to standard error */
    pthread_mutex_unlock(&shared.lock);
}

void log_stop(void)
{
    if (!in_background)
        return;
    in_background = false;
    struct timespec deadline = thread_deadline(STOP_MS);
    pthread_mutex_lock(&shared.lock);
    shared.stopping = true;
    pthread_cond_signal(&shared.work);
    while (shared.writer_runs)
        if (pthread_cond_timedwait(&shared.ended, &shared.lock, &deadline) != 0)
            break;
    pthread_mutex_unlock(&shared.lock);
}

uint64_t log_dropped_lines(void)
{
    return dropped;
}

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

bool log_level_parse(struct slice name, enum log_level *level)
{
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        if (slice_is(name, levels[i].name)) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}
