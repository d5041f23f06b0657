#include "consumer/http/job_status.h"

#include "consumer/base/clock.h"
#include "consumer/base/json.h"
#include "consumer/base/list.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/http/endpoints.h"
#include "consumer/http/payloads.h"
#include "consumer/http/server.h"
#include "consumer/http/task_path.h"
#include "consumer/readback.h"
#include "dedupe/lookup.h"
#include "delivery/request.h"
#include "delivery/standing.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    ERROR_BYTES_MAX = 4096,
    TAIL_BYTES_MAX = 4096, /* what an answer has besides the payload */
    NICENESS = 5,          /* behind the deliveries when there are too few processors */
    REDIS_PATIENCE_MS = 1000,
};

struct job_status {
    const struct settings *settings;
    const struct service_status *status; /* of the workers, for /endpoints */
    struct server *server;
    struct redis *redis;
    struct lookups *lookups;
    struct readback *readback; /* NULL: librdkafka refused its configuration, which a worker's has the same */
    struct payloads *payloads;
    struct list inquiries; /* that wait for Redis or Kafka */
    pthread_mutex_t lock;  /* over the tokens */
    struct bearer_tokens tokens;
    struct job_status_stats stats;
};

struct inquiry { /* one request that waits */
    struct link link;
    struct job_status *owner;
    struct server_request *request;
    struct task_id id;
    struct record record;
    uint64_t since_us;
};

const unsigned job_status_codes[JOB_STATUS_CODES] = {
    [JOB_STATUS_200] = 200, [JOB_STATUS_400] = 400, [JOB_STATUS_401] = 401, [JOB_STATUS_404] = 404,
    [JOB_STATUS_405] = 405, [JOB_STATUS_410] = 410, [JOB_STATUS_429] = 429, [JOB_STATUS_503] = 503,
};

/* ---- answers ---- */

static struct slice id_of(const struct inquiry *inquiry)
{
    return (struct slice){ inquiry->id.bytes, inquiry->id.length };
}

static void send(struct job_status *owner, struct server_request *request, enum job_status_code code, struct server_answer *answer)
{
    answer->status = job_status_codes[code];
    answer->content_type = "application/json";
    counter_add(&owner->stats.requests[code], 1);
    server_answer(request, answer);
}

static void append_standing(struct json *json, const struct record *record, bool nothing_to_send)
{
    struct standing standing = standing_of(record);
    bool no_attempt = nothing_to_send && strcmp(standing.state, "delivered") == 0;
    json_open_object(json, "delivery");
    json_string(json, "state", slice_of(no_attempt ? "nothing_to_send" : standing.state));
    json_number(json, "attempts", standing.attempts);
    json_moment(json, "next_attempt_at", standing.next_attempt_ms);
    if (standing.last_outcome[0] == '\0')
        json_null(json, "last_outcome");
    else
        json_string(json, "last_outcome", slice_of(standing.last_outcome));
    json_close_object(json);
}

struct refusal_words {
    enum job_status_code code;
    const char *error, *detail; /* no detail: NULL */
    struct server_header header;
};

static void refuse(struct job_status *owner, struct server_request *request, const struct refusal_words *words, const struct record *record)
{
    struct server_answer answer = { .headers[0] = words->header };
    struct json json;
    text_init(&answer.body, ERROR_BYTES_MAX);
    json_open(&json, &answer.body);
    json_string(&json, "error", slice_of(words->error));
    if (words->detail != NULL)
        json_string(&json, "detail", slice_of(words->detail));
    if (record != NULL)
        append_standing(&json, record, false);
    json_close(&json);
    text_append_char(&answer.body, '\n');
    send(owner, request, words->code, &answer);
}

static const struct refusal_words not_allowed = {
    JOB_STATUS_401, "unauthorized", "wants a token of JOBHOOK_API_TOKENS: Authorization: Bearer …", { "WWW-Authenticate", "Bearer realm=\"jobhook\"" }
};
static const struct refusal_words wrong_method = { JOB_STATUS_405, "method_not_allowed", "only GET and HEAD", { "Allow", "GET, HEAD" } };
static const struct refusal_words elsewhere = { JOB_STATUS_404, "no_such_path", "there is /job-status/{task_id}", { 0 } };
static const struct refusal_words never_heard = { JOB_STATUS_404, "not_found", NULL, { 0 } };
static const struct refusal_words too_many = {
    JOB_STATUS_429, "too_many_requests", "too many are under way, ask again later", { "Retry-After", "1" }
};
static const struct refusal_words redis_away = { JOB_STATUS_503, "unavailable", "Redis does not answer", { "Retry-After", "5" } };
static const struct refusal_words kafka_away = { JOB_STATUS_503, "unavailable", "Kafka does not answer", { "Retry-After", "5" } };
static const struct refusal_words gone = { JOB_STATUS_410, "gone", "the topic no longer holds this task's event", { 0 } };

/* ---- one inquiry ---- */

static void inquiry_end(struct inquiry *inquiry)
{
    histogram_observe_us(&inquiry->owner->stats.duration, clock_monotonic_us() - inquiry->since_us);
    list_remove(&inquiry->owner->inquiries, &inquiry->link);
    free(inquiry);
}

static void inquiry_refuse(struct inquiry *inquiry, const struct refusal_words *words)
{
    bool is_gone = words->code == JOB_STATUS_410;
    refuse(inquiry->owner, inquiry->request, words, is_gone ? &inquiry->record : NULL);
    inquiry_end(inquiry);
}

/* What is larger than all that may be held is answered alone. */
static bool has_room(const struct inquiry *inquiry, const struct payload *payload)
{
    size_t unsent_bytes = server_unsent_bytes(inquiry->owner->server);
    return unsent_bytes == 0 || unsent_bytes + payload->members.length <= JOB_STATUS_UNSENT_BYTES_MAX;
}

static void inquiry_answer(struct inquiry *inquiry, const struct payload *payload)
{
    if (!has_room(inquiry, payload)) {
        inquiry_refuse(inquiry, &too_many);
        return;
    }
    struct server_answer answer = { 0 };
    struct json json = { &answer.body, true };
    text_init(&answer.body, payload->members.length + TAIL_BYTES_MAX);
    text_append(&answer.body, payload->members);
    append_standing(&json, &inquiry->record, !payload->has_url);
    json_close(&json);
    text_append_char(&answer.body, '\n');
    assert(!answer.body.overflowed);
    send(inquiry->owner, inquiry->request, JOB_STATUS_200, &answer);
    inquiry_end(inquiry);
}

static struct payload_key key_of(const struct inquiry *inquiry)
{
    const struct record *record = &inquiry->record;
    return (struct payload_key){ id_of(inquiry), record->partition, record->offset, record->digest };
}

/* A pointer that `reindex` wrote knows the place alone: of its event the task_id must do, and nothing is kept of it. */
static bool has_digest(const struct record *record)
{
    return record->rank > 0;
}

/* What lies there now is this task's event, and the very one that the record speaks of: topics are made anew, and offsets used again. */
static bool is_the_one(const struct inquiry *inquiry, struct event *event)
{
    const char *problem;
    return event_parse(event, &problem) && slice_equal(event->task_id, id_of(inquiry)) &&
           (!has_digest(&inquiry->record) || event_digest(event) == inquiry->record.digest);
}

static void event_read(void *context, enum readback_result result, const struct event_record *record)
{
    struct inquiry *inquiry = context;
    if (result != READBACK_FOUND) {
        inquiry_refuse(inquiry, result == READBACK_GONE ? &gone : &kafka_away);
        return;
    }
    struct event *event = event_create(record);
    if (is_the_one(inquiry, event)) {
        struct text members;
        struct payload_key key = key_of(inquiry);
        text_init(&members, event->value.length + TAIL_BYTES_MAX);
        request_append_members(&members, event);
        struct payload payload = { text_slice(&members), event->webhook_url.length > 0 };
        if (has_digest(&inquiry->record))
            payloads_keep(inquiry->owner->payloads, &key, &payload);
        inquiry_answer(inquiry, &payload);
        text_finish(&members);
    } else {
        inquiry_refuse(inquiry, &gone);
    }
    event_destroy(event);
}

static void fetch_event(struct inquiry *inquiry)
{
    struct job_status *owner = inquiry->owner;
    struct payload payload;
    struct payload_key key = key_of(inquiry);
    if (inquiry->record.partition < 0 || inquiry->record.offset < 0)
        inquiry_refuse(inquiry, &gone); /* where it lies is not known */
    else if (payloads_find(owner->payloads, &key, &payload))
        inquiry_answer(inquiry, &payload);
    else if (owner->readback == NULL)
        inquiry_refuse(inquiry, &kafka_away);
    else if (!readback_ask(owner->readback, inquiry->record.partition, inquiry->record.offset, event_read, inquiry))
        inquiry_refuse(inquiry, &too_many);
}

static void record_read(void *context, const struct lookup_answer *answer)
{
    struct inquiry *inquiry = context;
    switch (answer->result) {
    case LOOKUP_AWAY:
        inquiry_refuse(inquiry, &redis_away);
        break;
    case LOOKUP_NOTHING:
    case LOOKUP_UNREADABLE:
        inquiry_refuse(inquiry, &never_heard);
        break;
    case LOOKUP_FOUND:
        inquiry->record = answer->record;
        fetch_event(inquiry);
        break;
    }
}

/* ---- requests ---- */

static bool is_allowed(struct job_status *owner, const char *authorization)
{
    pthread_mutex_lock(&owner->lock);
    bool allowed = bearer_allows(&owner->tokens, authorization);
    pthread_mutex_unlock(&owner->lock);
    return allowed;
}

static void inquire(struct job_status *owner, struct server_request *request, const struct task_id *id)
{
    if (owner->inquiries.length >= JOB_STATUS_OPEN_MAX) {
        refuse(owner, request, &too_many, NULL);
        return;
    }
    struct inquiry *inquiry = memory_create(sizeof *inquiry);
    inquiry->owner = owner;
    inquiry->request = request;
    inquiry->id = *id;
    inquiry->since_us = clock_monotonic_us();
    list_append(&owner->inquiries, &inquiry->link);
    lookups_find(owner->lookups, id_of(inquiry), record_read, inquiry);
}

static void show_endpoints(struct job_status *owner, struct server_request *request)
{
    struct server_answer answer = { .status = 200, .content_type = "text/tab-separated-values" };
    text_init(&answer.body, ENDPOINTS_BYTES_MAX);
    endpoints_append(owner->status, clock_monotonic_ms(), &answer.body);
    server_answer(request, &answer);
}

/* Who may not ask learns nothing, not even which paths there are. */
static void asked(void *context, struct server_request *request)
{
    struct job_status *owner = context;
    struct task_id id;
    struct refusal_words bad = { .code = JOB_STATUS_400, .error = "bad_task_id" };
    if (!is_allowed(owner, request->authorization)) {
        refuse(owner, request, &not_allowed, NULL);
        return;
    }
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        refuse(owner, request, &wrong_method, NULL);
        return;
    }
    if (strcmp(request->target, "/endpoints") == 0) {
        show_endpoints(owner, request);
        return;
    }
    switch (task_path_read(slice_of(request->target), &id, &bad.detail)) {
    case TASK_PATH_ELSEWHERE:
        refuse(owner, request, &elsewhere, NULL);
        break;
    case TASK_PATH_BAD:
        refuse(owner, request, &bad, NULL);
        break;
    case TASK_PATH_FINE:
        inquire(owner, request, &id);
        break;
    }
}

/* ---- making and unmaking ---- */

static void began(void *context, struct uv_loop_s *loop)
{
    struct job_status *owner = context;
    char problem[512] = "";
    struct redis_options redis = { .address = &owner->settings->redis, .command_timeout_ms = REDIS_PATIENCE_MS };
    setpriority(PRIO_PROCESS, 0, NICENESS); /* Linux: of this thread, and those that it starts */
    owner->redis = redis_create(loop, &redis);
    owner->lookups = lookups_create(owner->redis, owner->settings->redis_prefix);
    owner->readback = readback_create(loop, owner->settings, problem, sizeof problem);
    if (owner->readback == NULL)
        log_error("/job-status cannot read events back", LOG_STRING("problem", problem));
}

static void ended(void *context)
{
    struct job_status *owner = context;
    struct link *link;
    readback_destroy(owner->readback);
    lookups_destroy(owner->lookups);
    redis_destroy(owner->redis);
    while ((link = list_take(&owner->inquiries)) != NULL)
        free(container_of(link, struct inquiry, link));
}

struct job_status *job_status_create(const struct settings *settings, const struct service_status *status, char *problem, size_t size)
{
    struct job_status *owner = memory_create(sizeof *owner);
    struct server_options options = { .listen = &settings->api_listen,
                                      .name = "jobhook-api",
                                      .asked = asked,
                                      .context = owner,
                                      .began = began,
                                      .ended = ended,
                                      .connections_max = JOB_STATUS_CONNECTIONS_MAX,
                                      .many_requests = true };
    owner->settings = settings;
    owner->status = status;
    owner->tokens = settings->api_tokens;
    list_init(&owner->inquiries);
    pthread_mutex_init(&owner->lock, NULL);
    owner->payloads = payloads_create(JOB_STATUS_CACHE_BYTES);
    owner->server = server_create(&options, problem, size);
    if (owner->server != NULL)
        return owner;
    job_status_destroy(owner);
    return NULL;
}

void job_status_destroy(struct job_status *owner)
{
    if (owner == NULL)
        return;
    server_destroy(owner->server);
    payloads_destroy(owner->payloads);
    bearer_wipe(&owner->tokens);
    pthread_mutex_destroy(&owner->lock);
    free(owner);
}

void job_status_allow(struct job_status *owner, const struct bearer_tokens *tokens)
{
    pthread_mutex_lock(&owner->lock);
    owner->tokens = *tokens;
    pthread_mutex_unlock(&owner->lock);
}

uint16_t job_status_port(const struct job_status *owner)
{
    return server_port(owner->server);
}

const struct job_status_stats *job_status_stats(const struct job_status *owner)
{
    return &owner->stats;
}
