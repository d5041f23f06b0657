#include "consumer/service.h"

#include "consumer/base/check.h"
#include "consumer/base/clock.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/certificates.h"
#include "consumer/http/job_status.h"
#include "consumer/http/probes.h"
#include "consumer/idle_connections.h"
#include "consumer/memory_limit.h"
#include "consumer/privileges.h"
#include "consumer/reload.h"
#include "consumer/spans.h"
#include "consumer/worker.h"
#include "delivery/lanes.h"
#include "delivery/names.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

enum {
    LOOKUP_DESCRIPTORS = 4608, /* of each worker, while thousands of names are silent: Debian 13's c-ares has one for each and each name server */
    DESCRIPTORS_APART = 256,   /* of each worker besides its connections to receivers: Kafka, Redis, name servers, and its share of HTTP and logs */
    HOLDS_TOLD_MAX = 20,       /* log lines about single rules */
    LEAVE_MS = 10000,          /* after the drain: to commit, leave the group and close */
};

struct service {
    const struct settings *settings;
    uv_loop_t loop;
    uv_signal_t signals[3], talk;
    uv_async_t ended;
    uv_timer_t deadline;
    struct reload *reload;
    struct certificates *certificates;
    struct spans *spans;     /* NULL: attempts are not traced */
    struct hold_list *holds; /* that the workers have been told of; NULL: no file */
    struct worker **workers; /* those that were started */
    struct worker_status **statuses;
    struct service_status status;
    struct server *http;
    struct job_status *job_status; /* NULL: there are no tokens */
    size_t worker_count;
    uint32_t idle_connections; /* of each worker */
    bool few_descriptors;      /* too few for a socket for each lookup */
    atomic_size_t ended_count;
    int signal_count;
    bool ending;
    bool abandoned; /* ended without waiting for the workers */
};

uint64_t service_descriptors_needed(const struct settings *settings)
{
    uint64_t api = settings->api_tokens.count > 0 ? JOB_STATUS_CONNECTIONS_MAX : 0;
    return settings->workers * (settings->max_in_flight + DESCRIPTORS_APART) + api;
}

static void limit_connections(struct service *service)
{
    uint64_t limit = memory_limit_bytes();
    uint32_t each = idle_connections_by_memory(limit, service->settings->workers);
    if (each >= service->idle_connections)
        return;
    service->idle_connections = each;
    log_info("fewer idle connections are kept than could be, for lack of memory", LOG_I("kept_by_each_worker", each), LOG_I("memory_limit", limit));
}

/* As many descriptors as the hard limit allows; too few for the settings is said with the arithmetic. */
static bool raise_descriptors(struct service *service)
{
    const struct settings *settings = service->settings;
    struct rlimit limit;
    uint64_t needed = service_descriptors_needed(settings);
    service->idle_connections = LANES_IDLE_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return true;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= needed) {
        uint64_t spare = limit.rlim_cur - needed, lookups = settings->workers * LOOKUP_DESCRIPTORS;
        service->few_descriptors = spare / 2 < lookups;
        if (service->few_descriptors && names_may_share_sockets())
            log_info("lookups share sockets when there are many, for lack of file descriptors", LOG_I("limit", limit.rlim_cur),
                     LOG_I("enough", needed + 2 * lookups));
        service->idle_connections = idle_connections_by_descriptors(service->few_descriptors ? spare : spare - lookups, settings->workers);
        return true;
    }
    log_error(
        "too few file descriptors for JOBHOOK_WORKERS x (JOBHOOK_MAX_IN_FLIGHT + those apart): raise the limit (ulimit -n), or lower one of them",
        LOG_I("limit", limit.rlim_cur), LOG_I("needed", needed), LOG_I("JOBHOOK_WORKERS", settings->workers),
        LOG_I("JOBHOOK_MAX_IN_FLIGHT", settings->max_in_flight), LOG_I("apart", DESCRIPTORS_APART));
    return false;
}

static void say_start(const struct settings *settings)
{
    log_info("starting", LOG_STRING("version", JOBHOOK_VERSION), LOG_STRING("topic", settings->topic), LOG_STRING("group", settings->group),
             LOG_I("workers", settings->workers));
    privileges_warn();
    if (settings->guard.allow_count > 0)
        log_warn("JOBHOOK_EGRESS_ALLOW opens addresses that are closed by default", LOG_I("ranges", settings->guard.allow_count));
    if (settings->guard.has_nat64)
        log_warn("JOBHOOK_EGRESS_NAT64: addresses in its prefix are judged by the IPv4 address inside; without such a NAT they lead elsewhere");
    if (settings->signing_scope != SIGNATURE_SHARED && settings->signing_keys.count == 0)
        log_warn("JOBHOOK_SIGNING_SCOPE is set, and JOBHOOK_SIGNING_KEYS is not: nothing is signed");
    if (settings->signing_scope == SIGNATURE_SHARED && signature_keys_have_symmetric(&settings->signing_keys))
        log_warn("every receiver knows the same whsec_ key and could forge events for the others: set JOBHOOK_SIGNING_SCOPE=origin or url");
}

static void leave_late(uv_timer_t *timer)
{
    struct service *service = timer->data;
    log_error("leaving took too long, ending without: whatever is left is delivered again by whoever takes over");
    service->abandoned = true;
    uv_stop(&service->loop);
}

/* All workers finish what is in flight; the last one that ends stops the loop. */
static void begin_to_end(struct service *service)
{
    service->ending = true;
    for (size_t i = 0; i < service->worker_count; i++)
        worker_stop(service->workers[i]);
    uv_timer_start(&service->deadline, leave_late, service->settings->drain_timeout_ms + LEAVE_MS, 0);
}

static void signalled(uv_signal_t *handle, int number)
{
    struct service *service = handle->data;
    log_info("signal received", LOG_I("signal", number));
    if (number == SIGHUP && service->ending) /* the shell sends one, and the kernel another behind it */
        return;
    if (service->signal_count++ > 0) {
        service->abandoned = true;
        uv_stop(&service->loop);
    } else if (!service->ending) {
        begin_to_end(service);
    }
}

static void worker_ended(void *context)
{
    struct service *service = context;
    atomic_fetch_add(&service->ended_count, 1);
    uv_async_send(&service->ended);
}

/* A worker that cannot go on takes the others with it: whoever restarts the process should see it. */
static void end_seen(uv_async_t *async)
{
    struct service *service = async->data;
    size_t ended = atomic_load(&service->ended_count);
    if (ended > 0 && !service->ending) {
        log_error("a worker has ended by itself: the process ends", LOG_I("workers", service->worker_count));
        begin_to_end(service);
    }
    if (ended == service->worker_count)
        uv_stop(&service->loop);
}

/* SIGUSR1: debug, and back to what the settings say. */
static void talk_asked(uv_signal_t *handle, int number)
{
    struct service *service = handle->data;
    enum log_level usual = service->settings->log_level == LOG_DEBUG ? LOG_INFO : service->settings->log_level;
    enum log_level now = log_wants(LOG_DEBUG) ? usual : LOG_DEBUG;
    (void)number;
    log_set(LOG_INFO, service->settings->log_format); /* so that this line is seen */
    log_info("the log level changes", LOG_STRING("level", log_level_name(now)));
    log_set(now, service->settings->log_format);
}

/* As `nohup` leaves it. */
static bool is_ignored(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void watch_signals(struct service *service)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        uv_signal_init(&service->loop, &service->signals[i]);
        service->signals[i].data = service;
        if (numbers[i] != SIGHUP || !is_ignored(SIGHUP))
            uv_signal_start(&service->signals[i], signalled, numbers[i]);
    }
    uv_signal_init(&service->loop, &service->talk);
    service->talk.data = service;
    uv_signal_start(&service->talk, talk_asked, SIGUSR1);
    uv_async_init(&service->loop, &service->ended, end_seen);
    service->ended.data = service;
    uv_timer_init(&service->loop, &service->deadline);
    service->deadline.data = service;
}

static bool start_http(struct service *service)
{
    char problem[256] = "";
    struct server_options options = {
        .listen = &service->settings->http_listen, .name = "jobhook-http", .asked = probes_answer, .context = &service->status
    };
    service->http = server_create(&options, problem, sizeof(problem));
    if (service->http == NULL)
        log_error("cannot listen for health and metrics (JOBHOOK_HTTP_LISTEN)", LOG_STRING("problem", problem));
    else
        log_info("listening", LOG_STRING("host", options.listen->host), LOG_I("port", server_port(service->http)));
    return service->http != NULL;
}

/* An operator must not wonder why a customer hears nothing: each rule by its origin, paths may hold secrets. */
static void tell_holds(struct service *service, const struct hold_list *holds)
{
    size_t length = hold_list_length(holds);
    for (size_t i = 0; i < length && i < HOLDS_TOLD_MAX; i++) {
        struct hold_rule rule = hold_list_rule(holds, i);
        log_warn("deliveries are held by JOBHOOK_HOLD_FILE", LOG_STRING("action", hold_action_name(rule.action)), LOG_S("origin", rule.origin),
                 LOG_I("line", rule.line));
    }
    log_warn("JOBHOOK_HOLD_FILE", LOG_I("hold", hold_list_count(holds, HOLD_DEFER)), LOG_I("dead", hold_list_count(holds, HOLD_DEAD)));
    gauge_set(&service->status.hold_rules, (int64_t)hold_list_count(holds, HOLD_DEFER));
    gauge_set(&service->status.dead_rules, (int64_t)hold_list_count(holds, HOLD_DEAD));
}

static bool take_holds(void *context, struct slice content, struct text *problem)
{
    struct service *service = context;
    struct hold_list *holds = hold_list_parse(content, clock_monotonic_ms(), problem);
    if (holds == NULL)
        return false;
    hold_list_keep_ages(holds, service->holds);
    for (size_t i = 0; i < service->worker_count; i++)
        worker_hold(service->workers[i], holds);
    if (!hold_list_equal(holds, service->holds))
        tell_holds(service, holds);
    hold_list_destroy(service->holds);
    service->holds = holds;
    return true;
}

static bool start_job_status(struct service *service)
{
    char problem[256] = "";
    if (service->settings->api_tokens.count == 0)
        return true;
    service->job_status = job_status_create(service->settings, &service->status, problem, sizeof(problem));
    if (service->job_status == NULL) {
        log_error("cannot listen for /job-status (JOBHOOK_API_LISTEN)", LOG_STRING("problem", problem));
        return false;
    }
    service->status.job_status = job_status_stats(service->job_status);
    log_info("listening for /job-status", LOG_STRING("host", service->settings->api_listen.host),
             LOG_I("port", job_status_port(service->job_status)));
    return true;
}

/* Without a token there would be nobody who may ask, and the port would have to be closed: a mistake rather than a wish. */
static bool take_api_tokens(void *context, struct slice content, struct text *problem)
{
    struct service *service = context;
    struct bearer_tokens tokens;
    if (!bearer_parse(content, &tokens, problem))
        return false;
    if (tokens.count == 0) {
        text_append_string(problem, "holds no token");
        return false;
    }
    job_status_allow(service->job_status, &tokens);
    bearer_wipe(&tokens);
    return true;
}

static bool take_signing_keys(void *context, struct slice content, struct text *problem)
{
    struct service *service = context;
    struct signature_keys keys;
    if (!signature_keys_parse(content, &keys, problem))
        return false;
    for (size_t i = 0; i < service->worker_count; i++)
        worker_sign_with(service->workers[i], &keys);
    signature_keys_wipe(&keys);
    return true;
}

static bool take_otlp_headers(void *context, struct slice content, struct text *problem)
{
    struct service *service = context;
    struct span_headers headers;
    if (!span_headers_parse(content, &headers, problem))
        return false;
    spans_send_with(service->spans, &headers);
    span_headers_wipe(&headers);
    return true;
}

static void watch_files(struct service *service)
{
    const struct reload_file files[] = {
        { "JOBHOOK_SIGNING_KEYS_FILE", settings_file(service->settings, "JOBHOOK_SIGNING_KEYS"), take_signing_keys, service },
        { "JOBHOOK_API_TOKENS_FILE", settings_file(service->settings, "JOBHOOK_API_TOKENS"), take_api_tokens, service },
        { "JOBHOOK_HOLD_FILE", service->settings->hold_file, take_holds, service },
        { "JOBHOOK_OTLP_HEADERS_FILE", settings_file(service->settings, "JOBHOOK_OTLP_HEADERS"), take_otlp_headers, service },
    };
    for (size_t i = 0; i < COUNT_OF(files); i++)
        if (files[i].path != NULL)
            reload_add(service->reload, &files[i]);
}

static bool start_workers(struct service *service)
{
    size_t count = service->settings->workers;
    service->workers = memory_create(count * sizeof(struct worker *));
    service->statuses = memory_create(count * sizeof(struct worker_status *));
    for (; service->worker_count < count; service->worker_count++) {
        struct worker *worker = worker_start(&(struct worker_options){ .settings = service->settings,
                                                                       .number = service->worker_count,
                                                                       .idle_connections = service->idle_connections,
                                                                       .few_descriptors = service->few_descriptors,
                                                                       .spans = service->spans,
                                                                       .ended = worker_ended,
                                                                       .context = service });
        if (worker == NULL)
            return false;
        service->workers[service->worker_count] = worker;
        service->statuses[service->worker_count] = worker_status(worker);
    }
    return true;
}

static void begin_to_hold(struct service *service)
{
    if (service->settings->holds == NULL)
        return;
    service->holds = hold_list_copy(service->settings->holds);
    tell_holds(service, service->holds);
}

static bool start_spans(struct service *service)
{
    if (service->settings->otlp_endpoint == NULL)
        return true;
    service->spans = spans_create(service->settings);
    if (service->spans == NULL)
        return false;
    service->status.spans = spans_stats(service->spans);
    log_info("attempts are traced", LOG_STRING("collector", service->settings->otlp_endpoint));
    return true;
}

static bool start_parts(struct service *service)
{
    begin_to_hold(service);
    if (!start_spans(service) || !start_workers(service))
        return false;
    service->status.workers = service->statuses;
    service->status.worker_count = service->worker_count;
    service->status.reload = reload_stats(service->reload);
    service->status.certificates = certificates_stats(service->certificates);
    if (!start_job_status(service))
        return false;
    watch_files(service);
    return start_http(service);
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* Workers that are stuck are left to the end of the process. */
static int stop_parts(struct service *service)
{
    int result = 0;
    server_destroy(service->http);
    job_status_destroy(service->job_status);
    for (size_t i = 0; i < service->worker_count; i++)
        result |= worker_join(service->workers[i]);
    service->worker_count = 0;
    spans_destroy(service->spans);
    free(service->workers);
    free(service->statuses);
    hold_list_destroy(service->holds);
    reload_destroy(service->reload);
    certificates_destroy(service->certificates);
    uv_walk(&service->loop, close_handle, NULL);
    uv_run(&service->loop, UV_RUN_DEFAULT);
    uv_loop_close(&service->loop);
    return result;
}

int service_run(const struct settings *settings)
{
    struct service service = { .settings = settings };
    log_set(settings->log_level, settings->log_format);
    if (!raise_descriptors(&service))
        return 1;
    log_start();
    say_start(settings);
    limit_connections(&service);
    uv_loop_init(&service.loop);
    watch_signals(&service);
    service.reload = reload_create(&service.loop);
    service.certificates = certificates_create(&service.loop, settings);
    bool started = start_parts(&service);
    if (!started)
        begin_to_end(&service);
    if (started || service.worker_count > 0)
        uv_run(&service.loop, UV_RUN_DEFAULT);
    int result = service.abandoned ? 1 : stop_parts(&service) | !started;
    log_info("ended", LOG_I("exit_code", result));
    log_stop();
    if (service.abandoned)
        _exit(result); /* workers still run: settings must not be freed under them, nor libraries be closed by exit handlers */
    return result;
}
