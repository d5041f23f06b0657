/* Any bytes as signing keys, as a receiver's secrets, as the header webhook-signature and as a captured request: keys that are read sign what their
 * receivers accept, nothing passes that was not signed with one of the secrets, and base64 that is read is written the same way. */
#include "consumer/commands/signed_message.h"
#include "delivery/signature.h"
#include "delivery/verifier.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char known[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
/* What the first and the second of them make of "id.5.body". */
static const char *const answers[] = {
    "v1,Qlve8urBXaoIhQhJH+nI833iyO7UHZjggpnY2Bnuesc=",
    "v1a,FOZbuvQXSS3k/GS4xNQuAeG36ZUPGJo1reGLjUux57Bb5jK/8vPlzg80vnyiwJ7N3sevhJA6am8A2y8XVoWwDQ==",
};

/* What is signed with keys that were read is valid for each receiver by itself. */
static void expect_valid(const struct signature_keys *keys, struct slice scope)
{
    const struct signature_options options = { .keys = keys, .scope = scope.length == 0 ? SIGNATURE_SHARED : SIGNATURE_ORIGIN };
    struct signature *signature = signature_create(&options);
    const struct signed_request request = { .scope = scope, .id = SLICE("id"), .timestamp_s = 5, .body = SLICE("body") };
    struct text value;
    text_init(&value, SIGNATURE_HEADER_MAX);
    signature_append(signature, &request, &value);
    assert(!value.overflowed);
    const struct verifier_message message = { "id", "5", value.start, "body", 4 };
    for (size_t i = 0; i < keys->count; i++) {
        char secret[SIGNATURE_SECRET_MAX + 1];
        const char *problem;
        signature_key_write_secret(&keys->keys[i], scope, secret);
        struct verifier *verifier = verifier_create(secret, &problem);
        assert(verifier != NULL && verifier_check(verifier, &message, 5, 0) == VERIFIER_VALID);
        verifier_destroy(verifier);
    }
    text_finish(&value);
    signature_destroy(signature);
}

static void try_keys(struct slice text)
{
    struct signature_keys keys;
    struct text problem;
    text_init(&problem, 1000);
    if (signature_keys_parse(text, &keys, &problem)) {
        assert(keys.count > 0 && problem.length == 0);
        expect_valid(&keys, SLICE(""));
        expect_valid(&keys, SLICE("https://hooks.example.com"));
    } else {
        assert(keys.count == 0 && problem.length > 0);
    }
    text_finish(&problem);
}

static void try_secrets(const char *text)
{
    const char *problem;
    struct verifier *verifier = verifier_create(text, &problem);
    assert((verifier == NULL) == (problem != NULL));
    verifier_destroy(verifier);
}

/* A header passes only if it holds, as a whole entry, what one of the secrets makes of the message. */
static void try_header(const char *text)
{
    static struct verifier *verifier;
    const char *problem;
    if (verifier == NULL)
        verifier = verifier_create(known, &problem);
    const struct verifier_message message = { "id", "5", text, "body", 4 };
    enum verifier_result result = verifier_check(verifier, &message, 5, 0);
    bool holds_one = false;
    for (size_t i = 0; i < COUNT_OF(answers); i++)
        holds_one = holds_one || strstr(text, answers[i]) != NULL;
    assert(result != VERIFIER_VALID || holds_one);
    const struct verifier_message odd = { text, text, answers[0], text, strlen(text) };
    assert(verifier_check(verifier, &odd, 5, VERIFIER_ANY_TIME) != VERIFIER_VALID);
}

static void try_base64(const uint8_t *data, size_t size)
{
    unsigned char bytes[96];
    size_t count = 0;
    if (verifier_read_base64((const char *)data, size, bytes, sizeof(bytes), &count))
        assert(count >= 1 && count <= 96 && size == (count + 2) / 3 * 4);
}

static void try_request(struct slice bytes)
{
    static struct signed_message message;
    const char *problem = NULL;
    if (!signed_message_parse(&message, bytes, &problem)) {
        assert(problem != NULL);
        return;
    }
    assert(message.body.start >= bytes.start && message.body.start + message.body.length <= bytes.start + bytes.length);
    for (int field = 0; field < SIGNED_FIELDS; field++)
        assert(!message.given[field] || strlen(message.values[field]) <= SIGNED_VALUE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    try_keys((struct slice){ text, size });
    try_secrets(text);
    try_header(text);
    try_base64(data, size);
    try_request((struct slice){ text, size });
    free(text);
    return 0;
}
