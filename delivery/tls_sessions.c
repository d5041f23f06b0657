#include "delivery/tls_sessions.h"

#include "consumer/base/check.h"
#include "consumer/base/clock.h"
#include "consumer/base/memory.h"
#include "delivery/tls_moment.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { REFUSED_S = 600 };

struct sessions { /* of one SSL */
    SSL_SESSION *offered, *held;
    X509 *certificate; /* when it was trusted */
    bool trusted, forbidden;
};

static int place_of_sessions; /* libcurl keeps something of its own at the place for applications */

/* libcurl's function, the same for every SSL_CTX. */
typedef int keep_session(SSL *, SSL_SESSION *);
static keep_session *_Atomic usual_keeping;

/* ---- what is noted in a session: where a server would keep its own data of a ticket, which is copied and written out with the session ---- */

struct note {
    int64_t end_s;     /* by the wall clock, as the other: not offered from then on */
    int64_t refused_s; /* the receiver refuses sessions, and gets none until then; 0: it does not */
};

static struct note read_note(SSL_SESSION *session)
{
    struct note note = { .end_s = 0 };
    void *noted = NULL;
    size_t length = 0;
    if (SSL_SESSION_get0_ticket_appdata(session, &noted, &length) == 1 && length == sizeof(note))
        memcpy(&note, noted, sizeof(note));
    return note;
}

static bool write_note(SSL_SESSION *session, struct note note)
{
    return SSL_SESSION_set1_ticket_appdata(session, &note, sizeof(note)) == 1;
}

static int64_t now_s(void)
{
    return clock_wall_ms() / 1000;
}

static bool earliest_end(const SSL *ssl, int64_t *end_s)
{
    const STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    int64_t one_s;
    *end_s = INT64_MAX;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (!tls_moment_read(X509_get0_notAfter(sk_X509_value(chain, i)), &one_s))
            return false;
        *end_s = one_s < *end_s ? one_s : *end_s;
    }
    return sk_X509_num(chain) > 0;
}

/* A session that goes on with another was copied from it. */
static bool note_end(const SSL *ssl, SSL_SESSION *session)
{
    struct note note = { .end_s = 0 };
    return SSL_session_reused(ssl) || (earliest_end(ssl, &note.end_s) && write_note(session, note));
}

/* ---- of one connection ---- */

/* 0: it is not kept, and still the caller's. */
static int keep(SSL *ssl, SSL_SESSION *session)
{
    keep_session *usual = usual_keeping;
    return usual == NULL ? 0 : usual(ssl, session);
}

/* A copy, because libcurl 8.14 keeps copies, and takes one of TLS 1.3 away when it is offered. */
static void keep_refused(SSL *ssl, const SSL_SESSION *offered, int64_t until_s)
{
    SSL_SESSION *copy = SSL_SESSION_dup(offered);
    bool kept = copy != NULL && write_note(copy, (struct note){ .refused_s = until_s }) && keep(ssl, copy) != 0;
    if (!kept)
        SSL_SESSION_free(copy);
}

/* Before it says anything. */
static void begin(SSL *ssl)
{
    struct sessions *sessions = memory_create(sizeof(*sessions));
    SSL_set_ex_data(ssl, place_of_sessions, sessions);
    sessions->offered = SSL_get1_session(ssl);
    if (sessions->offered == NULL)
        return;
    struct note note = read_note(sessions->offered);
    if (note.end_s > now_s())
        return;
    sessions->forbidden = note.refused_s > now_s();
    if (sessions->forbidden)
        keep_refused(ssl, sessions->offered, note.refused_s);
    SSL_set_session(ssl, NULL);
    SSL_SESSION_free(sessions->offered);
    sessions->offered = NULL;
}

static void on_info(const SSL *ssl, int where, int result)
{
    bool alerted =
        (where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && (result >> 8) == SSL3_AL_FATAL && (result & 0xff) != SSL_AD_NO_APPLICATION_PROTOCOL;
    if (alerted)
        tls_sessions_doubt((SSL *)(uintptr_t)ssl);
    if ((where & SSL_CB_HANDSHAKE_START) != 0 && SSL_get_ex_data(ssl, place_of_sessions) == NULL)
        begin((SSL *)(uintptr_t)ssl);
}

/* 0: OpenSSL frees it. libcurl finds no connection but in a call that reads or writes, so what is held is given to it when something is sent. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct sessions *sessions = SSL_get_ex_data(ssl, place_of_sessions);
    if (sessions == NULL || sessions->forbidden || !note_end(ssl, session))
        return 0;
    if (sessions->trusted)
        return keep(ssl, session);
    SSL_SESSION_free(sessions->held);
    sessions->held = session;
    return 1;
}

/* The SSL is being freed. */
static void end(void *ssl, void *pointer, CRYPTO_EX_DATA *unused, int place, long number, void *argument)
{
    struct sessions *sessions = pointer;
    (void)ssl;
    (void)unused;
    (void)place;
    (void)number;
    (void)argument;
    if (sessions == NULL)
        return;
    SSL_SESSION_free(sessions->offered);
    SSL_SESSION_free(sessions->held);
    X509_free(sessions->certificate);
    free(sessions);
}

void tls_sessions_trust(void *ssl)
{
    struct sessions *sessions = SSL_get_ex_data(ssl, place_of_sessions);
    if (sessions == NULL || sessions->trusted)
        return;
    sessions->trusted = true;
    sessions->certificate = SSL_get1_peer_certificate(ssl);
    SSL_SESSION_free(sessions->offered);
    sessions->offered = NULL;
    SSL_SESSION *held = sessions->held;
    sessions->held = NULL;
    if (held != NULL && (sessions->forbidden || keep(ssl, held) == 0))
        SSL_SESSION_free(held);
}

void tls_sessions_doubt(void *ssl)
{
    struct sessions *sessions = SSL_get_ex_data(ssl, place_of_sessions);
    SSL_SESSION *offered = sessions == NULL || sessions->trusted ? NULL : sessions->offered;
    if (offered == NULL)
        return;
    sessions->offered = NULL;
    SSL_CTX_remove_session(SSL_get_SSL_CTX(ssl), offered); /* it need not be there: from now on it is not offered */
    keep_refused(ssl, offered, now_s() + REFUSED_S);
    SSL_SESSION_free(offered);
}

void tls_sessions_forbid(void *ssl)
{
    struct sessions *sessions = SSL_get_ex_data(ssl, place_of_sessions);
    if (sessions != NULL)
        sessions->forbidden = true;
}

static const ASN1_OCTET_STRING *names_of(const X509 *certificate)
{
    int place = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1);
    return place < 0 ? NULL : X509_EXTENSION_get_data(X509_get_ext(certificate, place));
}

static bool have_same_names(const X509 *a, const X509 *b)
{
    const ASN1_OCTET_STRING *one = names_of(a), *other = names_of(b);
    return one != NULL && other != NULL && ASN1_OCTET_STRING_cmp(one, other) == 0;
}

bool tls_sessions_is_same_receiver(void *ssl, const void *certificate)
{
    const struct sessions *sessions = SSL_get_ex_data(ssl, place_of_sessions);
    const X509 *first = sessions == NULL ? NULL : sessions->certificate;
    return first == NULL || X509_cmp(first, certificate) == 0 || have_same_names(first, certificate);
}

/* ---- of all connections of a context ---- */

static void init(void)
{
    place_of_sessions = SSL_get_ex_new_index(0, NULL, NULL, NULL, end);
    assert(place_of_sessions >= 0);
}

void tls_sessions_set(void *ssl_ctx)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init);
    keep_session *usual = SSL_CTX_sess_get_new_cb(ssl_ctx);
    SSL_CTX_set_info_callback(ssl_ctx, on_info);
    if (usual == on_session)
        return;
    usual_keeping = usual;
    SSL_CTX_sess_set_new_cb(ssl_ctx, on_session);
}
