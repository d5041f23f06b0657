/* Checks the signature of a webhook, as Standard Webhooks 1.0 has it: v1 (HMAC-SHA256) and v1a (Ed25519). For receivers written in C, and behind
 * `jobhook verify`.
 *
 * This header and verifier.c stand alone: they need OpenSSL 3 and nothing else of jobhook. Build them from here with
 *
 *     cc -I. your_receiver.c delivery/verifier.c -lcrypto
 *
 * (deploy/receivers/receiver.c is a whole one), or copy the two files and correct the one #include.
 *
 *     const char *problem;
 *     struct verifier *verifier = verifier_create(getenv("WEBHOOK_SECRETS"), &problem);
 *     struct verifier_message message = { id, timestamp, signature, body, body_bytes };
 *     if (verifier_check(verifier, &message, time(NULL), VERIFIER_TOLERANCE_S) != VERIFIER_VALID)
 *         answer 401;
 *
 * The body is what came over the wire, byte for byte, before anything parses it. A signature says who sent the request and when; that it comes only
 * once, and that you had asked for that task, is yours to check: keep the webhook-id, and compare task_id. */
#ifndef JOBHOOK_DELIVERY_VERIFIER_H
#define JOBHOOK_DELIVERY_VERIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VERIFIER_SECRETS_MAX = 16,
    VERIFIER_SIGNATURES_MAX = 16, /* entries of one header that are looked at; more are refused */
    VERIFIER_HEADER_BYTES_MAX = 4096,
    VERIFIER_TOLERANCE_S = 300, /* what the specification recommends, both ways */
    VERIFIER_ANY_TIME = -1,     /* a tolerance: for requests that were kept and are checked long after */
};

enum verifier_result {
    VERIFIER_VALID,
    VERIFIER_MALFORMED, /* a header is missing, or is not what the specification says */
    VERIFIER_TOO_OLD,
    VERIFIER_TOO_NEW,
    VERIFIER_NO_MATCH, /* none of the signatures was made with one of the secrets over this id, timestamp and body */
    VERIFIER_FAILED,   /* out of memory: not checked, not valid */
};
const char *verifier_result_sentence(enum verifier_result result); /* "the signature is valid", "the timestamp is too old" … */

struct verifier_message { /* the three headers' values, NUL-terminated (NULL: absent), and the body */
    const char *id, *timestamp, *signature;
    const void *body;
    size_t body_bytes;
};

struct verifier;

/* `secrets`: whsec_… (symmetric; the prefix may be missing) and whpk_… (Ed25519 public keys), with white space between; any of them may have signed, so
 * that secrets can be changed without a gap. NULL when one of them is not what it should be; `*problem` is then a fixed sentence. The string may
 * be wiped afterwards. */
struct verifier *verifier_create(const char *secrets, const char **problem);
void verifier_destroy(struct verifier *verifier); /* wipes the secrets; takes NULL */

/* `now_s`: unix time; a timestamp may differ by `tolerance_s` at most. Compares in constant time. Any number of threads may use one verifier. */
enum verifier_result verifier_check(const struct verifier *verifier, const struct verifier_message *message, int64_t now_s, int64_t tolerance_s);

/* Base64 (RFC 4648 §4) strictly: padded, canonical, nothing beside it. False when it is not, or does not fit into `room` bytes. */
bool verifier_read_base64(const char *text, size_t length, unsigned char *bytes, size_t room, size_t *count);

#endif
