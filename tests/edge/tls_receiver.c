#include "tests/edge/tls_receiver.h"

#include "consumer/base/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { POLL_MS = 10, DAY_S = 24 * 3600 };

static void add_extension(X509 *certificate, int kind, const char *start, size_t length)
{
    char *text = malloc(length + 1);
    memset(text, 'x', length);
    memcpy(text, start, strlen(start));
    text[length] = '\0';
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, text);
    assert(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
    free(text);
}

static void add_relative_point(X509 *certificate)
{
    static const unsigned char points[] = { 0x30, 6, 0x30, 4, 0xa0, 2, 0xa1, 0 };
    ASN1_OCTET_STRING *bytes = ASN1_OCTET_STRING_new();
    ASN1_OCTET_STRING_set(bytes, points, sizeof points);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_NID(NULL, NID_crl_distribution_points, 0, bytes);
    assert(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(bytes);
}

/* `issuer` NULL: signed by itself. */
static X509 *make_certificate(EVP_PKEY *key, const struct tls_options *options, X509 *issuer, EVP_PKEY *issuer_key)
{
    X509 *certificate = X509_new();
    X509V3_CTX context;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -10 * DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(certificate), options->expired ? -DAY_S : options->valid_s > 0 ? options->valid_s : 30 * DAY_S);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)(issuer == NULL ? "test" : "leaf"), -1,
                               -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer == NULL ? certificate : issuer));
    X509_set_pubkey(certificate, key);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, options->subject_alt_name);
    assert(names != NULL && X509_add_ext(certificate, names, -1) == 1);
    X509_EXTENSION_free(names);
    if (options->long_certificates)
        add_extension(certificate, NID_netscape_comment, "", 600);
    if (options->points_bytes > 0)
        add_extension(certificate, NID_crl_distribution_points, "URI:http://crl.example.com/", options->points_bytes);
    if (options->relative_point)
        add_relative_point(certificate);
    if (options->issued && issuer == NULL) {
        X509_EXTENSION *authority = X509V3_EXT_conf_nid(NULL, &context, NID_basic_constraints, "critical,CA:TRUE");
        assert(authority != NULL && X509_add_ext(certificate, authority, -1) == 1);
        X509_EXTENSION_free(authority);
    }
    assert(X509_sign(certificate, issuer == NULL ? key : issuer_key, issuer != NULL && options->broken_hash ? EVP_sha1() : EVP_sha256()) > 0);
    return certificate;
}

static FILE *create_file(char path[64])
{
    snprintf(path, 64, "/tmp/tls_receiver.XXXXXX");
    int fd = mkstemp(path);
    assert(fd >= 0);
    return fdopen(fd, "w");
}

static void write_files(struct tls_receiver *receiver, X509 *certificate, EVP_PKEY *key)
{
    FILE *file = create_file(receiver->ca_file);
    PEM_write_X509(file, certificate);
    fclose(file);
    file = create_file(receiver->key_file);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
}

int tls_receiver_accept_any(int verified, struct x509_store_ctx_st *store)
{
    (void)verified;
    (void)store;
    return 1;
}

static EVP_PKEY *make_key(const struct tls_options *options)
{
    if (options->short_key || options->classic)
        return EVP_RSA_gen(options->short_key ? 1024 : 2048);
    return EVP_EC_gen("P-256");
}

static void limit_exchange(SSL_CTX *context, const struct tls_options *options)
{
    if (options->classic) {
        SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
        SSL_CTX_set_dh_auto(context, 1);
        assert(SSL_CTX_set_cipher_list(context, "kDHE") == 1);
    }
    if (options->newest_protocol != 0)
        SSL_CTX_set_max_proto_version(context, options->newest_protocol);
    if (options->groups != NULL)
        assert(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 && SSL_CTX_set1_groups_list(context, options->groups) == 1);
}

static void ask_for_certificate(SSL_CTX *context, const struct tls_options *options)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    for (int i = 0; i < options->names; i++)
        sk_X509_NAME_push(names, X509_NAME_new());
    SSL_CTX_set0_CA_list(context, names);
    if (options->names > 0)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, tls_receiver_accept_any);
    if (options->wants_certificate)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, tls_receiver_accept_any);
}

static int choose_http2(SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *in, unsigned in_length, void *context)
{
    const struct tls_options *options = context;
    static const unsigned char http2[] = { 2, 'h', '2' }, http1[] = { 8, 'h', 't', 't', 'p', '/', '1', '.', '1' };
    bool offered = memmem(in, in_length, http2, sizeof(http2)) != NULL;
    const unsigned char *chosen = offered ? http2 : http1;
    (void)ssl;
    *out = chosen + 1;
    *length = chosen[0];
    if (offered || options->agrees_on_http1)
        return SSL_TLSEXT_ERR_OK;
    return options->refuses_http1 ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

static bool has_http2(const SSL *ssl)
{
    const unsigned char *name;
    unsigned length;
    SSL_get0_alpn_selected(ssl, &name, &length);
    return length == 2;
}

static int fill_ticket(SSL *ssl, void *size)
{
    char *padding = calloc(1, *(size_t *)size);
    int result = SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), padding, *(size_t *)size);
    free(padding);
    return result;
}

static SSL_TICKET_RETURN take_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t length, SSL_TICKET_STATUS status, void *unused)
{
    (void)ssl;
    (void)session;
    (void)name;
    (void)length;
    (void)unused;
    return status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_IGNORE_RENEW;
}

static void add_certificate_with_key(SSL_CTX *context, const struct tls_options *options, const char *parameter, const char *value)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert(EVP_PKEY_set_utf8_string_param(key, parameter, value) == 1);
    SSL_CTX_add0_chain_cert(context, make_certificate(key, options, NULL, NULL));
    EVP_PKEY_free(key);
}

static int choose_certificate(SSL *ssl, void *pointer)
{
    const struct tls_receiver *receiver = pointer;
    bool wrong = atomic_load(&receiver->connections) <= receiver->options.wrong_first;
    return wrong ? SSL_use_certificate(ssl, SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl))) : 1;
}

static void add_other(struct tls_receiver *receiver, SSL_CTX *context, EVP_PKEY *key, X509 *anchor, EVP_PKEY *ca_key)
{
    struct tls_options other = receiver->options;
    other.subject_alt_name = other.other_name;
    receiver->other = make_certificate(key, &other, anchor, ca_key);
    SSL_CTX_set_app_data(context, receiver->other);
    SSL_CTX_set_cert_cb(context, choose_certificate, receiver);
}

/* By the identifier, of which TLS 1.3 makes one up, or by the ticket. */
static int refuse_sessions(SSL *ssl, int *alert, void *pointer)
{
    const struct tls_receiver *receiver = pointer;
    const unsigned char *bytes, *id;
    size_t length, id_length = SSL_client_hello_get0_session_id(ssl, &id);
    bool known = id_length == sizeof(receiver->last_session) && memcmp(id, receiver->last_session, id_length) == 0;
    (void)alert;
    if (!known && SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &bytes, &length) != 1)
        return SSL_CLIENT_HELLO_SUCCESS;
    shutdown(SSL_get_fd(ssl), SHUT_RDWR);
    return SSL_CLIENT_HELLO_ERROR;
}

static SSL_CTX *make_context(struct tls_receiver *receiver)
{
    const struct tls_options *options = &receiver->options;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = make_key(options);
    X509 *certificate = make_certificate(key, options, NULL, NULL), *anchor = certificate;
    if (options->issued) {
        EVP_PKEY *ca_key = key;
        key = EVP_EC_gen("P-256");
        certificate = make_certificate(key, options, anchor, ca_key);
        if (options->other_name != NULL)
            add_other(receiver, context, key, anchor, ca_key);
        EVP_PKEY_free(ca_key);
    }
    if (options->short_key || options->broken_hash)
        SSL_CTX_set_security_level(context, 0);
    SSL_CTX_use_certificate(context, certificate);
    SSL_CTX_use_PrivateKey(context, key);
    for (int i = 0; i < options->more_certificates; i++)
        SSL_CTX_add0_chain_cert(context, options->same_again ? X509_dup(certificate) : make_certificate(key, options, NULL, NULL));
    if (options->own_curve)
        add_certificate_with_key(context, options, OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_EXPLICIT);
    if (options->half_point)
        add_certificate_with_key(context, options, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_COMPRESSED);
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
    SSL_CTX_compress_certs(context, 0); /* for whoever offers to unpack them */
#endif
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"test", 4);
    if (options->old_protocol) {
        SSL_CTX_set_security_level(context, 0);
        SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
    }
    limit_exchange(context, options);
    if (options->resents_sessions)
        SSL_CTX_set_client_hello_cb(context, refuse_sessions, receiver);
    if (options->ticket_bytes > 0)
        SSL_CTX_set_session_ticket_cb(context, fill_ticket, take_ticket, &receiver->options.ticket_bytes);
    if (options->talk != NULL)
        SSL_CTX_set_alpn_select_cb(context, choose_http2, &receiver->options);
    ask_for_certificate(context, options);
    write_files(receiver, anchor, key);
    if (anchor != certificate)
        X509_free(anchor);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static bool wait_readable(const struct tls_receiver *receiver, int fd)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    while (poll(&ready, 1, POLL_MS) == 0)
        if (atomic_load(&receiver->stopping))
            return false;
    return true;
}

/* Until one side ends. */
static void carry(const struct tls_receiver *receiver, SSL *ssl, int fd)
{
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                    .sin_port = htons(receiver->options.tunnel_to) };
    char bytes[16384];
    ssize_t count = 1;
    int inner = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(connect(inner, (const struct sockaddr *)&to, sizeof(to)) == 0);
    while (count > 0 && !atomic_load(&receiver->stopping)) {
        struct pollfd ends[] = { { .fd = fd, .events = POLLIN }, { .fd = inner, .events = POLLIN } };
        bool ready = SSL_pending(ssl) > 0 || poll(ends, 2, POLL_MS) > 0;
        if (ready && (SSL_pending(ssl) > 0 || ends[0].revents != 0)) {
            count = SSL_read(ssl, bytes, sizeof(bytes));
            count = count > 0 ? send(inner, bytes, (size_t)count, 0) : 0;
        } else if (ready) {
            count = recv(inner, bytes, sizeof(bytes), 0);
            count = count > 0 ? SSL_write(ssl, bytes, (int)count) : 0;
        }
    }
    close(inner);
}

/* One request whose head and body come within one read or two; small ones do. */
static bool read_request(struct tls_receiver *receiver, SSL *ssl, int fd)
{
    char bytes[300000];
    size_t have = 0;
    while (SSL_pending(ssl) > 0 || wait_readable(receiver, fd)) {
        int count = SSL_read(ssl, bytes + have, (int)(sizeof(bytes) - 1 - have));
        if (count <= 0)
            return false;
        have += (size_t)count;
        bytes[have] = '\0';
        const char *end = strstr(bytes, "\r\n\r\n"), *length = strcasestr(bytes, "content-length:");
        if (end != NULL && strncmp(bytes, "CONNECT ", 8) == 0) {
            snprintf(receiver->last_connect, sizeof(receiver->last_connect), "%.500s", bytes);
            SSL_write(ssl, "HTTP/1.1 200 Connected\r\n\r\n", 26); /* and is the receiver itself from now on */
            if (receiver->options.tunnel_to != 0)
                return carry(receiver, ssl, fd), false;
            have = 0;
        } else if (end != NULL &&
                   (receiver->options.impatient || (length != NULL && have >= (size_t)(end + 4 - bytes) + strtoul(length + 15, NULL, 10))))
            return true;
    }
    return false;
}

static void note_client(struct tls_receiver *receiver, X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const ASN1_STRING *name = names == NULL ? NULL : GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, 0), NULL);
    if (name != NULL)
        snprintf(receiver->client_name, sizeof(receiver->client_name), "%s", (const char *)ASN1_STRING_get0_data(name));
    GENERAL_NAMES_free(names);
}

static void note_session(struct tls_receiver *receiver, const SSL_SESSION *session)
{
    unsigned length = 0;
    const unsigned char *id = SSL_SESSION_get_id(session, &length);
    if (length == sizeof(receiver->last_session))
        memcpy(receiver->last_session, id, length);
}

static bool answer_ok(void *ssl)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    return SSL_write(ssl, answer, sizeof(answer) - 1) > 0;
}

static void serve(struct tls_receiver *receiver, int fd)
{
    bool (*act)(void *) = receiver->options.act != NULL ? receiver->options.act : answer_ok;
    SSL *ssl = SSL_new(receiver->context);
    SSL_set_fd(ssl, fd);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)); /* else an answer behind tickets waits, and a reset throws it away */
    if ((receiver->options.greet == NULL || receiver->options.greet(fd)) && SSL_accept(ssl) == 1) {
        X509 *certificate = SSL_get1_peer_certificate(ssl);
        atomic_fetch_add(&receiver->with_certificate, certificate != NULL);
        if (certificate != NULL)
            note_client(receiver, certificate);
        atomic_fetch_add(&receiver->resumed, SSL_session_reused(ssl));
        X509_free(certificate);
        note_session(receiver, SSL_get_session(ssl));
        bool go_on = !has_http2(ssl) || receiver->options.talk(ssl);
        while (go_on && read_request(receiver, ssl, fd)) {
            atomic_fetch_add(&receiver->requests, 1);
            if (!act(ssl) || receiver->options.close_each || receiver->options.impatient)
                break;
        }
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(fd);
}

static void *accept_all(void *context)
{
    struct tls_receiver *receiver = context;
    while (wait_readable(receiver, receiver->listener)) {
        int fd = accept(receiver->listener, NULL, NULL);
        if (fd < 0)
            continue;
        atomic_fetch_add(&receiver->connections, 1);
        serve(receiver, fd);
    }
    return NULL;
}

void tls_receiver_start(struct tls_receiver *receiver, struct tls_options options)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    memset(receiver, 0, sizeof(*receiver));
    signal(SIGPIPE, SIG_IGN);
    receiver->options = options;
    receiver->context = make_context(receiver);
    receiver->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(bind(receiver->listener, (struct sockaddr *)&address, length) == 0 && listen(receiver->listener, 64) == 0);
    getsockname(receiver->listener, (struct sockaddr *)&address, &length);
    receiver->port = ntohs(address.sin_port);
    pthread_create(&receiver->thread, NULL, accept_all, receiver);
}

void tls_receiver_stop(struct tls_receiver *receiver)
{
    atomic_store(&receiver->stopping, true);
    pthread_join(receiver->thread, NULL);
    close(receiver->listener);
    SSL_CTX_free(receiver->context);
    X509_free(receiver->other);
    unlink(receiver->ca_file);
    unlink(receiver->key_file);
}
