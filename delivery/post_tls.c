#include "delivery/post_tls.h"

#include "consumer/base/log.h"
#include "consumer/base/memory.h"
#include "consumer/base/stamp.h"
#include "delivery/post_bounds.h"
#include "delivery/tls_context.h"
#include "delivery/tls_moment.h"
#include "delivery/tls_sessions.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CA, CERTIFICATE, KEY, FILES, CHAIN_MAX = 16 };
enum { POINTS_BYTES_MAX = 2048, RELATIVE_TO_ISSUER = 1, EXTENSION_HEAD_BYTES = 16 };

/* What the files held. */
struct material {
    SSL_CTX *context; /* of all connections that rest on it */
    X509_STORE *store;
    X509 *certificate; /* NULL: none */
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};

struct post_tls {
    char *paths[FILES];         /* NULL: none */
    struct stamp looked[FILES]; /* the files at the last look */
    struct stamp seen[FILES];   /* as they were read */
    struct material material;
    bool current;
};

/* Where distributions keep all certificates in one file: Debian, Fedora, Alpine and the BSDs. */
const char *post_tls_system_file(void)
{
    static const char *const files[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem" };
    for (size_t i = 0; i < COUNT_OF(files); i++)
        if (access(files[i], R_OK) == 0)
            return files[i];
    return NULL;
}

/* ---- reading ---- */

static void material_free(struct material *material)
{
    tls_context_destroy(material->context);
    X509_STORE_free(material->store);
    X509_free(material->certificate);
    sk_X509_pop_free(material->chain, X509_free);
    EVP_PKEY_free(material->key);
    ERR_clear_error();
}

static const char *read_store(struct material *material, const char *path)
{
    material->context = tls_context_create();
    material->store = X509_STORE_new();
    if (material->context == NULL || material->store == NULL)
        return "out of memory";
    /* As libcurl's own: an intermediate or a single certificate in the file may be the anchor. */
    X509_STORE_set_flags(material->store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    return path == NULL || X509_STORE_load_file(material->store, path) == 1 ? NULL : "holds no certificates in PEM form, or cannot be read";
}

/* Ours first, then whatever leads to a CA that the receiver knows. */
static const char *read_certificate(struct material *material, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return strerror(errno);
    material->certificate = PEM_read_X509(file, NULL, NULL, NULL);
    material->chain = sk_X509_new_null();
    for (X509 *next; sk_X509_num(material->chain) < CHAIN_MAX && (next = PEM_read_X509(file, NULL, NULL, NULL)) != NULL;)
        sk_X509_push(material->chain, next);
    fclose(file);
    return material->certificate != NULL ? NULL : "holds no certificate in PEM form";
}

/* Without it OpenSSL would ask the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

static const char *read_key(struct material *material, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return strerror(errno);
    material->key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
    fclose(file);
    if (material->key == NULL)
        return "holds no private key in PEM form without a passphrase";
    return X509_check_private_key(material->certificate, material->key) == 1 ? NULL : "does not belong to the certificate";
}

/* What OpenSSL would not use with a receiver either: a key that is too short, a hash that is broken. */
static const char *try_certificate(const struct material *material)
{
    bool taken = SSL_CTX_use_cert_and_key(material->context, material->certificate, material->key, material->chain, 1) == 1;
    return taken ? NULL : "is too weak: OpenSSL does not use it";
}

/* NULL, or what is wrong with paths[*which]. */
static const char *read_all(struct material *material, const char *const paths[FILES], int *which)
{
    for (*which = 0; *which < FILES; ++*which)
        if (paths[*which] != NULL && stamp_may_wait(paths[*which])) /* and everybody's POSTs with it */
            return "is no regular file";
    const char *problem = read_store(material, paths[ *which = CA]);
    if (problem == NULL && paths[CERTIFICATE] != NULL)
        problem = read_certificate(material, paths[ *which = CERTIFICATE]);
    if (problem == NULL && paths[CERTIFICATE] != NULL)
        problem = read_key(material, paths[ *which = KEY]);
    if (problem == NULL && paths[CERTIFICATE] != NULL)
        problem = try_certificate(material), *which = CERTIFICATE;
    return problem;
}

static void look(const struct post_tls *tls, struct stamp seen[FILES])
{
    for (int i = 0; i < FILES; i++) {
        seen[i] = (struct stamp){ .mode = 0 };
        if (tls->paths[i] != NULL)
            (void)stamp_read(tls->paths[i], &seen[i]);
    }
}

/* False when something cannot be used; then there is nothing in `material`. */
static bool read_files(struct material *material, const char *const paths[FILES], struct post_tls_problem *problem)
{
    static const char *const settings[FILES] = { "JOBHOOK_CA_FILE", "JOBHOOK_CLIENT_CERT", "JOBHOOK_CLIENT_KEY" };
    int which;
    const char *sentence = read_all(material, paths, &which);
    if (sentence == NULL)
        return true;
    *problem = (struct post_tls_problem){ settings[which], paths[which], sentence };
    material_free(material);
    return false;
}

/* False, after a log line, when something cannot be used; then what was there stays. */
static bool load(struct post_tls *tls, const char *consequence)
{
    struct material fresh = { .store = NULL };
    struct post_tls_problem problem;
    look(tls, tls->seen); /* before reading: what changes meanwhile is seen as a change the next time */
    tls->current = read_files(&fresh, (const char *const *)tls->paths, &problem);
    if (!tls->current) {
        log_error(consequence, LOG_STRING("setting", problem.setting), LOG_STRING("file", problem.file), LOG_STRING("problem", problem.sentence));
        return false;
    }
    material_free(&tls->material);
    tls->material = fresh;
    return true;
}

/* ---- making and using ---- */

static const char *ca_of(const struct post_tls_files *files)
{
    return files->ca != NULL ? files->ca : post_tls_system_file();
}

bool post_tls_try(const struct post_tls_files *files, struct post_tls_problem *problem)
{
    struct material material = { .store = NULL };
    if (!read_files(&material, (const char *const[FILES]){ ca_of(files), files->certificate, files->key }, problem))
        return false;
    material_free(&material);
    return true;
}

struct post_tls *post_tls_create(const struct post_tls_files *files)
{
    const char *const paths[FILES] = { ca_of(files), files->certificate, files->key };
    struct post_tls *tls = memory_create(sizeof(*tls));
    assert((files->certificate == NULL) == (files->key == NULL));
    for (int i = 0; i < FILES; i++)
        if (paths[i] != NULL)
            tls->paths[i] = memory_copy(paths[i], slice_of(paths[i]).length);
    if (tls->paths[CA] == NULL)
        log_warn("no CA certificates on this system: no https receiver will be trusted");
    if (load(tls, "a file that TLS needs cannot be used"))
        return tls;
    post_tls_destroy(tls);
    return NULL;
}

void post_tls_destroy(struct post_tls *tls)
{
    if (tls == NULL)
        return;
    material_free(&tls->material);
    for (int i = 0; i < FILES; i++)
        free(tls->paths[i]);
    free(tls);
}

static bool are_same_files(const struct stamp a[FILES], const struct stamp b[FILES])
{
    bool same = true;
    for (int i = 0; i < FILES; i++)
        same = same && stamp_is_same(&a[i], &b[i]);
    return same;
}

bool post_tls_refresh(struct post_tls *tls)
{
    struct stamp now[FILES];
    look(tls, now);
    bool at_rest = are_same_files(now, tls->looked);
    memcpy(tls->looked, now, sizeof(now));
    if (!at_rest || are_same_files(now, tls->seen) || !load(tls, "a file that changed is not taken, what was read before stays in use"))
        return false;
    log_info("certificates read again", LOG_STRING("ca_file", tls->paths[CA]),
             LOG_STRING("client_cert", tls->paths[CERTIFICATE] != NULL ? tls->paths[CERTIFICATE] : ""));
    return true;
}

bool post_tls_is_current(const struct post_tls *tls)
{
    return tls->current;
}

/* libcurl tells by OpenSSL's first error that the certificate was refused: what failed on the way to it (a signature of the issuer's namesake does not
 * even decode) must not come before. */
static int on_verify(int fine, X509_STORE_CTX *chain)
{
    (void)chain;
    if (!fine)
        ERR_clear_error();
    return fine;
}

void post_tls_lend(const struct post_tls *tls)
{
    tls_context_lend(tls != NULL ? tls->material.context : NULL);
}

/* OpenSSL reads a certificate's extensions before it decides whom to trust, and makes up a whole name for each point where lists of revoked ones are that
 * is given relative to the issuer's, as nobody does: with 300 of them and a name of 29 KB it took a quarter of a second, and 34 MB. */
static bool is_costly(const X509 *certificate)
{
    int place = X509_get_ext_by_NID(certificate, NID_crl_distribution_points, -1);
    X509_EXTENSION *extension = place < 0 ? NULL : X509_get_ext(certificate, place);
    if (extension == NULL || ASN1_STRING_length(X509_EXTENSION_get_data(extension)) > POINTS_BYTES_MAX)
        return extension != NULL;
    CRL_DIST_POINTS *points = X509V3_EXT_d2i(extension);
    bool relative = false;
    for (int i = 0; i < sk_DIST_POINT_num(points); i++) {
        const DIST_POINT_NAME *name = sk_DIST_POINT_value(points, i)->distpoint;
        relative = relative || (name != NULL && name->type == RELATIVE_TO_ISSUER);
    }
    CRL_DIST_POINTS_free(points);
    ERR_clear_error();
    return relative;
}

static size_t extension_bytes(const X509 *certificate)
{
    size_t bytes = 0;
    for (int i = 0; i < X509_get_ext_count(certificate); i++)
        bytes += (size_t)ASN1_STRING_length(X509_EXTENSION_get_data(X509_get_ext(certificate, i))) + EXTENSION_HEAD_BYTES;
    return bytes;
}

/* Of the first certificate, the receiver's own, a CA has seen what is in it; the others may be anybody's, and belong to no chain. */
static int verify_cheap(X509_STORE_CTX *chain, void *unused)
{
    STACK_OF(X509) *shown = X509_STORE_CTX_get0_untrusted(chain);
    SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
    size_t bytes = 0;
    (void)unused;
    for (int i = 0; i < sk_X509_num(shown); i++) {
        const X509 *certificate = sk_X509_value(shown, i);
        if (is_costly(certificate) || (i == 0 && !tls_sessions_is_same_receiver(ssl, certificate))) {
            X509_STORE_CTX_set_error(chain, X509_V_ERR_CERT_REJECTED);
            return 0;
        }
        bool is_own = X509_cmp(certificate, sk_X509_value(shown, 0)) == 0; /* shown twice, by mistake, as well */
        bytes += is_own ? 0 : extension_bytes(certificate);
    }
    post_bounds_note_extensions(ssl, bytes);
    return X509_verify_cert(chain);
}

bool post_tls_equip(const struct post_tls *tls, void *ssl_ctx)
{
    const struct material *material = &tls->material;
    SSL_CTX_set1_cert_store(ssl_ctx, material->store);
    SSL_CTX_set_verify(ssl_ctx, SSL_CTX_get_verify_mode(ssl_ctx), on_verify);
    SSL_CTX_set_cert_verify_callback(ssl_ctx, verify_cheap, NULL);
    post_bounds_set(ssl_ctx);
    return material->certificate == NULL || SSL_CTX_use_cert_and_key(ssl_ctx, material->certificate, material->key, material->chain, 1) == 1;
}

const char *post_tls_verify_problem(long verify_result)
{
    return X509_verify_cert_error_string(verify_result);
}

/* ---- watching ---- */

static void write_name(const X509_NAME *name, char text[TLS_SIGHT_NAME_BYTES])
{
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory == NULL)
        return;
    X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
    int length = BIO_read(memory, text, TLS_SIGHT_NAME_BYTES - 1);
    text[length < 0 ? 0 : length] = '\0';
    BIO_free(memory);
}

static int64_t moment_of(const ASN1_TIME *time)
{
    int64_t seconds;
    return tls_moment_read(time, &seconds) ? seconds * 1000 : -1;
}

/* libcurl may keep something of its own at the place for applications. One thread makes such connections. */
static int place_of_sight(void)
{
    static int place = -1;
    if (place < 0)
        place = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    assert(place >= 0);
    return place;
}

static struct tls_sight *sight_of(const SSL *ssl)
{
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), place_of_sight());
}

/* For each certificate of the chain, good or not: changes nothing of the verdict. */
static int on_watched_verify(int fine, X509_STORE_CTX *chain)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx());
    const X509 *certificate = X509_STORE_CTX_get0_cert(chain);
    struct tls_sight *sight = sight_of(ssl);
    if (certificate != NULL && !sight->has_certificate) {
        sight->has_certificate = true;
        snprintf(sight->version, sizeof(sight->version), "%s", SSL_get_version(ssl));
        write_name(X509_get_subject_name(certificate), sight->subject);
        write_name(X509_get_issuer_name(certificate), sight->issuer);
        sight->from_ms = moment_of(X509_get0_notBefore(certificate));
        sight->until_ms = moment_of(X509_get0_notAfter(certificate));
    }
    return on_verify(fine, chain);
}

static void on_step(const SSL *ssl, int where, int value)
{
    const unsigned char *name;
    unsigned length;
    struct tls_sight *sight = sight_of(ssl);
    (void)value;
    if ((where & SSL_CB_HANDSHAKE_DONE) == 0)
        return;
    SSL_get0_alpn_selected(ssl, &name, &length);
    snprintf(sight->version, sizeof(sight->version), "%s", SSL_get_version(ssl));
    snprintf(sight->cipher, sizeof(sight->cipher), "%s", SSL_get_cipher_name(ssl));
    snprintf(sight->application, sizeof(sight->application), "%.*s", (int)length, length > 0 ? (const char *)name : "");
}

void post_tls_watch(void *ssl_ctx, struct tls_sight *sight)
{
    *sight = (struct tls_sight){ 0 };
    SSL_CTX_set_ex_data(ssl_ctx, place_of_sight(), sight);
    SSL_CTX_set_info_callback(ssl_ctx, on_step);
    SSL_CTX_set_verify(ssl_ctx, SSL_CTX_get_verify_mode(ssl_ctx), on_watched_verify);
}
