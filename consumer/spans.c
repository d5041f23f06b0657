#include "consumer/spans.h"

#include "consumer/base/clock.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/base/thread.h"
#include "consumer/span_record.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    HALF_BYTES = 2 * 1024 * 1024, /* one half is filled while the other is sent */
    BATCH_BYTES = 512 * 1024,     /* enough to be sent at once */
    BATCH_MS = 1000,              /* how long the first span of a batch may wait for company */
    SPAN_BYTES_MAX = 16 * 1024,
    HEAD_BYTES_MAX = 4096,
    POST_MS = 10000,
    CONNECT_MS = 5000,
    AGAIN_MS = 1000,     /* until a batch is offered again, doubled each time */
    PATIENCE_MS = 60000, /* how long it is */
    STOP_MS = 2000,
    COMPLAIN_EVERY_MS = 60000,
    ANSWER_BYTES_MAX = 4096, /* of the collector's answer that are looked at */
};

struct half {
    char bytes[HALF_BYTES];
    size_t length;
    uint64_t spans;
};

struct answer {
    char text[ANSWER_BYTES_MAX + 1];
    size_t length;
};

/* What the workers and the sender share is under `lock`. The sender alone touches the half that is not being filled, `curl`, and what follows it. */
struct spans {
    pthread_mutex_t lock;
    pthread_cond_t work; /* for the sender: the first span of a batch, enough of them, a stop */
    struct half halves[2];
    size_t filling;
    struct span_headers headers;
    struct spans_stats stats;
    bool stopping;
    _Atomic uint64_t stop_by_ms; /* monotonic; 0: not stopping */
    pthread_t thread;

    CURL *curl;
    struct answer answer;
    struct log_gate gate;
    char url[4096];
    char error[CURL_ERROR_SIZE];
    char head[HEAD_BYTES_MAX]; /* of each batch */
    size_t head_length;
};

/* ---- libcurl's side ---- */

/* The rest of a long answer is read and forgotten: the transfer has a time limit. */
static size_t on_answer(char *bytes, size_t one, size_t count, void *context)
{
    struct answer *answer = context;
    size_t room = ANSWER_BYTES_MAX - answer->length, taken = count < room ? count : room;
    memcpy(answer->text + answer->length, bytes, taken);
    answer->length += taken;
    return one * count;
}

/* Called at least once a second: a collector that hangs must not hold up the end of the process. */
static int on_progress(void *context, curl_off_t to_get, curl_off_t got, curl_off_t to_put, curl_off_t put)
{
    struct spans *spans = context;
    uint64_t stop_by_ms = atomic_load(&spans->stop_by_ms);
    (void)to_get, (void)got, (void)to_put, (void)put;
    return stop_by_ms != 0 && clock_monotonic_ms() >= stop_by_ms;
}

/* The CA file is read for each connection, so that a new one counts from the next on. */
static void trust(CURL *curl, const char *ca_file)
{
    if (ca_file == NULL)
        return;
    curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file);
    curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, 0L);
}

static bool make_curl(struct spans *spans, const struct settings *settings)
{
    CURL *curl = spans->curl = curl_easy_init();
    if (curl == NULL)
        return false;
    snprintf(spans->url, sizeof(spans->url), "%s/v1/traces", settings->otlp_endpoint);
    curl_easy_setopt(curl, CURLOPT_URL, spans->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* JOBHOOK_PROXY is the way to receivers; the collector is ours */
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "jobhook/" JOBHOOK_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)POST_MS);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, spans->error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &spans->answer);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, spans);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    trust(curl, settings->otlp_ca_file);
    return true;
}

static struct curl_slist *list_headers(struct spans *spans)
{
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
    list = curl_slist_append(list, "Expect:"); /* no round trip before a large body */
    pthread_mutex_lock(&spans->lock);
    for (size_t i = 0; i < spans->headers.count; i++)
        list = curl_slist_append(list, spans->headers.lines[i]);
    pthread_mutex_unlock(&spans->lock);
    return list;
}

/* The HTTP status; 0: there was no answer, and `error` says why. */
static long post(struct spans *spans, const struct half *half)
{
    long status = 0;
    struct curl_slist *headers = list_headers(spans);
    spans->error[0] = '\0';
    spans->answer.length = 0;
    curl_easy_setopt(spans->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(spans->curl, CURLOPT_POSTFIELDS, half->bytes);
    curl_easy_setopt(spans->curl, CURLOPT_POSTFIELDSIZE, (long)half->length);
    CURLcode code = curl_easy_perform(spans->curl);
    curl_easy_getinfo(spans->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK && spans->error[0] == '\0')
        snprintf(spans->error, sizeof(spans->error), "%s", curl_easy_strerror(code));
    curl_easy_setopt(spans->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    spans->answer.text[spans->answer.length] = '\0';
    return code == CURLE_OK ? status : 0;
}

/* ---- one batch ---- */

/* A 200 may still refuse some: {"partialSuccess":{"rejectedSpans":"3"}}, the number with quotes or without. */
static uint64_t rejected(const struct answer *answer)
{
    const char *at = strstr(answer->text, "\"rejectedSpans\"");
    if (at == NULL)
        return 0;
    at += strlen("\"rejectedSpans\"");
    at += strspn(at, " \t\r\n:\"");
    uint64_t count = 0;
    return slice_to_u64((struct slice){ at, strspn(at, "0123456789") }, UINT32_MAX, &count) ? count : 0;
}

/* OTLP specification, "Retryable Response Codes"; no answer at all counts among them. */
static bool is_for_later(long status)
{
    return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

static void complain(struct spans *spans, long status, uint64_t dropped)
{
    uint64_t suppressed;
    if (log_gate_opens(&spans->gate, COMPLAIN_EVERY_MS, &suppressed))
        log_warn("the collector does not take spans (JOBHOOK_OTLP_ENDPOINT); deliveries go on without", LOG_STRING("url", spans->url),
                 LOG_I("status", status), LOG_STRING("error", spans->error), LOG_I("dropped", dropped), LOG_I("suppressed", suppressed));
}

/* False: it is time to stop. */
static bool pause_for(struct spans *spans, uint64_t ms)
{
    struct timespec until = thread_deadline(ms);
    pthread_mutex_lock(&spans->lock);
    while (!spans->stopping && pthread_cond_timedwait(&spans->work, &spans->lock, &until) == 0)
        continue;
    bool stopping = spans->stopping;
    pthread_mutex_unlock(&spans->lock);
    return !stopping;
}

/* How many of its spans the collector did not take. */
static uint64_t send_half(struct spans *spans, struct half *half)
{
    uint64_t give_up_ms = clock_monotonic_ms() + PATIENCE_MS;
    memcpy(half->bytes + half->length, SPAN_RECORD_TAIL, sizeof(SPAN_RECORD_TAIL) - 1);
    half->length += sizeof(SPAN_RECORD_TAIL) - 1;
    for (uint64_t again_ms = AGAIN_MS;; again_ms *= 2) {
        long status = post(spans, half);
        if (status >= 200 && status <= 299) {
            uint64_t refused = rejected(&spans->answer);
            if (refused > 0)
                complain(spans, status, refused);
            return refused < half->spans ? refused : half->spans;
        }
        bool later = is_for_later(status) && clock_monotonic_ms() + again_ms < give_up_ms;
        complain(spans, status, later ? 0 : half->spans);
        if (!later || !pause_for(spans, again_ms))
            return half->spans;
    }
}

/* ---- the sender ---- */

static void empty(struct spans *spans, struct half *half)
{
    memcpy(half->bytes, spans->head, spans->head_length);
    half->length = spans->head_length;
    half->spans = 0;
}

/* Waits for a batch; false when there is none and the sender is to end. Holds the lock. */
static bool await_batch(struct spans *spans)
{
    while (spans->halves[spans->filling].spans == 0 && !spans->stopping)
        pthread_cond_wait(&spans->work, &spans->lock);
    struct timespec until = thread_deadline(BATCH_MS);
    while (spans->halves[spans->filling].length < BATCH_BYTES && !spans->stopping)
        if (pthread_cond_timedwait(&spans->work, &spans->lock, &until) != 0)
            break;
    return spans->halves[spans->filling].spans > 0;
}

static void *send_all(void *context)
{
    struct spans *spans = context;
    pthread_mutex_lock(&spans->lock);
    while (await_batch(spans)) {
        struct half *full = &spans->halves[spans->filling];
        spans->filling ^= 1;
        pthread_mutex_unlock(&spans->lock);
        uint64_t dropped = send_half(spans, full), sent = full->spans - dropped;
        pthread_mutex_lock(&spans->lock);
        counter_add(&spans->stats.sent, sent);
        counter_add(&spans->stats.dropped, dropped);
        empty(spans, full);
    }
    pthread_mutex_unlock(&spans->lock);
    return NULL;
}

/* ---- for the others ---- */

static void make_head(struct spans *spans)
{
    char host[256] = "";
    struct text head;
    gethostname(host, sizeof(host) - 1);
    text_init(&head, sizeof(spans->head));
    span_record_append_head(&head, &(struct span_source){ JOBHOOK_VERSION, host, (long)getpid() });
    assert(!head.overflowed);
    memcpy(spans->head, head.start, head.length);
    spans->head_length = head.length;
    text_finish(&head);
    empty(spans, &spans->halves[0]);
    empty(spans, &spans->halves[1]);
}

static void forget(struct spans *spans)
{
    curl_easy_cleanup(spans->curl);
    span_headers_wipe(&spans->headers);
    pthread_cond_destroy(&spans->work);
    pthread_mutex_destroy(&spans->lock);
    free(spans);
}

struct spans *spans_create(const struct settings *settings)
{
    struct spans *spans = memory_create(sizeof(*spans));
    pthread_condattr_t attributes;
    pthread_mutex_init(&spans->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&spans->work, &attributes);
    pthread_condattr_destroy(&attributes);
    spans->headers = settings->otlp_headers;
    make_head(spans);
    if (curl_global_init(CURL_GLOBAL_ALL) == CURLE_OK /* counted: the lanes do the same */ && make_curl(spans, settings) &&
        thread_start(&spans->thread, "spans", send_all, spans))
        return spans;
    log_error("cannot start the sender of spans");
    forget(spans);
    return NULL;
}

void spans_destroy(struct spans *spans)
{
    if (spans == NULL)
        return;
    pthread_mutex_lock(&spans->lock);
    atomic_store(&spans->stop_by_ms, clock_monotonic_ms() + STOP_MS);
    spans->stopping = true;
    pthread_cond_signal(&spans->work);
    pthread_mutex_unlock(&spans->lock);
    pthread_join(spans->thread, NULL);
    if (counter_read(&spans->stats.dropped) > 0)
        log_warn("spans were dropped", LOG_I("dropped", counter_read(&spans->stats.dropped)), LOG_I("sent", counter_read(&spans->stats.sent)));
    forget(spans);
}

/* Buffers the span or drops it; never waits but for the lock, which nobody holds while sending. */
static void enqueue(struct spans *spans, const struct text *span)
{
    pthread_mutex_lock(&spans->lock);
    struct half *half = &spans->halves[spans->filling];
    size_t before = half->length;
    bool first = half->spans == 0;
    if (span->overflowed || span->length + 1 > HALF_BYTES - sizeof(SPAN_RECORD_TAIL) - half->length) {
        counter_add(&spans->stats.dropped, 1);
    } else {
        if (!first)
            half->bytes[half->length++] = ',';
        memcpy(half->bytes + half->length, span->start, span->length);
        half->length += span->length;
        half->spans++;
    }
    if (first || (before < BATCH_BYTES && half->length >= BATCH_BYTES)) /* spans in between cost no system call */
        pthread_cond_signal(&spans->work);
    pthread_mutex_unlock(&spans->lock);
}

void spans_note(struct spans *spans, const struct attempted *attempted)
{
    struct text span;
    if (attempted->span == NULL)
        return;
    text_init(&span, SPAN_BYTES_MAX);
    span_record_append(&span, attempted, clock_wall_ms());
    enqueue(spans, &span);
    text_finish(&span);
}

void spans_send_with(struct spans *spans, const struct span_headers *headers)
{
    pthread_mutex_lock(&spans->lock);
    spans->headers = *headers;
    pthread_mutex_unlock(&spans->lock);
}

const struct spans_stats *spans_stats(const struct spans *spans)
{
    return &spans->stats;
}
