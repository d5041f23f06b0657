#include "delivery/post_tls.h"

#include "consumer/base/log.h"
#include "consumer/base/memory.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct post_tls {
    char *file; /* NULL: this system has none */
    X509_STORE *store;
    struct stat seen; /* the file as it was read */
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

static X509_STORE *store_load(const char *file)
{
    X509_STORE *store = X509_STORE_new();
    if (store == NULL)
        return NULL;
    /* As libcurl's own: an intermediate or a single certificate in the file may be the anchor. */
    X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    if (file != NULL && X509_STORE_load_file(store, file) != 1) {
        ERR_clear_error();
        X509_STORE_free(store);
        return NULL;
    }
    return store;
}

/* False when the file cannot be used; then nothing has changed. */
static bool load(struct post_tls *tls)
{
    struct stat now = { .st_size = 0 };
    if (tls->file != NULL && stat(tls->file, &now) != 0)
        return false;
    X509_STORE *store = store_load(tls->file);
    if (store == NULL)
        return false;
    X509_STORE_free(tls->store);
    tls->store = store;
    tls->seen = now;
    return true;
}

struct post_tls *post_tls_create(const char *ca_file)
{
    const char *file = ca_file != NULL ? ca_file : post_tls_system_file();
    struct post_tls *tls = memory_create(sizeof(*tls));
    if (file != NULL)
        tls->file = memory_copy(file, slice_of(file).length);
    else
        log_warn("no CA certificates on this system: no https receiver will be trusted");
    if (load(tls))
        return tls;
    log_error("CA file cannot be used", LOG_STRING("file", file));
    post_tls_destroy(tls);
    return NULL;
}

void post_tls_destroy(struct post_tls *tls)
{
    if (tls == NULL)
        return;
    X509_STORE_free(tls->store);
    free(tls->file);
    free(tls);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void post_tls_refresh(struct post_tls *tls)
{
    struct stat now;
    if (tls->file == NULL || stat(tls->file, &now) != 0 || is_same_file(&now, &tls->seen))
        return;
    if (load(tls)) {
        log_info("CA file read again", LOG_STRING("file", tls->file));
        return;
    }
    tls->seen = now; /* say it once, try again at the next change */
    log_error("changed CA file cannot be used, the old certificates stay", LOG_STRING("file", tls->file));
}

void post_tls_equip(struct post_tls *tls, void *ssl_ctx)
{
    SSL_CTX_set1_cert_store(ssl_ctx, tls->store);
}

const char *post_tls_verify_problem(long verify_result)
{
    return X509_verify_cert_error_string(verify_result);
}
