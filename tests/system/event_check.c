/* Reads events, one on each line of standard input, and answers each with one line: "ok" and the payload that a receiver would get, or "bad" and
 * the problem. With the argument -0 a NUL byte takes the place of the line's end, on both sides, so that events may hold line ends. */
#include "delivery/event.h"
#include "delivery/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(struct slice value, struct request *request, int end)
{
    static const struct attempt attempt = { .number = 1 };
    static const struct request_options options = { .version = JOBHOOK_VERSION };
    const struct event_record record = { .has_value = true, .value = value, .timestamp_ms = -1 };
    struct event *event = event_create(&record);
    const char *problem;
    if (event_parse(event, &problem)) {
        request_compose(request, event, &attempt, &options);
        printf("ok " SLICE_FORMAT "%c", SLICE_ARGS(text_slice(&request->body)), end);
    } else {
        printf("bad %s%c", problem, end);
    }
    event_destroy(event);
}

int main(int argc, char **argv)
{
    int end = argc > 1 && strcmp(argv[1], "-0") == 0 ? '\0' : '\n';
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    struct request request;
    request_init(&request);
    while ((length = getdelim(&line, &capacity, end, stdin)) > 0) {
        if (line[length - 1] == end)
            length--;
        check((struct slice){ line, (size_t)length }, &request, end);
    }
    request_finish(&request);
    free(line);
    return EXIT_SUCCESS;
}
