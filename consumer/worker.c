#include "consumer/worker.h"

#include "consumer/attempt_log.h"
#include "consumer/base/clock.h"
#include "consumer/base/crash.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/base/random.h"
#include "consumer/intake.h"
#include "consumer/letters.h"
#include "consumer/spans.h"
#include "dedupe/claims.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

enum { PROBLEM_BYTES = 512, ASK_TOPICS_MS = 1000, TOPICS_AGAIN_MS = 1000, COMPLAIN_EVERY_MS = 60000, CLOSE_MS = 5000, PURGE_MS = 1000 };

struct worker {
    struct worker_options options;
    const struct settings *settings;
    struct worker_status status;
    struct intake_stats intake_stats;
    pthread_t thread;
    atomic_bool stopping;
    int result;

    uv_loop_t loop;
    uv_prepare_t before_sleep;
    uv_idle_t busy;   /* runs while there is more to read: the loop does not sleep */
    uv_timer_t alarm; /* the earliest of all timers */
    uv_async_t ask;   /* another thread wants something */
    struct timers *timers;
    struct redis *redis;
    struct claims *claims;
    struct names *names;
    struct scheduler *scheduler;
    struct lanes *lanes;
    struct outbox *outbox;
    struct attempt_log *attempt_log;           /* NULL: none is kept */
    struct signature *signature;               /* NULL: requests are not signed */
    struct signature_keys *_Atomic fresh_keys; /* left by worker_sign_with for the loop to take */
    struct hold_list *_Atomic fresh_holds;     /* likewise by worker_hold */
    struct deliveries *deliveries;
    struct intake *intake;
    uint64_t drain_deadline_ms; /* 0: not draining */
};

/* ---- one turn of the loop ---- */

static void keep_awake(uv_idle_t *idle)
{
    (void)idle;
}

static void alarm_rang(uv_timer_t *timer)
{
    (void)timer; /* the work is done before the loop sleeps again */
}

static void arm_alarm(struct worker *worker, uint64_t now_ms)
{
    uint64_t next_ms = timers_next_ms(worker->timers);
    uint64_t scheduler_ms = deliveries_next_ms(worker->deliveries, now_ms);
    if (scheduler_ms < next_ms)
        next_ms = scheduler_ms;
    uv_update_time(&worker->loop);
    uv_timer_start(&worker->alarm, alarm_rang, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

static size_t held(const struct worker *worker)
{
    struct deliveries_held counts = deliveries_held(worker->deliveries);
    return counts.first_attempts + counts.retries;
}

static void begin_drain(struct worker *worker, uint64_t now_ms)
{
    worker->drain_deadline_ms = now_ms + worker->settings->drain_timeout_ms;
    intake_stop(worker->intake);
    deliveries_drain(worker->deliveries);
    CRASH_POINT("draining", "", "");
    log_info("draining", LOG_I("held", held(worker)));
}

static void drop_keys(struct signature_keys *keys)
{
    if (keys != NULL)
        signature_keys_wipe(keys);
    free(keys);
}

static void take_fresh_keys(struct worker *worker)
{
    struct signature_keys *keys = atomic_exchange(&worker->fresh_keys, NULL);
    if (keys != NULL)
        signature_replace(worker->signature, keys);
    drop_keys(keys);
}

static void take_fresh_holds(struct worker *worker)
{
    struct hold_list *holds = atomic_exchange(&worker->fresh_holds, NULL);
    if (holds != NULL)
        deliveries_hold(worker->deliveries, holds);
}

static void take_turn(uv_prepare_t *prepare)
{
    struct worker *worker = prepare->data;
    uint64_t now_ms = clock_monotonic_ms();
    gauge_set(&worker->status.heartbeat_ms, (int64_t)now_ms);
    timers_run(worker->timers, now_ms);
    take_fresh_keys(worker);
    take_fresh_holds(worker);
    if ((atomic_load(&worker->stopping) || intake_has_failed(worker->intake)) && worker->drain_deadline_ms == 0)
        begin_drain(worker, now_ms);
    bool more = intake_turn(worker->intake);
    deliveries_turn(worker->deliveries, clock_monotonic_ms());
    bool settled = held(worker) == 0 && intake_is_settled(worker->intake) && redis_is_quiet(worker->redis); /* claims were released */
    if (worker->drain_deadline_ms != 0 && (settled || now_ms >= worker->drain_deadline_ms))
        uv_stop(&worker->loop);
    if (more)
        uv_idle_start(&worker->busy, keep_awake);
    else
        uv_idle_stop(&worker->busy);
    arm_alarm(worker, now_ms);
}

static void asked(uv_async_t *async)
{
    (void)async; /* the next turn sees `stopping` and what is fresh */
}

/* ---- the exits of deliveries ---- */

static void note_attempt(void *context, const struct attempted *attempted)
{
    struct worker *worker = context;
    if (worker->attempt_log != NULL)
        attempt_log_note(worker->attempt_log, attempted);
    if (worker->options.spans != NULL)
        spans_note(worker->options.spans, attempted);
}

static void publish(void *context, struct delivery *delivery, const struct publication *publication)
{
    struct worker *worker = context;
    letters_send(worker->outbox, worker->settings->topic, delivery, publication);
}

static void release(void *context, struct delivery_home *home, uint64_t slot, bool handled)
{
    (void)context;
    intake_release(home, slot, handled);
}

/* ---- making and unmaking ---- */

static void make_redis(struct worker *worker)
{
    const struct settings *settings = worker->settings;
    struct redis_options redis_options = { .address = &settings->redis };
    struct claims_options claims_options = { .prefix = settings->redis_prefix,
                                             .lease_ms = settings->attempt_timeout_ms + settings->lease_margin_ms,
                                             .state_ttl_ms = settings->state_ttl_ms };
    worker->redis = redis_create(&worker->loop, &redis_options);
    worker->claims = claims_create(worker->redis, &claims_options);
    worker->status.redis = redis_stats(worker->redis);
}

static bool make_sender(struct worker *worker)
{
    const struct settings *settings = worker->settings;
    struct names_options names_options = { .guard = &settings->guard, .few_descriptors = worker->options.few_descriptors };
    struct scheduler_options scheduler_options = { .max_in_flight = (uint32_t)settings->max_in_flight,
                                                   .endpoint_max_in_flight = (uint32_t)settings->endpoint_max_in_flight,
                                                   .origin_max_connections = (uint32_t)settings->origin_max_connections,
                                                   .attempt_timeout_ms = settings->attempt_timeout_ms,
                                                   .held_bytes_max = settings->max_held_bytes,
                                                   .give_up_after_ms = settings->give_up_after_ms,
                                                   .deferral_max_ms = retry_defer_delay(&settings->schedule, UINT64_MAX) };
    struct lanes_options lanes_options = { .guard = &settings->guard,
                                           .attempt_timeout_ms = settings->attempt_timeout_ms,
                                           .origin_max_connections = (uint32_t)settings->origin_max_connections,
                                           .idle_connections = worker->options.idle_connections,
                                           .snippet_bytes = (uint32_t)settings->snippet_bytes,
                                           .ca_file = settings->ca_file,
                                           .proxy = settings->proxy,
                                           .client_cert = settings->client_cert,
                                           .client_key = settings->client_key,
                                           .http2 = settings->http2 };
    random_bytes(&scheduler_options.hash_key, sizeof(scheduler_options.hash_key));
    worker->scheduler = scheduler_create(&scheduler_options);
    worker->names = names_create(&worker->loop, &names_options);
    if (worker->names == NULL)
        return false; /* it said why */
    lanes_options.names = worker->names;
    worker->lanes = lanes_create(&worker->loop, &lanes_options);
    if (worker->lanes == NULL)
        return false;
    worker->status.names = names_stats(worker->names);
    worker->status.lanes = lanes_stats(worker->lanes);
    return true;
}

static void make_signature(struct worker *worker)
{
    struct signature_options options = { .keys = &worker->settings->signing_keys, .scope = worker->settings->signing_scope };
    random_bytes(&options.hash_key, sizeof(options.hash_key));
    if (options.keys->count > 0)
        worker->signature = signature_create(&options);
}

static void make_deliveries(struct worker *worker)
{
    const struct settings *settings = worker->settings;
    if (settings->attempts_topic != NULL)
        worker->attempt_log = attempt_log_create(settings, worker->options.number, &worker->intake_stats);
    bool noted = worker->attempt_log != NULL || worker->options.spans != NULL;
    struct deliveries_options options = { .claims = worker->claims,
                                          .scheduler = worker->scheduler,
                                          .lanes = worker->lanes,
                                          .timers = worker->timers,
                                          .guard = &settings->guard,
                                          .schedule = &settings->schedule,
                                          .signature = worker->signature,
                                          .exits = { worker, publish, publish, release, noted ? note_attempt : NULL },
                                          .policy = { settings->final_statuses, settings->final_status_count },
                                          .attempt_timeout_ms = settings->attempt_timeout_ms,
                                          .lease_ms = settings->attempt_timeout_ms + settings->lease_margin_ms,
                                          .max_event_age_ms = settings->max_event_age_ms,
                                          .max_event_bytes = settings->max_event_bytes,
                                          .give_up_after_ms = settings->give_up_after_ms,
                                          .redis_wait_ms = settings->redis_wait_ms,
                                          .redis_down_delivers = settings->redis_down == REDIS_DOWN_DELIVER,
                                          .pass_tracestate = settings->pass_tracestate,
                                          .tracing = worker->options.spans != NULL,
                                          .version = JOBHOOK_VERSION };
    worker->deliveries = deliveries_create(&options);
    if (settings->holds != NULL)
        deliveries_hold(worker->deliveries, hold_list_copy(settings->holds));
    worker->status.delivery = deliveries_stats(worker->deliveries);
    worker->status.troubles = deliveries_troubles(worker->deliveries);
}

/* Waits until a broker answers and the input topic exists, saying so once a minute. False: asked to stop meanwhile. */
static bool await_topics(struct worker *worker, size_t *partitions)
{
    struct log_gate gate = { 0 };
    uint64_t suppressed;
    while (!atomic_load(&worker->stopping)) {
        struct outbox_topics topics = outbox_count_topics(worker->outbox, ASK_TOPICS_MS);
        gauge_set(&worker->status.heartbeat_ms, (int64_t)clock_monotonic_ms());
        gauge_set(&worker->intake_stats.kafka_up, topics.answered);
        *partitions = topics.input_count + topics.retry_count;
        if (topics.input_count > 0)
            return true;
        if (log_gate_opens(&gate, COMPLAIN_EVERY_MS, &suppressed))
            log_warn(topics.answered ? "the input topic does not exist, or this login may not see it: waiting for it"
                                     : "no broker answers, waiting for one",
                     LOG_STRING("topic", worker->settings->topic), LOG_STRING("brokers", worker->settings->kafka_brokers),
                     LOG_STRING("cure", topics.answered ? "jobhook topics create" : "see JOBHOOK_KAFKA_BROKERS"));
        for (int ms = 0; ms < TOPICS_AGAIN_MS && !atomic_load(&worker->stopping); ms += 50)
            uv_sleep(50);
    }
    return false;
}

static bool make_kafka(struct worker *worker)
{
    char problem[PROBLEM_BYTES] = "";
    struct outbox_options outbox_options = {
        .loop = &worker->loop, .timers = worker->timers, .settings = worker->settings, .stats = &worker->intake_stats
    };
    worker->outbox = outbox_create(&outbox_options, problem, sizeof(problem));
    if (worker->outbox == NULL) {
        log_error("cannot make a producer", LOG_STRING("problem", problem));
        return false;
    }
    struct intake_options options = { .loop = &worker->loop,
                                      .timers = worker->timers,
                                      .redis = worker->redis,
                                      .claims = worker->claims,
                                      .settings = worker->settings,
                                      .worker = worker->options.number,
                                      .deliveries = worker->deliveries,
                                      .stats = &worker->intake_stats,
                                      .joined = &worker->status.joined,
                                      .lag = worker->status.lag };
    if (!await_topics(worker, &options.partitions)) {
        worker->result = 0;
        return false;
    }
    worker->intake = intake_create(&options, problem, sizeof(problem));
    if (worker->intake == NULL)
        log_error("cannot make a consumer", LOG_STRING("problem", problem));
    return worker->intake != NULL;
}

/* `ask` stays: other threads may still ask. */
static void close_handle(uv_handle_t *handle, void *context)
{
    struct worker *worker = context;
    if (handle == (uv_handle_t *)&worker->ask)
        uv_unref(handle);
    else if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* Whoever reads the metrics from now on finds nothing that is about to be freed. */
static void hide_parts(struct worker *worker)
{
    pthread_mutex_lock(&worker->status.lock);
    worker->status.redis = NULL;
    worker->status.names = NULL;
    worker->status.lanes = NULL;
    worker->status.delivery = NULL;
    worker->status.troubles = NULL;
    pthread_mutex_unlock(&worker->status.lock);
}

static void unmake(struct worker *worker)
{
    uint64_t deadline_ms = clock_monotonic_ms() + CLOSE_MS;
    if (worker->intake != NULL)
        intake_close(worker->intake, deadline_ms);
    CRASH_POINT("left", "", "");
    hide_parts(worker);
    lanes_destroy(worker->lanes);
    attempt_log_destroy(worker->attempt_log);
    outbox_destroy(worker->outbox, PURGE_MS); /* it may still be sending bytes of events, which go with the deliveries */
    deliveries_destroy(worker->deliveries);
    intake_destroy(worker->intake);
    scheduler_destroy(worker->scheduler);
    signature_destroy(worker->signature);
    names_destroy(worker->names);
    claims_destroy(worker->claims);
    redis_destroy(worker->redis);
    timers_destroy(worker->timers);
    uv_walk(&worker->loop, close_handle, worker);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
}

static void deliver(struct worker *worker)
{
    uv_prepare_init(&worker->loop, &worker->before_sleep);
    worker->before_sleep.data = worker;
    uv_prepare_start(&worker->before_sleep, take_turn);
    uv_idle_init(&worker->loop, &worker->busy);
    uv_timer_init(&worker->loop, &worker->alarm);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    CRASH_POINT("drained", "", "");
    worker->result = held(worker) == 0 && !intake_has_failed(worker->intake) ? 0 : 1;
    if (held(worker) > 0)
        log_warn("not everything settled in time: it will be delivered again by whoever takes over", LOG_I("held", held(worker)));
}

static bool make_parts(struct worker *worker)
{
    pthread_mutex_lock(&worker->status.lock);
    make_redis(worker);
    bool made = make_sender(worker);
    if (made) {
        make_signature(worker);
        make_deliveries(worker);
    }
    pthread_mutex_unlock(&worker->status.lock);
    return made;
}

static void *run(void *context)
{
    struct worker *worker = context;
    worker->timers = timers_create(clock_monotonic_ms());
    if (make_parts(worker) && make_kafka(worker))
        deliver(worker);
    unmake(worker);
    worker->options.ended(worker->options.context);
    return NULL;
}

/* Nobody else knows of it any more. */
static void destroy(struct worker *worker)
{
    uv_close((uv_handle_t *)&worker->ask, NULL);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    uv_loop_close(&worker->loop);
    lag_destroy(worker->status.lag);
    pthread_mutex_destroy(&worker->status.lock);
    drop_keys(atomic_load(&worker->fresh_keys));
    hold_list_destroy(atomic_load(&worker->fresh_holds));
    free(worker);
}

/* Shown by top -H and by debuggers. */
static void name_thread(pthread_t thread, size_t number)
{
    char name[16]; /* pthread_setname_np(3): 15 bytes */
    snprintf(name, sizeof(name), "worker-%zu", number);
    pthread_setname_np(thread, name);
}

struct worker *worker_start(const struct worker_options *options)
{
    struct worker *worker = memory_create(sizeof(*worker));
    worker->options = *options;
    worker->settings = options->settings;
    worker->result = 1;
    pthread_mutex_init(&worker->status.lock, NULL);
    worker->status.intake = &worker->intake_stats;
    worker->status.lag = lag_create();
    gauge_set(&worker->status.heartbeat_ms, (int64_t)clock_monotonic_ms());
    uv_loop_init(&worker->loop);
    uv_async_init(&worker->loop, &worker->ask, asked);
    if (pthread_create(&worker->thread, NULL, run, worker) == 0) {
        name_thread(worker->thread, options->number);
        return worker;
    }
    log_error("cannot start a thread", LOG_I("worker", options->number));
    destroy(worker);
    return NULL;
}

void worker_stop(struct worker *worker)
{
    atomic_store(&worker->stopping, true);
    uv_async_send(&worker->ask);
}

void worker_sign_with(struct worker *worker, const struct signature_keys *keys)
{
    struct signature_keys *copy = memory_create(sizeof(*copy));
    *copy = *keys;
    assert(worker->settings->signing_keys.count > 0);
    drop_keys(atomic_exchange(&worker->fresh_keys, copy));
    uv_async_send(&worker->ask);
}

void worker_hold(struct worker *worker, const struct hold_list *holds)
{
    hold_list_destroy(atomic_exchange(&worker->fresh_holds, hold_list_copy(holds)));
    uv_async_send(&worker->ask);
}

int worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
    int result = worker->result;
    destroy(worker);
    return result;
}

struct worker_status *worker_status(struct worker *worker)
{
    return &worker->status;
}
