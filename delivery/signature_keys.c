#include "delivery/signature_keys.h"

#include "delivery/guard.h"
#include "delivery/verifier.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

static const char symmetric_prefix[] = "whsec_", secret_prefix[] = "whsk_", public_prefix[] = "whpk_";
static const char derived_info[] = "jobhook webhook secret v1\n";

enum { INFO_BYTES_MAX = 64 + GUARD_ORIGIN_MAX + GUARD_URL_MAX };

/* ---- Reading ---- */

static bool is_gap(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Cuts the next key off `rest`; an empty one when there is none. */
static struct slice cut_key(struct slice *rest)
{
    while (rest->length > 0 && is_gap(rest->start[0]))
        *rest = (struct slice){ rest->start + 1, rest->length - 1 };
    struct slice key = { rest->start, 0 };
    while (key.length < rest->length && !is_gap(key.start[key.length]))
        key.length++;
    *rest = (struct slice){ rest->start + key.length, rest->length - key.length };
    return key;
}

/* Many tools show an Ed25519 secret key as seed and public key; halves of different keys would sign what nobody can verify. */
static bool halves_fit(const uint8_t bytes[2 * SIGNATURE_SEED_BYTES])
{
    uint8_t public_key[SIGNATURE_SEED_BYTES];
    size_t length = sizeof(public_key);
    EVP_PKEY *pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bytes, SIGNATURE_SEED_BYTES);
    bool fit = pair != NULL && EVP_PKEY_get_raw_public_key(pair, public_key, &length) == 1 &&
               memcmp(public_key, bytes + SIGNATURE_SEED_BYTES, sizeof(public_key)) == 0;
    EVP_PKEY_free(pair);
    return fit;
}

/* NULL when the key is fine, else what is wrong with it. */
static const char *read_key(struct slice text, struct signature_key *key)
{
    if (slice_starts_with(text, public_prefix))
        return "is a public key: signing needs its secret half, whsk_…";
    key->asymmetric = slice_starts_with(text, secret_prefix);
    if (!key->asymmetric && !slice_starts_with(text, symmetric_prefix))
        return "begins with neither whsec_ nor whsk_";
    size_t prefix = (key->asymmetric ? sizeof(secret_prefix) : sizeof(symmetric_prefix)) - 1, length = 0;
    if (!verifier_read_base64(text.start + prefix, text.length - prefix, key->bytes, sizeof(key->bytes), &length))
        return "is not base64 with its padding behind the prefix, or longer than 64 bytes";
    key->length = (uint8_t)length;
    if (!key->asymmetric)
        return length >= SIGNATURE_KEY_BYTES_MIN ? NULL : "is too short: a whsec_ key has 24 to 64 bytes";
    if (length != 2 * SIGNATURE_SEED_BYTES)
        return "has the wrong length: a whsk_ key has 64 bytes, seed and public key";
    return halves_fit(key->bytes) ? NULL : "has a public half that does not belong to its secret half";
}

static bool is_known(const struct signature_keys *keys, const struct signature_key *key)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct signature_key *other = &keys->keys[i];
        if (other->asymmetric == key->asymmetric && other->length == key->length && CRYPTO_memcmp(other->bytes, key->bytes, key->length) == 0)
            return true;
    }
    return false;
}

static const char *add_key(struct signature_keys *keys, struct slice text)
{
    if (keys->count == SIGNATURE_KEYS_MAX)
        return "is one too many: at most 8 keys";
    struct signature_key *key = &keys->keys[keys->count];
    const char *wrong = read_key(text, key);
    if (wrong == NULL && is_known(keys, key))
        wrong = "stands there twice";
    if (wrong == NULL)
        keys->count++;
    return wrong;
}

bool signature_keys_parse(struct slice text, struct signature_keys *keys, struct text *problem)
{
    *keys = (struct signature_keys){ 0 };
    struct slice key;
    const char *wrong = NULL;
    while (wrong == NULL && (key = cut_key(&text)).length > 0)
        wrong = add_key(keys, key);
    if (wrong == NULL && keys->count > 0)
        return true;
    text_append_string(problem, "must be whsec_… and whsk_… keys, newest first, with spaces between: ");
    if (wrong == NULL)
        text_append_string(problem, "there is none");
    else
        text_printf(problem, "key %zu %s", keys->count + 1, wrong);
    signature_keys_wipe(keys);
    return false;
}

void signature_keys_wipe(struct signature_keys *keys)
{
    OPENSSL_cleanse(keys, sizeof(*keys));
}

bool signature_keys_have_symmetric(const struct signature_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        if (!keys->keys[i].asymmetric)
            return true;
    return false;
}

/* ---- A receiver's own ---- */

void signature_scope_write(enum signature_scope scope, const struct url *url, struct text *text)
{
    if (scope == SIGNATURE_SHARED)
        return;
    text_append(text, (struct slice){ url->origin, url->origin_length });
    if (scope == SIGNATURE_ORIGIN)
        return;
    const char *end = url->endpoint.start + url->endpoint.length;
    const char *host = memmem(url->endpoint.start, url->endpoint.length, "://", 3);
    assert(host != NULL); /* the guard let it pass */
    const char *path = memchr(host + 3, '/', (size_t)(end - host - 3));
    if (path == NULL)
        text_append_char(text, '/');
    else
        text_append(text, (struct slice){ path, (size_t)(end - path) });
}

/* Extract and expand (RFC 5869 §2.2, §2.3) with HMAC itself: OpenSSL's HKDF takes no info as long as a URL may be. One block is all that is needed. */
void signature_key_derive(const struct signature_key *key, struct slice scope, uint8_t derived[SIGNATURE_DERIVED_BYTES])
{
    uint8_t extracted[SIGNATURE_DERIVED_BYTES];
    struct text info;
    text_init(&info, INFO_BYTES_MAX);
    text_append_string(&info, derived_info);
    text_append(&info, scope);
    text_append_char(&info, '\1');
    assert(!key->asymmetric && scope.length > 0 && !info.overflowed);
    const void *done = HMAC(EVP_sha256(), "", 0, key->bytes, key->length, extracted, NULL);
    assert(done != NULL);
    done = HMAC(EVP_sha256(), extracted, sizeof(extracted), (const unsigned char *)info.start, info.length, derived, NULL);
    assert(done != NULL);
    OPENSSL_cleanse(extracted, sizeof(extracted));
    text_finish(&info);
}

static void write_serialised(const char *prefix, const uint8_t *bytes, size_t length, char secret[SIGNATURE_SECRET_MAX + 1])
{
    size_t prefix_length = strlen(prefix);
    memcpy(secret, prefix, prefix_length);
    int written = EVP_EncodeBlock((unsigned char *)secret + prefix_length, bytes, (int)length);
    assert(prefix_length + (size_t)written <= SIGNATURE_SECRET_MAX);
}

void signature_key_write_secret(const struct signature_key *key, struct slice scope, char secret[SIGNATURE_SECRET_MAX + 1])
{
    uint8_t derived[SIGNATURE_DERIVED_BYTES];
    if (key->asymmetric) {
        write_serialised(public_prefix, key->bytes + SIGNATURE_SEED_BYTES, SIGNATURE_SEED_BYTES, secret);
    } else if (scope.length == 0) {
        write_serialised(symmetric_prefix, key->bytes, key->length, secret);
    } else {
        signature_key_derive(key, scope, derived);
        write_serialised(symmetric_prefix, derived, sizeof(derived), secret);
        OPENSSL_cleanse(derived, sizeof(derived));
    }
}
