/* The path of an event through jobhook's own code, without a network, for tests/bench/hotpath.py to count its instructions: parse, judge the URL,
 * ask for a claim, queue, compose the request, judge the answer, settle, log, close the offset. Every fourth attempt fails, and the record of the
 * next one is composed.
 *
 *   hotpath EVENTS 2>/dev/null
 *
 * Prints the compiler, which the figures depend on. Log lines go to standard error. */
#include "consumer/base/log.h"
#include "consumer/envelope.h"
#include "consumer/ledger.h"
#include "dedupe/record.h"
#include "dedupe/redis_call.h"
#include "dedupe/scripts.h"
#include "delivery/report.h"
#include "delivery/request.h"
#include "delivery/scheduler.h"
#include "tests/bench/payload.h"

#include <stdlib.h>

enum { EVENTS_MAX = 1000000, EVENT_ROOM = 512, START_MS = 1000000 };

static struct path {
    struct guard guard;
    struct scheduler *scheduler;
    struct redis_calls calls;
    struct ledger ledger;
    struct request request;
    unsigned long wrong; /* what did not go as it must */
} path;

static struct event *take_event(unsigned number)
{
    char value[EVENT_ROOM], key[PAYLOAD_ID_BYTES + 1];
    struct payload payload = {
        .number = number, .sent_us = UINT64_C(1234567890123456), .id_bytes = PAYLOAD_ID_BYTES, .body_bytes = PAYLOAD_BODY_BYTES
    };
    size_t length = 1 + payload_write(&payload, value + 1, sizeof value - 1);
    value[0] = '{';
    length += (size_t)snprintf(value + length, sizeof value - length, ",\"webhook_url\":\"https://hooks.example.com/customer/%u\"}", number % 100);
    snprintf(key, sizeof key, "bench-%08u", number);
    return event_create(
        &(struct event_record){ .has_key = true, .has_value = true, .key = slice_of(key), .value = { value, length }, .timestamp_ms = 1 });
}

/* The claim's command, and a record as Redis would answer it. */
static void claim(const struct redis_script *script, const struct event *event, uint64_t digest)
{
    struct redis_call *call = redis_calls_take(&path.calls, NULL);
    struct record record = { .rank = rank_claimed(0, 1), .digest = digest, .partition = 1, .offset = 2, .leased = true, .lease_ms = 20000 }, read;
    char bytes[RECORD_BYTES_MAX];
    struct slice packed = { bytes, record_pack(&record, bytes) };
    const struct slice arguments[] = { SLICE("1"), SLICE("0"), { bytes, TOKEN_BYTES }, packed, SLICE("86400000"), SLICE("20000") };
    call->script = script;
    redis_call_write_script(call, event->task_id, arguments, COUNT_OF(arguments));
    path.wrong += !record_unpack(packed, &read) || read.digest != digest;
    redis_calls_give_back(&path.calls, call);
}

static void queue(struct ticket *ticket, const struct url *url)
{
    path.wrong += !scheduler_enqueue(path.scheduler, ticket, url, START_MS);
    path.wrong += scheduler_start(path.scheduler, START_MS) != ticket;
}

static struct verdict end(struct ticket *ticket, struct attempt *attempt, int status)
{
    const struct outcome outcome = { .kind = OUTCOME_ANSWERED, .status = status, .connected = true, .retry_after_s = -1, .detail = "" };
    struct verdict verdict = verdict_judge(&outcome, &(struct verdict_policy){ 0 });
    verdict_error_class(&outcome, attempt->error);
    const struct attempt_end attempt_end = {
        .blame = verdict.blame, .delivered = status == 200, .answered = true, .connected = true, .retry_after_s = -1
    };
    scheduler_finish(path.scheduler, ticket, &attempt_end, START_MS + 10);
    return verdict;
}

static void write_retry(const struct event *event, const struct attempt *attempt)
{
    struct envelope envelope;
    struct attempt next = attempt_following(attempt, START_MS + 1000);
    envelope_write(&envelope, &(struct envelope_letter){ .event = event, .attempt = &next });
    path.wrong += envelope.count == 0;
    envelope_finish(&envelope);
}

void hot_path(unsigned number);

__attribute__((noinline)) void hot_path(unsigned number)
{
    const char *problem;
    struct url url;
    struct event *event = take_event(number);
    struct attempt attempt = { .number = 1, .first_ms = 1, .origin = { SLICE("jobs.completed"), 1, number } };
    uint64_t slot = ledger_open(&path.ledger, number);
    bool parsed = event_parse(event, &problem) && guard_judge_url(&path.guard, event->webhook_url, &url) == GUARD_OK;
    assert(parsed);
    struct ticket ticket = { .task = event_digest(event), .bytes = (uint32_t)event->bytes };
    claim(&script_claim, event, ticket.task);
    queue(&ticket, &url);
    request_compose(&path.request, event, &attempt, &(struct request_options){ .version = JOBHOOK_VERSION, .now_s = 1700000000 });
    bool fails = number % 4 == 0;
    struct verdict verdict = end(&ticket, &attempt, fails ? 500 : 200);
    path.wrong += (verdict.action == ACTION_RETRY) != fails;
    if (fails)
        write_retry(event, &attempt);
    claim(&script_settle, event, ticket.task);
    report_log(&(struct report){
        .event = event, .attempt = &attempt, .url = &url, .settled = fails ? SETTLED_SCHEDULED : SETTLED_DELIVERED, .status = fails ? 500 : 200 });
    ledger_close(&path.ledger, slot);
    event_destroy(event);
}

int main(int argc, char **argv)
{
    unsigned long count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (count == 0 || count > EVENTS_MAX) {
        fprintf(stderr, "usage: hotpath EVENTS\n");
        return 2;
    }
    path.guard.allow_http = true;
    path.scheduler = scheduler_create(&(struct scheduler_options){ .max_in_flight = 64,
                                                                   .endpoint_max_in_flight = 64,
                                                                   .origin_max_connections = 256,
                                                                   .attempt_timeout_ms = 10000,
                                                                   .held_bytes_max = 1 << 27,
                                                                   .give_up_after_ms = 3600000,
                                                                   .deferral_max_ms = 300000 });
    redis_calls_init(&path.calls);
    ledger_init(&path.ledger);
    request_init(&path.request);
    log_set(LOG_INFO, LOG_JSON);
    for (unsigned long i = 0; i < count; i++)
        hot_path((unsigned)i);
    request_finish(&path.request);
    ledger_finish(&path.ledger);
    redis_calls_finish(&path.calls);
    scheduler_destroy(path.scheduler);
#if defined __clang__
    printf("clang-%d\n", __clang_major__);
#else
    printf("gcc-%d\n", __GNUC__);
#endif
    return path.wrong > 0;
}
