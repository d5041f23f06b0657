#include "dedupe/redis_tls.h"

#include "dedupe/redis.h"

#ifdef JOBHOOK_REDIS_TLS

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

bool redis_has_tls(void)
{
    return true;
}

static SSL_CTX *read_store(const char *ca_file, const char **problem)
{
    SSL_CTX *store = SSL_CTX_new(TLS_client_method());
    if (store == NULL) {
        *problem = "TLS cannot be set up";
        return NULL;
    }
    SSL_CTX_set_min_proto_version(store, TLS1_2_VERSION);
    SSL_CTX_set_verify(store, SSL_VERIFY_PEER, NULL);
    int read = ca_file == NULL ? SSL_CTX_set_default_verify_paths(store) : SSL_CTX_load_verify_locations(store, ca_file, NULL);
    if (read == 1)
        return store;
    *problem = "the CA file cannot be read";
    SSL_CTX_free(store);
    return NULL;
}

static bool is_address(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* hiredis checks the chain but no name: that is asked of OpenSSL here. */
static bool expect_name(SSL *session, const char *host)
{
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) == 1;
    return SSL_set_tlsext_host_name(session, host) == 1 && SSL_set1_host(session, host) == 1;
}

struct ssl_st *redis_tls_start(struct redisContext *context, const char *host, const char *ca_file, const char **problem)
{
    SSL_CTX *store = read_store(ca_file, problem);
    if (store == NULL)
        return NULL;
    SSL *session = SSL_new(store);
    SSL_CTX_free(store); /* the session holds on to it */
    if (session == NULL || !expect_name(session, host)) {
        *problem = "TLS cannot be set up for this host";
        SSL_free(session);
        return NULL;
    }
    if (redisInitiateSSL(context, session) == REDIS_OK)
        return session;
    *problem = "the TLS handshake failed";
    SSL_free(session);
    return NULL;
}

bool redis_tls_wants_write(const struct ssl_st *session)
{
    return SSL_want(session) == SSL_WRITING;
}

const char *redis_tls_refusal(const struct ssl_st *session)
{
    long result = SSL_get_verify_result(session);
    return result == X509_V_OK ? NULL : X509_verify_cert_error_string(result);
}

#else

bool redis_has_tls(void)
{
    return false;
}

struct ssl_st *redis_tls_start(struct redisContext *context, const char *host, const char *ca_file, const char **problem)
{
    (void)context, (void)host, (void)ca_file;
    *problem = "the installed hiredis has no TLS";
    return NULL;
}

bool redis_tls_wants_write(const struct ssl_st *session)
{
    (void)session;
    return false;
}

const char *redis_tls_refusal(const struct ssl_st *session)
{
    (void)session;
    return NULL;
}

#endif
