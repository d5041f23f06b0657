/* jobhook send: one signed test event to a URL, with everything visible. */
#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "consumer/base/moment.h"
#include "consumer/base/random.h"
#include "consumer/commands/commands.h"
#include "consumer/commands/sample.h"
#include "consumer/commands/send_inside.h"
#include "consumer/commands/shown.h"
#include "delivery/lanes.h"
#include "delivery/verdict.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

const char command_send_help[] =
    "usage: jobhook send URL [--type TYPE] [--failed] [--through-kafka]\n"
    "\n"
    "Sends one test event to URL, signed and judged as every other, and shows each step: what the policy says of the URL, the addresses of its name, "
    "the\n"
    "request, how long each phase took, and the answer. The request carries jobhook-test: 1. Nothing is written to Kafka or Redis.\n"
    "\n"
    "  --type TYPE       find_email (default), find_phone, find_email_bulk, find_phone_bulk, people_intelligence, company_intelligence, "
    "research_agent,\n"
    "                    qa_agent\n"
    "  --failed          the event of a job that failed\n"
    "  --through-kafka   by the input topic and whoever runs `jobhook run`: shows what becomes of it, up to the end. Then the request is like any "
    "other.\n"
    "\n"
    "Exit code 0: the answer was a 2xx; 1: it was not.\n"
    "\n"
    "examples:\n"
    "  jobhook send https://hooks.example.com/jobs\n"
    "  jobhook send https://hooks.example.com/jobs --type find_phone_bulk --through-kafka\n";

enum { TASK_ID_RANDOM = 8, EVENT_BYTES_MAX = 64 * 1024, SHOWN_BYTES_MAX = 64 * 1024, ANSWER_SHOWN = 1000, NAME_COLUMNS = 10 };

void send_print(const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%-*s", NAME_COLUMNS, name);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
    fflush(stdout); /* each step when it happens */
}

static void print_slice(const char *name, struct slice bytes)
{
    struct text shown;
    text_init(&shown, SHOWN_BYTES_MAX);
    shown_append(&shown, bytes, SIZE_MAX);
    send_print(name, "%s", shown.length > 0 ? shown.start : "");
    text_finish(&shown);
}

/* ---- sending ---- */

struct posting {
    const struct send *send;
    uv_loop_t loop;
    struct names *names;
    struct lanes *lanes;
    struct signature *signature; /* NULL: no keys */
    struct request request;
    bool named, done;
    bool addressed; /* the name has addresses, and none is refused */
    bool delivered;
    struct tls_sight tls;
};

static const char *address_name(const struct guard_address *address, char name[INET6_ADDRSTRLEN])
{
    const char *written = inet_ntop(address->v6 ? AF_INET6 : AF_INET, address->bytes, name, INET6_ADDRSTRLEN);
    return written == NULL ? "?" : written;
}

static void print_addresses(void *context, const struct names_answer *answer)
{
    static const char *const results[] = { [NAMES_FOUND] = "found",
                                           [NAMES_NOT_FOUND] = "the name does not exist, or has no address",
                                           [NAMES_FAILED] = "the name servers did not answer",
                                           [NAMES_NOT_ASKED] = "no socket could be opened" };
    struct posting *posting = context;
    char name[INET6_ADDRSTRLEN];
    posting->named = true;
    posting->addressed = answer->result == NAMES_FOUND;
    if (answer->result != NAMES_FOUND)
        send_print("name", "%s", results[answer->result]);
    for (size_t i = 0; i < answer->count; i++) {
        enum guard_rule rule = guard_judge_address(&posting->send->settings->guard, &answer->addresses[i]);
        send_print(i == 0 ? "name" : "", "%s, %s", address_name(&answer->addresses[i], name),
                   rule == GUARD_OK ? "allowed" : "refused (see JOBHOOK_EGRESS_ALLOW)");
    }
}

static void look_up(struct posting *posting)
{
    const struct url *url = &posting->send->url;
    char name[INET6_ADDRSTRLEN];
    if (posting->send->settings->proxy != NULL) {
        send_print("name", "left to the proxy (JOBHOOK_PROXY)");
    } else if (url->host_kind != GUARD_HOST_IS_NAME) {
        send_print("address", "%s, allowed", address_name(&url->literal, name));
    } else {
        names_find(posting->names, url->host, print_addresses, posting);
        while (!posting->named)
            uv_run(&posting->loop, UV_RUN_ONCE);
    }
}

static void print_times(const struct outcome *outcome)
{
    send_print("times", "name %" PRIu32 " ms, connected %" PRIu32 " ms, TLS %" PRIu32 " ms, first byte %" PRIu32 " ms, in all %" PRIu32 " ms",
               outcome->name_ms, outcome->connect_ms, outcome->tls_ms, outcome->first_byte_ms, outcome->total_ms);
}

static void print_verdict(const struct posting *posting, const struct outcome *outcome)
{
    const struct settings *settings = posting->send->settings;
    struct verdict verdict = verdict_judge(outcome, &(struct verdict_policy){ settings->final_statuses, settings->final_status_count });
    static const char *const actions[] = { [ACTION_DELIVERED] = "delivered",
                                           [ACTION_RETRY] = "failed: an event would be retried",
                                           [ACTION_DEAD] = "failed for good: an event would be dead-lettered",
                                           [ACTION_AGAIN] = "trouble on this machine: an event would wait and be sent again" };
    send_print("verdict", "%s", actions[verdict.action]);
}

static void print_validity(const struct tls_sight *tls)
{
    struct text text;
    int64_t left_ms = tls->until_ms - clock_wall_ms();
    text_init(&text, SHOWN_BYTES_MAX);
    moment_append(&text, tls->from_ms);
    text_append_string(&text, " to ");
    moment_append(&text, tls->until_ms);
    text_append_string(&text, left_ms < 0 ? ", expired for " : ", still ");
    moment_append_duration(&text, (uint64_t)(left_ms < 0 ? -left_ms : left_ms));
    send_print("valid", "%s", text.start);
    text_finish(&text);
}

static void print_tls(const struct tls_sight *tls, const struct outcome *outcome)
{
    const char *certificate = outcome->connected                    ? "the certificate is valid for this host"
                              : outcome->kind == OUTCOME_TLS_VERIFY ? "the certificate is not trusted"
                                                                    : "not reached";
    if (tls->version[0] == '\0')
        send_print("TLS", "%s", certificate);
    else
        send_print("TLS", "%s%s%s%s%s, %s", tls->version, tls->cipher[0] != '\0' ? ", " : "", tls->cipher, tls->application[0] != '\0' ? ", " : "",
                   tls->application, certificate);
    if (!tls->has_certificate)
        return;
    print_slice("subject", slice_of(tls->subject));
    print_slice("issuer", slice_of(tls->issuer));
    if (tls->from_ms >= 0 && tls->until_ms >= 0)
        print_validity(tls);
}

static void answered(void *context, const struct outcome *outcome)
{
    struct posting *posting = context;
    char error[ATTEMPT_ERROR_MAX + 1];
    posting->done = true;
    posting->delivered = outcome_is_success(outcome);
    verdict_error_class(outcome, error);
    if (posting->send->url.https)
        print_tls(&posting->tls, outcome);
    if (outcome->kind == OUTCOME_ANSWERED)
        send_print("answer", "HTTP status %d", outcome->status);
    else
        send_print("answer", "none: %s (%s)", error, outcome->detail);
    print_times(outcome);
    if (outcome->retry_after_s >= 0)
        send_print("", "Retry-After: %" PRId32 " s", outcome->retry_after_s);
    if (outcome->snippet_bytes > 0)
        print_slice("body", (struct slice){ outcome->snippet, outcome->snippet_bytes });
    print_verdict(posting, outcome);
}

static void print_request(const struct posting *posting)
{
    send_print("request", "POST, %zu bytes%s", posting->request.body.length,
               posting->signature == NULL ? ", not signed: JOBHOOK_SIGNING_KEYS is empty" : "");
    for (size_t i = 0; i < posting->request.header_count; i++)
        if (posting->request.headers[i][strlen(posting->request.headers[i]) - 1] != ':')
            print_slice("", slice_of(posting->request.headers[i]));
    print_slice("", text_slice(&posting->request.body));
}

static void post(struct posting *posting)
{
    const struct send *send = posting->send;
    const struct attempt attempt = { .number = 1 };
    struct request_options options = { .version = JOBHOOK_VERSION, .now_s = clock_wall_ms() / 1000, .test = true, .signature = posting->signature };
    if (posting->signature != NULL)
        options.scope = signature_scope_of(posting->signature, &send->url);
    request_compose(&posting->request, send->event, &attempt, &options);
    print_request(posting);
    lanes_post(posting->lanes, &send->url, &posting->request, answered, posting);
    while (!posting->done)
        uv_run(&posting->loop, UV_RUN_ONCE);
}

static bool make(struct posting *posting)
{
    const struct settings *settings = posting->send->settings;
    const struct names_options names_options = { .guard = &settings->guard };
    posting->names = names_create(&posting->loop, &names_options);
    if (posting->names == NULL)
        return false; /* it said why */
    const struct lanes_options lanes_options = { .guard = &settings->guard,
                                                 .names = posting->names,
                                                 .attempt_timeout_ms = settings->attempt_timeout_ms,
                                                 .lane_count = 1,
                                                 .origin_max_connections = 1,
                                                 .snippet_bytes = ANSWER_SHOWN,
                                                 .ca_file = settings->ca_file,
                                                 .proxy = settings->proxy,
                                                 .client_cert = settings->client_cert,
                                                 .client_key = settings->client_key,
                                                 .http2 = settings->http2,
                                                 .tls_sight = &posting->tls };
    posting->lanes = lanes_create(&posting->loop, &lanes_options);
    struct signature_options signature_options = { .keys = &settings->signing_keys, .scope = settings->signing_scope };
    random_bytes(&signature_options.hash_key, sizeof(signature_options.hash_key));
    if (settings->signing_keys.count > 0)
        posting->signature = signature_create(&signature_options);
    return posting->lanes != NULL;
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

int send_directly(const struct send *send)
{
    struct posting *posting = memory_create(sizeof(*posting));
    posting->send = send;
    uv_loop_init(&posting->loop);
    request_init(&posting->request);
    if (make(posting)) {
        look_up(posting);
        post(posting);
    }
    lanes_destroy(posting->lanes);
    names_destroy(posting->names);
    signature_destroy(posting->signature);
    request_finish(&posting->request);
    uv_walk(&posting->loop, close_handle, NULL);
    uv_run(&posting->loop, UV_RUN_DEFAULT);
    uv_loop_close(&posting->loop);
    int code = posting->delivered ? COMMAND_FINE : COMMAND_FAILED;
    free(posting);
    return code;
}

/* ---- the command ---- */

struct wish {
    const char *url;
    const struct sample *sample;
    bool failed, through_kafka;
};

static bool read_arguments(struct wish *wish, int argc, char **argv)
{
    static const struct option options[] = {
        { "type", required_argument, NULL, 't' }, { "failed", no_argument, NULL, 'f' }, { "through-kafka", no_argument, NULL, 'k' }, { 0 }
    };
    *wish = (struct wish){ .sample = &samples[0] };
    optind = 0; /* glibc: start anew */
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'f')
            wish->failed = true;
        else if (option == 'k')
            wish->through_kafka = true;
        else if (option != 't')
            return false;
        else if ((wish->sample = sample_find(optarg)) == NULL)
            return command_complain(
                "send", optarg,
                "no such type: find_email, find_phone, find_email_bulk, find_phone_bulk, people_intelligence, company_intelligence, "
                "research_agent, qa_agent");
    }
    if (optind + 1 != argc)
        return command_complain("send", "where to?", "name one URL");
    wish->url = argv[optind];
    return wish->url[0] != '\0' || command_complain("send", "where to?", "the URL is empty");
}

static struct event *make_event(const struct wish *wish)
{
    unsigned char random[TASK_ID_RANDOM];
    char task_id[32] = "test-";
    const char *problem;
    struct text text;
    random_bytes(random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(task_id + 5 + 2 * i, 3, "%02x", random[i]);
    text_init(&text, EVENT_BYTES_MAX);
    sample_append(&(struct sample_wish){ wish->sample, wish->failed, slice_of(task_id), slice_of(wish->url) }, &text);
    struct event *event = event_create(&(struct event_record){ .has_value = true, .value = text_slice(&text), .timestamp_ms = -1 });
    bool fine = event_parse(event, &problem);
    assert(fine);
    text_finish(&text);
    return event;
}

static int send_it(const struct wish *wish, const struct settings *settings)
{
    struct send send = { .settings = settings, .event = make_event(wish) };
    enum guard_rule rule = guard_judge_url(&settings->guard, send.event->webhook_url, &send.url);
    int code = COMMAND_FAILED;
    print_slice("url", send.event->webhook_url);
    if (rule != GUARD_OK)
        send_print("policy", "refused (%s): an event with this URL is dead-lettered as blocked_url", guard_rule_name(rule));
    else {
        send_print("policy", "allowed, origin %s", send.url.origin);
        code = wish->through_kafka ? send_through_kafka(&send) : send_directly(&send);
    }
    event_destroy(send.event);
    return fflush(stdout) == 0 ? code : COMMAND_FAILED;
}

int command_send(int argc, char **argv)
{
    struct wish wish;
    struct settings settings = { 0 };
    signal(SIGPIPE, SIG_IGN);
    if (!read_arguments(&wish, argc, argv)) {
        fputs("see jobhook send --help\n", stderr);
        return COMMAND_USAGE;
    }
    if (strlen(wish.url) > GUARD_URL_MAX)
        return command_complain("send", "URL", "is longer than 8 KiB, which no event may have") ? COMMAND_FINE : COMMAND_FAILED;
    int code = command_settings_quietly(&settings) ? send_it(&wish, &settings) : COMMAND_FAILED;
    settings_finish(&settings);
    return code;
}
