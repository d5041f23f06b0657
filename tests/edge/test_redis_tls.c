/* rediss:// against a real Redis with a certificate of the test's own. Where the installed hiredis has no TLS, the address is refused instead. */
#include "consumer/base/clock.h"
#include "dedupe/redis.h"
#include "dedupe/redis_exam.h"
#include "dedupe/scripts.h"
#include "tests/edge/redis_server.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { WAIT_MS = 20000, LOOK_MS = 1500, DAY_S = 86400, EVALS = 500, ASKED_AGAIN_MAX = 50 };

static char folder[] = "/tmp/jobhook-tls-XXXXXX", certificate_file[64], key_file[64], port_word[8];
static struct redis_server server;
static uv_loop_t loop;
static uv_timer_t ticker;

static void add_names(X509 *certificate, const char *names)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    const struct {
        int kind;
        const char *value;
    } extensions[] = { { NID_basic_constraints, "critical,CA:TRUE" }, { NID_subject_alt_name, names } };
    for (size_t i = 0; i < COUNT_OF(extensions); i++) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, extensions[i].kind, extensions[i].value);
        cr_assert_not_null(extension);
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }
}

/* A certificate that is its own CA, for these names; with a negative number of days it has expired. */
static void write_certificate(const char *names, int days)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    cr_assert(key != NULL && certificate != NULL);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -2 * DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(certificate), days * DAY_S);
    X509_set_pubkey(certificate, key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"jobhook test", -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    add_names(certificate, names);
    cr_assert_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    FILE *file = fopen(certificate_file, "w");
    cr_assert(file != NULL && PEM_write_X509(file, certificate) == 1);
    fclose(file);
    file = fopen(key_file, "w");
    cr_assert(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void start(void)
{
    signal(SIGPIPE, SIG_IGN);
    cr_assert_not_null(mkdtemp(folder));
    snprintf(certificate_file, sizeof certificate_file, "%s/certificate.pem", folder);
    snprintf(key_file, sizeof key_file, "%s/key.pem", folder);
    uv_loop_init(&loop);
    uv_timer_init(&loop, &ticker);
    uv_timer_start(&ticker, on_tick, 5, 5);
}

static void stop(void)
{
    uv_close((uv_handle_t *)&ticker, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    if (server.folder[0] != '\0')
        redis_server_stop(&server);
    unlink(certificate_file);
    unlink(key_file);
    rmdir(folder);
}

TestSuite(redis_tls, .init = start, .fini = stop, .timeout = 60);

static void start_server_as(const char *names, int days, const char *auth_clients)
{
    write_certificate(names, days);
    snprintf(port_word, sizeof port_word, "%d", redis_server_free_port());
    redis_server_start(&server, (const char *const[]){ "--tls-port", port_word, "--tls-cert-file", certificate_file, "--tls-key-file", key_file,
                                                       "--tls-ca-cert-file", certificate_file, "--tls-auth-clients", auth_clients, NULL });
}

static void start_server(const char *names)
{
    start_server_as(names, 1, "no");
}

/* Looks at 127.0.0.1 with these files; false when it does not answer: then `exam->why` says why. */
static bool examine(const char *ca_file, const char *client_cert, struct redis_exam *exam)
{
    char url[64];
    const char *problem = NULL;
    struct redis_address address;
    snprintf(url, sizeof url, "rediss://127.0.0.1:%s", port_word);
    cr_assert(redis_address_parse(slice_of(url), &address, &problem));
    address.ca_file = ca_file;
    address.client_cert = client_cert;
    address.client_key = client_cert == NULL ? NULL : key_file;
    redis_examine(&address, SLICE("jobhook:test:key"), WAIT_MS, exam);
    redis_exam_finish(exam);
    redis_address_finish(&address);
    return exam->answered && exam->scripts_run;
}

/* With TLS 1.3 a server refuses a client after the client's handshake is over, and its reset may overtake the alert that says why: asked again then. */
static void expect_why(const char *ca_file, const char *client_cert, const char *why)
{
    struct redis_exam exam;
    for (int i = 0; i < ASKED_AGAIN_MAX; i++) {
        cr_assert_not(examine(ca_file, client_cert, &exam));
        if (strstr(exam.why, "reset by peer") == NULL)
            break;
    }
    cr_assert_not_null(strstr(exam.why, why), "expected: %s\ngot: %s", why, exam.why);
}

static void count_replies(void *context, enum redis_state state, const struct redis_reply_array *reply)
{
    (void)reply;
    *(int *)context += state == REDIS_REPLY;
}

/* How many of the scripts were answered; -1 when Redis was never up. */
static int run_scripts_at(const char *url, const char *ca_file, uint64_t within_ms)
{
    const char *problem = NULL;
    struct redis_address address;
    int replies = 0;
    cr_assert(redis_address_parse(slice_of(url), &address, &problem));
    address.ca_file = ca_file;
    struct redis *redis = redis_create(&loop, &(struct redis_options){ .address = &address });
    uint64_t until_ms = clock_monotonic_ms() + within_ms;
    while (!redis_is_up(redis) && clock_monotonic_ms() < until_ms)
        uv_run(&loop, UV_RUN_ONCE);
    bool up = redis_is_up(redis);
    for (int i = 0; up && i < EVALS; i++)
        redis_eval(redis, &script_probe, SLICE("jobhook:test:key"), NULL, 0, count_replies, &replies);
    until_ms = clock_monotonic_ms() + WAIT_MS;
    while (up && replies < EVALS && clock_monotonic_ms() < until_ms)
        uv_run(&loop, UV_RUN_ONCE);
    redis_destroy(redis);
    uv_run(&loop, UV_RUN_ONCE);
    redis_address_finish(&address);
    return up ? replies : -1;
}

static int run_scripts(const char *host, const char *ca_file, uint64_t within_ms)
{
    char url[64];
    snprintf(url, sizeof url, "rediss://%s:%s", host, port_word);
    return run_scripts_at(url, ca_file, within_ms);
}

static bool refused_without_tls(void)
{
    struct redis_address address;
    const char *problem = NULL;
    if (redis_has_tls())
        return false;
    cr_assert_not(redis_address_parse(SLICE("rediss://127.0.0.1"), &address, &problem));
    return true;
}

Test(redis_tls, a_certificate_of_the_given_ca_and_the_right_name_is_taken)
{
    if (refused_without_tls())
        return;
    start_server("IP:127.0.0.1,DNS:localhost");
    cr_assert_eq(run_scripts("127.0.0.1", certificate_file, WAIT_MS), EVALS);
    cr_assert_eq(run_scripts("localhost", certificate_file, WAIT_MS), EVALS);
}

static int bind_to_port(int port, bool connect_to_it)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq((connect_to_it ? connect : bind)(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void carry(int from)
{
    char bytes[4096];
    struct pollfd ends[2] = { { .fd = from, .events = POLLIN }, { .fd = bind_to_port((int)strtol(port_word, NULL, 10), true), .events = POLLIN } };
    for (bool open = true; open && poll(ends, 2, -1) > 0;)
        for (int i = 0; i < 2 && open; i++) {
            ssize_t count = ends[i].revents == 0 ? -1 : recv(ends[i].fd, bytes, i == 0 ? sizeof bytes : 100, 0);
            open = ends[i].revents == 0 || (count > 0 && send(ends[1 - i].fd, bytes, (size_t)count, MSG_NOSIGNAL) == count);
            usleep(i == 0 ? 0 : 200);
        }
    close(ends[0].fd);
    close(ends[1].fd);
}

/* Between us and Redis: what Redis says comes in pieces. */
static void *carry_in_pieces(void *listener)
{
    int fd;
    while ((fd = accept(*(int *)listener, NULL, NULL)) >= 0)
        carry(fd);
    return NULL;
}

/* As libcurl leaves it behind when a receiver's handshake has failed. */
static void fail_elsewhere(uv_prepare_t *turn)
{
    (void)turn;
    ERR_raise(ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER);
}

Test(redis_tls, what_fails_on_other_connections_of_the_thread_ends_none_of_redis)
{
    uv_prepare_t turn;
    pthread_t carrier;
    char url[64];
    if (refused_without_tls())
        return;
    start_server("IP:127.0.0.1");
    int port = redis_server_free_port();
    int listener = bind_to_port(port, false);
    cr_assert(listen(listener, 1) == 0 && pthread_create(&carrier, NULL, carry_in_pieces, &listener) == 0);
    uv_prepare_init(&loop, &turn);
    uv_prepare_start(&turn, fail_elsewhere);
    snprintf(url, sizeof url, "rediss://127.0.0.1:%d", port);
    cr_expect_eq(run_scripts_at(url, certificate_file, WAIT_MS), EVALS);
    uv_close((uv_handle_t *)&turn, NULL);
    shutdown(listener, SHUT_RDWR);
    pthread_join(carrier, NULL);
    close(listener);
}

Test(redis_tls, a_certificate_of_an_unknown_ca_is_refused)
{
    if (refused_without_tls())
        return;
    start_server("IP:127.0.0.1,DNS:localhost");
    cr_assert_eq(run_scripts("127.0.0.1", NULL, LOOK_MS), -1);
    cr_assert_eq(run_scripts("127.0.0.1", "/no/such/file.pem", LOOK_MS), -1);
}

Test(redis_tls, a_certificate_for_another_name_is_refused)
{
    if (refused_without_tls())
        return;
    start_server("IP:127.0.0.2,DNS:redis.example");
    cr_assert_eq(run_scripts("127.0.0.1", certificate_file, LOOK_MS), -1);
    cr_assert_eq(run_scripts("localhost", certificate_file, LOOK_MS), -1);
}

Test(redis_tls, a_server_without_tls_is_never_up)
{
    if (refused_without_tls())
        return;
    start_server("IP:127.0.0.1");
    snprintf(port_word, sizeof port_word, "%d", server.port);
    cr_assert_eq(run_scripts("127.0.0.1", certificate_file, LOOK_MS), -1);
}

Test(redis_tls, a_client_certificate_is_shown_to_a_server_that_asks)
{
    struct redis_exam exam;
    if (refused_without_tls())
        return;
    start_server_as("IP:127.0.0.1", 1, "yes");
    cr_assert(examine(certificate_file, certificate_file, &exam), "%s", exam.why);
    expect_why(certificate_file, NULL, "set JOBHOOK_REDIS_CLIENT_CERT and JOBHOOK_REDIS_CLIENT_KEY");
    expect_why(certificate_file, "/no/such/file.pem", "JOBHOOK_REDIS_CLIENT_CERT cannot be read as PEM");
}

Test(redis_tls, what_is_wrong_with_a_certificate_is_said_with_its_cure)
{
    if (refused_without_tls())
        return;
    start_server_as("IP:127.0.0.1", -1, "no");
    expect_why(certificate_file, NULL, "certificate has expired: renew Redis's certificate");
    redis_server_stop(&server);
    start_server("IP:127.0.0.2");
    expect_why(certificate_file, NULL, "the host in JOBHOOK_REDIS_URL must be one of the certificate's names");
    expect_why(NULL, NULL, "JOBHOOK_REDIS_CA_FILE must hold the CA of Redis's certificate");
    expect_why("/no/such/file.pem", NULL, "JOBHOOK_REDIS_CA_FILE cannot be read as PEM");
}
