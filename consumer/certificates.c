#include "consumer/certificates.h"

#include "consumer/base/clock.h"
#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/base/stamp.h"
#include "delivery/tls_moment.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

enum { DAY_S = 86400, REPEAT_MS = DAY_S * 1000, PROBLEM_BYTES_MAX = 500 };

struct certificates {
    struct certificate_file files[CERTIFICATES_MAX];
    struct certificates_stats stats;
    struct log_gate gates[CERTIFICATES_MAX];
    uv_timer_t timer;
};

/* What came through a pipe can be read once only. */
static void add(struct certificate_file *files, size_t *count, const char *name, const char *path)
{
    struct stat status;
    bool is_other = path == NULL || (stat(path, &status) == 0 && S_ISFIFO(status.st_mode));
    if (!is_other && *count < CERTIFICATES_MAX)
        files[(*count)++] = (struct certificate_file){ name, path };
}

/* "ssl.ca.location" may be a folder, or "probe". */
static bool is_file_of_cas(const char *kafka_ca)
{
    struct stat status;
    return kafka_ca != NULL && strcmp(kafka_ca, "probe") != 0 && (stat(kafka_ca, &status) != 0 || !S_ISDIR(status.st_mode));
}

static const char *kafka_value(const struct settings *settings, const char *property)
{
    for (size_t i = 0; i < settings->kafka_count; i++)
        if (strcmp(settings->kafka[i].name, property) == 0)
            return settings->kafka[i].value;
    return NULL;
}

size_t certificates_list(const struct settings *settings, struct certificate_file *files)
{
    size_t count = 0;
    const char *kafka_ca = kafka_value(settings, "ssl.ca.location");
    add(files, &count, "JOBHOOK_CLIENT_CERT", settings->client_cert);
    add(files, &count, "JOBHOOK_CA_FILE", settings->ca_file);
    add(files, &count, "JOBHOOK_REDIS_CLIENT_CERT", settings->redis_client_cert);
    add(files, &count, "JOBHOOK_REDIS_CA_FILE", settings->redis_ca_file);
    add(files, &count, "JOBHOOK_OTLP_CA_FILE", settings->otlp_ca_file);
    add(files, &count, "KAFKA_SSL_CERTIFICATE_LOCATION", kafka_value(settings, "ssl.certificate.location"));
    if (is_file_of_cas(kafka_ca))
        add(files, &count, "KAFKA_SSL_CA_LOCATION", kafka_ca);
    return count;
}

bool certificate_read(const char *path, int64_t *expires_s, struct text *problem)
{
    if (stamp_may_wait(path)) {
        text_append_string(problem, "is no regular file");
        return false;
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        text_printf(problem, "cannot be read: %s", strerror(errno));
        return false;
    }
    bool found = false;
    for (X509 *certificate; (certificate = PEM_read_X509(file, NULL, NULL, NULL)) != NULL; X509_free(certificate)) {
        int64_t one_s;
        if (tls_moment_read(X509_get0_notAfter(certificate), &one_s) && (!found || one_s < *expires_s)) {
            *expires_s = one_s;
            found = true;
        }
    }
    ERR_clear_error(); /* that no further certificate follows */
    fclose(file);
    if (!found)
        text_append_string(problem, "holds no certificate in PEM");
    return found;
}

const char *certificate_refusal(int x509_error)
{
    return X509_verify_cert_error_string(x509_error);
}

static void warn(struct certificates *certificates, size_t i, int64_t expires_s, const char *problem)
{
    int64_t left_s = expires_s - clock_wall_ms() / 1000;
    uint64_t suppressed;
    if (problem == NULL && left_s >= (int64_t)CERTIFICATES_WARN_DAYS * DAY_S)
        return;
    if (!log_gate_opens(&certificates->gates[i], REPEAT_MS, &suppressed))
        return;
    struct log_field name = LOG_STRING("setting", certificates->files[i].name), path = LOG_STRING("file", certificates->files[i].path);
    if (problem != NULL)
        log_warn("when a certificate ends is not known", name, path, LOG_STRING("problem", problem));
    else if (left_s <= 0)
        log_error("a certificate has expired", name, path, LOG_I("expired_s_ago", -left_s), LOG_STRING("cure", "renew it"));
    else
        log_warn("a certificate is about to expire", name, path, LOG_I("days_left", left_s / DAY_S), LOG_STRING("cure", "renew it"));
}

static void look(struct certificates *certificates)
{
    for (size_t i = 0; i < certificates->stats.count; i++) {
        int64_t expires_s = 0;
        struct text problem;
        text_init(&problem, PROBLEM_BYTES_MAX);
        bool known = certificate_read(certificates->files[i].path, &expires_s, &problem);
        gauge_set(&certificates->stats.expires_s[i], known ? expires_s : 0);
        warn(certificates, i, expires_s, known ? NULL : problem.start);
        text_finish(&problem);
    }
}

static void time_to_look(uv_timer_t *timer)
{
    look(timer->data);
}

struct certificates *certificates_create(struct uv_loop_s *loop, const struct settings *settings)
{
    struct certificates *certificates = memory_create(sizeof(*certificates));
    certificates->stats.count = certificates_list(settings, certificates->files);
    for (size_t i = 0; i < certificates->stats.count; i++)
        certificates->stats.names[i] = certificates->files[i].name;
    uv_timer_init(loop, &certificates->timer);
    certificates->timer.data = certificates;
    look(certificates);
    if (certificates->stats.count > 0)
        uv_timer_start(&certificates->timer, time_to_look, CERTIFICATES_EVERY_MS, CERTIFICATES_EVERY_MS);
    return certificates;
}

static void closed(uv_handle_t *handle)
{
    free(handle->data);
}

void certificates_destroy(struct certificates *certificates)
{
    if (certificates != NULL)
        uv_close((uv_handle_t *)&certificates->timer, closed);
}

const struct certificates_stats *certificates_stats(const struct certificates *certificates)
{
    return &certificates->stats;
}
