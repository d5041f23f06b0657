#include "consumer/base/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* --- what was written --- */

static int capture(int fd)
{
    FILE *file = tmpfile();
    cr_assert_not_null(file);
    cr_assert_geq(dup2(fileno(file), fd), 0);
    return fileno(file);
}

static char *content(int fd)
{
    static char bytes[1 << 20];
    ssize_t length = pread(fd, bytes, sizeof(bytes) - 1, 0);
    cr_assert_geq(length, 0);
    bytes[length] = '\0';
    return bytes;
}

static bool matches(const char *text, const char *pattern)
{
    regex_t regex;
    cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

static size_t lines_with(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        count++;
    return count;
}

static void some_line(void)
{
    log_warn("redis is away", LOG_STRING("host", "a b"), LOG_I("port", -6379), LOG_B("tls", true), LOG_S("odd", SLICE("\x1b\"\xff")));
}

/* --- tests --- */

Test(log, json_lines_have_time_level_message_and_fields)
{
    int out = capture(STDERR_FILENO);
    log_set(LOG_INFO, LOG_JSON);
    some_line();
    const char *line = content(out);
    cr_assert(matches(line,
                      "^\\{\"time\":\"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z\",\"level\":\"warn\","
                      "\"message\":\"redis is away\",\"host\":\"a b\",\"port\":-6379,\"tls\":true,\"odd\":\"\\\\u001b\\\\\"\xef\xbf\xbd\"\\}\n$"),
              "%s", line);
}

Test(log, text_lines_are_short_and_quote_what_is_odd)
{
    int out = capture(STDERR_FILENO);
    log_set(LOG_INFO, LOG_TEXT);
    log_set_colours(true); /* no terminal: none appear */
    some_line();
    const char *line = content(out);
    cr_assert(matches(line, "^[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z WARN  redis is away host=\"a b\" port=-6379 tls=true "
                            "odd=\"\\\\u001b\\\\\"\xef\xbf\xbd\"\n$"),
              "%s", line);
}

Test(log, colours_appear_on_a_terminal_only_when_wanted)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    cr_assert_geq(terminal, 0);
    cr_assert_eq(grantpt(terminal) | unlockpt(terminal), 0);
    int side = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    cr_assert_geq(dup2(side, STDERR_FILENO), 0);
    for (int wanted = 0; wanted <= 1; wanted++) {
        char line[200] = "";
        log_set_colours(wanted == 1);
        log_error("no", LOG_I("n", 1));
        cr_assert_gt(read(terminal, line, sizeof(line) - 1), 0);
        cr_assert_eq(strstr(line, "\033[31mERROR\033[0m no") != NULL, wanted == 1, "%s", line);
        log_set(LOG_INFO, LOG_TEXT);
    }
}

Test(log, lines_below_the_level_are_not_even_composed)
{
    int out = capture(STDERR_FILENO);
    int evaluated = 0;
    log_set(LOG_WARN, LOG_TEXT);
    log_info("quiet", LOG_I("n", ++evaluated));
    log_debug("quiet", LOG_I("n", ++evaluated));
    log_warn("loud", LOG_I("n", ++evaluated));
    cr_assert_eq(evaluated, 1);
    cr_assert_null(strstr(content(out), "quiet"));
    cr_assert_not(log_wants(LOG_INFO));
    cr_assert(log_wants(LOG_ERROR));
}

Test(log, a_field_that_does_not_fit_is_left_out_and_the_line_says_so)
{
    static char large[20000];
    int out = capture(STDERR_FILENO);
    memset(large, 'x', sizeof(large));
    for (int format = LOG_JSON; format <= LOG_TEXT; format++) {
        cr_assert_eq(ftruncate(out, 0), 0);
        lseek(STDERR_FILENO, 0, SEEK_SET);
        log_set(LOG_INFO, (enum log_format)format);
        log_info("large", LOG_S("large", ((struct slice){ large, sizeof(large) })), LOG_I("small", 1));
        cr_assert(matches(content(out), format == LOG_JSON ? "\"message\":\"large\",\"small\":1,\"cut\":true}\n$" : " large small=1 cut=true\n$"),
                  "%s", content(out));
    }
}

Test(log, level_names)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    enum log_level level;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        cr_assert(log_level_parse(slice_of(names[i]), &level));
        cr_assert_eq((size_t)level, i);
    }
    cr_assert_not(log_level_parse(SLICE("INFO"), &level));
    cr_assert_not(log_level_parse(SLICE(""), &level));
}

Test(log, a_gate_lets_one_through_and_counts_the_rest)
{
    struct log_gate gate = { 0 };
    uint64_t suppressed = 99;
    cr_assert(log_gate_opens(&gate, 3600 * 1000, &suppressed));
    cr_assert_eq(suppressed, 0);
    for (int i = 0; i < 5; i++)
        cr_assert_not(log_gate_opens(&gate, 3600 * 1000, &suppressed));
    gate.next_ms = 0; /* the hour is over */
    cr_assert(log_gate_opens(&gate, 3600 * 1000, &suppressed));
    cr_assert_eq(suppressed, 5);
}

enum { THREADS = 4, LINES = 1000 };

static void *log_many(void *unused)
{
    (void)unused;
    for (int i = 0; i < LINES; i++)
        log_info("busy", LOG_I("n", i));
    return NULL;
}

Test(log, in_the_background_no_line_of_any_thread_is_lost)
{
    pthread_t threads[THREADS];
    int out = capture(STDOUT_FILENO);
    log_set(LOG_INFO, LOG_JSON);
    log_start();
    for (size_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, log_many, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    log_stop();
    cr_assert_eq(lines_with(content(out), "\"message\":\"busy\""), THREADS * LINES);
    cr_assert_eq(lines_with(content(out), "\n{\"time\":"), THREADS * LINES - 1);
    cr_assert_eq(log_dropped_lines(), 0);
}

Test(log, a_second_start_goes_on_and_after_a_stop_lines_go_to_standard_error)
{
    int out = capture(STDOUT_FILENO), err = capture(STDERR_FILENO);
    log_stop(); /* not started: no effect */
    for (int i = 0; i < 2; i++) {
        log_start();
        log_info("background", LOG_I("n", i));
        log_stop();
    }
    log_info("foreground", LOG_I("n", 1));
    cr_assert_eq(lines_with(content(out), "background"), 2);
    cr_assert_eq(lines_with(content(err), "foreground"), 1);
    cr_assert_eq(lines_with(content(err), "background"), 0);
}

static void stdout_to_pipe(int *reader)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert_geq(dup2(ends[1], STDOUT_FILENO), 0);
    close(ends[1]);
    *reader = ends[0];
}

enum { FLOOD = 100000 }; /* far more than both buffers and the pipe hold */

/* A caller that blocked would hang here until the test's own limit. */
Test(log, a_full_pipe_neither_blocks_callers_nor_the_end, .timeout = 60)
{
    int reader;
    stdout_to_pipe(&reader);
    log_start();
    for (int i = 0; i < FLOOD; i++)
        log_info("flood", LOG_STRING("padding", "0123456789012345678901234567890123456789"));
    cr_assert_gt(log_dropped_lines(), 0);
    log_stop();
}

struct reading {
    int fd;
    size_t flood, announced;
};

static void *read_all(void *argument)
{
    struct reading *reading = argument;
    FILE *file = fdopen(reading->fd, "r");
    char line[1000];
    while (fgets(line, sizeof(line), file) != NULL) {
        const char *lost = strstr(line, "log lines were dropped lines=");
        if (lost != NULL)
            reading->announced += strtoull(strchr(lost, '=') + 1, NULL, 10);
        else
            reading->flood += strstr(line, "flood") != NULL;
    }
    fclose(file);
    return NULL;
}

Test(log, dropped_lines_are_counted_and_announced_once_there_is_room, .timeout = 60)
{
    struct reading reading = { 0 };
    pthread_t thread;
    stdout_to_pipe(&reading.fd);
    log_start();
    for (int i = 0; i < FLOOD; i++)
        log_info("flood", LOG_STRING("padding", "0123456789012345678901234567890123456789"));
    cr_assert_eq(pthread_create(&thread, NULL, read_all, &reading), 0);
    for (int i = 0; i < 20; i++) { /* each stop gives the reader another second, should it need one */
        log_stop();
        log_start();
    }
    log_stop();
    close(STDOUT_FILENO);
    pthread_join(thread, NULL);
    cr_assert_gt(reading.announced, 0);
    cr_assert_eq(reading.announced, log_dropped_lines());
    cr_assert_eq(reading.flood + reading.announced, FLOOD);
}

Test(log, a_reader_that_went_away_costs_lines_not_the_process, .timeout = 60)
{
    int reader;
    stdout_to_pipe(&reader);
    close(reader);
    signal(SIGPIPE, SIG_DFL);
    log_start();
    log_info("into the void", LOG_I("n", 1));
    for (int i = 0; i < 5000 && log_dropped_lines() == 0; i++)
        usleep(1000);
    cr_assert_eq(log_dropped_lines(), 1);
    log_stop();
}
