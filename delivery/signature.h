/* Signs requests as Standard Webhooks 1.0 has it: over webhook-id "." webhook-timestamp "." body, one entry for each active key, newest first.
 *
 * Pure: OpenSSL stays inside, time is an argument. Contexts and derived secrets are kept from one request to the next, so that a signature costs its
 * hashing and little else; one thread uses it. Keys and whatever is made of them are wiped when they are replaced, and at the end. */
#ifndef JOBHOOK_DELIVERY_SIGNATURE_H
#define JOBHOOK_DELIVERY_SIGNATURE_H

#include "consumer/base/hash.h"
#include "delivery/signature_keys.h"

enum {
    SIGNATURE_ENTRY_MAX = 4 + 88, /* "v1a," and 64 bytes in base64 */
    SIGNATURE_HEADER_MAX = SIGNATURE_KEYS_MAX * (SIGNATURE_ENTRY_MAX + 1),
    SIGNATURE_DERIVED_MAX = 1024,     /* receivers whose secrets are kept; of more, those used least recently are derived again */
    SIGNATURE_SCOPE_KEPT_BYTES = 256, /* longer scopes are derived every time */
};

struct signature;

struct signature_options {
    const struct signature_keys *keys; /* copied; at least one */
    enum signature_scope scope;
    struct hash_key hash_key; /* random: receivers cannot choose URLs that push each other out */
};

struct signature *signature_create(const struct signature_options *options);
void signature_destroy(struct signature *signature); /* takes NULL */
/* From the next request on; the scope stays. */
void signature_replace(struct signature *signature, const struct signature_keys *keys);

/* The scope of the receiver at `url`, for struct signed_request; empty when the keys are shared. Valid until the next call. */
struct slice signature_scope_of(struct signature *signature, const struct url *url);

struct signed_request {
    struct slice scope;
    struct slice id; /* webhook-id: without a dot */
    int64_t timestamp_s;
    struct slice body; /* the bytes that are sent */
};
/* Appends the value of webhook-signature, at most SIGNATURE_HEADER_MAX bytes: "v1,… v1a,…". */
void signature_append(struct signature *signature, const struct signed_request *request, struct text *value);

#endif
