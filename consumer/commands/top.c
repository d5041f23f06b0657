/* jobhook top: a live view of one or many copies, from their /metrics. */
#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/base/moment.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/fetch.h"
#include "consumer/commands/terminal.h"
#include "consumer/commands/top_view.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

const char command_top_help[] =
    "usage: jobhook top [HOST:PORT]... [--interval DURATION] [--count N]\n"
    "\n"
    "Shows what copies of jobhook do, from their /metrics: rates, outcomes, latency, lag due and not due, Kafka and "
    "Redis, and a line for each copy.\n"
    "HOST:PORT is a copy's JOBHOOK_HTTP_LISTEN; without any, this machine's at the port of that setting (8080). On a "
    "terminal the screen is drawn anew at\n"
    "every interval; elsewhere each reading is printed as it is, one unless --count says more.\n"
    "\n"
    "  --interval DURATION   between readings: 2s (default), 500ms, 1m\n"
    "  --count N             ends after N readings\n"
    "\n"
    "With JOBHOOK_API_TOKENS it also shows the endpoints that gave trouble lately: from /endpoints, on the same hosts at "
    "the port of JOBHOOK_API_LISTEN.\n"
    "\n"
    "keys: n, e, p, l, t order the copies by name, events, posts, lag, latency; w, f, d, a, r the endpoints by trouble (failed and deferred),\n"
    "failed, deferred, last trouble, rest; q ends.\n"
    "\n"
    "examples:\n"
    "  jobhook top\n"
    "  jobhook top 10.0.0.7:8080 10.0.0.8:8080 --interval 5s\n"
    "  jobhook top --count 1 >now.txt\n";

enum {
    INTERVAL_MS = 2000,
    INTERVAL_LEAST_MS = 100,
    INTERVAL_MOST_MS = 3600000,
    FETCH_MS = 2000,
    PORT = 8080,
    API_PORT = 8081,
    ADDRESS_BYTES = 512,
    TEXT_BYTES = 1024 * 1024
};

static volatile sig_atomic_t ended;

static void end(int signal_number)
{
    (void)signal_number;
    ended = 1;
}

struct run {
    struct top_copy copies[TOP_COPIES_MAX];
    uint64_t read_ms[TOP_COPIES_MAX];
    struct top_view view;
    uint64_t interval_ms, count; /* count 0: for ever */
    char here[80];
    bool terminal, keys;
    struct termios before;
    char *token;       /* of JOBHOOK_API_TOKENS; NULL: /endpoints is not asked for */
    uint16_t api_port; /* of every copy */
    struct text endpoints;
};

/* ---- arguments ---- */

/* This machine's copy, as far as the setting says where it listens. */
static void name_here(struct run *run, const struct listen_address *listen)
{
    bool anywhere = listen->host[0] == '\0' || strcmp(listen->host, "0.0.0.0") == 0, v6 = strchr(listen->host, ':') != NULL;
    const char *host = anywhere ? "127.0.0.1" : strcmp(listen->host, "::") == 0 ? "::1" : listen->host;
    snprintf(run->here, sizeof(run->here), v6 ? "[%s]:%u" : "%s:%u", host, listen->port != 0 ? listen->port : PORT);
    run->copies[run->view.count++].address = run->here;
}

/* The first of the tokens, if there is one: then the worst endpoints can be asked for. */
static bool look_at_api(struct run *run, struct text *mistakes)
{
    struct settings settings = { 0 };
    bool fine = settings_read_part(&settings, "JOBHOOK_API_", NULL, mistakes);
    if (fine && settings.api_tokens.count > 0)
        run->token = memory_copy(settings.api_tokens.tokens[0].bytes, settings.api_tokens.tokens[0].length);
    run->api_port = fine && settings.api_listen.port != 0 ? settings.api_listen.port : API_PORT;
    settings_finish(&settings);
    return fine;
}

/* Only these settings are needed, and NO_COLOR. */
static bool look_here(struct run *run)
{
    struct settings settings = { 0 };
    struct text mistakes;
    text_init(&mistakes, TEXT_BYTES);
    bool fine = settings_read_part(&settings, "JOBHOOK_HTTP_LISTEN", NULL, &mistakes);
    fine = fine && look_at_api(run, &mistakes);
    if (run->token != NULL)
        run->view.endpoints = &run->endpoints;
    if (!fine)
        fputs(mistakes.start, stderr);
    else if (run->view.count == 0)
        name_here(run, &settings.http_listen);
    run->view.bold = fine && !settings.no_color && terminal_columns(STDOUT_FILENO) > 0;
    text_finish(&mistakes);
    settings_finish(&settings);
    return fine;
}

static bool read_arguments(struct run *run, int argc, char **argv)
{
    static const struct option options[] = { { "interval", required_argument, NULL, 'i' }, { "count", required_argument, NULL, 'c' }, { 0 } };
    run->interval_ms = INTERVAL_MS;
    optind = 0; /* glibc: start anew */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        bool fine = option == 'i' || option == 'c';
        if (option == 'i' && (!moment_parse_duration(slice_of(optarg), &run->interval_ms) || run->interval_ms < INTERVAL_LEAST_MS ||
                              run->interval_ms > INTERVAL_MOST_MS))
            fine = command_complain("top", optarg, "--interval wants a duration from 100ms to 1h");
        if (option == 'c' && (!slice_to_u64(slice_of(optarg), INT64_MAX, &run->count) || run->count == 0))
            fine = command_complain("top", optarg, "--count wants a number from 1");
        if (!fine)
            return false;
    }
    for (; optind < argc; optind++) {
        if (run->view.count == TOP_COPIES_MAX)
            return command_complain("top", argv[optind], "at most 64 copies");
        if (strchr(argv[optind], ':') == NULL || strstr(argv[optind], "//") != NULL)
            return command_complain("top", argv[optind], "a copy is HOST:PORT");
        run->copies[run->view.count++].address = argv[optind];
    }
    return true;
}

/* ---- readings ---- */

static void read_copy(struct run *run, size_t at)
{
    struct top_copy *copy = &run->copies[at];
    struct text page;
    uint64_t now_ms = clock_monotonic_ms();
    text_init(&page, SCRAPE_BYTES_MAX);
    scrape_finish(&copy->before);
    copy->before = copy->now;
    copy->now = (struct scrape){ 0 };
    bool answered_before = copy->answers;
    copy->answers = fetch_get(&(struct fetch){ copy->address, "/metrics", NULL, FETCH_MS }, &page, copy->problem, sizeof(copy->problem));
    if (copy->answers)
        scrape_read(&copy->now, &page);
    copy->seconds = copy->answers && answered_before ? (double)(now_ms - run->read_ms[at]) / 1000 : 0;
    run->read_ms[at] = now_ms;
    text_finish(&page);
}

/* /endpoints is at the port of JOBHOOK_API_LISTEN, on the same host as the metrics. A copy that does not answer there is left out. */
static void read_endpoints(struct run *run, const struct top_copy *copy)
{
    char address[ADDRESS_BYTES], problem[128];
    int host = (int)(strrchr(copy->address, ':') - copy->address);
    snprintf(address, sizeof(address), "%.*s:%u", host, copy->address, run->api_port);
    if (copy->answers && !fetch_get(&(struct fetch){ address, "/endpoints", run->token, FETCH_MS }, &run->endpoints, problem, sizeof(problem)))
        snprintf(run->view.endpoints_problem, sizeof(run->view.endpoints_problem), "%.60s: %s", address, problem);
}

static bool read_all(struct run *run)
{
    bool any = false;
    text_clear(&run->endpoints);
    run->view.endpoints_problem[0] = '\0';
    for (size_t i = 0; i < run->view.count; i++) {
        read_copy(run, i);
        any = any || run->copies[i].answers;
        if (run->token != NULL)
            read_endpoints(run, &run->copies[i]);
    }
    return any;
}

/* ---- showing ---- */

static void append_title(const struct run *run, struct text *text)
{
    struct text line;
    text_init(&line, TEXT_BYTES);
    text_printf(&line, "jobhook top, %zu %s, ", run->view.count, run->view.count == 1 ? "copy" : "copies");
    moment_append(&line, clock_wall_ms() / 1000 * 1000);
    if (run->keys)
        text_printf(&line, ", by %s (n e p l t), q ends", top_order_name(run->view.order));
    if (run->terminal && line.length > run->view.columns)
        line.length = run->view.columns;
    text_append(text, text_slice(&line));
    text_append_char(text, '\n');
    text_finish(&line);
}

/* From the top left on, each line to its end, then what is left of the screen: nothing flickers. */
static bool show(struct run *run)
{
    struct text text, screen;
    text_init(&text, TEXT_BYTES);
    text_init(&screen, 2 * TEXT_BYTES);
    run->view.columns = terminal_columns(STDOUT_FILENO);
    append_title(run, &text);
    top_view_append(&run->view, &text);
    size_t rows = terminal_rows(STDOUT_FILENO), row = 0;
    text_append_string(&screen, run->terminal ? "\033[H" : "");
    for (size_t at = 0; at < text.length && (!run->terminal || row + 1 < rows); row++) {
        size_t length = strcspn(text.start + at, "\n");
        text_append(&screen, (struct slice){ text.start + at, length });
        text_append_string(&screen, run->terminal ? "\033[K\n" : "\n");
        at += length + 1;
    }
    text_append_string(&screen, run->terminal ? "\033[J" : "\n");
    bool fine = fwrite(screen.start, 1, screen.length, stdout) == screen.length && fflush(stdout) == 0;
    text_finish(&text);
    text_finish(&screen);
    return fine;
}

static void open_terminal(struct run *run)
{
    struct termios raw;
    run->terminal = terminal_columns(STDOUT_FILENO) > 0;
    run->keys = run->terminal && isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &run->before) == 0;
    run->view.endpoints_keys = run->keys ? "w f d a r" : NULL;
    if (run->terminal)
        fputs("\033[?1049h\033[?25l\033[2J", stdout);
    if (!run->keys)
        return;
    raw = run->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void close_terminal(const struct run *run)
{
    if (run->keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &run->before);
    if (run->terminal)
        fputs("\033[?25h\033[?1049l", stdout);
}

/* True: the view is to be drawn anew. */
static bool take_key(struct run *run, char key)
{
    static const char copies[TOP_ORDERS + 1] = "neplt", endpoints[TOP_ENDPOINTS_ORDERS + 1] = "wfdar";
    const char *of_copies = memchr(copies, key, TOP_ORDERS), *of_endpoints = memchr(endpoints, key, TOP_ENDPOINTS_ORDERS);
    if (key == 'q')
        ended = 1;
    if (of_copies != NULL)
        run->view.order = (enum top_order)(of_copies - copies);
    if (of_endpoints != NULL)
        run->view.endpoints_order = (enum top_endpoints_order)(of_endpoints - endpoints);
    return of_copies != NULL || of_endpoints != NULL;
}

static void wait_and_listen(struct run *run, uint64_t until_ms)
{
    uint64_t now_ms;
    while (!ended && (now_ms = clock_monotonic_ms()) < until_ms) {
        struct pollfd keyboard = { .fd = run->keys ? STDIN_FILENO : -1, .events = POLLIN };
        char key;
        if (poll(&keyboard, 1, (int)(until_ms - now_ms)) != 1)
            continue;
        if (read(STDIN_FILENO, &key, 1) != 1)
            run->keys = false; /* the terminal is gone */
        else if (take_key(run, key))
            show(run);
    }
}

static int watch(struct run *run)
{
    const struct sigaction action = { .sa_handler = end, .sa_flags = (int)SA_RESETHAND };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    bool any = read_all(run), fine = true;
    uint64_t shown = 0, next_ms = clock_monotonic_ms();
    open_terminal(run);
    if (!run->terminal && run->count == 0)
        run->count = 1;
    if (run->terminal)
        fine = show(run); /* at once, though there are no rates yet */
    while (fine && !ended && (run->count == 0 || shown < run->count)) {
        next_ms += run->interval_ms;
        wait_and_listen(run, next_ms);
        if (ended)
            break;
        any = read_all(run);
        fine = show(run);
        shown++;
    }
    close_terminal(run);
    if (!any)
        command_complain("top", run->copies[0].address, run->copies[0].problem);
    return fflush(stdout) == 0 && fine && any ? COMMAND_FINE : COMMAND_FAILED;
}

int command_top(int argc, char **argv)
{
    struct run *run = memory_create(sizeof(*run));
    int code = COMMAND_USAGE;
    run->view.copies = run->copies;
    text_init(&run->endpoints, SCRAPE_BYTES_MAX);
    if (!read_arguments(run, argc, argv))
        fputs("see jobhook top --help\n", stderr);
    else
        code = look_here(run) ? watch(run) : COMMAND_FAILED;
    for (size_t i = 0; i < run->view.count; i++) {
        scrape_finish(&run->copies[i].before);
        scrape_finish(&run->copies[i].now);
    }
    if (run->token != NULL)
        explicit_bzero(run->token, strlen(run->token));
    free(run->token);
    text_finish(&run->endpoints);
    free(run);
    return code;
}
