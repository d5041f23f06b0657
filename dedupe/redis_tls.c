#include "dedupe/redis_tls.h"

#include "dedupe/redis.h"

#include <stdio.h>

#ifdef JOBHOOK_REDIS_TLS

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

bool redis_has_tls(void)
{
    return true;
}

static const char *read_client_certificate(SSL_CTX *store, const struct redis_address *address)
{
    if (address->client_cert == NULL)
        return NULL;
    if (SSL_CTX_use_certificate_chain_file(store, address->client_cert) != 1)
        return "JOBHOOK_REDIS_CLIENT_CERT cannot be read as PEM";
    if (SSL_CTX_use_PrivateKey_file(store, address->client_key, SSL_FILETYPE_PEM) != 1)
        return "JOBHOOK_REDIS_CLIENT_KEY cannot be read as PEM, or belongs to another certificate";
    return NULL;
}

static const char *read_store(SSL_CTX *store, const char *ca_file)
{
    int read = ca_file == NULL ? SSL_CTX_set_default_verify_paths(store) : SSL_CTX_load_verify_locations(store, ca_file, NULL);
    return read == 1 ? NULL : "JOBHOOK_REDIS_CA_FILE cannot be read as PEM";
}

static SSL_CTX *make_context(const struct redis_address *address, const char **problem)
{
    SSL_CTX *made = SSL_CTX_new(TLS_client_method());
    if (made == NULL) {
        *problem = "TLS cannot be set up";
        return NULL;
    }
    SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION);
    SSL_CTX_set_verify(made, SSL_VERIFY_PEER, NULL);
    *problem = read_store(made, address->ca_file);
    if (*problem == NULL)
        *problem = read_client_certificate(made, address);
    if (*problem == NULL)
        return made;
    SSL_CTX_free(made);
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

void redis_tls_forget_errors(void)
{
    ERR_clear_error();
}

bool redis_tls_wants_write(const struct ssl_st *session)
{
    return SSL_want(session) == SSL_WRITING;
}

/* What was refused here, and its cure. */
static const char *cure_of(long result)
{
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "renew Redis's certificate";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "see that the clocks are right";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "the host in JOBHOOK_REDIS_URL must be one of the certificate's names";
    default:
        return "JOBHOOK_REDIS_CA_FILE must hold the CA of Redis's certificate";
    }
}

/* What the other side refused, by the alert that it sent. */
static const char *alert_of(int reason)
{
    switch (reason) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "Redis asks for a client certificate: set JOBHOOK_REDIS_CLIENT_CERT and JOBHOOK_REDIS_CLIENT_KEY";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "Redis says that our client certificate has expired: renew JOBHOOK_REDIS_CLIENT_CERT";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        return "Redis does not take our client certificate: JOBHOOK_REDIS_CLIENT_CERT must be of a CA that Redis knows (tls-ca-cert-file)";
    default:
        return NULL;
    }
}

bool redis_tls_explain(const struct ssl_st *session, char *why, size_t size)
{
    long result = SSL_get_verify_result(session);
    const char *alert = alert_of(ERR_GET_REASON(ERR_peek_last_error()));
    if (result != X509_V_OK)
        snprintf(why, size, "Redis's certificate is refused: %s: %s", X509_verify_cert_error_string(result), cure_of(result));
    else if (alert != NULL)
        snprintf(why, size, "%s", alert);
    ERR_clear_error();
    return result != X509_V_OK || alert != NULL;
}

struct ssl_st *redis_tls_start(struct redisContext *context, const struct redis_address *address, char *why, size_t size)
{
    const char *problem = NULL;
    ERR_clear_error();
    SSL_CTX *made = make_context(address, &problem);
    SSL *session = made == NULL ? NULL : SSL_new(made);
    SSL_CTX_free(made); /* the session holds on to it */
    if (session == NULL || !expect_name(session, address->host))
        snprintf(why, size, "%s", problem != NULL ? problem : "TLS cannot be set up for this host");
    else if (redisInitiateSSL(context, session) == REDIS_OK)
        return session;
    else if (!redis_tls_explain(session, why, size)) /* an answer that is there already may end it at once */
        snprintf(why, size, "the TLS handshake failed");
    SSL_free(session);
    return NULL;
}

#else

bool redis_has_tls(void)
{
    return false;
}

struct ssl_st *redis_tls_start(struct redisContext *context, const struct redis_address *address, char *why, size_t size)
{
    (void)context, (void)address;
    snprintf(why, size, "the installed hiredis has no TLS");
    return NULL;
}

void redis_tls_forget_errors(void)
{
}

bool redis_tls_wants_write(const struct ssl_st *session)
{
    (void)session;
    return false;
}

bool redis_tls_explain(const struct ssl_st *session, char *why, size_t size)
{
    (void)session, (void)why, (void)size;
    return false;
}

#endif
