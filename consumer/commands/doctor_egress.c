#include "consumer/commands/doctor_inside.h"

#include "consumer/base/clock.h"
#include "delivery/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { LOOKUP_MS = 5000, CONNECT_MS = 3000, TRIED_MAX = 4, SUBJECT_BYTES = 320 };

/* ---- names ---- */

struct question {
    bool answered;
    struct names_answer answer;
};

static void take_answer(void *context, const struct names_answer *answer)
{
    struct question *question = context;
    question->answered = true;
    question->answer = *answer;
}

/* As the service does it: by the name servers alone, without search domains and hosts files. False: they cannot even be asked. */
static bool look_up(const struct guard *guard, struct slice host, struct names_answer *answer)
{
    struct question question = { 0 };
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct names *names = names_create(&loop, &(struct names_options){ .timeout_ms = LOOKUP_MS, .guard = guard });
    bool made = names != NULL;
    if (made) {
        struct names_query *query = names_find(names, host, take_answer, &question);
        while (!question.answered && query != NULL && uv_run(&loop, UV_RUN_ONCE) != 0)
            continue;
        names_destroy(names);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    *answer = question.answer;
    return made && question.answered;
}

/* RFC 6761: whoever answers says that nothing below .invalid exists. */
void doctor_look_at_names(struct findings *findings)
{
    struct names_answer answer;
    bool asked = look_up(NULL, SLICE("doctor.invalid"), &answer);
    if (asked && answer.result == NAMES_NOT_FOUND)
        findings_add(findings, FINDING_OK, "name servers", NULL, "answer");
    else if (asked && answer.result == NAMES_FOUND)
        findings_add(findings, FINDING_WARNING, "name servers", "use name servers that tell the truth",
                     "invent an address for a name that does not exist: webhooks to names that are gone reach somebody else");
    else
        findings_add(findings, FINDING_BROKEN, "name servers", "see /etc/resolv.conf, and that UDP port 53 is open", "do not answer");
}

/* ---- connecting ---- */

static socklen_t sockaddr_of(const struct guard_address *address, uint16_t port, struct sockaddr_storage *storage)
{
    *storage = (struct sockaddr_storage){ 0 };
    if (address->v6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)storage;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        memcpy(&six->sin6_addr, address->bytes, 16);
        return sizeof *six;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)storage;
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    memcpy(&four->sin_addr, address->bytes, 4);
    return sizeof *four;
}

/* 0, or the error. Nothing is sent. */
static int try_connect(const struct guard_address *address, uint16_t port, uint64_t *took_ms)
{
    struct sockaddr_storage to;
    socklen_t length = sockaddr_of(address, port, &to), size = sizeof(int);
    uint64_t before_ms = clock_monotonic_ms();
    int error = 0, fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (struct sockaddr *)&to, length) != 0)
        error = errno;
    if (error == EINPROGRESS) {
        struct pollfd file = { .fd = fd, .events = POLLOUT };
        error = poll(&file, 1, CONNECT_MS) == 1 ? 0 : ETIMEDOUT;
        if (error == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
            error = errno;
    }
    close(fd);
    *took_ms = clock_monotonic_ms() - before_ms;
    return error;
}

static void show_address(const struct guard_address *address, char shown[INET6_ADDRSTRLEN])
{
    inet_ntop(address->v6 ? AF_INET6 : AF_INET, address->bytes, shown, INET6_ADDRSTRLEN);
}

static bool connect_to(const struct url *url, const struct guard_address *address, const char *subject, struct findings *findings)
{
    char shown[INET6_ADDRSTRLEN];
    uint64_t took_ms = 0;
    show_address(address, shown);
    int error = try_connect(address, url->port, &took_ms);
    if (error == 0)
        findings_add(findings, FINDING_OK, subject, NULL, "%s port %u can be connected to, %" PRIu64 " ms", shown, (unsigned)url->port, took_ms);
    else
        findings_add(findings, FINDING_WARNING, subject, "see the way out (firewall, NetworkPolicy, route), and whether the receiver listens there",
                     "%s port %u cannot be connected to: %s", shown, (unsigned)url->port, strerror(error));
    return error == 0;
}

/* ---- one URL ---- */

static bool addresses_of(const struct guard *guard, const struct url *url, struct names_answer *answer)
{
    if (url->host_kind == GUARD_HOST_IS_NAME)
        return look_up(guard, url->host, answer) && answer->result == NAMES_FOUND && answer->count > 0;
    *answer = (struct names_answer){ .result = NAMES_FOUND, .count = 1, .addresses = { url->literal } };
    return true;
}

/* The service refuses the whole answer when one address is refused. */
static bool may_dial(const struct guard *guard, const struct names_answer *answer, const char *subject, struct findings *findings)
{
    for (size_t i = 0; i < answer->count; i++) {
        char shown[INET6_ADDRSTRLEN];
        if (guard_judge_address(guard, &answer->addresses[i]) == GUARD_OK)
            continue;
        show_address(&answer->addresses[i], shown);
        findings_add(findings, FINDING_BROKEN, subject, "a receiver needs a public address; JOBHOOK_EGRESS_ALLOW opens others, at your risk",
                     "the policy refuses its address %s", shown);
        return false;
    }
    return true;
}

static void dial(const struct url *url, const struct names_answer *answer, const char *subject, struct findings *findings)
{
    bool any = false;
    for (size_t i = 0; i < answer->count && i < TRIED_MAX; i++)
        any = connect_to(url, &answer->addresses[i], subject, findings) || any;
    if (!any)
        findings_add(findings, FINDING_BROKEN, subject, NULL, "none of its addresses can be connected to");
}

void doctor_look_at_url(const struct settings *settings, const char *text, struct findings *findings)
{
    struct url url;
    struct names_answer answer = { 0 };
    char subject[SUBJECT_BYTES];
    enum guard_rule rule = guard_judge_url(&settings->guard, slice_of(text), &url);
    if (rule != GUARD_OK) {
        findings_add(findings, FINDING_BROKEN, "URL", "see \"What may be called\" in the README", "the policy refuses %s: %s", text,
                     guard_rule_name(rule));
        return;
    }
    snprintf(subject, sizeof subject, "%.*s", (int)url.origin_length, url.origin);
    if (settings->proxy != NULL) {
        findings_add(findings, FINDING_OK, subject, NULL, "the policy allows its text; JOBHOOK_PROXY looks it up and connects");
        return;
    }
    if (!addresses_of(&settings->guard, &url, &answer))
        findings_add(findings, FINDING_BROKEN, subject, "see that the name is spelt right and has an A or AAAA record", "the name %s",
                     answer.result == NAMES_NOT_FOUND ? "does not exist" : "could not be looked up");
    else if (may_dial(&settings->guard, &answer, subject, findings))
        dial(&url, &answer, subject, findings);
}
