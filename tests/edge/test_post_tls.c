/* Which certificates are trusted, and what a TLS failure is called. */
#include "tests/edge/post_rig.h"
#include "tests/edge/scripted_dns.h"
#include "tests/edge/tls_receiver.h"

#include <criterion/criterion.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rig rig;
static struct tls_receiver receiver;

TestSuite(post_tls, .timeout = 60);

static void begin_with(struct tls_options options, struct lanes_options lanes)
{
    tls_receiver_start(&receiver, options);
    if (lanes.ca_file == NULL)
        lanes.ca_file = receiver.ca_file;
    lanes.lane_count = 2;
    rig_open(&rig, lanes, NULL);
}

static void end(void)
{
    rig_close(&rig);
    tls_receiver_stop(&receiver);
}

static struct posted post_to(const char *host, uint16_t port)
{
    char url[256];
    rig_url(url, "https", host, port, "/");
    return rig_post_url(&rig, url);
}

static struct posted post(void)
{
    return post_to("127.0.0.1", receiver.port);
}

Test(post_tls, a_certificate_from_the_ca_file_is_trusted)
{
    begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1" }, (struct lanes_options){ .ca_file = NULL });
    for (int i = 0; i < 5; i++) {
        struct posted posted = post();
        cr_assert_eq(posted.outcome.status, 200, "%d %s", posted.outcome.kind, posted.detail);
        cr_assert_leq(posted.outcome.connect_ms, posted.outcome.first_byte_ms);
        cr_assert(posted.outcome.sent && posted.outcome.connected);
    }
    cr_assert_eq(atomic_load(&receiver.connections), 1);
    end();
}

Test(post_tls, a_connection_without_a_request_is_one_when_the_certificate_is_trusted)
{
    struct tls_receiver other;
    tls_receiver_start(&other, (struct tls_options){ .subject_alt_name = "IP:127.0.0.1" });
    const bool http2[] = { false, true };
    char url[256];
    for (size_t i = 0; i < COUNT_OF(http2); i++) {
        begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1" }, (struct lanes_options){ .http2 = http2[i] });
        rig_url(url, "https", "127.0.0.1", receiver.port, "");
        cr_assert(rig_connects(&rig, url));
        cr_assert(rig_connects(&rig, url));
        cr_assert_eq(post().outcome.status, 200);
        end();
        begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1" }, (struct lanes_options){ .http2 = http2[i], .ca_file = other.ca_file });
        rig_url(url, "https", "127.0.0.1", receiver.port, "");
        cr_assert_not(rig_connects(&rig, url));
        end();
    }
    tls_receiver_stop(&other);
}

static void expect_refused(struct tls_options options, const char *ca_file, const char *detail)
{
    begin_with(options, (struct lanes_options){ .ca_file = ca_file });
    struct posted posted = post();
    cr_expect_eq(posted.outcome.kind, OUTCOME_TLS_VERIFY, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_not(posted.outcome.sent || posted.outcome.connected);
    cr_expect_not_null(strcasestr(posted.detail, detail), "%s", posted.detail);
    cr_expect_eq(atomic_load(&receiver.requests), 0);
    end();
}

Test(post_tls, a_self_signed_certificate_is_refused)
{
    struct tls_receiver other;
    tls_receiver_start(&other, (struct tls_options){ .subject_alt_name = "IP:127.0.0.1" });
    expect_refused((struct tls_options){ .subject_alt_name = "IP:127.0.0.1" }, other.ca_file, "self");
    tls_receiver_stop(&other);
}

Test(post_tls, a_certificate_for_another_host_is_refused)
{
    expect_refused((struct tls_options){ .subject_alt_name = "IP:127.0.0.2" }, NULL, "not for this host");
    expect_refused((struct tls_options){ .subject_alt_name = "DNS:hook.example.com" }, NULL, "not for this host");
}

Test(post_tls, an_expired_certificate_is_refused)
{
    expect_refused((struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .expired = true }, NULL, "expired");
}

Test(post_tls, the_system_does_not_know_the_test_certificate)
{
    tls_receiver_start(&receiver, (struct tls_options){ .subject_alt_name = "IP:127.0.0.1" });
    rig_open(&rig, (struct lanes_options){ .lane_count = 1 }, NULL);
    cr_assert_eq(post().outcome.kind, OUTCOME_TLS_VERIFY);
    end();
}

Test(post_tls, an_old_protocol_is_refused)
{
    begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .old_protocol = true }, (struct lanes_options){ .ca_file = NULL });
    struct posted posted = post();
    cr_expect_eq(posted.outcome.kind, OUTCOME_TLS_FAILED, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_not(posted.outcome.sent);
    end();
}

static bool greet_in_plain(const struct visit *visit)
{
    say(visit, "HTTP/1.1 200 OK\r\n\r\n");
    return true;
}

static bool close_at_once(const struct visit *visit)
{
    wait_ms(visit, 20);
    return false;
}

static bool never_answer(const struct visit *visit)
{
    while (wait_ms(visit, 10))
        ;
    return false;
}

static struct posted post_to_plain(script *greet)
{
    struct receiver plain;
    receiver_start(&plain, close_at_once);
    plain.greet = greet;
    rig_open(&rig, (struct lanes_options){ .lane_count = 1, .attempt_timeout_ms = greet == never_answer ? RIG_SHORT_MS : RIG_TIMEOUT_MS }, NULL);
    struct posted posted = post_to("127.0.0.1", plain.port);
    rig_close(&rig);
    receiver_stop(&plain);
    return posted;
}

Test(post_tls, a_receiver_that_does_not_speak_it_is_a_failure)
{
    script *const greets[] = { greet_in_plain, close_at_once };
    for (size_t i = 0; i < COUNT_OF(greets); i++) {
        struct posted posted = post_to_plain(greets[i]);
        cr_expect_eq(posted.outcome.kind, OUTCOME_TLS_FAILED, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
        cr_expect_not(posted.outcome.sent || posted.outcome.connected);
    }
}

static unsigned char alert; /* RFC 8446, 6 */

static bool send_alert(int fd)
{
    const unsigned char record[] = { 21, 3, 3, 0, 2, 2, alert };
    cr_assert_eq(write(fd, record, sizeof(record)), sizeof(record));
    return false;
}

/* Of the alerts that speak of a certificate ours is meant; libcurl calls some of them a refusal of the receiver's. */
Test(post_tls, an_alert_is_a_failure_and_not_a_refused_certificate)
{
    static const unsigned char alerts[] = { 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 116 };
    for (size_t i = 0; i < COUNT_OF(alerts); i++) {
        alert = alerts[i];
        begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .greet = send_alert }, (struct lanes_options){ .ca_file = NULL });
        struct posted posted = post();
        cr_expect_eq(posted.outcome.kind, OUTCOME_TLS_FAILED, "%d: %d %s", alert, posted.outcome.kind, posted.detail);
        bool is_ours = (alert >= 41 && alert <= 46) || alert == 48 || alert == 49 || alert == 116;
        cr_expect_eq(strstr(posted.detail, "certificate") != NULL, is_ours, "%d: %s", alert, posted.detail);
        end();
    }
}

Test(post_tls, a_handshake_that_hangs_is_a_connect_timeout)
{
    struct posted posted = post_to_plain(never_answer);
    cr_expect_eq(posted.outcome.kind, OUTCOME_CONNECT_TIMEOUT, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_not(posted.outcome.sent || posted.outcome.connected);
}

/* The server says goodbye right behind its answer: libcurl alone would take the connection for a good one. */
Test(post_tls, a_goodbye_behind_the_answer_costs_no_attempt)
{
    int lost = 0;
    begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .close_each = true }, (struct lanes_options){ .ca_file = NULL });
    for (int i = 0; i < 20; i++) {
        lost += post().outcome.kind != OUTCOME_ANSWERED;
        usleep(5000); /* the loop does not run meanwhile, so it cannot notice */
    }
    cr_assert_eq(lost, 0);
    cr_assert_eq(atomic_load(&receiver.requests), 20);
    end();
}

static int resumed_of_five(int newest_protocol, long valid_s)
{
    begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .close_each = true, .newest_protocol = newest_protocol, .valid_s = valid_s },
               (struct lanes_options){ .ca_file = NULL });
    for (int i = 0; i < 5; i++) {
        struct posted posted = post();
        cr_assert_eq(posted.outcome.status, 200, "%d %s", posted.outcome.kind, posted.detail);
        rig_run_ms(&rig, 30); /* the end of the connection arrives */
    }
    cr_assert_eq(atomic_load(&receiver.connections), 5);
    int resumed = atomic_load(&receiver.resumed);
    end();
    return resumed;
}

Test(post_tls, sessions_are_resumed)
{
    cr_expect_geq(resumed_of_five(TLS1_3_VERSION, 0), 3);
    cr_expect_geq(resumed_of_five(TLS1_2_VERSION, 0), 3);
}

/* Which in TLS 1.3 is renewed with each connection. */
Test(post_tls, sessions_end_with_the_certificate)
{
    const int protocols[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    enum { VALID_S = 4 };
    for (size_t i = 0; i < COUNT_OF(protocols); i++) {
        begin_with(
            (struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .close_each = true, .newest_protocol = protocols[i], .valid_s = VALID_S },
            (struct lanes_options){ .ca_file = NULL });
        for (int posts = 0; posts < 2; posts++) {
            struct posted posted = post();
            cr_expect_eq(posted.outcome.status, 200, "%d %s", posted.outcome.kind, posted.detail);
            rig_run_ms(&rig, 100);
        }
        cr_expect_eq(atomic_load(&receiver.resumed), 1);
        rig_run_ms(&rig, VALID_S * 1000);
        struct posted posted = post();
        cr_expect_eq(posted.outcome.kind, OUTCOME_TLS_VERIFY, "%zu: %d %s", i, posted.outcome.kind, posted.detail);
        end();
    }
}

/* As a host does until it has the certificate of a new customer. Going on with the session of a refused connection would show the wrong one for ever. */
Test(post_tls, a_wrong_certificate_is_forgotten_with_its_connection)
{
    const int protocols[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    for (size_t i = 0; i < COUNT_OF(protocols); i++) {
        begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1",
                                         .issued = true,
                                         .other_name = "DNS:default.example.com",
                                         .wrong_first = 2,
                                         .newest_protocol = protocols[i] },
                   (struct lanes_options){ .ca_file = NULL });
        for (int posts = 0; posts < 4; posts++) {
            struct posted posted = post();
            cr_expect_eq(posted.outcome.kind, posts < 2 ? OUTCOME_TLS_VERIFY : OUTCOME_ANSWERED, "%d: %d %s", posts, posted.outcome.kind,
                         posted.detail);
            rig_run_ms(&rig, 30);
        }
        end();
    }
}

/* As when another machine takes an address over. libcurl 8.14 has both tickets of TLS 1.3. */
Test(post_tls, a_receiver_that_refuses_sessions_is_soon_met_without_one)
{
    const int protocols[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    for (size_t i = 0; i < COUNT_OF(protocols); i++) {
        begin_with(
            (struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .close_each = true, .resents_sessions = true, .newest_protocol = protocols[i] },
            (struct lanes_options){ .ca_file = NULL });
        int refused = 0;
        cr_assert_eq(post().outcome.status, 200);
        rig_run_ms(&rig, 30);
        while (refused < 5 && post().outcome.status != 200)
            refused++;
        cr_expect(refused >= 1 && refused <= 2, "%zu: %d", i, refused);
        for (int posts = 0; posts < 5; posts++) {
            rig_run_ms(&rig, 30);
            cr_expect_eq(post().outcome.status, 200, "%zu: %d", i, posts);
        }
        end();
    }
}

static void script_hook(const char *name, int type, struct dns_answer *answer)
{
    answer->count = type == DNS_A && strncmp(name, "hook.", 5) == 0;
    answer->addresses[0] = "127.0.0.1";
}

Test(post_tls, the_certificate_is_for_the_name_not_the_address)
{
    struct dns_server dns;
    dns_start(&dns, script_hook);
    tls_receiver_start(&receiver, (struct tls_options){ .subject_alt_name = "DNS:hook.example.com", .close_each = true });
    rig_open(&rig, (struct lanes_options){ .ca_file = receiver.ca_file }, dns.address);
    cr_expect_eq(post_to("hook.example.com", receiver.port).outcome.status, 200);
    cr_expect_eq(post_to("hook.example.org", receiver.port).outcome.kind, OUTCOME_TLS_VERIFY);
    end();
    dns_stop(&dns);
}

Test(post_tls, a_client_certificate_is_shown_when_there_is_one)
{
    struct tls_options asks = { .subject_alt_name = "IP:127.0.0.1", .wants_certificate = true };
    struct tls_receiver own;
    tls_receiver_start(&own, (struct tls_options){ .subject_alt_name = "DNS:jobhook.example.com" });
    begin_with(asks, (struct lanes_options){ .client_cert = own.ca_file, .client_key = own.key_file });
    struct posted posted = post();
    cr_expect_eq(posted.outcome.status, 200, "%d %s", posted.outcome.kind, posted.detail);
    cr_expect_eq(atomic_load(&receiver.with_certificate), 1);
    end();
    begin_with(asks, (struct lanes_options){ .ca_file = NULL });
    posted = post();
    cr_expect_neq(posted.outcome.kind, OUTCOME_ANSWERED);
    end();
    tls_receiver_stop(&own);
}

static int times_asked; /* behind a request */

/* OpenSSL asks again when it has read the answer to the time before. */
static bool ask_again(SSL *ssl)
{
    char byte;
    for (int records = 0; SSL_verify_client_post_handshake(ssl) != 1; records++)
        if (records == 10 || (SSL_peek(ssl, &byte, 1) <= 0 && SSL_get_error(ssl, -1) != SSL_ERROR_WANT_READ))
            return false;
    return SSL_do_handshake(ssl) == 1;
}

static bool ask_for_certificate(void *ssl)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    SSL_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
    SSL_set_verify(ssl, SSL_VERIFY_PEER, tls_receiver_accept_any);
    for (int i = 0; i < times_asked; i++)
        if (!ask_again(ssl))
            return false;
    return SSL_write(ssl, answer, sizeof(answer) - 1) > 0;
}

/* Each time costs a use of the private key. */
Test(post_tls, a_client_certificate_may_be_asked_for_late_and_not_without_end)
{
    struct tls_receiver own;
    const int times[] = { 1, 5 };
    tls_receiver_start(&own, (struct tls_options){ .subject_alt_name = "DNS:jobhook.example.com" });
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        times_asked = times[i];
        begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .act = ask_for_certificate },
                   (struct lanes_options){ .client_cert = own.ca_file, .client_key = own.key_file });
        struct posted posted = post();
        cr_expect_eq(posted.outcome.kind, times[i] == 1 ? OUTCOME_ANSWERED : OUTCOME_CONNECTION_LOST, "%d %s", posted.outcome.kind, posted.detail);
        cr_expect(posted.outcome.sent);
        end();
    }
    tls_receiver_stop(&own);
}

static void copy_file(const char *from, const char *to)
{
    char bytes[8192];
    FILE *source = fopen(from, "r"), *target = fopen(to, "w");
    cr_assert(source != NULL && target != NULL);
    size_t count = fread(bytes, 1, sizeof(bytes), source);
    cr_assert_eq(fwrite(bytes, 1, count, target), count);
    fclose(source);
    fclose(target);
}

static void write_file(const char *path, const char *content)
{
    FILE *file = fopen(path, "w");
    fputs(content, file);
    fclose(file);
}

static bool is_current(void)
{
    return gauge_read(&lanes_stats(rig.lanes)->files_current) == 1;
}

Test(post_tls, the_ca_file_is_read_again_when_it_changes)
{
    struct tls_receiver other;
    tls_receiver_start(&other, (struct tls_options){ .subject_alt_name = "IP:127.0.0.1" });
    begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1" }, (struct lanes_options){ .ca_file = other.ca_file, .idle_ms = 400 });
    cr_assert_eq(post().outcome.kind, OUTCOME_TLS_VERIFY);
    copy_file(receiver.ca_file, other.ca_file);
    rig_run_ms(&rig, 300);
    struct posted posted = post();
    cr_assert_eq(posted.outcome.status, 200, "%s", posted.detail);
    write_file(other.ca_file, "not a certificate\n");
    rig_run_ms(&rig, 800); /* the kept connection is gone, too */
    cr_assert_eq(post().outcome.status, 200, "the old certificates are gone");
    cr_assert_not(is_current());
    unlink(other.ca_file);
    rig_run_ms(&rig, 300);
    cr_assert(post().outcome.status == 200 && !is_current());
    cr_assert_eq(mkfifo(other.ca_file, 0600), 0); /* which nobody writes to */
    rig_run_ms(&rig, 300);
    cr_assert(post().outcome.status == 200 && !is_current());
    unlink(other.ca_file);
    copy_file(receiver.ca_file, other.ca_file);
    rig_run_ms(&rig, 300);
    cr_assert(post().outcome.status == 200 && is_current());
    end();
    tls_receiver_stop(&other);
}

/* In place, as large as what was there and, by the times that can be set, as old. */
static void overwrite_in_secret(const char *path, const char *from)
{
    struct stat before;
    cr_assert_eq(stat(path, &before), 0);
    copy_file(from, path);
    FILE *file = fopen(path, "a");
    fseek(file, 0, SEEK_END);
    for (long i = ftell(file); i < before.st_size; i++)
        putc('\n', file);
    fflush(file);
    cr_assert_eq(futimens(fileno(file), (const struct timespec[]){ before.st_atim, before.st_mtim }), 0);
    struct stat after;
    cr_assert(fstat(fileno(file), &after) == 0 && after.st_size == before.st_size && after.st_ino == before.st_ino);
    fclose(file);
}

Test(post_tls, a_ca_file_that_changes_in_secret_is_read_again)
{
    struct tls_receiver other;
    tls_receiver_start(&other, (struct tls_options){ .subject_alt_name = "IP:127.0.0.1,DNS:a-longer-certificate.example" });
    begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1" }, (struct lanes_options){ .ca_file = other.ca_file, .idle_ms = 400 });
    cr_assert_eq(post().outcome.kind, OUTCOME_TLS_VERIFY);
    overwrite_in_secret(other.ca_file, receiver.ca_file);
    rig_run_ms(&rig, 300);
    cr_expect_eq(post().outcome.status, 200);
    end();
    tls_receiver_stop(&other);
}

Test(post_tls, a_ca_file_that_is_being_written_is_not_taken)
{
    begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .close_each = true }, (struct lanes_options){ .idle_ms = 4000 });
    FILE *file = fopen(receiver.ca_file, "r");
    char pem[4096];
    size_t length = fread(pem, 1, sizeof(pem) - 1, file);
    pem[length] = '\0';
    fclose(file);
    file = fopen(receiver.ca_file, "w"); /* the half that is without the receiver's */
    for (int i = 0; i < 1000; i++) {
        fprintf(file, "# %d\n", i);
        fflush(file);
        rig_run_ms(&rig, 1);
        cr_assert(is_current(), "a file without a certificate was read");
    }
    fputs(pem, file);
    fclose(file);
    rig_run_ms(&rig, 1200);
    cr_expect(is_current() && post().outcome.status == 200);
    end();
}

/* Neither a connection that is kept nor a TLS session outlives the trust that it was made in. */
static void expect_distrust(bool close_each)
{
    struct tls_receiver other;
    tls_receiver_start(&other, (struct tls_options){ .subject_alt_name = "IP:127.0.0.1" });
    begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .close_each = close_each }, (struct lanes_options){ .idle_ms = 4000 });
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(post().outcome.status, 200);
        rig_run_ms(&rig, 30); /* the end of the connection arrives */
    }
    copy_file(other.ca_file, receiver.ca_file);
    for (int i = 0; i < 20 && post().outcome.kind != OUTCOME_TLS_VERIFY; i++)
        rig_run_ms(&rig, 100); /* under load: the connection is never idle for long */
    for (int i = 0; i < 3; i++) {
        struct posted posted = post();
        cr_assert_eq(posted.outcome.kind, OUTCOME_TLS_VERIFY, "%d %s", posted.outcome.kind, posted.detail);
    }
    end();
    tls_receiver_stop(&other);
}

Test(post_tls, a_ca_that_was_removed_is_trusted_no_more_by_kept_connections)
{
    expect_distrust(false);
}

Test(post_tls, a_ca_that_was_removed_is_trusted_no_more_by_kept_sessions)
{
    expect_distrust(true);
}

Test(post_tls, posts_under_way_survive_a_change_of_certificates)
{
    struct posted posted[8];
    char url[256];
    begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1" }, (struct lanes_options){ .idle_ms = 400 });
    rig_url(url, "https", "127.0.0.1", receiver.port, "/");
    for (size_t i = 0; i < COUNT_OF(posted); i++) /* the receiver takes one connection at a time: all but one wait for their handshake */
        rig_begin(&rig, url, &posted[i]);
    FILE *file = fopen(receiver.ca_file, "a");
    fputs("\n", file);
    fclose(file);
    for (size_t i = 0; i < COUNT_OF(posted); i++) {
        rig_wait(&rig, &posted[i]);
        cr_expect_eq(posted[i].outcome.status, 200, "%s", posted[i].detail);
        rig_run_ms(&rig, 60);
    }
    end();
}

Test(post_tls, a_client_certificate_is_exchanged_once_it_and_its_key_belong_together)
{
    struct tls_receiver first, second;
    tls_receiver_start(&first, (struct tls_options){ .subject_alt_name = "DNS:first.example.com" });
    tls_receiver_start(&second, (struct tls_options){ .subject_alt_name = "DNS:second.example.com" });
    begin_with((struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .wants_certificate = true },
               (struct lanes_options){ .client_cert = first.ca_file, .client_key = first.key_file, .idle_ms = 400 });
    cr_assert_eq(post().outcome.status, 200);
    cr_assert_str_eq(receiver.client_name, "first.example.com");
    copy_file(second.ca_file, first.ca_file);
    rig_run_ms(&rig, 700);
    cr_assert_eq(post().outcome.status, 200);
    cr_assert_str_eq(receiver.client_name, "first.example.com", "half of the pair was taken: %s", receiver.client_name);
    cr_assert_not(is_current());
    copy_file(second.key_file, first.key_file);
    rig_run_ms(&rig, 300);
    cr_assert_eq(post().outcome.status, 200);
    cr_assert_str_eq(receiver.client_name, "second.example.com", "%s", receiver.client_name);
    cr_assert(is_current());
    end();
    tls_receiver_stop(&first);
    tls_receiver_stop(&second);
}

Test(post_tls, weak_certificates_are_refused)
{
    expect_refused((struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .short_key = true }, NULL, "too weak");
    expect_refused((struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .issued = true, .broken_hash = true }, NULL, "too weak");
}

/* OpenSSL looks issuers up by their names. */
Test(post_tls, a_namesake_of_the_issuer_is_refused)
{
    struct tls_receiver namesake;
    tls_receiver_start(&namesake, (struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .issued = true });
    expect_refused((struct tls_options){ .subject_alt_name = "IP:127.0.0.1", .issued = true }, namesake.ca_file, "signature");
    tls_receiver_stop(&namesake);
}

static void expect_unusable(struct lanes_options options)
{
    uv_loop_t loop;
    struct guard guard = { .allow_http = true };
    uv_loop_init(&loop);
    options.guard = &guard;
    options.attempt_timeout_ms = 1000;
    cr_expect_null(lanes_create(&loop, &options));
    cr_expect_eq(uv_loop_close(&loop), 0);
}

Test(post_tls, files_that_cannot_be_used_are_told_at_the_start)
{
    struct tls_receiver own, other;
    char fifo[64];
    snprintf(fifo, sizeof(fifo), "/tmp/test_post_tls.fifo.%d", (int)getpid());
    tls_receiver_start(&own, (struct tls_options){ .subject_alt_name = "DNS:own.example.com" });
    tls_receiver_start(&other, (struct tls_options){ .subject_alt_name = "DNS:other.example.com", .short_key = true });
    expect_unusable((struct lanes_options){ .ca_file = "/nonexistent/ca.crt" });
    expect_unusable((struct lanes_options){ .ca_file = "/dev/null" });
    expect_unusable((struct lanes_options){ .client_cert = "/nonexistent/cert", .client_key = own.key_file });
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    expect_unusable((struct lanes_options){ .client_cert = own.ca_file, .client_key = fifo });
    unlink(fifo);
    expect_unusable((struct lanes_options){ .client_cert = own.ca_file, .client_key = "/nonexistent/key" });
    expect_unusable((struct lanes_options){ .client_cert = own.key_file, .client_key = own.key_file });
    expect_unusable((struct lanes_options){ .client_cert = own.ca_file, .client_key = own.ca_file });
    expect_unusable((struct lanes_options){ .client_cert = own.ca_file, .client_key = other.key_file });
    expect_unusable((struct lanes_options){ .client_cert = other.ca_file, .client_key = other.key_file }); /* too weak */
    tls_receiver_stop(&own);
    tls_receiver_stop(&other);
}
