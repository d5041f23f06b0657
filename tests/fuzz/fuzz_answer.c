/* Any bytes as the answer of a receiver, given to the callbacks as libcurl does: header lines up to the empty one that ends them, then the body in
 * pieces. The limits hold, the answer is told once, and the bytes that are kept are the first ones of the body. */
#include "delivery/post.c"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SNIPPET_BYTES = 64 };

static int answers;

static void count_answer(struct post *post, uint64_t most_ms)
{
    assert(post->saw.status >= 200 || post->saw.status == 101);
    assert(most_ms == POST_BODY_MS_MAX);
    answers++;
}

/* Up to and with the line's end; what comes after the last line end is a line, too. */
static size_t line_length(const char *at, size_t left)
{
    const char *end = memchr(at, '\n', left);
    return end == NULL ? left : (size_t)(end - at) + 1;
}

static void expect_sane_headers(const struct post_sight *saw)
{
    assert(saw->header_bytes <= POST_HEADER_BYTES_MAX && saw->status >= 0 && saw->status <= 999);
    assert(saw->retry_after_s >= -1 && saw->retry_after_s <= RETRY_AFTER_MAX_S);
    assert(answers == (saw->headers_done ? 1 : 0));
    assert(!saw->headers_done || saw->status >= 200 || saw->status == 101);
}

static void give_body(struct post *post, char *body, size_t left)
{
    const char *start = body;
    size_t length = left, piece = left == 0 ? 1 : 1 + (unsigned char)body[left - 1] % 200;
    for (size_t count = 0; left > 0; body += count, left -= count) {
        count = left < piece ? left : piece;
        size_t taken = on_body(body, 1, count, post);
        assert(taken == count || (taken == 0 && post->saw.body_cut));
        if (taken == 0)
            break;
    }
    assert(post->saw.body_bytes <= POST_BODY_MAX);
    assert(post->saw.snippet_bytes <= SNIPPET_BYTES && post->saw.snippet_bytes <= length);
    assert(post->saw.snippet_bytes == (length < SNIPPET_BYTES ? length : SNIPPET_BYTES));
    assert(length == 0 || memcmp(post->snippet, start, post->saw.snippet_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char snippet[SNIPPET_BYTES];
    static struct post_shared shared = { .snippet_bytes = SNIPPET_BYTES, .hasten = count_answer };
    struct post post = { .shared = &shared, .snippet = snippet, .saw.retry_after_s = -1 };
    char *bytes = malloc(size + 1), *at = bytes;
    memcpy(bytes, data, size);
    answers = 0;
    for (size_t left = size, count; left > 0 && !post.saw.headers_done; at += count, left -= count) {
        count = line_length(at, left);
        if (on_body(at, 1, count, &post) != count) /* it goes on with no other */
            break;
        if (on_header(at, 1, count, &post) != count) {
            assert(post.saw.headers_too_large || !post.saw.in_headers);
            break;
        }
    }
    expect_sane_headers(&post.saw);
    if (post.saw.headers_done)
        give_body(&post, at, (size_t)(bytes + size - at));
    free(bytes);
    return 0;
}
