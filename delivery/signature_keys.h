/* The keys that requests are signed with (JOBHOOK_SIGNING_KEYS), and what a receiver has to be given to check them. Pure, OpenSSL stays inside.
 *
 * A key is serialised as Standard Webhooks has it: whsec_ + base64 of 24 to 64 bytes (HMAC-SHA256), whsk_ + base64 of an Ed25519 seed and its public
 * key (64 bytes), whpk_ + base64 of a public key. Several keys at once are for changing them: receivers accept any, the newest stands first.
 *
 * A symmetric key that every receiver knows lets each of them forge events for the others. With the scope `origin` or `url` it is a master that nobody
 * is given: a receiver's own secret is HKDF-SHA256 (RFC 5869; no salt; info: "jobhook webhook secret v1\n" and the receiver's scope; 32 bytes). */
#ifndef JOBHOOK_DELIVERY_SIGNATURE_KEYS_H
#define JOBHOOK_DELIVERY_SIGNATURE_KEYS_H

#include "consumer/base/text.h"

#include <stdbool.h>
#include <stdint.h>

struct url;

enum {
    SIGNATURE_KEYS_MAX = 8,
    SIGNATURE_KEY_BYTES_MIN = 24, /* symmetric */
    SIGNATURE_KEY_BYTES_MAX = 64,
    SIGNATURE_SEED_BYTES = 32, /* Ed25519; the public key behind it has as many */
    SIGNATURE_DERIVED_BYTES = 32,
    SIGNATURE_SECRET_MAX = 6 + 88, /* "whsec_" and 64 bytes */
};

enum signature_scope { SIGNATURE_SHARED, SIGNATURE_ORIGIN, SIGNATURE_URL };

struct signature_key {
    bool asymmetric; /* whsk_: seed and public key */
    uint8_t length;
    uint8_t bytes[SIGNATURE_KEY_BYTES_MAX];
};

struct signature_keys { /* plain bytes, free to be copied; who has a copy wipes it */
    size_t count;
    struct signature_key keys[SIGNATURE_KEYS_MAX]; /* the newest first */
};

/* "whsec_… whsk_…" with white space between. On false `problem` says which key breaks which rule, never what it holds, and `keys` is empty. */
MUST_USE bool signature_keys_parse(struct slice text, struct signature_keys *keys, struct text *problem);
void signature_keys_wipe(struct signature_keys *keys);
bool signature_keys_have_symmetric(const struct signature_keys *keys);

/* Who shares a secret with the receiver at `url`: nothing for `shared`; scheme://host[:port] in lower case without the default port; with `url` the
 * path behind it as it is sent, without query. */
void signature_scope_write(enum signature_scope scope, const struct url *url, struct text *text);

/* The bytes that a symmetric key signs with for that scope, which is not empty. */
void signature_key_derive(const struct signature_key *key, struct slice scope, uint8_t derived[SIGNATURE_DERIVED_BYTES]);
/* What the receiver is given: whsec_…, derived unless the scope is empty, or whpk_…, which is no secret. NUL-terminated. */
void signature_key_write_secret(const struct signature_key *key, struct slice scope, char secret[SIGNATURE_SECRET_MAX + 1]);

#endif
