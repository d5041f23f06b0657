#include "delivery/post_bounds.h"

#include "consumer/base/check.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

enum {
    HANDSHAKE_PIECES_MAX = 4096, /* of one connection; an honest one takes some dozens */
    FINITE_FIELD_GROUPS = 1,     /* the first byte of their numbers in TLS 1.3: ffdhe2048 is 0x0100 */
};

static int place_of_count; /* libcurl may keep something of its own at the place for applications */
static int (*usual_choice)(const SSL *, const SSL_CTX *, int, int, int, void *, void *);

static void init(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    place_of_count = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    assert(context != NULL && place_of_count >= 0);
    usual_choice = SSL_CTX_get_security_callback(context);
    SSL_CTX_free(context);
}

/* Records and messages of handshakes as they come. TLS 1.2 has a message that is skipped in silence (HelloRequest), and OpenSSL skips as long as
 * there are more: it is given nothing to read any more. */
static void on_message(int sent, int version, int type, const void *bytes, size_t length, SSL *ssl, void *unused)
{
    (void)version;
    (void)type;
    (void)bytes;
    (void)length;
    (void)unused;
    if (sent != 0 || SSL_is_init_finished(ssl))
        return;
    uintptr_t seen = (uintptr_t)SSL_get_ex_data(ssl, place_of_count) + 1;
    SSL_set_ex_data(ssl, place_of_count, (void *)seen);
    if (seen == HANDSHAKE_PIECES_MAX)
        SSL_set0_rbio(ssl, BIO_new(BIO_s_null()));
}

/* With classic Diffie-Hellman a receiver may name a modulus of 10,000 bits, which takes seconds to use. Everybody has elliptic curves. */
static int on_choice(const SSL *ssl, const SSL_CTX *context, int what, int bits, int id, void *thing, void *unused)
{
    const uint8_t *group = thing;
    switch (what) {
    case SSL_SECOP_CIPHER_SUPPORTED:
    case SSL_SECOP_CIPHER_SHARED:
    case SSL_SECOP_CIPHER_CHECK:
        if (SSL_CIPHER_get_kx_nid(thing) == NID_kx_dhe)
            return 0;
        break;
    case SSL_SECOP_CURVE_SUPPORTED:
    case SSL_SECOP_CURVE_SHARED:
    case SSL_SECOP_CURVE_CHECK:
        if (group[0] == FINITE_FIELD_GROUPS)
            return 0;
        break;
    default:
        break;
    }
    return usual_choice(ssl, context, what, bits, id, thing, unused);
}

void post_bounds_set(void *ssl_ctx)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init);
    SSL_CTX_clear_mode(ssl_ctx, SSL_MODE_AUTO_RETRY); /* it reads on behind every record that brings no bytes for us: KeyUpdate, tickets */
    SSL_CTX_set_msg_callback(ssl_ctx, on_message);
    SSL_CTX_set_security_callback(ssl_ctx, on_choice);
}

bool post_bounds_has_unread(const void *ssl)
{
    return ssl != NULL && SSL_pending(ssl) > 0;
}

bool post_bounds_is_http2(const void *ssl)
{
    const unsigned char *name = NULL;
    unsigned length = 0;
    if (ssl != NULL)
        SSL_get0_alpn_selected(ssl, &name, &length);
    return length == 2 && memcmp(name, "h2", 2) == 0;
}
