/* What signing costs for each key, and what a receiver's own secret adds.
 *
 *   bench_signature [body bytes] [rounds]      default 230 20000
 *
 * Each line is the best of five runs, in microseconds of this thread's CPU time for one signature. */
#include "consumer/base/check.h"
#include "delivery/signature.h"
#include "delivery/verifier.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 5 };

/* Keys of no worth: zeros, and RFC 8032's first test key with its public half. */
#define HMAC_KEY    "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define ED25519_KEY "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg=="

struct bench {
    const char *name, *keys;
    enum signature_scope scope;
    size_t receivers; /* taken in turn */
};

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double run(struct signature *signature, const struct bench *bench, struct slice body, size_t rounds)
{
    struct text value;
    char scope[64];
    text_init(&value, SIGNATURE_HEADER_MAX);
    double start_us = cpu_us();
    for (size_t i = 0; i < rounds; i++) {
        struct signed_request request = { .id = SLICE("bench-00000000"), .timestamp_s = (int64_t)(1700000000 + i), .body = body };
        if (bench->scope != SIGNATURE_SHARED) {
            int length = snprintf(scope, sizeof(scope), "https://hooks-%zu.example.com", i % bench->receivers);
            request.scope = (struct slice){ scope, (size_t)length };
        }
        text_clear(&value);
        signature_append(signature, &request, &value);
    }
    double spent_us = cpu_us() - start_us;
    text_finish(&value);
    return spent_us / (double)rounds;
}

static void measure(const struct bench *bench, struct slice body, size_t rounds)
{
    struct signature_keys keys;
    struct text problem;
    text_init(&problem, 1000);
    bool parsed = signature_keys_parse(slice_of(bench->keys), &keys, &problem);
    assert(parsed);
    const struct signature_options options = { .keys = &keys, .scope = bench->scope, .hash_key = { 1, 2 } };
    struct signature *signature = signature_create(&options);
    double best_us = run(signature, bench, body, rounds);
    for (int i = 1; i < RUNS; i++) {
        double us = run(signature, bench, body, rounds);
        best_us = us < best_us ? us : best_us;
    }
    printf("%-44s %8.2f us\n", bench->name, best_us);
    signature_destroy(signature);
    text_finish(&problem);
}

int main(int count, char **words)
{
    static const struct bench benches[] = {
        { "HMAC-SHA256, shared", HMAC_KEY, SIGNATURE_SHARED, 1 },
        { "HMAC-SHA256, own secret, kept", HMAC_KEY, SIGNATURE_ORIGIN, 200 },
        { "HMAC-SHA256, own secret, derived every time", HMAC_KEY, SIGNATURE_ORIGIN, (size_t)SIGNATURE_DERIVED_MAX * 100 },
        { "Ed25519", ED25519_KEY, SIGNATURE_SHARED, 1 },
        { "both", HMAC_KEY " " ED25519_KEY, SIGNATURE_SHARED, 1 },
    };
    size_t length = count > 1 ? strtoull(words[1], NULL, 10) : 230, rounds = count > 2 ? strtoull(words[2], NULL, 10) : 20000;
    char *bytes = calloc(1, length + 1);
    if (bytes == NULL || rounds == 0) {
        fputs("usage: bench_signature [body bytes] [rounds]\n", stderr);
        return 2;
    }
    printf("a body of %zu bytes, %zu signatures a run, best of %d\n", length, rounds, RUNS);
    for (size_t i = 0; i < COUNT_OF(benches); i++)
        measure(&benches[i], (struct slice){ bytes, length }, rounds);
    free(bytes);
    return 0;
}
