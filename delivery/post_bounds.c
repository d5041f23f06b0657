#include "delivery/post_bounds.h"

#include "consumer/base/check.h"
#include "consumer/base/memory.h"
#include "delivery/tls_chain.h"
#include "delivery/tls_context.h"
#include "delivery/tls_sessions.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    READS_MAX = 32,             /* in a row: a record takes two */
    READ_BYTES_MAX = 65536,     /* likewise: of frames and messages, which are small */
    BYTES_MAX = 262144,         /* for a handshake, or an answer: of one we take 64 KiB of headers and 16 KiB of body */
    MESSAGES_MAX = 16,          /* of TLS, for an answer: tickets, new keys */
    CHAINS_MAX = 1,             /* likewise of certificates, by another handshake in TLS 1.2: for ours, when it is asked for late */
    REQUEST_WEIGHT = 8,         /* likewise: asking for our certificate costs a use of our private key, with 4096 bits ten milliseconds */
    CHAIN_BYTES_MAX = 32768,    /* of certificates */
    KEPT_BYTES_MAX = 8192,      /* of certificates and ticket: libcurl 8 keeps 50 sessions for each lane, and we 12,288 connections */
    EXTENSION_BYTES_MAX = 1536, /* likewise of extensions of certificates that are not the receiver's: three CAs' have half of it */
    NAMES_WEIGHT = 4,           /* likewise of the CAs that our certificate may be from: the smallest name has 4 bytes, and 180 with OpenSSL */
    FINITE_FIELD_GROUPS = 1     /* the first byte of their numbers in TLS 1.3: ffdhe2048 is 0x0100 */
};

/* Stands between an SSL and what libcurl gave it to read from. */
struct gate {
    SSL *ssl;
    BIO *inner;
    size_t reads, read_bytes; /* in a row */
    size_t bytes, bytes_max;  /* since the connection or the request began */
    size_t messages, chains;  /* since the request began */
    size_t ticket_bytes;      /* of the longest one: OpenSSL keeps it, and as much room for the next, as long as the connection stands */
    size_t chain_bytes;       /* of the message with the certificates */
    size_t names_bytes;       /* of the one that asks for ours */
    size_t extension_bytes;   /* in the certificates beside the receiver's own */
    bool large;               /* too large to be kept, when the request began */
    bool known;               /* requests are sent by it: not the TLS of a proxy, which carries another */
    bool cannot_write;        /* the receiver has closed; perhaps behind an answer */
};

static int place_of_gate; /* libcurl may keep something of its own at the place for applications */
static BIO_METHOD *gate_method;
static int (*usual_choice)(const SSL *, const SSL_CTX *, int, int, int, void *, void *);

static bool gate_is_closed(const struct gate *gate)
{
    return gate->bytes > gate->bytes_max && (gate->known || !SSL_is_init_finished(gate->ssl));
}

static int gate_read(BIO *bio, char *bytes, int length)
{
    struct gate *gate = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (gate_is_closed(gate))
        return 0;
    int count = -1;
    bool pause = gate->reads >= READS_MAX || gate->read_bytes >= READ_BYTES_MAX;
    if (!pause)
        count = BIO_read(gate->inner, bytes, length);
    if (count > 0) {
        gate->reads++;
        gate->read_bytes += (size_t)count;
        gate->bytes += (size_t)count;
        return count;
    }
    gate->reads = gate->read_bytes = 0;
    if (pause || BIO_should_retry(gate->inner))
        BIO_set_retry_read(bio);
    else
        tls_sessions_doubt(gate->ssl);
    return count;
}

static long gate_control(BIO *bio, int command, long number, void *pointer)
{
    struct gate *gate = BIO_get_data(bio);
    if (command == BIO_CTRL_EOF && gate_is_closed(gate))
        return 1;
    return BIO_ctrl(gate->inner, command, number, pointer);
}

static int gate_destroy(BIO *bio)
{
    struct gate *gate = BIO_get_data(bio);
    BIO_set_callback_arg(gate->inner, NULL);
    BIO_free(gate->inner);
    free(gate);
    return 1;
}

/* A receiver may answer, and close, before it has read the request: what it said can still be read when nothing can be written any more, but libcurl gives
 * up with the first write that fails. So that one says that it blocks: libcurl reads then, and writes again only when there was no answer. */
static long on_inner(BIO *inner, int operation, const char *bytes, size_t size, int number, long other, int result, size_t *done)
{
    struct gate *gate = (struct gate *)BIO_get_callback_arg(inner);
    bool failed = operation == (BIO_CB_WRITE | BIO_CB_RETURN) && result <= 0 && !BIO_should_retry(inner);
    (void)bytes;
    (void)size;
    (void)number;
    (void)other;
    (void)done;
    if (!failed || gate == NULL || gate->cannot_write || !SSL_is_init_finished(gate->ssl))
        return result;
    gate->cannot_write = true;
    BIO_set_retry_write(inner);
    return -1;
}

static void gate_open(SSL *ssl)
{
    BIO *bio = BIO_new(gate_method);
    assert(bio != NULL);
    struct gate *gate = memory_create(sizeof(*gate));
    *gate = (struct gate){ .ssl = ssl, .inner = SSL_get_rbio(ssl), .bytes_max = BYTES_MAX };
    BIO_up_ref(gate->inner);
    BIO_set_data(bio, gate);
    BIO_set_init(bio, 1);
    SSL_set_ex_data(ssl, place_of_gate, gate);
    BIO_set_callback_arg(gate->inner, (char *)gate);
    BIO_set_callback_ex(gate->inner, on_inner);
    SSL_set0_rbio(ssl, bio);
}

static bool takes_much(const struct gate *gate)
{
    size_t bytes = gate->chain_bytes + gate->ticket_bytes + NAMES_WEIGHT * gate->names_bytes;
    return bytes > KEPT_BYTES_MAX || gate->extension_bytes > EXTENSION_BYTES_MAX;
}

/* A ticket may have 64 KB, and libcurl would keep it with the session for as long as it has room: what comes in this connection is not kept, and
 * such a receiver has to shake hands anew for each. */
static void see_session(struct gate *gate, uint8_t kind, size_t length)
{
    if (kind == SSL3_MT_CERTIFICATE)
        gate->chain_bytes = length;
    if (kind == SSL3_MT_CERTIFICATE_REQUEST)
        gate->names_bytes = length;
    if (kind == SSL3_MT_NEWSESSION_TICKET && length > gate->ticket_bytes)
        gate->ticket_bytes = length;
    if (gate->chain_bytes + gate->ticket_bytes > KEPT_BYTES_MAX)
        tls_sessions_forbid(gate->ssl);
}

static bool may_be_read(struct slice message, uint8_t kind, bool tls13)
{
    if (kind == SSL3_MT_CERTIFICATE)
        return tls_chain_may_be_read(message, tls13);
    return kind != SSL3_MT_CERTIFICATE_REQUEST || !tls13 || tls_chain_may_be_asked_for(message);
}

/* OpenSSL decodes the message where it lies, and after it has told of it: with nothing left in it the handshake fails. */
static void refuse(void *message, size_t length)
{
    memset((char *)message + SSL3_HM_HEADER_LENGTH, 0, length - SSL3_HM_HEADER_LENGTH);
}

/* OpenSSL tells of the head of every record, which in TLS 1.3 says nothing, and there of what is inside as well. */
static bool is_of_application(const SSL *ssl, int type, const void *bytes)
{
    int telling = SSL_version(ssl) == TLS1_3_VERSION ? SSL3_RT_INNER_CONTENT_TYPE : SSL3_RT_HEADER;
    return type == telling && *(const uint8_t *)bytes == SSL3_RT_APPLICATION_DATA;
}

/* OpenSSL tells of every message: of the first one, ours, when libcurl has set up the connection and nothing was read yet. A thousand fit in a
 * record, and OpenSSL would act on all of them before it returns: what follows the last one that is allowed is thrown away, as after a goodbye. */
static void on_message(int sent, int version, int type, const void *bytes, size_t length, SSL *ssl, void *unused)
{
    struct gate *gate = SSL_get_ex_data(ssl, place_of_gate);
    (void)version;
    (void)unused;
    if (gate == NULL) {
        gate_open(ssl);
        return;
    }
    if (sent && is_of_application(ssl, type, bytes))
        tls_sessions_trust(ssl);
    if (sent || type != SSL3_RT_HANDSHAKE)
        return;
    uint8_t kind = length > 0 ? *(const uint8_t *)bytes : 0;
    if (length > SSL3_HM_HEADER_LENGTH && !may_be_read((struct slice){ bytes, length }, kind, SSL_version(ssl) == TLS1_3_VERSION))
        refuse((void *)bytes, length);
    see_session(gate, kind, length);
    bool shown = kind == SSL3_MT_CERTIFICATE || kind == SSL3_MT_CERTIFICATE_REQUEST; /* which HTTP/2 forbids once a request was sent */
    bool grown = shown && takes_much(gate) && post_bounds_is_http2(ssl) && !gate->large;
    gate->messages += kind == SSL3_MT_CERTIFICATE_REQUEST ? REQUEST_WEIGHT : 1;
    gate->chains += kind == SSL3_MT_CERTIFICATE;
    if (gate->known && (gate->messages > MESSAGES_MAX || gate->chains > CHAINS_MAX || grown))
        SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
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

static void init(void)
{
    SSL_CTX *context = tls_context_create(); /* SSL_CTX_new would give what is lent to libcurl */
    place_of_gate = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    gate_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gate");
    assert(context != NULL && place_of_gate >= 0 && gate_method != NULL);
    BIO_meth_set_read(gate_method, gate_read);
    BIO_meth_set_ctrl(gate_method, gate_control);
    BIO_meth_set_destroy(gate_method, gate_destroy);
    usual_choice = SSL_CTX_get_security_callback(context);
    tls_context_destroy(context);
}

/* Debian 13's OpenSSL would unpack certificates: the message then says nothing about how much memory they take. */
static void take_no_packed_certificates(void *ssl_ctx)
{
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
    SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
#else
    (void)ssl_ctx;
#endif
}

void post_bounds_set(void *ssl_ctx)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init);
    SSL_CTX_set_msg_callback(ssl_ctx, on_message);
    SSL_CTX_set_max_cert_list(ssl_ctx, CHAIN_BYTES_MAX);
    SSL_CTX_set_mode(ssl_ctx, SSL_MODE_RELEASE_BUFFERS); /* 33 KB of each connection that waits; libcurl 8 does not */
    SSL_CTX_set_security_callback(ssl_ctx, on_choice);
    take_no_packed_certificates(ssl_ctx);
    tls_sessions_set(ssl_ctx);
}

void post_bounds_note_extensions(void *ssl, size_t bytes)
{
    struct gate *gate = SSL_get_ex_data(ssl, place_of_gate);
    if (gate == NULL)
        return;
    gate->extension_bytes = bytes;
    if (bytes > EXTENSION_BYTES_MAX)
        tls_sessions_forbid(ssl);
}

void post_bounds_begin(void *ssl, size_t request_bytes)
{
    struct gate *gate = ssl == NULL ? NULL : SSL_get_ex_data(ssl, place_of_gate);
    if (gate == NULL)
        return;
    gate->known = true;
    gate->bytes = gate->messages = gate->chains = 0;
    gate->bytes_max = BYTES_MAX + request_bytes;
    gate->large = takes_much(gate);
}

bool post_bounds_may_be_kept(void *ssl)
{
    const struct gate *gate = ssl == NULL ? NULL : SSL_get_ex_data(ssl, place_of_gate);
    return gate == NULL || !takes_much(gate);
}

bool post_bounds_is_spoiled(void *ssl)
{
    return ssl != NULL && (SSL_pending(ssl) > 0 || !post_bounds_may_be_kept(ssl));
}

static struct slice protocol_of(void *ssl)
{
    const unsigned char *name = NULL;
    unsigned length = 0;
    if (ssl != NULL)
        SSL_get0_alpn_selected(ssl, &name, &length);
    return (struct slice){ (const char *)name, length };
}

bool post_bounds_is_http2(void *ssl)
{
    return slice_equal(protocol_of(ssl), SLICE("h2"));
}

bool post_bounds_has_protocol(void *ssl)
{
    return protocol_of(ssl).length > 0;
}
