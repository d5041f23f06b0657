#include "delivery/signature.h"

#include "consumer/base/memory.h"
#include "delivery/guard.h"

#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HMAC_BYTES = 32,
    ED25519_BYTES = 64,
    WAYS = 4, /* places that a scope may take among the derived secrets */
    SETS = SIGNATURE_DERIVED_MAX / WAYS,
    CONTENT_KEPT_BYTES = 64 * 1024, /* most bodies; what a larger one took is given back */
    HEAD_MAX = 64 + 24 + 2,         /* id, timestamp, two dots */
    ID_MAX = 64,
    SCOPE_MAX = GUARD_ORIGIN_MAX + GUARD_URL_MAX,
};

static const size_t CONTENT_MAX = (size_t)INT32_MAX + 1024;

struct derived { /* the symmetric keys' secrets for one scope */
    uint64_t used;
    size_t scope_length; /* 0: free */
    char scope[SIGNATURE_SCOPE_KEPT_BYTES];
    uint8_t secrets[SIGNATURE_KEYS_MAX][SIGNATURE_DERIVED_BYTES];
};

struct signature {
    enum signature_scope scope;
    struct hash_key hash_key;
    struct signature_keys keys;
    EVP_PKEY *pairs[SIGNATURE_KEYS_MAX];   /* of the asymmetric keys */
    EVP_MAC_CTX *macs[SIGNATURE_KEYS_MAX]; /* of the symmetric ones, keyed when they are shared */
    EVP_MD_CTX *digest;
    struct derived *derived; /* SETS × WAYS; NULL when the keys are shared */
    struct derived spare;    /* for a scope too long to be kept */
    uint64_t uses;
    struct text scope_text;
    struct text content; /* Ed25519 goes over the message twice, so it must lie in one piece */
};

/* ---- Keys ---- */

static EVP_MAC_CTX *make_mac(const struct signature_key *key)
{
    char sha256[] = "SHA256";
    const OSSL_PARAM parameters[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0), OSSL_PARAM_construct_end() };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    EVP_MAC_CTX *mac = hmac == NULL ? NULL : EVP_MAC_CTX_new(hmac);
    int done = mac == NULL ? 0 : EVP_MAC_init(mac, key->bytes, key->length, parameters);
    assert(done == 1);
    EVP_MAC_free(hmac); /* the context holds on to it */
    return mac;
}

static void take_keys(struct signature *signature, const struct signature_keys *keys)
{
    assert(keys->count > 0 && keys->count <= SIGNATURE_KEYS_MAX);
    signature->keys = *keys;
    for (size_t i = 0; i < keys->count; i++) {
        const struct signature_key *key = &keys->keys[i];
        if (key->asymmetric) {
            signature->pairs[i] = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->bytes, SIGNATURE_SEED_BYTES);
            assert(signature->pairs[i] != NULL);
        } else {
            signature->macs[i] = make_mac(key);
        }
    }
}

static void drop_keys(struct signature *signature)
{
    for (size_t i = 0; i < SIGNATURE_KEYS_MAX; i++) {
        EVP_PKEY_free(signature->pairs[i]);
        EVP_MAC_CTX_free(signature->macs[i]);
        signature->pairs[i] = NULL;
        signature->macs[i] = NULL;
    }
    signature_keys_wipe(&signature->keys);
    OPENSSL_cleanse(&signature->spare, sizeof(signature->spare));
    if (signature->derived != NULL)
        OPENSSL_cleanse(signature->derived, SIGNATURE_DERIVED_MAX * sizeof(struct derived));
}

struct signature *signature_create(const struct signature_options *options)
{
    struct signature *signature = memory_create(sizeof(*signature));
    signature->scope = options->scope;
    signature->hash_key = options->hash_key;
    signature->digest = EVP_MD_CTX_new();
    assert(signature->digest != NULL);
    if (options->scope != SIGNATURE_SHARED)
        signature->derived = memory_create(SIGNATURE_DERIVED_MAX * sizeof(struct derived));
    text_init(&signature->scope_text, SCOPE_MAX);
    text_init(&signature->content, CONTENT_MAX);
    take_keys(signature, options->keys);
    return signature;
}

void signature_destroy(struct signature *signature)
{
    if (signature == NULL)
        return;
    drop_keys(signature);
    EVP_MD_CTX_free(signature->digest);
    text_finish(&signature->scope_text);
    text_finish(&signature->content);
    free(signature->derived);
    free(signature);
}

void signature_replace(struct signature *signature, const struct signature_keys *keys)
{
    drop_keys(signature);
    take_keys(signature, keys);
}

/* ---- Secrets of a scope ---- */

struct slice signature_scope_of(struct signature *signature, const struct url *url)
{
    text_clear(&signature->scope_text);
    signature_scope_write(signature->scope, url, &signature->scope_text);
    return text_slice(&signature->scope_text);
}

static void derive(const struct signature *signature, struct slice scope, struct derived *derived)
{
    for (size_t i = 0; i < signature->keys.count; i++)
        if (!signature->keys.keys[i].asymmetric)
            signature_key_derive(&signature->keys.keys[i], scope, derived->secrets[i]);
}

/* The place of the scope, or the one among its WAYS that was used least recently. */
static struct derived *place_of(struct signature *signature, struct slice scope)
{
    struct derived *set = &signature->derived[hash_slice(signature->hash_key, scope) % SETS * WAYS], *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (slice_equal((struct slice){ set[i].scope, set[i].scope_length }, scope))
            return &set[i];
        if (set[i].used < oldest->used)
            oldest = &set[i];
    }
    return oldest;
}

static const struct derived *derived_for(struct signature *signature, struct slice scope)
{
    struct derived *derived = &signature->spare;
    if (scope.length > SIGNATURE_SCOPE_KEPT_BYTES) {
        derive(signature, scope, derived);
        return derived;
    }
    derived = place_of(signature, scope);
    derived->used = ++signature->uses;
    if (!slice_equal((struct slice){ derived->scope, derived->scope_length }, scope)) {
        derive(signature, scope, derived);
        memcpy(derived->scope, scope.start, scope.length);
        derived->scope_length = scope.length;
    }
    return derived;
}

/* ---- Signing ---- */

struct head { /* id.timestamp. */
    size_t length;
    char text[HEAD_MAX + 1];
};

static struct head head_of(const struct signed_request *request)
{
    struct head head;
    assert(request->id.length <= ID_MAX && memchr(request->id.start, '.', request->id.length) == NULL);
    int length = snprintf(head.text, sizeof(head.text), SLICE_FORMAT ".%" PRId64 ".", SLICE_ARGS(request->id), request->timestamp_s);
    assert(length > 0 && (size_t)length < sizeof(head.text));
    head.length = (size_t)length;
    return head;
}

static void append_entry(struct text *value, const char *version, const uint8_t *bytes, size_t length)
{
    unsigned char encoded[SIGNATURE_ENTRY_MAX + 1];
    int written = EVP_EncodeBlock(encoded, bytes, (int)length);
    text_append_string(value, version);
    text_append(value, (struct slice){ (const char *)encoded, (size_t)written });
}

/* `secret` NULL: with the key that the context was given at first. */
static void append_mac(EVP_MAC_CTX *mac, const uint8_t *secret, const struct head *head, struct slice body, struct text *value)
{
    uint8_t bytes[HMAC_BYTES];
    size_t length = 0;
    bool done = EVP_MAC_init(mac, secret, secret == NULL ? 0 : SIGNATURE_DERIVED_BYTES, NULL) == 1 &&
                EVP_MAC_update(mac, (const unsigned char *)head->text, head->length) == 1 &&
                EVP_MAC_update(mac, (const unsigned char *)body.start, body.length) == 1 && EVP_MAC_final(mac, bytes, &length, sizeof(bytes)) == 1;
    assert(done && length == HMAC_BYTES);
    append_entry(value, "v1,", bytes, sizeof(bytes));
}

static void append_ed25519(struct signature *signature, EVP_PKEY *pair, struct text *value)
{
    uint8_t bytes[ED25519_BYTES];
    size_t length = sizeof(bytes);
    bool done = EVP_MD_CTX_reset(signature->digest) == 1 && EVP_DigestSignInit(signature->digest, NULL, NULL, NULL, pair) == 1 &&
                EVP_DigestSign(signature->digest, bytes, &length, (const unsigned char *)signature->content.start, signature->content.length) == 1;
    assert(done && length == ED25519_BYTES);
    append_entry(value, "v1a,", bytes, sizeof(bytes));
}

static void lay_out_content(struct signature *signature, const struct head *head, struct slice body)
{
    text_clear(&signature->content);
    text_append(&signature->content, (struct slice){ head->text, head->length });
    text_append(&signature->content, body);
    assert(!signature->content.overflowed);
}

static void clear_content(struct signature *signature)
{
    if (signature->content.capacity <= CONTENT_KEPT_BYTES)
        return;
    text_finish(&signature->content);
    text_init(&signature->content, CONTENT_MAX);
}

void signature_append(struct signature *signature, const struct signed_request *request, struct text *value)
{
    struct head head = head_of(request);
    const struct derived *derived = request->scope.length == 0 ? NULL : derived_for(signature, request->scope);
    bool laid_out = false;
    assert((signature->scope == SIGNATURE_SHARED) == (derived == NULL));
    for (size_t i = 0; i < signature->keys.count; i++) {
        if (i > 0)
            text_append_char(value, ' ');
        if (signature->pairs[i] == NULL) {
            append_mac(signature->macs[i], derived == NULL ? NULL : derived->secrets[i], &head, request->body, value);
            continue;
        }
        if (!laid_out)
            lay_out_content(signature, &head, request->body);
        laid_out = true;
        append_ed25519(signature, signature->pairs[i], value);
    }
    clear_content(signature);
}
