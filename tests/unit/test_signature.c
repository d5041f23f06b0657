#include "delivery/guard.h"
#include "delivery/signature.h"
#include "delivery/verifier.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Known answers: those published with Standard Webhooks and its libraries, and boundaries that they leave out, made with Python's hmac. */
#define P1_SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define P1_ID     "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define P1_BODY   "{\"test\": 2432232314}"
#define P2_SECRET "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
#define P2_ID     "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"
#define P2_BODY   "{\"email\":\"test@example.com\",\"username\":\"test_user\"}"
#define P3_SECRET "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
#define P3_PUBLIC "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
#define M3_SECRET "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
#define M4_SECRET "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define M5_SECRET "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
#define M_BODY    "{\"type\":\"job.completed\"}"

static const struct vector {
    const char *name, *secret, *receives, *id;
    int64_t timestamp_s;
    const char *body, *signature;
} vectors[] = {
    { "P1", P1_SECRET, P1_SECRET, P1_ID, 1614265330, P1_BODY, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" },
    { "P2", P2_SECRET, P2_SECRET, P2_ID, 1649367553, P2_BODY, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=" },
    { "P3", P3_SECRET, P3_PUBLIC, P1_ID, 1614265330, P1_BODY,
      "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==" },
    { "M1", P1_SECRET, P1_SECRET, P1_ID, 1614265330, "", "v1,v48jdbgvh29KJz2Qc+ghw8G6vG3nAKnujWBg8oM/62A=" },
    { "M2", P1_SECRET, P1_SECRET, P1_ID, 1614265330, "{\"name\":\"Zo\xc3\xab \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80\"}",
      "v1,5OGMCcOp4/22j8q/XdcCsfLhNWcoHd13CT9F8YKfH74=" },
    { "M3", M3_SECRET, M3_SECRET, "msg_test", 1700000000, M_BODY, "v1,y8/xXw/cn0yhySMyOJg+5Txg8e0J6wdiWELPY9LHnGM=" },
    { "M4", M4_SECRET, M4_SECRET, "msg_test", 1700000000, M_BODY, "v1,/4fMVS+ofjQd95F8vGXI7MA0RoExwg9ng97dAgRckWY=" },
    { "M5", M5_SECRET, M5_SECRET, "msg_test", 1700000000, M_BODY, "v1,g0fs6qFJ6L8VJgO5MQfT/gjl1TmUjIvyYmQIFM1FU5A=" },
};

/* ---- signing and checking ---- */

static struct signature_keys keys_of(const char *text)
{
    struct signature_keys keys;
    struct text problem;
    text_init(&problem, 1000);
    cr_assert(signature_keys_parse(slice_of(text), &keys, &problem), "%s: %s", text, problem.start);
    text_finish(&problem);
    return keys;
}

static struct signature *signature_of(const char *text, enum signature_scope scope)
{
    struct signature_keys keys = keys_of(text);
    struct signature_options options = { .keys = &keys, .scope = scope, .hash_key = { 1, 2 } };
    return signature_create(&options);
}

/* The header's value, valid until the next call. */
static const char *sign(struct signature *signature, const struct signed_request *request)
{
    static struct text value;
    text_finish(&value);
    text_init(&value, SIGNATURE_HEADER_MAX);
    signature_append(signature, request, &value);
    cr_assert_not(value.overflowed);
    return value.start;
}

static struct signed_request request_of(const struct vector *vector)
{
    return (struct signed_request){ .id = slice_of(vector->id), .timestamp_s = vector->timestamp_s, .body = slice_of(vector->body) };
}

static enum verifier_result check(const char *secrets, const struct verifier_message *message, int64_t now_s, int64_t tolerance_s)
{
    const char *problem;
    struct verifier *verifier = verifier_create(secrets, &problem);
    cr_assert_not_null(verifier, "%s: %s", secrets, problem);
    enum verifier_result result = verifier_check(verifier, message, now_s, tolerance_s);
    verifier_destroy(verifier);
    return result;
}

static enum verifier_result check_vector(const struct vector *vector, const char *secrets, const char *signature)
{
    char timestamp[24];
    snprintf(timestamp, sizeof(timestamp), "%lld", (long long)vector->timestamp_s);
    const struct verifier_message message = { vector->id, timestamp, signature, vector->body, strlen(vector->body) };
    return check(secrets, &message, vector->timestamp_s, 0);
}

Test(signature, signs_every_vector)
{
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct signature *signature = signature_of(vectors[i].secret, SIGNATURE_SHARED);
        struct signed_request request = request_of(&vectors[i]);
        for (int again = 0; again < 3; again++) /* the contexts are used again */
            cr_expect_str_eq(sign(signature, &request), vectors[i].signature, "%s", vectors[i].name);
        signature_destroy(signature);
    }
}

Test(verifier, accepts_every_vector_and_none_with_another_secret)
{
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        cr_expect_eq(check_vector(&vectors[i], vectors[i].receives, vectors[i].signature), VERIFIER_VALID, "%s", vectors[i].name);
        const char *other = strcmp(vectors[i].secret, M4_SECRET) == 0 ? M5_SECRET : M4_SECRET;
        cr_expect_eq(check_vector(&vectors[i], other, vectors[i].signature), VERIFIER_NO_MATCH, "%s", vectors[i].name);
    }
    cr_expect_eq(check_vector(&vectors[1], P2_SECRET, "v1,R3PTzyfHASBKHH98a7yexTwaJ4yNIcGhFQc1yuN+BPU="), VERIFIER_NO_MATCH, "P4");
}

Test(verifier, finds_the_valid_one_among_other_signatures)
{
    static const char wrong[] = "Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
    char header[400];
    snprintf(header, sizeof(header), "v1,%s v2,%s %s v1,%s", wrong, wrong, vectors[0].signature, wrong);
    cr_expect_eq(check_vector(&vectors[0], P1_SECRET, header), VERIFIER_VALID, "P5");
    snprintf(header, sizeof(header), "v1,%s v2,%s v1,%s", wrong, strchr(vectors[0].signature, ',') + 1, wrong);
    cr_expect_eq(check_vector(&vectors[0], P1_SECRET, header), VERIFIER_NO_MATCH, "the right bytes under a version that nobody knows");
    snprintf(header, sizeof(header), "v1a,%s", strchr(vectors[0].signature, ',') + 1);
    cr_expect_eq(check_vector(&vectors[0], P1_SECRET " " P3_PUBLIC, header), VERIFIER_NO_MATCH, "an HMAC is no Ed25519 signature");
    snprintf(header, sizeof(header), "v1,%s", strchr(vectors[2].signature, ',') + 1);
    cr_expect_eq(check_vector(&vectors[2], P1_SECRET " " P3_PUBLIC, header), VERIFIER_NO_MATCH, "nor the other way round");
}

Test(verifier, allows_five_minutes_both_ways)
{
    static const struct {
        int64_t late_s;
        enum verifier_result result;
    } cases[] = { { -301, VERIFIER_TOO_NEW }, { -300, VERIFIER_VALID }, { 0, VERIFIER_VALID }, { 300, VERIFIER_VALID }, { 301, VERIFIER_TOO_OLD } };
    const struct verifier_message message = { P1_ID, "1614265330", vectors[0].signature, P1_BODY, strlen(P1_BODY) };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_expect_eq(check(P1_SECRET, &message, 1614265330 + cases[i].late_s, VERIFIER_TOLERANCE_S), cases[i].result);
    cr_expect_eq(check(P1_SECRET, &message, 0, VERIFIER_ANY_TIME), VERIFIER_VALID);
}

Test(verifier, refuses_messages_that_are_not_as_the_specification_says)
{
    static const char *const good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    static const char *const ids[] = { NULL, "", "msg.1" }, *const timestamps[] = {
        NULL, "", " 1614265330", "1614265330 ", "+1614265330", "-1", "1614265330.0", "0x10", "1614265330\n", "9999999999999999", "now"
    };
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        const struct verifier_message message = { ids[i], "1614265330", good, P1_BODY, strlen(P1_BODY) };
        cr_expect_eq(check(P1_SECRET, &message, 1614265330, 300), VERIFIER_MALFORMED);
    }
    for (size_t i = 0; i < COUNT_OF(timestamps); i++) {
        const struct verifier_message message = { P1_ID, timestamps[i], good, P1_BODY, strlen(P1_BODY) };
        cr_expect_eq(check(P1_SECRET, &message, 1614265330, VERIFIER_ANY_TIME), VERIFIER_MALFORMED, "%s", timestamps[i]);
    }
    const struct verifier_message unsigned_message = { P1_ID, "1614265330", NULL, P1_BODY, strlen(P1_BODY) };
    cr_expect_eq(check(P1_SECRET, &unsigned_message, 1614265330, 300), VERIFIER_MALFORMED);
}

Test(verifier, looks_at_no_more_signatures_than_a_sender_has_keys_for)
{
    char header[VERIFIER_HEADER_BYTES_MAX + 2] = "";
    for (size_t used = 0, i = 0; i < VERIFIER_SIGNATURES_MAX; i++)
        used += (size_t)snprintf(header + used, sizeof(header) - used, "v9,x ");
    cr_expect_eq(check_vector(&vectors[0], P1_SECRET, header), VERIFIER_NO_MATCH);
    memcpy(header + strlen(header), "v9,x", 5);
    cr_expect_eq(check_vector(&vectors[0], P1_SECRET, header), VERIFIER_MALFORMED);
    memset(header, 'x', sizeof(header) - 1);
    header[sizeof(header) - 1] = '\0';
    cr_expect_eq(check_vector(&vectors[0], P1_SECRET, header), VERIFIER_MALFORMED);
}

/* ---- tampering ---- */

/* Every byte of `text` in turn gets each single bit flipped; none of what comes out may pass. */
static void expect_refused_when_tampered(struct verifier *verifier, struct verifier_message *message, char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        for (int bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ (1 << bit));
            cr_expect_neq(verifier_check(verifier, message, 0, VERIFIER_ANY_TIME), VERIFIER_VALID, "byte %zu, bit %d of %s", i, bit, text);
            text[i] = (char)(text[i] ^ (1 << bit));
        }
    }
    cr_expect_eq(verifier_check(verifier, message, 0, VERIFIER_ANY_TIME), VERIFIER_VALID);
}

static void expect_refused_when_shortened(struct verifier *verifier, struct verifier_message message)
{
    char longer[256];
    for (size_t length = message.body_bytes; length > 0; length--) {
        message.body_bytes = length - 1;
        cr_expect_eq(verifier_check(verifier, &message, 0, VERIFIER_ANY_TIME), VERIFIER_NO_MATCH);
    }
    memcpy(longer, message.body, strlen(message.body) + 1);
    message.body = longer;
    message.body_bytes = strlen(longer) + 1;
    cr_expect_eq(verifier_check(verifier, &message, 0, VERIFIER_ANY_TIME), VERIFIER_NO_MATCH);
}

Test(verifier, refuses_when_any_bit_of_header_or_body_changes)
{
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        char id[64], timestamp[24], header[SIGNATURE_ENTRY_MAX + 1], body[64];
        snprintf(id, sizeof(id), "%s", vectors[i].id);
        snprintf(timestamp, sizeof(timestamp), "%lld", (long long)vectors[i].timestamp_s);
        snprintf(header, sizeof(header), "%s", vectors[i].signature);
        snprintf(body, sizeof(body), "%s", vectors[i].body);
        struct verifier_message message = { id, timestamp, header, body, strlen(body) };
        const char *problem;
        struct verifier *verifier = verifier_create(vectors[i].receives, &problem);
        expect_refused_when_tampered(verifier, &message, id, strlen(id));
        expect_refused_when_tampered(verifier, &message, timestamp, strlen(timestamp));
        expect_refused_when_tampered(verifier, &message, header, strlen(header));
        expect_refused_when_tampered(verifier, &message, body, strlen(body));
        expect_refused_when_shortened(verifier, message);
        verifier_destroy(verifier);
    }
}

Test(verifier, does_not_let_bytes_move_between_id_timestamp_and_body)
{
    static const struct verifier_message moved[] = {
        { "msg", "1614265330", NULL, "1.x", 3 },
        { "msg.1614265330", "1", NULL, "x", 1 },
    };
    struct signature *signature = signature_of(P1_SECRET, SIGNATURE_SHARED);
    struct signed_request request = { .id = SLICE("msg"), .timestamp_s = 1614265330, .body = SLICE("1.x") };
    const char *header = sign(signature, &request);
    for (size_t i = 0; i < COUNT_OF(moved); i++) {
        struct verifier_message message = moved[i];
        message.signature = header;
        cr_expect_eq(check(P1_SECRET, &message, 0, VERIFIER_ANY_TIME), i == 0 ? VERIFIER_VALID : VERIFIER_MALFORMED);
    }
    signature_destroy(signature);
}

/* ---- keys ---- */

Test(signature_keys, are_refused_when_they_are_not_what_they_should_be)
{
    static const struct {
        const char *text, *says; /* of the problem */
    } cases[] = {
        { "", "there is none" },
        { " \n\t", "there is none" },
        { "whsec_", "key 1 is not base64" },
        { "whsk_", "key 1 is not base64" },
        { "w", "key 1 begins with neither whsec_ nor whsk_" },
        { "whsec_%", "key 1 is not base64" },
        { "whsec_wronglength", "key 1 is not base64" },
        { "whsec_c2VjcmV0", "key 1 is too short" },
        { P3_PUBLIC, "key 1 is a public key" },
        { "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6K", "key 1 has the wrong length" },
        { "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=", "key 1 has the wrong length" },
        { "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfUKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==", "key 1 has a public half that does not" },
        { "hwsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "key 1 begins with neither" },
        { "C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "key 1 begins with neither" },
        { "WHSEC_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "key 1 begins with neither" },
        { "whsec_C2FVsBQIhrscChlQIMV-b5sSYspob7oD", "key 1 is not base64" }, /* the alphabet of URLs */
        { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "key 1 is not base64" },  /* P9: unpadded */
        { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr", "key 1 is not base64" },
        { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBs==", "key 1 is not base64" }, /* not canonical: bits are left over */
        { "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY=", "key 1 is too short" },      /* 23 bytes */
        { P1_SECRET " whsec_x", "key 2 is not base64" },
        { P1_SECRET "," P2_SECRET, "key 1 is not base64" },
        { P1_SECRET " " P2_SECRET " " P1_SECRET, "key 3 stands there twice" },
        { P3_SECRET "\n" P3_SECRET, "key 2 stands there twice" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct signature_keys keys;
        struct text problem;
        text_init(&problem, 1000);
        cr_expect_not(signature_keys_parse(slice_of(cases[i].text), &keys, &problem), "%s", cases[i].text);
        cr_expect_not_null(strstr(problem.start, cases[i].says), "%s: %s", cases[i].text, problem.start);
        cr_expect_eq(keys.count, 0);
        text_finish(&problem);
    }
}

/* "whsec_" and that many bytes. */
static const char *symmetric_of(size_t bytes, unsigned char first)
{
    static char text[200];
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = (size_t)snprintf(text, sizeof(text), "whsec_");
    for (size_t i = 0; i < bytes; i += 3) {
        unsigned char three[3] = { first, 0, 0 };
        size_t here = bytes - i < 3 ? bytes - i : 3;
        text[length++] = alphabet[three[0] >> 2];
        text[length++] = alphabet[(three[0] & 3) << 4];
        text[length++] = here > 1 ? 'A' : '=';
        text[length++] = here > 2 ? 'A' : '=';
    }
    text[length] = '\0';
    return text;
}

Test(signature_keys, have_24_to_64_bytes)
{
    for (size_t bytes = 1; bytes <= 90; bytes++) {
        struct signature_keys keys;
        struct text problem;
        text_init(&problem, 1000);
        const char *text = symmetric_of(bytes, 7), *sentence;
        bool fine = signature_keys_parse(slice_of(text), &keys, &problem);
        cr_expect_eq(fine, bytes >= 24 && bytes <= 64, "%zu bytes: %s", bytes, problem.start);
        cr_expect(!fine || keys.keys[0].length == bytes);
        struct verifier *verifier = verifier_create(text, &sentence);
        cr_expect_eq(verifier != NULL, fine, "%zu bytes", bytes);
        verifier_destroy(verifier);
        text_finish(&problem);
    }
}

Test(signature_keys, are_eight_at_most)
{
    struct text list, problem;
    struct signature_keys keys;
    text_init(&list, 4000);
    text_init(&problem, 1000);
    for (unsigned char i = 0; i < SIGNATURE_KEYS_MAX; i++) {
        text_append_string(&list, symmetric_of(64, i));
        text_append_string(&list, i % 2 == 0 ? " " : "\r\n");
    }
    cr_assert(signature_keys_parse(text_slice(&list), &keys, &problem), "%s", problem.start);
    cr_expect_eq(keys.count, SIGNATURE_KEYS_MAX);
    text_append_string(&list, symmetric_of(24, 200));
    cr_expect_not(signature_keys_parse(text_slice(&list), &keys, &problem));
    cr_expect_not_null(strstr(problem.start, "key 9 is one too many: at most 8 keys"));
    text_finish(&list);
    text_finish(&problem);
}

Test(signature_keys, problems_never_show_what_a_key_holds)
{
    static const char *const texts[] = { "whsec_hushhush", "hush", "whsec_hush%", "whsk_hushhushhush", "whpk_hush" };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct signature_keys keys;
        struct text problem;
        const char *sentence;
        text_init(&problem, 1000);
        cr_expect_not(signature_keys_parse(slice_of(texts[i]), &keys, &problem));
        cr_expect_null(strstr(problem.start, "hush"));
        cr_expect_null(verifier_create(texts[i], &sentence));
        cr_expect_null(strstr(sentence, "hush"));
        text_finish(&problem);
    }
}

Test(signature_keys, are_gone_after_wiping)
{
    static const struct signature_keys empty;
    struct signature_keys keys = keys_of(P1_SECRET " " P3_SECRET);
    cr_expect(signature_keys_have_symmetric(&keys));
    signature_keys_wipe(&keys);
    cr_expect_eq(memcmp(&keys, &empty, sizeof(keys)), 0);
    keys = keys_of(P3_SECRET);
    cr_expect_not(signature_keys_have_symmetric(&keys));
}

Test(verifier, takes_secrets_with_and_without_prefix_and_refuses_the_rest)
{
    static const struct {
        const char *secrets;
        bool fine;
    } cases[] = {
        { P1_SECRET, true },
        { "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true },
        { " " P2_SECRET "\n" P1_SECRET "\n", true },
        { P3_PUBLIC " " P1_SECRET, true },
        { NULL, false },
        { "", false },
        { " ", false },
        { "whsec_", false },
        { "w", false },
        { "whsec_%", false },
        { "whpk_1SiA", false },
        { "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbO", false },
        { P3_SECRET, false },
        { "hwsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", false },
        { "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", false },
        { P1_SECRET " x", false },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *problem;
        struct verifier *verifier = verifier_create(cases[i].secrets, &problem);
        cr_expect_eq(verifier != NULL, cases[i].fine, "%s", cases[i].secrets);
        cr_expect_eq(problem == NULL, cases[i].fine);
        verifier_destroy(verifier);
    }
}

Test(verifier, reads_base64_strictly)
{
    static const struct {
        const char *text;
        int count; /* -1: refused */
    } cases[] = { { "QQ==", 1 },  { "QUI=", 2 },  { "QUJD", 3 },      { "QUJDRA==", 4 }, { "", -1 },        { "Q", -1 },       { "QQ", -1 },
                  { "QQ=", -1 },  { "QR==", -1 }, { "QUJ=", -1 },     { "QUJD\n", -1 },  { " QUJD", -1 },   { "QU JD", -1 },   { "====", -1 },
                  { "Q===", -1 }, { "QQ=Q", -1 }, { "QQ==QQ==", -1 }, { "Q-_D", -1 },    { "\nQUJDR", -1 }, { "   QUJD ", -1 } };
    unsigned char bytes[64];
    size_t count;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool fine = verifier_read_base64(cases[i].text, strlen(cases[i].text), bytes, sizeof(bytes), &count);
        cr_expect_eq(fine, cases[i].count >= 0, "%s", cases[i].text);
        cr_expect(!fine || (int)count == cases[i].count);
    }
    cr_expect_not(verifier_read_base64("QUJDRA==", 8, bytes, 3, &count), "no room");
    cr_expect(verifier_read_base64("QUJDRA==", 8, bytes, 4, &count));
}

/* ---- rotation ---- */

Test(signature, has_one_entry_for_each_key_the_newest_first)
{
    struct signature *signature = signature_of(P2_SECRET " " P3_SECRET "\n" P1_SECRET, SIGNATURE_SHARED);
    struct signed_request request = request_of(&vectors[0]);
    char wanted[400];
    const char *header = sign(signature, &request), *newest = "v1,78nXHjpFP0tVJQW5D0SBwmVyyW87BV/rL6MgfM/Bw44=";
    snprintf(wanted, sizeof(wanted), "%s %s %s", newest, vectors[2].signature, vectors[0].signature);
    cr_expect_str_eq(header, wanted);
    static const char *const receivers[] = { P1_SECRET, P2_SECRET, P3_PUBLIC, P1_SECRET " " P2_SECRET, M4_SECRET " " P3_PUBLIC };
    for (size_t i = 0; i < COUNT_OF(receivers); i++)
        cr_expect_eq(check_vector(&vectors[0], receivers[i], header), VERIFIER_VALID, "%s", receivers[i]);
    cr_expect_eq(check_vector(&vectors[0], M4_SECRET, header), VERIFIER_NO_MATCH);
    signature_destroy(signature);
}

Test(signature, goes_on_with_other_keys_when_they_are_replaced)
{
    struct signature *signature = signature_of(P1_SECRET, SIGNATURE_SHARED);
    struct signed_request request = request_of(&vectors[0]);
    cr_expect_str_eq(sign(signature, &request), vectors[0].signature);
    struct signature_keys keys = keys_of(P3_SECRET);
    signature_replace(signature, &keys);
    cr_expect_str_eq(sign(signature, &request), vectors[2].signature);
    keys = keys_of(P1_SECRET);
    signature_replace(signature, &keys);
    cr_expect_str_eq(sign(signature, &request), vectors[0].signature);
    signature_destroy(signature);
}

Test(signature, of_large_bodies_and_of_any_byte_is_valid)
{
    static const size_t sizes[] = { 1, 63, 64, 65, 4096, 65535, 65536, 70000, 3000000, 10 };
    struct signature *signature = signature_of(P3_SECRET " " P1_SECRET, SIGNATURE_SHARED);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *body = malloc(sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            body[k] = (char)(k * 7 + i);
        struct signed_request request = { .id = SLICE("id"), .timestamp_s = 5, .body = { body, sizes[i] } };
        const struct verifier_message message = { "id", "5", sign(signature, &request), body, sizes[i] };
        cr_expect_eq(check(P1_SECRET, &message, 5, 0), VERIFIER_VALID);
        cr_expect_eq(check(P3_PUBLIC, &message, 5, 0), VERIFIER_VALID);
        free(body);
    }
    signature_destroy(signature);
}

/* ---- a receiver's own secrets ---- */

static const struct {
    const char *scope, *secret;
} derived_secrets[] = {
    /* of P1's key */
    { "https://hooks.example.com", "whsec_y6UuWGmW/GLD56undQfgOsyb4SLvhZWvwsyO3gcuj/s=" },
    { "http://hooks.example.com:8080", "whsec_cpHn1wSxL9D6ssYSrgigjeb5EmLpqdf02DK2mY3HO6A=" },
    { "https://hooks.example.com/in/42", "whsec_TMs5YDVVbm61F8agRwP5DN7HBARdzQ9/AXGHa1bynE0=" },
    { "https://[2606:4700::1111]", "whsec_7sI6flN6W1ffq2Mrj46x/aptmZCMqgihzTHvKaHCKjI=" },
};

Test(signature_keys, derive_the_receivers_secret_from_the_scope)
{
    struct signature_keys keys = keys_of(P1_SECRET " " P3_SECRET);
    char secret[SIGNATURE_SECRET_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(derived_secrets); i++) {
        signature_key_write_secret(&keys.keys[0], slice_of(derived_secrets[i].scope), secret);
        cr_expect_str_eq(secret, derived_secrets[i].secret);
        signature_key_write_secret(&keys.keys[1], slice_of(derived_secrets[i].scope), secret);
        cr_expect_str_eq(secret, P3_PUBLIC, "Ed25519 keys are used as they are");
    }
    signature_key_write_secret(&keys.keys[0], SLICE(""), secret);
    cr_expect_str_eq(secret, P1_SECRET);
    keys = keys_of(M5_SECRET);
    signature_key_write_secret(&keys.keys[0], SLICE(""), secret);
    cr_expect_str_eq(secret, M5_SECRET, "the longest there is");
}

static struct url url_of(const char *text)
{
    static const struct guard_cidr any[] = { { { false, { 0 } }, 0 }, { { true, { 0 } }, 0 } };
    const struct guard guard = { .allow_http = true, .allow = (struct guard_cidr *)any, .allow_count = COUNT_OF(any) };
    struct url url;
    enum guard_rule rule = guard_judge_url(&guard, slice_of(text), &url);
    cr_assert_eq(rule, GUARD_OK, "%s: %s", text, guard_rule_name(rule));
    return url;
}

Test(signature_keys, scope_is_the_origin_or_the_url_as_it_is_sent)
{
    static const struct {
        const char *url, *origin, *whole;
    } cases[] = {
        { "https://hooks.example.com/in/42?token=1", "https://hooks.example.com", "https://hooks.example.com/in/42" },
        { "HTTPS://Hooks.Example.COM:443/In/42#part", "https://hooks.example.com", "https://hooks.example.com/In/42" },
        { "http://hooks.example.com:8080", "http://hooks.example.com:8080", "http://hooks.example.com:8080/" },
        { "https://hooks.example.com?a=/b", "https://hooks.example.com", "https://hooks.example.com/" },
        { "https://hooks.example.com/#x", "https://hooks.example.com", "https://hooks.example.com/" },
        { "https://hooks.example.com/a/../b//c/%7e", "https://hooks.example.com", "https://hooks.example.com/a/../b//c/%7e" },
        { "https://hooks.example.com/a://b/c", "https://hooks.example.com", "https://hooks.example.com/a://b/c" },
        { "https://[2606:4700:0::1111]:443/", "https://[2606:4700::1111]", "https://[2606:4700::1111]/" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct url url = url_of(cases[i].url);
        struct text scope;
        text_init(&scope, 10000);
        signature_scope_write(SIGNATURE_SHARED, &url, &scope);
        cr_expect_eq(scope.length, 0);
        signature_scope_write(SIGNATURE_ORIGIN, &url, &scope);
        cr_expect(slice_is(text_slice(&scope), cases[i].origin), "%s", scope.start);
        text_clear(&scope);
        signature_scope_write(SIGNATURE_URL, &url, &scope);
        cr_expect(slice_is(text_slice(&scope), cases[i].whole), "%s", scope.start);
        text_finish(&scope);
    }
}

/* What goes to `url` verifies with the secret that its receiver was given, and with no other. */
static void expect_own_secret(struct signature *signature, const struct signature_key *key, const char *text)
{
    struct url url = url_of(text);
    struct slice scope = signature_scope_of(signature, &url);
    struct signed_request request = { .scope = scope, .id = SLICE("id"), .timestamp_s = 5, .body = slice_of(text) };
    const struct verifier_message message = { "id", "5", sign(signature, &request), text, strlen(text) };
    char secret[SIGNATURE_SECRET_MAX + 1];
    signature_key_write_secret(key, scope, secret);
    cr_expect_eq(check(secret, &message, 5, 0), VERIFIER_VALID, "%s", text);
    signature_key_write_secret(key, SLICE(""), secret);
    cr_expect_eq(check(secret, &message, 5, 0), VERIFIER_NO_MATCH, "the master is nobody's secret");
    signature_key_write_secret(key, SLICE("https://other.example.com"), secret);
    cr_expect_eq(check(secret, &message, 5, 0), VERIFIER_NO_MATCH);
}

Test(signature, is_made_with_each_receivers_own_secret_however_many_there_are)
{
    struct signature_keys keys = keys_of(P1_SECRET);
    struct signature *signature = signature_of(P1_SECRET, SIGNATURE_URL);
    char url[600];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3 * SIGNATURE_DERIVED_MAX; i++) {
            snprintf(url, sizeof(url), "https://hooks.example.com/%d", i);
            expect_own_secret(signature, &keys.keys[0], url);
        }
    }
    for (size_t length = SIGNATURE_SCOPE_KEPT_BYTES - 2; length < SIGNATURE_SCOPE_KEPT_BYTES + 3; length++) {
        int used = snprintf(url, sizeof(url), "https://hooks.example.com/");
        memset(url + used, 'x', length - (size_t)used);
        url[length] = '\0';
        expect_own_secret(signature, &keys.keys[0], url);
        expect_own_secret(signature, &keys.keys[0], url);
    }
    signature_destroy(signature);
}

Test(signature, derives_anew_when_the_master_is_replaced)
{
    struct signature *signature = signature_of(P1_SECRET " " P3_SECRET, SIGNATURE_ORIGIN);
    struct signature_keys keys = keys_of(P1_SECRET);
    expect_own_secret(signature, &keys.keys[0], "https://hooks.example.com/a");
    keys = keys_of(P2_SECRET);
    signature_replace(signature, &keys);
    expect_own_secret(signature, &keys.keys[0], "https://hooks.example.com/a");
    signature_destroy(signature);
}

Test(signature, takes_the_longest_url)
{
    static char text[GUARD_URL_MAX + 1] = "https://hooks.example.com/";
    memset(text + strlen(text), 'x', GUARD_URL_MAX - strlen(text));
    struct signature_keys keys = keys_of(P1_SECRET);
    struct signature *signature = signature_of(P1_SECRET, SIGNATURE_URL);
    expect_own_secret(signature, &keys.keys[0], text);
    signature_destroy(signature);
}
