#include "delivery/verifier.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

enum {
    SYMMETRIC_BYTES_MIN = 24, /* Standard Webhooks, "Signature scheme" */
    SYMMETRIC_BYTES_MAX = 64,
    PUBLIC_BYTES = 32,
    HMAC_BYTES = 32,
    ED25519_BYTES = 64,
    BASE64_TEXT_MAX = 128, /* more than any secret or signature needs */
    TIMESTAMP_DIGITS_MAX = 15,
};

struct secret {
    EVP_PKEY *public_key; /* NULL: symmetric */
    size_t length;
    unsigned char bytes[SYMMETRIC_BYTES_MAX];
};

struct verifier {
    size_t count;
    struct secret secrets[VERIFIER_SECRETS_MAX];
};

struct piece { /* of a string */
    const char *start;
    size_t length;
};

/* ---- Texts ---- */

static bool is_gap(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next piece between gaps; an empty one at the end. */
static struct piece next_piece(const char **rest)
{
    while (is_gap(**rest))
        ++*rest;
    struct piece piece = { *rest, 0 };
    while (**rest != '\0' && !is_gap(**rest))
        ++*rest;
    piece.length = (size_t)(*rest - piece.start);
    return piece;
}

/* Takes the prefix off the piece. */
static bool cut_prefix(struct piece *piece, const char *prefix)
{
    size_t length = strlen(prefix);
    if (piece->length < length || memcmp(piece->start, prefix, length) != 0)
        return false;
    piece->start += length;
    piece->length -= length;
    return true;
}

/* OpenSSL's decoder trims and is lenient about the last bits: what it read must encode to the very same text. */
bool verifier_read_base64(const char *text, size_t length, unsigned char *bytes, size_t room, size_t *count)
{
    unsigned char decoded[BASE64_TEXT_MAX / 4 * 3], again[BASE64_TEXT_MAX + 1];
    if (length == 0 || length % 4 != 0 || length > BASE64_TEXT_MAX)
        return false;
    size_t padding = (size_t)(text[length - 1] == '=') + (size_t)(text[length - 2] == '=');
    int read = EVP_DecodeBlock(decoded, (const unsigned char *)text, (int)length);
    bool fine = read == (int)(length / 4 * 3) && (size_t)read - padding <= room;
    if (fine) {
        *count = (size_t)read - padding;
        fine = EVP_EncodeBlock(again, decoded, (int)*count) == (int)length && CRYPTO_memcmp(again, text, length) == 0;
    }
    if (fine)
        memcpy(bytes, decoded, *count);
    OPENSSL_cleanse(decoded, sizeof(decoded));
    OPENSSL_cleanse(again, sizeof(again));
    return fine;
}

/* ---- Secrets ---- */

static const char *read_secret(struct secret *secret, struct piece piece)
{
    if (cut_prefix(&piece, "whsk_"))
        return "a whsk_ key belongs to the sender: the receiver's half begins with whpk_ (jobhook secret --public)";
    bool is_public = cut_prefix(&piece, "whpk_");
    if (!is_public)
        cut_prefix(&piece, "whsec_");
    if (!verifier_read_base64(piece.start, piece.length, secret->bytes, sizeof(secret->bytes), &secret->length))
        return "a secret is whsec_ or whpk_ and base64 with its padding";
    if (!is_public)
        return secret->length >= SYMMETRIC_BYTES_MIN ? NULL : "a whsec_ secret has 24 to 64 bytes";
    if (secret->length == PUBLIC_BYTES)
        secret->public_key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, secret->bytes, PUBLIC_BYTES);
    return secret->public_key != NULL ? NULL : "a whpk_ key has 32 bytes";
}

static const char *read_secrets(struct verifier *verifier, const char *secrets)
{
    const char *problem = NULL;
    struct piece piece;
    while (problem == NULL && (piece = next_piece(&secrets)).length > 0) {
        if (verifier->count == VERIFIER_SECRETS_MAX)
            return "more than 16 secrets";
        problem = read_secret(&verifier->secrets[verifier->count++], piece);
    }
    return problem != NULL || verifier->count > 0 ? problem : "there is no secret";
}

struct verifier *verifier_create(const char *secrets, const char **problem)
{
    struct verifier *verifier = calloc(1, sizeof(*verifier));
    *problem = verifier == NULL ? "out of memory" : read_secrets(verifier, secrets == NULL ? "" : secrets);
    if (*problem == NULL)
        return verifier;
    verifier_destroy(verifier);
    return NULL;
}

void verifier_destroy(struct verifier *verifier)
{
    if (verifier == NULL)
        return;
    for (size_t i = 0; i < verifier->count; i++)
        EVP_PKEY_free(verifier->secrets[i].public_key);
    OPENSSL_cleanse(verifier, sizeof(*verifier));
    free(verifier);
}

/* ---- The message ---- */

/* Digits only: what a lenient parser makes of anything else is not what was signed. */
static bool read_timestamp(const char *text, int64_t *seconds)
{
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > TIMESTAMP_DIGITS_MAX || text[length] != '\0')
        return false;
    *seconds = 0;
    for (size_t i = 0; i < length; i++)
        *seconds = *seconds * 10 + (text[i] - '0');
    return true;
}

/* A dot in the id would let bytes move between id and timestamp without changing what was signed. */
static bool is_complete(const struct verifier_message *message, int64_t *timestamp_s)
{
    return message->id != NULL && message->id[0] != '\0' && strchr(message->id, '.') == NULL && message->timestamp != NULL &&
           read_timestamp(message->timestamp, timestamp_s) && message->signature != NULL && strlen(message->id) <= VERIFIER_HEADER_BYTES_MAX &&
           strlen(message->signature) <= VERIFIER_HEADER_BYTES_MAX;
}

static enum verifier_result judge_time(int64_t timestamp_s, int64_t now_s, int64_t tolerance_s)
{
    if (tolerance_s == VERIFIER_ANY_TIME)
        return VERIFIER_VALID;
    if (now_s - timestamp_s > tolerance_s)
        return VERIFIER_TOO_OLD;
    return timestamp_s - now_s > tolerance_s ? VERIFIER_TOO_NEW : VERIFIER_VALID;
}

/* id.timestamp.body, what was signed; to be freed. */
static unsigned char *content_of(const struct verifier_message *message, size_t *length)
{
    size_t id_bytes = strlen(message->id), timestamp_bytes = strlen(message->timestamp), head_bytes = id_bytes + timestamp_bytes + 2;
    if (message->body_bytes > SIZE_MAX / 2)
        return NULL;
    *length = head_bytes + message->body_bytes;
    unsigned char *content = malloc(*length);
    if (content == NULL)
        return NULL;
    memcpy(content, message->id, id_bytes);
    content[id_bytes] = '.';
    memcpy(content + id_bytes + 1, message->timestamp, timestamp_bytes);
    content[head_bytes - 1] = '.';
    if (message->body_bytes > 0)
        memcpy(content + head_bytes, message->body, message->body_bytes);
    return content;
}

/* ---- Signatures ---- */

struct check {
    const struct verifier *verifier;
    const unsigned char *content;
    size_t length;
    unsigned char macs[VERIFIER_SECRETS_MAX][HMAC_BYTES]; /* of the symmetric secrets */
    bool matched, failed;
};

static void make_macs(struct check *check)
{
    for (size_t i = 0; i < check->verifier->count; i++) {
        const struct secret *secret = &check->verifier->secrets[i];
        if (secret->public_key == NULL &&
            HMAC(EVP_sha256(), secret->bytes, (int)secret->length, check->content, check->length, check->macs[i], NULL) == NULL)
            check->failed = true;
    }
}

static bool is_signed_by(const struct check *check, EVP_PKEY *public_key, const unsigned char *signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool matches = context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, public_key) == 1 &&
                   EVP_DigestVerify(context, signature, ED25519_BYTES, check->content, check->length) == 1;
    EVP_MD_CTX_free(context);
    return matches;
}

/* One entry of the header against every secret; versions that nobody knows are left alone. */
static void try_entry(struct check *check, struct piece entry)
{
    unsigned char bytes[ED25519_BYTES];
    size_t count = 0;
    bool asymmetric = cut_prefix(&entry, "v1a,");
    if (!asymmetric && !cut_prefix(&entry, "v1,"))
        return;
    if (!verifier_read_base64(entry.start, entry.length, bytes, sizeof(bytes), &count) || count != (asymmetric ? ED25519_BYTES : HMAC_BYTES))
        return;
    for (size_t i = 0; i < check->verifier->count; i++) {
        EVP_PKEY *public_key = check->verifier->secrets[i].public_key;
        if (asymmetric && public_key != NULL)
            check->matched |= is_signed_by(check, public_key, bytes);
        else if (!asymmetric && public_key == NULL)
            check->matched |= CRYPTO_memcmp(bytes, check->macs[i], HMAC_BYTES) == 0;
    }
}

static enum verifier_result try_entries(struct check *check, const char *header)
{
    struct piece entry;
    size_t entries = 0;
    make_macs(check);
    while ((entry = next_piece(&header)).length > 0) {
        if (++entries > VERIFIER_SIGNATURES_MAX)
            return VERIFIER_MALFORMED;
        try_entry(check, entry);
    }
    if (check->failed)
        return VERIFIER_FAILED;
    return check->matched ? VERIFIER_VALID : VERIFIER_NO_MATCH;
}

enum verifier_result verifier_check(const struct verifier *verifier, const struct verifier_message *message, int64_t now_s, int64_t tolerance_s)
{
    struct check check = { .verifier = verifier };
    int64_t timestamp_s;
    if (!is_complete(message, &timestamp_s))
        return VERIFIER_MALFORMED;
    enum verifier_result result = judge_time(timestamp_s, now_s, tolerance_s);
    if (result != VERIFIER_VALID)
        return result;
    unsigned char *content = content_of(message, &check.length);
    if (content == NULL)
        return VERIFIER_FAILED;
    check.content = content;
    result = try_entries(&check, message->signature);
    OPENSSL_cleanse(check.macs, sizeof(check.macs)); /* each of them would forge this message */
    free(content);
    return result;
}

const char *verifier_result_sentence(enum verifier_result result)
{
    static const char *const sentences[] = {
        [VERIFIER_VALID] = "the signature is valid",
        [VERIFIER_MALFORMED] = "webhook-id, webhook-timestamp or webhook-signature is missing or malformed",
        [VERIFIER_TOO_OLD] = "the timestamp is too old",
        [VERIFIER_TOO_NEW] = "the timestamp is in the future",
        [VERIFIER_NO_MATCH] = "no signature matches: another secret, or something was changed on the way",
        [VERIFIER_FAILED] = "out of memory",
    };
    return sentences[result];
}
