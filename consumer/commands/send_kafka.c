/* jobhook send --through-kafka: the test event by the input topic, and what Redis says becomes of it. */
#include "consumer/base/clock.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/cure.h"
#include "consumer/commands/neighbours.h"
#include "consumer/commands/send_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ASK_MS = 10000, TURN_MS = 50, LOOK_EVERY_MS = 100, PATIENCE_MS = 30000, PROBLEM_BYTES = 512, STATE_BYTES = 256 };

struct written {
    bool done;
    enum outbox_result result;
};

static void acknowledged(void *context, enum outbox_result result)
{
    *(struct written *)context = (struct written){ true, result };
}

static bool write_event(const struct send *send, struct neighbours *neighbours)
{
    static const struct envelope no_headers = { 0 };
    char problem[PROBLEM_BYTES] = "";
    struct written written = { 0 };
    struct outbox *outbox = neighbours_outbox(neighbours, problem, sizeof(problem));
    struct outbox_topics topics = { 0 };
    if (outbox != NULL)
        topics = outbox_count_topics(outbox, ASK_MS);
    if (!topics.answered || topics.input_count == 0) {
        send_print("kafka", "%s",
                   outbox == NULL    ? problem
                   : topics.answered ? "the input topic does not exist: jobhook topics create"
                                     : "no broker answers");
        return false;
    }
    uint64_t start_ms = clock_monotonic_ms();
    outbox_send(outbox,
                &(struct outbox_record){ .topic = send->settings->topic,
                                         .partition = -1,
                                         .has_key = true,
                                         .has_value = true,
                                         .key = send->event->task_id,
                                         .value = send->event->value,
                                         .envelope = &no_headers },
                acknowledged, &written);
    while (!written.done)
        neighbours_turn(neighbours, TURN_MS);
    send_print("kafka", "%s %s after %" PRIu64 " ms", written.result == OUTBOX_ACKED ? "written to" : "too large for", send->settings->topic,
               clock_monotonic_ms() - start_ms);
    return written.result == OUTBOX_ACKED;
}

static void print_change(const struct record *record, uint64_t since_ms, char shown[STATE_BYTES])
{
    struct text state;
    text_init(&state, STATE_BYTES - 1);
    cure_append_state(record, &state);
    if (state.length > 0 && strcmp(state.start, shown) != 0) {
        send_print("state", "%s, %" PRIu64 " ms after it was written", state.start, clock_monotonic_ms() - since_ms);
        snprintf(shown, STATE_BYTES, "%s", state.start);
    }
    text_finish(&state);
}

/* As long as something changes: the end is delivered or dead. */
static int follow(const struct send *send, struct neighbours *neighbours)
{
    char shown[STATE_BYTES] = "";
    struct lookup_answer answer;
    uint64_t start_ms = clock_monotonic_ms();
    uint64_t patience_ms = PATIENCE_MS + retry_total_ms(&send->settings->schedule) + 6 * send->settings->attempt_timeout_ms;
    while (clock_monotonic_ms() - start_ms < patience_ms) {
        if (!neighbours_look_up(neighbours, &send->event->task_id, 1, &answer)) {
            send_print("redis", "does not answer: see JOBHOOK_REDIS_URL");
            return COMMAND_FAILED;
        }
        if (answer.result == LOOKUP_FOUND)
            print_change(&answer.record, start_ms, shown);
        enum rank_kind kind = answer.result == LOOKUP_FOUND ? rank_kind(answer.record.rank) : RANK_KIND_NONE;
        if (kind == RANK_KIND_DELIVERED || kind == RANK_KIND_DEAD)
            return kind == RANK_KIND_DELIVERED ? COMMAND_FINE : COMMAND_FAILED;
        if (shown[0] == '\0' && clock_monotonic_ms() - start_ms > PATIENCE_MS)
            break;
        for (uint64_t until_ms = clock_monotonic_ms() + LOOK_EVERY_MS; clock_monotonic_ms() < until_ms;)
            neighbours_turn(neighbours, TURN_MS);
    }
    send_print("state", "%s",
               shown[0] == '\0' ? "nobody has taken it up: is `jobhook run` running, with the same group and Redis?"
                                : "still on its way: jobhook status TASK_ID shows how it goes on");
    return COMMAND_FAILED;
}

int send_through_kafka(const struct send *send)
{
    struct neighbours *neighbours = neighbours_create(send->settings);
    send_print("task", SLICE_FORMAT, SLICE_ARGS(send->event->task_id));
    int code = write_event(send, neighbours) ? follow(send, neighbours) : COMMAND_FAILED;
    neighbours_destroy(neighbours);
    return code;
}
